"""What an estimate is: a best value and an interval that says how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from fkeras.errors import InputError, is_number


@dataclass(frozen=True, slots=True)
class Estimate:
    """A quantity, the interval that holds it and how often such an interval is right.

    Arguments:
        low, best, high: in the unit of the quantity, low <= best <= high; infinite when nothing is known on that side,
            never NaN.
        confidence: in (0, 1]; 1 means exact.
        method: how the interval was made, for people, such as "Clopper-Pearson" or "Student t (asymptotic)".

    Raises:
        InputError: for values out of order or NaN, and for another confidence.

    >>> print(Estimate(0.004, 0.012, 0.031, 0.95, "Clopper-Pearson"))
    0.0120 [0.0040, 0.0310] at 95 %
    """

    low: float
    best: float
    high: float
    confidence: float
    method: str

    def __post_init__(self) -> None:
        for name in ("low", "best", "high", "confidence"):
            # Python floats only: numpy's cannot travel in test reports between processes.
            object.__setattr__(self, name, float(getattr(self, name)))
        if not self.low <= self.best <= self.high:
            raise InputError(
                f"an estimate needs low <= best <= high without NaN; got low {self.low!r}, best {self.best!r}, "
                f"high {self.high!r}: widen the interval to hold the best value"
            )
        if not 0 < self.confidence <= 1:
            raise InputError(
                f"confidence {self.confidence!r} is not in (0, 1]: write 0.95 for 95 %, and 1 only for an exact value"
            )

    def _has_no_order(self, other: object) -> NoReturn:
        raise TypeError(
            f"an estimate is an interval, {self}: compare its .best, .low or .high with {other!r}; .high < x says that "
            "it is below x at its confidence"
        )

    __lt__ = __le__ = __gt__ = __ge__ = _has_no_order

    def __str__(self) -> str:
        return f"{_text(self.best)} [{_text(self.low)}, {_text(self.high)}] at {100 * self.confidence:.6g} %"


def _text(value: float) -> str:
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.4g}"


def check_confidence(confidence: float, least: float = 0.0) -> float:
    """`confidence` as a float, if an interval or a test can be made at it; InputError otherwise.

    least: the smallest value for which the method holds (itself allowed when above 0).
    """
    if is_number(confidence) and ((least > 0 and confidence == least) or least < confidence < 1):
        return float(confidence)
    allowed = f"[{least:g}, 1)" if least > 0 else "(0, 1)"
    raise InputError(f"confidence {confidence!r} is not in {allowed}: write 0.95 for 95 %; no data gives certainty")
