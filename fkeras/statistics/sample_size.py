"""How many faults to inject for a proportion to be known within a margin."""

from __future__ import annotations

import math
from statistics import NormalDist

from fkeras.errors import InputError, is_number
from fkeras.statistics.estimate import check_confidence


def leveugle(
    population: float | None,
    margin: float,
    confidence: float | None = None,
    t: float | None = None,
    p: float = 0.5,
) -> int:
    """The number of faults to sample so that a proportion is known within +- margin.

    n = N / (1 + e^2 (N - 1) / (t^2 p (1 - p))), and t^2 p (1 - p) / e^2 for an infinite population, rounded to
    the nearest whole number; an approximation for proportions, drawn without replacement, not an exact bound.

    Arguments:
        population: N, the number of possible faults; None or inf for infinitely many.
        margin: e, such as 0.01.
        confidence: such as 0.95; give it, or else t.
        t: the normal quantile itself, such as 1.96.
        p: the proportion expected; 0.5 is the safe choice, and 0 or 1 needs no sample.

    Raises:
        InputError: for values outside these ranges.

    Source: Leveugle, Calvez, Maistri and Vanhauwaert, "Statistical fault injection: quantified error and
    confidence", DATE 2009, eq. (4).

    >>> leveugle(None, 0.01, confidence=0.95), leveugle(12_720, 0.01, confidence=0.95)
    (9604, 5472)
    """
    if population is not None and not population >= 1:
        raise InputError(f"population {population!r} is no number of faults: give 1 or more, or None for infinite")
    if not (is_number(margin) and 0 < margin < 1):
        raise InputError(f"margin {margin!r} is not in (0, 1): write 0.01 for +- 1 %")
    if not 0 <= p <= 1:
        raise InputError(f"p {p!r} is no proportion: give a number from 0 to 1; 0.5 is the safe choice")
    spread = _quantile(confidence, t) ** 2 * p * (1 - p)
    if population is None or math.isinf(population):
        return round(spread / margin**2)
    return round(population * spread / (spread + margin**2 * (population - 1))) if spread else 0


def _quantile(confidence: float | None, t: float | None) -> float:
    if (confidence is None) == (t is None):
        raise InputError("give exactly one of confidence= (such as 0.95) and t= (such as 1.96)")
    if confidence is not None:
        return NormalDist().inv_cdf((1 + check_confidence(confidence)) / 2)
    assert t is not None
    if not 0 < t < math.inf:
        raise InputError(f"t {t!r} is no normal quantile: give a positive number, such as 1.96 for 95 %")
    return float(t)
