"""By how much two campaigns differ in the mean: new minus old, with bounds.

The merge gate acts on these bounds, not on two point values. Paired on identical fault sets the luck of the
draw cancels; when the memory layout changed, the draws differ and only the unpaired form is left. Campaigns stop
when they are decided, so the number of trials depends on what they found: all bounds here hold at every trial at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import InputError
from fkeras.statistics.anytime import anytime_mean
from fkeras.statistics.estimate import Estimate, check_confidence
from fkeras.statistics.means import checked_bounds


def paired_difference(
    new: ArrayLike, old: ArrayLike, bounds: tuple[float, float] | None = None, confidence: float = 0.95
) -> Estimate:
    """Mean of new - old over trials that drew the same faults, with one-sided bounds, each at `confidence`.

    new, old: (trials,) values, equal positions drew equal faults. The number of trials may depend on the values of
    either campaign so far. bounds: (lowest, highest) possible value of one trial; with them the bounds are exact
    (betting on differences, which lie within +- (highest - lowest)), without them asymptotic. Two infinite values
    of one sign on one trial differ by 0: both are the worst there is. Raises InputError for different lengths, and
    as `anytime_mean`.
    """
    new, old = np.asarray(new, dtype=np.float64), np.asarray(old, dtype=np.float64)
    if new.shape != old.shape:
        raise InputError(
            f"values of shape {new.shape} and {old.shape} cannot be paired: give both campaigns' values of the same "
            "trials, or use the unpaired difference"
        )
    if bounds is None:
        return _labelled(anytime_mean(differences(new, old), None, confidence), "paired")
    lowest, highest = checked_bounds(bounds)
    _check_within(new, lowest, highest, "new")
    _check_within(old, lowest, highest, "old")
    width = highest - lowest
    return _labelled(anytime_mean(np.clip(new - old, -width, width), (-width, width), confidence), "paired")


def unpaired_difference(
    new: ArrayLike, old: ArrayLike, bounds: tuple[float, float] | None = None, confidence: float = 0.95
) -> Estimate:
    """Difference of the means of two campaigns whose trials drew different faults, bounds as in the paired one.

    new, old: (trials,) values, lengths may differ. Each mean is bounded at half of 1 - confidence, and the bounds
    are the differences of their ends. Raises InputError as `anytime_mean`.
    """
    each = (1 + check_confidence(confidence)) / 2
    a, b = anytime_mean(new, bounds, each), anytime_mean(old, bounds, each)
    best = 0.0 if a.best == b.best else a.best - b.best
    method = a.method if np.isinf(a.low) else b.method
    return _labelled(Estimate(a.low - b.high, best, a.high - b.low, confidence, method), "unpaired")


def differences(new: NDArray[np.float64], old: NDArray[np.float64]) -> NDArray[np.float64]:
    """new - old, and 0 for equal values, infinite ones too."""
    return np.subtract(new, old, out=np.zeros_like(new), where=new != old)


def _labelled(estimate: Estimate, pairing: str) -> Estimate:
    return Estimate(estimate.low, estimate.best, estimate.high, estimate.confidence, f"{pairing} {estimate.method}")


def _check_within(values: NDArray[np.float64], lowest: float, highest: float, name: str) -> None:
    outside = values[(values < lowest) | (values > highest)]
    if outside.size:
        raise InputError(
            f"{outside.size} of {values.size} {name} values lie outside the bounds [{lowest:g}, {highest:g}], the "
            f"first is {outside[0]!r}: correct the bounds, or give none for asymptotic ones"
        )
