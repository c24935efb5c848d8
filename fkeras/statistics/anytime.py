"""One-sided bounds on a mean that hold at all trials at once, so that one may look after every trial and stop."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from fkeras.statistics.estimate import Estimate, check_confidence
from fkeras.statistics.means import asymptotic_mean, bounded_mean, standard_error

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
