"""Exact tests of a share that may be looked at after every trial, so that a campaign stops once it is decided.

To prove that the share p of failing trials is below a limit, a gambler bets against H0: p >= limit. For one
alternative q < limit the likelihood ratio

    (q / limit)^failures * ((1 - q) / (1 - limit))^(trials - failures)

is a fortune that does not grow on average under any p >= limit, whatever the trial at which one looks: a
non-negative supermartingale that starts at 1. So is an average over q. Such a fortune ever reaches 1 / alpha
with probability at most alpha (Ville 1939), so "stop as soon as it does" is wrong with probability at most
alpha; the rule needs only the current counts. Bets on q in (limit, 1] prove in the same way that p is above.

The alternatives are averaged with the density q^(-1/2), cut off at the limit; below the limit a quarter of the
stake lies on q = 0, so that campaigns without a failure end early. All integrals are incomplete beta functions.
At every confidence of 0.5 or more the decision of this mixture is monotone in the limit (the derivative shows it
from 0.75 on, a fine grid of limits and counts below), so the limits that are not excluded form an interval, and
its ends are the anytime-valid bounds. Validity rests on none of this: each limit has its own test.

Sources: Ville, "Etude critique de la notion de collectif" (1939); Robbins, "Statistical methods related to the
law of the iterated logarithm", Ann. Math. Stat. 41 (1970), for mixtures of likelihood ratios; Howard, Ramdas,
McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Ann. Stat. 49 (2021),
for one-sided truncated mixtures; Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
betting", JRSS B 86 (2024), for the reading as bets.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import InputError
from fkeras.statistics.estimate import Estimate, check_confidence
from fkeras.statistics.proportions import MOST_TRIALS, check_counts, fewest, two_sided

Decision = Literal["below", "above"]

_EXPONENT = 0.5
"""The density of the alternatives is q^(_EXPONENT - 1)."""
_STAKE_ON_ZERO = 0.25
MOST_BOUNDS = 4096
"""So many are remembered: tables, pages and comparisons ask for the same ones."""
LEAST_CONFIDENCE = 0.5
"""Below this the set of limits that are not excluded need not be an interval."""


def share_decision(failures: int, trials: int, limit: float, confidence: float = 0.95) -> Decision | None:
    """Whether the share of failing trials is proven "below" the limit, "above" it, or neither (None).

    May be asked after every trial, and acted on at once: over the whole campaign the probability of ever
    answering "below" while the share is >= limit is at most 1 - confidence, and so is that of ever answering
    "above" while it is <= limit. Limit 0 is never "below", and "above" at the first failure; limit 1 is never
    "above", and "below" at the first trial that does not fail.

    Raises InputError for impossible counts, a limit outside [0, 1] or a confidence outside [0.5, 1).

    >>> share_decision(0, 68, 0.05), share_decision(0, 69, 0.05), share_decision(3, 4, 0.05)
    (None, 'below', 'above')
    """
    failures, trials = check_counts(failures, trials)
    _check_limit(limit)
    enough = _log_threshold(confidence)
    # Bets on one side of the observed share cannot have won, so only the other side needs evaluating.
    if failures < limit * trials:
        return "below" if log_evidence_below(failures, trials, limit) >= enough else None
    return "above" if log_evidence_above(failures, trials, limit) >= enough else None


def log_evidence_below(failures: ArrayLike, trials: ArrayLike, limit: ArrayLike) -> NDArray[np.float64]:
    """Logarithm of the fortune won by betting against "the share is >= limit"; broadcasts, counts may be fractions.

    Its exponential is a supermartingale starting at 1 under every share >= limit.
    """
    from scipy.special import betainc, betaln, xlog1py, xlogy

    k, n, limit = (np.asarray(value, dtype=np.float64) for value in (failures, trials, limit))
    with np.errstate(divide="ignore", invalid="ignore"):
        alternatives = betaln(k + _EXPONENT, n - k + 1) + np.log(betainc(k + _EXPONENT, n - k + 1, limit))
        weight = _EXPONENT * np.log(limit) - math.log(_EXPONENT)
        at_zero = np.where(k == 0, math.log(_STAKE_ON_ZERO), -np.inf)
        won = np.logaddexp(math.log1p(-_STAKE_ON_ZERO) + alternatives - weight, at_zero)
        evidence = won - xlogy(k, limit) - xlog1py(n - k, -limit)
    return np.where(limit > 0, evidence, -np.inf)


def log_evidence_above(failures: ArrayLike, trials: ArrayLike, limit: ArrayLike) -> NDArray[np.float64]:
    """Logarithm of the fortune won by betting against "the share is <= limit"; broadcasts, counts may be fractions.

    Its exponential is a supermartingale starting at 1 under every share <= limit.
    """
    from scipy.special import betaincc, betaln, xlog1py, xlogy

    k, n, limit = (np.asarray(value, dtype=np.float64) for value in (failures, trials, limit))
    with np.errstate(divide="ignore", invalid="ignore"):
        alternatives = betaln(k + _EXPONENT, n - k + 1) + np.log(betaincc(k + _EXPONENT, n - k + 1, limit))
        weight = np.log(-np.expm1(_EXPONENT * np.log(limit))) - math.log(_EXPONENT)
        evidence = alternatives - weight - xlogy(k, limit) - xlog1py(n - k, -limit)
    return np.where(limit < 1, evidence, -np.inf)


def anytime_upper_bound(failures: int, trials: int, confidence: float = 0.95) -> float:
    """The one-sided upper bound on the share of failing trials that holds at all trials at once; 1 without trials.

    `share_decision` says "below" exactly for the limits above this bound. Raises as `share_decision`.

    >>> round(anytime_upper_bound(0, 69), 4)
    0.0494
    """
    failures, trials = check_counts(failures, trials)
    return _last_not_below(failures, trials, _log_threshold(confidence))


def anytime_lower_bound(failures: int, trials: int, confidence: float = 0.95) -> float:
    """The one-sided lower bound on the share of failing trials that holds at all trials at once; 0 without failures.

    `share_decision` says "above" exactly for the limits below this bound. Raises as `share_decision`.
    """
    failures, trials = check_counts(failures, trials)
    return _last_not_above(failures, trials, _log_threshold(confidence))


def confidence_sequence(failures: int, trials: int, confidence: float = 0.95) -> Estimate:
    """The share of failing trials with an interval that holds at all trials at once, so at any stopping rule.

    Half of 1 - confidence is spent on each side. Raises as `share_decision`, and InputError without trials.
    """
    method = "confidence sequence (beta mixture)"
    return two_sided(failures, trials, confidence, anytime_lower_bound, anytime_upper_bound, method)


def trials_to_decide(failures: int, trials: int, limit: float, confidence: float = 0.95) -> int | None:
    """About how many more trials `share_decision` needs if trials go on failing at the observed share.

    0 when it is decided already; None when that share never decides (it equals the limit) or not within
    10 million trials. Without trials the answer is for no failures at all: the shortest possible campaign
    that passes. A guess for people, not a promise. Raises as `share_decision`.

    >>> trials_to_decide(0, 0, 0.05), trials_to_decide(2, 40, 0.05)
    (69, None)
    """
    failures, trials = check_counts(failures, trials)
    if share_decision(failures, trials, limit, confidence):
        return 0
    share = failures / trials if trials else 0.0
    enough = _log_threshold(confidence)
    if share == limit:
        return None
    evidence = log_evidence_below if share < limit else log_evidence_above

    def decided(more: int) -> bool:
        return bool(evidence(failures + share * more, trials + more, limit) >= enough)

    # Along a constant share the logarithm of the evidence is convex in the number of trials, so once it has
    # crossed the threshold it stays above it, and doubling followed by bisection finds the crossing.
    more = fewest(decided)
    return more if more is not None and more <= MOST_TRIALS else None


@lru_cache(MOST_BOUNDS)
def _last_not_below(failures: int, trials: int, enough: float) -> float:
    if failures == trials:
        return 1.0
    return _last_undecided(
        lambda limit: bool(log_evidence_below(failures, trials, limit) >= enough), failures / trials, 1.0
    )


@lru_cache(MOST_BOUNDS)
def _last_not_above(failures: int, trials: int, enough: float) -> float:
    if failures == 0:
        return 0.0
    return _last_undecided(
        lambda limit: bool(log_evidence_above(failures, trials, limit) >= enough), failures / trials, 0.0
    )


def _last_undecided(decides: Callable[[float], bool], undecided: float, decided: float) -> float:
    """The last float on the way from an undecided limit to a decided one that is still undecided."""
    while True:
        middle = (undecided + decided) / 2
        if middle in (undecided, decided):
            return undecided
        undecided, decided = (undecided, middle) if decides(middle) else (middle, decided)


def _log_threshold(confidence: float) -> float:
    return -math.log1p(-check_confidence(confidence, least=LEAST_CONFIDENCE))


def _check_limit(limit: float) -> None:
    if not 0 <= limit <= 1:
        raise InputError(f"limit {limit!r} is no share: write a number from 0 to 1, such as 0.05 for 5 %")
