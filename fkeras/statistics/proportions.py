"""Exact bounds on the share of failing trials when the number of trials was fixed beforehand.

Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
Biometrika 26 (1934) 404-413. Not for campaigns that stop when they like what they see: see `sequential`.
"""

from __future__ import annotations

from operator import index

from scipy.special import betainccinv, betaincinv

from fkeras.errors import InputError
from fkeras.statistics.estimate import Estimate, check_confidence


def clopper_pearson(failures: int, trials: int, confidence: float = 0.95) -> Estimate:
    """The share of failing trials with its two-sided exact interval, for a fixed number of trials.

    Each side is wrong with probability at most (1 - confidence) / 2, so coverage is at least `confidence`
    for every true share and every number of trials. Raises InputError for impossible counts or no trials.

    >>> print(clopper_pearson(0, 59))
    0.0000 [0.0000, 0.0606] at 95 %
    """
    failures, trials = check_counts(failures, trials)
    if trials == 0:
        raise InputError("no trials, so no share to estimate: run at least 1 trial")
    one_sided = (1 + check_confidence(confidence)) / 2
    return Estimate(
        lower_bound(failures, trials, one_sided),
        failures / trials,
        upper_bound(failures, trials, one_sided),
        confidence,
        "Clopper-Pearson",
    )


def upper_bound(failures: int, trials: int, confidence: float = 0.95) -> float:
    """The exact one-sided upper bound on the share of failing trials; 1 without trials.

    >>> round(upper_bound(0, 59), 4)
    0.0495
    """
    failures, trials = check_counts(failures, trials)
    alpha = 1 - check_confidence(confidence)
    if failures == trials:
        return 1.0
    return float(betainccinv(failures + 1, trials - failures, alpha))


def lower_bound(failures: int, trials: int, confidence: float = 0.95) -> float:
    """The exact one-sided lower bound on the share of failing trials; 0 without failures."""
    failures, trials = check_counts(failures, trials)
    alpha = 1 - check_confidence(confidence)
    if failures == 0:
        return 0.0
    return float(betaincinv(failures, trials - failures + 1, alpha))


def check_counts(failures: int, trials: int) -> tuple[int, int]:
    """The counts as Python integers; InputError unless 0 <= failures <= trials, TypeError unless whole numbers."""
    failures, trials = index(failures), index(trials)
    if not 0 <= failures <= trials:
        raise InputError(f"{failures} failures in {trials} trials cannot be: give counts with 0 <= failures <= trials")
    return failures, trials
