"""Limits: what a trial must not break, as keywords such as max_emd=1.25 or max_accuracy_drop=0.02."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError, is_number
from fkeras.metrics.metric import Direction

Kind = Literal["max", "min", "increase", "drop"]
_SUFFIXES: dict[str, Kind] = {"_increase": "increase", "_drop": "drop"}
_GOLDEN = "golden_"
_OF_ALL_TRIALS = {"maximum", "minimum", "percentile", "quantile", "worst"}
"""Words for requirements that are stated as a share of trials instead, where no metric is called so."""
_OPPOSITE: dict[Kind, Kind] = {"max": "min", "min": "max", "increase": "drop", "drop": "increase"}


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit on one metric. `increase` and `drop` are differences to the golden value."""

    metric: str
    kind: Kind
    value: float

    @property
    def keyword(self) -> str:
        """The keyword that states it."""
        return (
            f"min_{self.metric}"
            if self.kind == "min"
            else (f"max_{self.metric}" + ("" if self.kind == "max" else f"_{self.kind}"))
        )

    @classmethod
    def parse(cls, text: str, metric: str) -> Limit:
        """The limit on `metric` whose text this is; InputError for another text."""
        keyword, _, number = text.rpartition("=")
        try:
            return parse_limit(keyword, float(number), (metric,))
        except ValueError:
            raise InputError(f"{text!r} is no limit on '{metric}', such as max_{metric}=1.25") from None

    def __str__(self) -> str:
        return f"{self.keyword}={self._number}"

    @property
    def _number(self) -> str:
        return repr(float(self.value)).removesuffix(".0")

    @property
    def sign(self) -> str:
        """How a value that keeps it stands to the bound."""
        return "<=" if self.kind in ("max", "increase") else ">="

    @property
    def bound_text(self) -> str:
        """The bound for people, as in 1.25 or golden-0.02."""
        return {"increase": "golden+", "drop": "golden-"}.get(self.kind, "") + self._number

    def bound(self, golden: float) -> float:
        """The last value that keeps it."""
        return {"increase": golden + self.value, "drop": golden - self.value}.get(self.kind, self.value)

    to_plain = __str__

    def broken_by(self, values: NDArray[np.float64], golden: float) -> NDArray[np.bool_]:
        """Which of the values are past the limit; a value equal to it is not."""
        if self.kind == "max":
            return values > self.value
        if self.kind == "min":
            return values < self.value
        return values - golden > self.value if self.kind == "increase" else golden - values > self.value

    def is_broken_without_faults(self, golden: float) -> bool:
        """Whether the golden value is past the limit already, so that no protection can help."""
        return bool(self.broken_by(np.array([golden]), golden)[0])

    def require_bite(self, better: Direction, bounds: tuple[float, float] | None, golden: float) -> None:
        """InputError for a limit on how good the metric may get, and for one that no value, or every value, breaks."""
        if (self.kind in ("max", "increase")) == (better == "higher"):
            raise InputError(
                f"{self} limits how much better {self.metric} gets, of which {better} is better; did you mean "
                f"{replace(self, kind=_OPPOSITE[self.kind]).keyword}?"
            )
        if bounds is None:
            return
        low, high = bounds
        least, most = {
            "max": (low, high),
            "min": (-high, -low),
            "increase": (low - golden, high - golden),
            "drop": (golden - high, golden - low),
        }[self.kind]
        reach = -self.value if self.kind == "min" else self.value
        if least <= reach < most:
            return
        verb = "can never be broken" if reach >= most else "is broken by every possible value"
        hint = f"; shares are written as 0.02, not {self.value:g}" if high == 1 and 1 <= self.value <= 100 else ""
        raise InputError(
            f"{self} {verb}: {self.metric} lies between {low:g} and {high:g}, and the golden value is "
            f"{golden:.6g}{hint}"
        )


@dataclass(frozen=True, slots=True)
class GoldenLimit(Limit):
    """A limit on the fault-free value itself, `max_golden_NAME` or `min_golden_NAME`."""

    @property
    def keyword(self) -> str:
        return f"{self.kind}_{_GOLDEN}{self.metric}"


def parse_limit(keyword: str, value: object, metrics: Collection[str] | None = None) -> Limit:
    """The limit that a keyword states. With `metrics`, the metric must be one of them.

    A metric's whole name wins over a word within the keyword that means something: with a metric called
    `golden_loss`, `max_golden_loss` limits it; without `metrics` such words mean what they say.
    InputError for a keyword that states none, an unknown metric, or a value that is no finite number.
    """
    if not is_number(value):
        raise InputError(f"{keyword}={value!r}: a limit is a finite number")
    readings = _readings(keyword, float(value))
    if not readings:
        raise InputError(
            f"{keyword!r} states no limit; write max_NAME, min_NAME, max_NAME_increase or max_NAME_drop, or of the "
            "fault-free value max_golden_NAME or min_golden_NAME"
        )
    if metrics is None:
        return readings[-1]
    for limit in readings:
        if limit.metric in metrics:
            return limit
    there = f"{keyword}: no metric '{readings[-1].metric}'; there are {', '.join(sorted(metrics)) or 'none'}"
    raise InputError(f"{there}. {INSTEAD_OF_A_QUANTILE}" if speaks_of_all_trials(keyword) else there)


INSTEAD_OF_A_QUANTILE = (
    "The worst trial so far is no bound, because more trials find worse ones; write a limit and the share of trials "
    "that may break it: max_emd=1.25, max_failure_rate=0.01 is a 99 % quantile of at most 1.25"
)


def speaks_of_all_trials(keyword: str) -> bool:
    """Whether a keyword that names no metric asks for a quantile of the trials, or for their worst."""
    return keyword in ("max", "min") or not _OF_ALL_TRIALS.isdisjoint(keyword.lower().split("_"))


def _readings(keyword: str, value: float) -> list[Limit]:
    """What a keyword may mean, the reading with the longest name of a metric first."""
    side, _, rest = keyword.partition("_")
    if side not in ("max", "min") or not rest:
        return []
    kind: Kind = "max" if side == "max" else "min"
    readings = [Limit(rest, kind, value)]
    for suffix, relative in _SUFFIXES.items():
        if side == "max" and rest.endswith(suffix) and rest != suffix:
            readings.append(Limit(rest.removesuffix(suffix), relative, value))
    if rest.startswith(_GOLDEN) and rest != _GOLDEN:
        readings.append(GoldenLimit(rest.removeprefix(_GOLDEN), kind, value))
    return readings


def trial_limits(keywords: Mapping[str, object], metrics: Collection[str]) -> tuple[Limit, ...]:
    """The limits on what a trial gives that keywords state. InputError for one on the fault-free value, too."""
    limits = tuple(parse_limit(keyword, value, metrics) for keyword, value in keywords.items())
    for limit in limits:
        if isinstance(limit, GoldenLimit):
            raise InputError(
                f"{limit} says what {limit.metric} must be without faults, and this counts what faults do; write "
                f"{Limit(limit.metric, limit.kind, limit.value).keyword}= for a limit on that"
            )
    return limits
