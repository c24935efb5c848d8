"""Exact bounds on the share of failing trials when the number of trials was fixed beforehand.

Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
Biometrika 26 (1934) 404-413. Not for campaigns that stop when they like what they see: see `sequential`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import index

from fkeras.errors import InputError
from fkeras.statistics.estimate import Estimate, check_confidence

MOST_TRIALS = 10_000_000
"""How many trials to decide are foreseen at most."""


def clopper_pearson(failures: int, trials: int, confidence: float = 0.95) -> Estimate:
    """The share of failing trials with its two-sided exact interval, for a fixed number of trials.

    Each side is wrong with probability at most (1 - confidence) / 2, so coverage is at least `confidence`
    for every true share and every number of trials. Raises InputError for impossible counts or no trials.

    >>> print(clopper_pearson(0, 59))
    0.0000 [0.0000, 0.0606] at 95 %
    """
    return two_sided(failures, trials, confidence, lower_bound, upper_bound, "Clopper-Pearson")


def two_sided(
    failures: int,
    trials: int,
    confidence: float,
    lower: Callable[[int, int, float], float],
    upper: Callable[[int, int, float], float],
    method: str,
) -> Estimate:
    """The share of failing trials with one-sided bounds, on each of which half of 1 - confidence is spent."""
    failures, trials = check_counts(failures, trials)
    if trials == 0:
        raise InputError("no trials, so no share to estimate: run at least 1 trial")
    one_sided = (1 + check_confidence(confidence)) / 2
    low, high = (bound(failures, trials, one_sided) for bound in (lower, upper))
    return Estimate(low, failures / trials, high, confidence, method)


def upper_bound(failures: int, trials: int, confidence: float = 0.95) -> float:
    """The exact one-sided upper bound on the share of failing trials; 1 without trials.

    >>> round(upper_bound(0, 59), 4)
    0.0495
    """
    failures, trials = check_counts(failures, trials)
    alpha = 1 - check_confidence(confidence)
    if failures == trials:
        return 1.0
    from scipy.special import betainccinv

    return float(betainccinv(failures + 1, trials - failures, alpha))


def lower_bound(failures: int, trials: int, confidence: float = 0.95) -> float:
    """The exact one-sided lower bound on the share of failing trials; 0 without failures."""
    failures, trials = check_counts(failures, trials)
    alpha = 1 - check_confidence(confidence)
    if failures == 0:
        return 0.0
    from scipy.special import betaincinv

    return float(betaincinv(failures, trials - failures + 1, alpha))


def trials_to_decide_fixed(failures: int, trials: int, limit: float, confidence: float = 0.95) -> int | None:
    """About how many more trials a campaign of a fixed number needs for a bound on the other side of the limit.

    If trials go on failing at the observed share; None when that share never decides (it equals the limit) or not
    within 10 million trials. A guess for people, not a promise.

    >>> trials_to_decide_fixed(0, 20, 0.05)
    39
    """
    failures, trials = check_counts(failures, trials)
    share = failures / trials if trials else 0.0
    if share == limit:
        return None

    def decided(more: int) -> bool:
        n = trials + more
        if share < limit:
            return upper_bound(math.ceil(share * n), n, confidence) <= limit
        return lower_bound(math.floor(share * n), n, confidence) > limit

    return fewest(decided)


def fewest(decided: Callable[[int], bool]) -> int | None:
    """The number from 1 up at which `decided` turns true, by doubling and bisection; None beyond MOST_TRIALS."""
    undecided, more = 0, 1
    while not decided(more):
        undecided, more = more, 2 * more
        if undecided >= MOST_TRIALS:
            return None
    while more - undecided > 1:
        middle = (undecided + more) // 2
        undecided, more = (undecided, middle) if decided(middle) else (middle, more)
    return more


def check_counts(failures: int, trials: int) -> tuple[int, int]:
    """The counts as Python integers; InputError unless 0 <= failures <= trials, TypeError unless whole numbers."""
    failures, trials = index(failures), index(trials)
    if not 0 <= failures <= trials:
        raise InputError(f"{failures} failures in {trials} trials cannot be: give counts with 0 <= failures <= trials")
    return failures, trials
