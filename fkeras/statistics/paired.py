"""By how much two campaigns differ in the mean: new minus old, with an interval.

The merge gate acts on this interval, not on two point values. Paired on identical fault sets the luck of the
draw cancels; when the memory layout changed, the draws differ and only the unpaired form is left.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from fkeras.errors import InputError
from fkeras.statistics.estimate import Estimate, check_confidence
from fkeras.statistics.means import asymptotic_mean, bounded_mean, checked_bounds, standard_error


def paired_difference(
    new: ArrayLike, old: ArrayLike, bounds: tuple[float, float] | None = None, confidence: float = 0.95
) -> Estimate:
    """Mean of new - old over trials that drew the same faults.

    new, old: (trials,) values, equal positions drew equal faults. bounds: (lowest, highest) possible value of
    one trial; with them the interval is exact (betting on differences, which lie within +- (highest - lowest)),
    without them Student's t, asymptotic. Two infinite values of one sign on one trial differ by 0: both are the
    worst there is. Raises InputError for different lengths, and as `bounded_mean` and `asymptotic_mean`.
    """
    new, old = np.asarray(new, dtype=np.float64), np.asarray(old, dtype=np.float64)
    if new.shape != old.shape:
        raise InputError(
            f"values of shape {new.shape} and {old.shape} cannot be paired: give both campaigns' values of the same "
            "trials, or use the unpaired difference"
        )
    if bounds is None:
        difference = np.subtract(new, old, out=np.zeros_like(new), where=new != old)
        return _labelled(asymptotic_mean(difference, confidence), "paired")
    lowest, highest = checked_bounds(bounds)
    _check_within(new, lowest, highest, "new")
    _check_within(old, lowest, highest, "old")
    width = highest - lowest
    return _labelled(bounded_mean(np.clip(new - old, -width, width), (-width, width), confidence), "paired")


def unpaired_difference(
    new: ArrayLike, old: ArrayLike, bounds: tuple[float, float] | None = None, confidence: float = 0.95
) -> Estimate:
    """Difference of the means of two campaigns whose trials drew different faults.

    new, old: (trials,) values, lengths may differ. With bounds (lowest, highest) the interval is exact: each mean
    by betting at half of 1 - confidence, and the difference of their ends. Without, Welch's t, asymptotic, from 30
    values each. Raises InputError as `bounded_mean` and `asymptotic_mean`.

    Source: Welch, "The generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34 (1947).
    """
    if bounds is not None:
        each = (1 + check_confidence(confidence)) / 2
        a, b = bounded_mean(new, bounds, each), bounded_mean(old, bounds, each)
        return _labelled(Estimate(a.low - b.high, a.best - b.best, a.high - b.low, confidence, a.method), "unpaired")
    # Asked first for their means: they check the values, and know about infinite and too few ones.
    a, b = asymptotic_mean(new, confidence), asymptotic_mean(old, confidence)
    best = 0.0 if a.best == b.best else a.best - b.best
    for mean in (a, b):
        if math.isinf(mean.low):
            return _labelled(Estimate(-math.inf, best, math.inf, confidence, mean.method), "unpaired")
    n_new, n_old = np.size(new), np.size(old)
    error_new, error_old = standard_error(new), standard_error(old)
    error = math.hypot(error_new, error_old)
    if error == 0:
        return Estimate(best, best, best, confidence, "unpaired Welch t (asymptotic)")
    # Shares of the variance, so that neither tiny nor huge errors leave the range of floats.
    share_new, share_old = (error_new / error) ** 2, (error_old / error) ** 2
    freedom = 1 / (share_new**2 / (n_new - 1) + share_old**2 / (n_old - 1))
    half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    return Estimate(best - half, best, best + half, confidence, "unpaired Welch t (asymptotic)")


def _labelled(estimate: Estimate, pairing: str) -> Estimate:
    return Estimate(estimate.low, estimate.best, estimate.high, estimate.confidence, f"{pairing} {estimate.method}")


def _check_within(values: NDArray[np.float64], lowest: float, highest: float, name: str) -> None:
    outside = values[(values < lowest) | (values > highest)]
    if outside.size:
        raise InputError(
            f"{outside.size} of {values.size} {name} values lie outside the bounds [{lowest:g}, {highest:g}], the "
            f"first is {outside[0]!r}: correct the bounds, or give none for an asymptotic interval"
        )
