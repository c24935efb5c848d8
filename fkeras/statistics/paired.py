"""By how much two campaigns differ in the mean: new minus old, with bounds.

The merge gate acts on these bounds, not on two point values. Paired on identical fault sets the luck of the
draw cancels; when the memory layout changed, the draws differ and only the unpaired form is left. Campaigns stop
when they are decided, so the number of trials depends on what they found: all bounds here hold at every trial at once.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import InputError
from fkeras.statistics.estimate import Estimate, check_confidence
from fkeras.statistics.means import asymptotic_mean, bounded_mean, checked_bounds, standard_error

MINIMUM_VALUES = 100
"""Fewer values get no asymptotic bounds: looking often at few values finds a small spread by chance."""
_TIGHTEST_AT = 300
"""Trials at which the asymptotic bounds are made to be tightest."""


def anytime_mean(values: ArrayLike, bounds: tuple[float, float] | None = None, confidence: float = 0.95) -> Estimate:
    """The mean with a lower and an upper bound, each at `confidence`, at whatever trial one stops.

    values: (n,) numbers in trial order, infinite ones allowed without bounds. bounds: (lowest, highest) possible
    value; with them the bounds on the mean are exact, by betting. Without, they are asymptotic: from 100 values on,
    for modest tails; fewer values, or an infinite one, bound nothing. Raises InputError as `bounded_mean` and
    `asymptotic_mean`.

    Source of the asymptotic bounds: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit
    theory and asymptotic confidence sequences", Ann. Stat. 52 (2024), the one-sided mixture.
    """
    risk = 1 - check_confidence(confidence)
    if bounds is not None:
        # Each side of an interval at 1 - 2 risk is wrong with probability at most `risk`.
        interval = bounded_mean(values, bounds, max(1 - 2 * risk, 1e-9))
        return Estimate(interval.low, interval.best, interval.high, confidence, interval.method)
    mean = asymptotic_mean(values, confidence, minimum=MINIMUM_VALUES)
    if math.isinf(mean.low):
        method = mean.method.replace("Student t", "mixture")
        return Estimate(-math.inf, mean.best, math.inf, confidence, method)
    n = np.size(values)
    # The variance of the mixture that makes the bounds tightest at _TIGHTEST_AT, in units of the values' own.
    spread = n * _mixture_variance(min(2 * risk, 0.9))
    width = math.sqrt(2 * (spread + 1) / spread * math.log1p(math.sqrt(spread + 1) / (2 * risk)))
    half = width * standard_error(values)
    return Estimate(mean.best - half, mean.best, mean.best + half, confidence, "mixture (asymptotic)")


def _mixture_variance(risk: float) -> float:
    """The rule of Waudby-Smith et al. (2024), appendix B.2."""
    log = -2 * math.log(risk)
    return (log + math.log(log) + 1) / _TIGHTEST_AT if log > 1 else 2 / _TIGHTEST_AT


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
