"""Limits: what a trial must not break, as keywords such as max_emd=1.25 or max_accuracy_drop=0.02."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError, is_number
from fkeras.metrics.metric import Direction

Kind = Literal["max", "min", "increase", "drop"]
_SUFFIXES: dict[str, Kind] = {"_increase": "increase", "_drop": "drop"}
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


def parse_limit(keyword: str, value: object, metrics: Collection[str] | None = None) -> Limit:
    """The limit that a keyword states. With `metrics`, the metric must be one of them.

    InputError for a keyword that states none, an unknown metric, or a value that is no finite number.
    """
    if not is_number(value):
        raise InputError(f"{keyword}={value!r}: a limit is a finite number")
    side, _, rest = keyword.partition("_")
    if side not in ("max", "min") or not rest:
        raise InputError(f"{keyword!r} states no limit; write max_NAME, min_NAME, max_NAME_increase or max_NAME_drop")
    if side == "min":
        limit = Limit(rest, "min", float(value))
    else:
        limit = Limit(rest, "max", float(value))
        for suffix, kind in _SUFFIXES.items():
            if rest.endswith(suffix) and (metrics is None or rest not in metrics):
                limit = Limit(rest.removesuffix(suffix), kind, float(value))
    if metrics is not None and limit.metric not in metrics:
        raise InputError(f"{keyword}: no metric '{limit.metric}'; there are {', '.join(sorted(metrics)) or 'none'}")
    return limit
