"""Means over trials, with intervals that say on what they rest."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import InputError
from fkeras.statistics.estimate import Estimate, check_confidence

MINIMUM_VALUES = 30
"""Fewer values than this get no asymptotic interval unless the caller says otherwise."""

SPREAD = 0.8
"""The share of trials that a spread spans, at least."""


def asymptotic_mean(values: ArrayLike, confidence: float = 0.95, minimum: int = MINIMUM_VALUES) -> Estimate:
    """The mean with Student's t interval: right for many values of modest tails, no promise for few or wild ones.

    values: (n,) numbers, one per trial; infinite ones are allowed, and then the interval is (-inf, inf).
    minimum: fewer values than this get the interval (-inf, inf) too, and the method says so; at least 2.
    With infinite values of both signs there is no mean: best is then the mean of the finite ones (0 without
    any), and the method says so. Raises InputError for no values, NaN, or more than one dimension.

    >>> print(asymptotic_mean([1.0, 2.0, 3.0], minimum=3))
    2.0000 [-0.4841, 4.4841] at 95 %
    """
    values = _checked(values)
    confidence = check_confidence(confidence)
    if minimum < 2:
        raise InputError(f"minimum {minimum} is too small: a spread needs at least 2 values")
    infinite = values[np.isinf(values)]
    if infinite.size:
        return _of_infinite(values, infinite, confidence)
    mean = _mean(values)
    if values.size < minimum:
        method = f"Student t (asymptotic; needs {minimum} values, got {values.size})"
        return Estimate(-math.inf, mean, math.inf, confidence, method)
    from scipy.special import stdtrit

    half = float(stdtrit(values.size - 1, (1 + confidence) / 2)) * standard_error(values)
    return Estimate(mean - half, mean, mean + half, confidence, "Student t (asymptotic)")


def spread(values: ArrayLike) -> tuple[float, float, float]:
    """What single trials give: bounds that at least `SPREAD` of the values keep, about as many below as above, and the
    median between them. All three are values themselves, so that infinite ones need no arithmetic.

    >>> spread([3.0, 1.0, 2.0, 9.0, 5.0])
    (1.0, 3.0, 9.0)
    """
    ordered = np.sort(_checked(values))
    outside = math.floor(ordered.size * (1 - SPREAD) / 2 + 1e-9)
    return float(ordered[outside]), float(ordered[(ordered.size - 1) // 2]), float(ordered[-1 - outside])


def bounded_mean(values: ArrayLike, bounds: tuple[float, float], confidence: float = 0.95) -> Estimate:
    """The mean with an interval that is exact for independent trials whose values lie within `bounds`.

    values: (n,) numbers in trial order. bounds: (lowest, highest) possible value, both finite. Hedged betting:
    for each candidate mean one gambler bets that the true mean is higher and one that it is lower, with stakes
    that depend only on earlier values; a candidate on which either ever multiplies the money by 2 / alpha is
    excluded. It holds however the number of trials was chosen, stopping included, and depends on the order of
    the values. Where chance (at most 1 - confidence) excludes the sample mean, the interval is widened to it.
    Raises InputError for no values, NaN, values outside the bounds, or bounds that are no interval.

    Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86
    (2024), the hedged capital confidence sequence with predictable plug-in stakes.
    """
    values = _checked(values)
    confidence = check_confidence(confidence)
    lowest, highest = checked_bounds(bounds)
    outside = values[(values < lowest) | (values > highest)]
    if outside.size:
        raise InputError(
            f"{outside.size} of {values.size} values lie outside the bounds [{lowest:g}, {highest:g}], the first is "
            f"{outside[0]!r}: correct the bounds, or use an asymptotic interval"
        )
    # Halved before subtracting, so that bounds as wide as all floats do not overflow.
    unit = np.clip((values / 2 - lowest / 2) / (highest / 2 - lowest / 2), 0.0, 1.0)
    low, high = _betting_lower(unit, 1 - confidence), 1 - _betting_lower(1 - unit, 1 - confidence)
    mean = min(max(_mean(values), lowest), highest)
    return Estimate(
        min(lowest * (1 - low) + highest * low, mean),
        mean,
        max(lowest * (1 - high) + highest * high, mean),
        confidence,
        "betting (exact, bounded)",
    )


def standard_error(values: ArrayLike) -> float:
    """The standard error of the mean: sample standard deviation / sqrt(n); inf for one value or an infinite one."""
    values = _checked(values)
    if values.size < 2 or np.isinf(values).any():
        return math.inf
    scaled, exponent = _scaled(values)
    return math.ldexp(float(np.std(scaled, ddof=1)) / math.sqrt(values.size), exponent)


def checked_bounds(bounds: tuple[float, float]) -> tuple[float, float]:
    """Bounds as floats; InputError unless they are finite and the first is below the second."""
    lowest, highest = (float(bound) for bound in bounds)
    if not (math.isfinite(lowest) and math.isfinite(highest) and lowest < highest):
        raise InputError(
            f"bounds ({lowest:g}, {highest:g}) are no interval: give two finite numbers, the lower first, or no "
            "bounds for an asymptotic interval"
        )
    return lowest, highest


def _betting_lower(unit: NDArray[np.float64], alpha: float) -> float:
    """The largest candidate mean that the gambler on "higher" excludes; values in [0, 1]."""
    if not unit.any():
        return 0.0
    enough = math.log(2 / alpha)
    trial = np.arange(1, unit.size + 1)
    running_mean = (0.5 + np.cumsum(unit)) / (trial + 1)
    variance = (0.25 + np.cumsum((unit - running_mean) ** 2)) / (trial + 1)
    earlier = np.concatenate(([0.25], variance[:-1]))
    stake = np.sqrt(2 * enough / (earlier * trial * np.log1p(trial)))
    excluded, kept = 0.0, 1.0
    for _ in range(60):
        candidate = (excluded + kept) / 2
        # Never more than 3/4 of the money at risk on one trial, so the fortune stays positive.
        fortune = np.cumsum(np.log1p(np.minimum(stake, 0.75 / candidate) * (unit - candidate)))
        if fortune.max() >= enough:
            excluded = candidate
        else:
            kept = candidate
    return excluded


def _of_infinite(values: NDArray[np.float64], infinite: NDArray[np.float64], confidence: float) -> Estimate:
    up = int(np.sum(infinite > 0))
    down = infinite.size - up
    if up and down:
        finite = values[np.isfinite(values)]
        best = _mean(finite) if finite.size else 0.0
        method = f"no interval: {up} values are +inf and {down} -inf; best is the mean of the finite ones"
    else:
        best = float(infinite[0])
        method = f"no interval: {infinite.size} of {values.size} values are infinite"
    return Estimate(-math.inf, best, math.inf, confidence, method)


def _mean(values: NDArray[np.float64]) -> float:
    scaled, exponent = _scaled(values)
    return math.ldexp(math.fsum(scaled) / values.size, exponent)


def _scaled(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Values times a power of two that brings the largest below 1, so that no square overflows; and its exponent."""
    exponent = math.frexp(float(np.max(np.abs(values))))[1]
    return np.ldexp(values, -exponent), exponent


def _checked(values: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise InputError(f"values of shape {values.shape} have no mean: give one number per trial, at least 1 trial")
    if np.isnan(values).any():
        raise InputError(
            f"{int(np.isnan(values).sum())} of {values.size} values are NaN: score an undefined trial with the "
            "metric's worst value and count it"
        )
    return values
