"""What else was found about a budget, as plain values: endurance, minimal faults, a map of the bits."""

from __future__ import annotations

from dataclasses import dataclass

from fkeras.campaigns.limits import Limit


@dataclass(frozen=True, slots=True)
class IntervalRecord:
    """A best value with its interval."""

    best: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class EndurancePoint:
    """One look: the metric's mean with its 95 % interval, and the trials that broke a limit by then with theirs."""

    look: float
    trials: int
    mean: float
    mean_low: float
    mean_high: float
    failed: int
    share_low: float
    share_high: float


@dataclass(frozen=True, slots=True)
class EnduranceRecord:
    """The metric as faults accumulate; unit: what looks are counted in, "flips" or "seconds"."""

    metric: str
    unit: str
    golden: float
    text: str
    curve: tuple[EndurancePoint, ...]
    limits: tuple[Limit, ...] = ()
    max_failure_rate: float | None = None
    confidence: float | None = None
    largest: float | None = None
    exceeded_at: float | None = None
    time_average: IntervalRecord | None = None
    faults: str = ""
    protection: str = ""
    seed: int = 0
    recovered: int = 0


@dataclass(frozen=True, slots=True)
class MinimalFaultsRecord:
    """Faults of one failing trial that break a limit together; leaving one out keeps it, where is_minimal."""

    faults: tuple[str, ...]
    is_minimal: bool
    trial: int
    n_faults: int
    values: dict[str, float]
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TensorMap:
    """One tensor of a map: for each bit position (0 = MSB) the mean over its words; NaN where nothing is known."""

    path: str
    n_words: int
    mean: tuple[float, ...]
    largest: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BitMap:
    """The paper's Fig. 4 in small: how much each bit position of each tensor matters.

    source: where the numbers come from; quantity: what they are; picture: a row per bit position, a column per word
    (or per `words_per_column` words, then means), NaN where a word lacks the position.
    """

    source: str
    quantity: str
    tensors: tuple[TensorMap, ...]
    picture: tuple[tuple[float, ...], ...]
    words_per_column: int
