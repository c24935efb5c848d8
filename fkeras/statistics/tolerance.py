"""By how much a metric may get worse before a comparison fails: the margin of a non-inferiority test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from fkeras.errors import InputError

Rule = Literal["draws", "mean"]
"""What a tolerance is about: a draw of faults, of which a share may be past it, or the mean over all of them."""
_MEAN = ".mean"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """By how much a metric may get worse: a number in its unit, or a share of the old campaign's mean.

    rule: "draws" where that is asked of every draw of faults but a share of them, "mean" where it is of the mean.
    """

    metric: str
    value: float
    is_relative: bool
    rule: Rule = "draws"

    def __str__(self) -> str:
        return f"{self._subject}:{self.amount}"

    @property
    def amount(self) -> str:
        """As stated."""
        return f"{100 * self.value:.10g} %" if self.is_relative else f"{self.value:.10g}"

    @property
    def _subject(self) -> str:
        return self.metric + (_MEAN if self.rule == "mean" else "")

    def absolute(self, old_mean: float) -> float:
        """In the metric's unit. InputError for a share of a mean that is 0 or infinite."""
        if not self.is_relative:
            return self.value
        if old_mean == 0 or not math.isfinite(old_mean):
            raise InputError(
                f"{self} is a share of the baseline's mean, which is {old_mean:g}; write a number in the metric's own "
                f"unit, as in {self._subject}:0.01"
            )
        return self.value * abs(old_mean)


def parse_tolerances(text: str) -> tuple[Tolerance, ...]:
    """Read "emd:5%,accuracy.mean:0.01": shares of the old mean with %, else numbers in the metric's unit; above 0.

    `emd` is about every draw of faults, `emd.mean` about the mean over them. InputError for anything else. A tolerance
    of 0 is refused: no number of trials shows that nothing got worse.

    >>> [one.absolute(1.2) for one in parse_tolerances("emd:5%, accuracy.mean:0.01")]
    [0.06, 0.01]
    """
    tolerances = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        subject, _, amount = (part.strip() for part in entry.partition(":"))
        metric = subject.removesuffix(_MEAN)
        try:
            value = float(amount.removesuffix("%")) / (100 if amount.endswith("%") else 1)
        except ValueError:
            value = math.nan
        if not (metric.isidentifier() and 0 < value < math.inf):
            raise InputError(
                f"{entry!r} is no tolerance; write METRIC:AMOUNT with an amount above 0, as in emd:5% (of the "
                "baseline's mean) or accuracy:0.01 (in the metric's unit), separated by commas; emd.mean:5% is about "
                "the mean over all draws of faults"
            )
        tolerances.append(Tolerance(metric, value, amount.endswith("%"), "draws" if metric == subject else "mean"))
    names = [one.metric for one in tolerances]
    if not names or len(set(names)) < len(names):
        wrong = "a metric twice, where one tolerance is for each" if names else "no tolerance"
        raise InputError(f"{text!r} states {wrong}; as in emd:5%,accuracy:0.01")
    return tuple(tolerances)
