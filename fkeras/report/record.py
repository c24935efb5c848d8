"""What a report says about one fault budget, as plain values that travel between processes as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import inf, nan
from typing import Any, Literal

from fkeras.campaigns import CampaignResult, Requirement, Setting, Verdict
from fkeras.campaigns.bit_map import BitMap
from fkeras.campaigns.comparison import Comparison
from fkeras.campaigns.dead_tensors import DeadTensor
from fkeras.campaigns.endurance import EnduranceRecord
from fkeras.campaigns.limits import Limit
from fkeras.campaigns.protection_curve import ProtectionCurve
from fkeras.campaigns.shrink import MinimalFaultsRecord
from fkeras.campaigns.verdict import Outcome
from fkeras.faults import FaultModel
from fkeras.faults.protections import account, covered_bits, short
from fkeras.memory import BitSet, BitSpace
from fkeras.metrics.metric import Direction
from fkeras.plain import plain, restored

_USUAL = {
    Outcome.FAIL: ("failed",),
    Outcome.NOT_RUN: ("failed", "error"),
    Outcome.INCONCLUSIVE: ("failed",),
    Outcome.ASSERTED: ("passed",),
    Outcome.PASS: ("passed",),
}
"""What pytest makes of a test with this verdict."""


@dataclass(frozen=True, slots=True)
class MetricRecord:
    """One metric of a budget: golden value with the data set's standard error, mean over trials, limits on it.

    better: "lower" or "higher", "" in reports of earlier versions.
    chance: what the best prediction that needs no input gets, None where that means nothing.
    """

    golden: float
    golden_standard_error: float
    mean: float
    mean_low: float
    mean_high: float
    mean_method: str
    undefined: int
    limits: tuple[Limit, ...]
    better: Direction | Literal[""] = ""
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class CoveredTensor:
    """Stored words in the memory: how many, how wide, and how many of their bits are protected.

    word_bits: of the widest word; n_bits: of all, None in reports of earlier versions, where all words were as wide;
    n_empty: words of width 0, which store nothing.
    """

    path: str
    n_words: int
    word_bits: int
    protected_bits: int
    n_bits: int | None = None
    n_empty: int = 0

    def __post_init__(self) -> None:
        if self.n_bits is None:
            object.__setattr__(self, "n_bits", self.n_words * self.word_bits)

    @property
    def bits_each(self) -> str:
        """How wide the words are, for a table."""
        if self.n_bits == self.n_words * self.word_bits:
            return str(self.word_bits)
        return f"up to {self.word_bits}" + (f", {self.n_empty:,} of width 0 store nothing" if self.n_empty else "")


@dataclass(frozen=True, slots=True)
class UncoveredTensor:
    """Weights outside the memory, which no fault hits, and why; layer: "" in reports of earlier versions."""

    path: str
    n_values: int
    reason: str
    layer: str = ""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What the numbers rest on; `protected` and `flips` are short, for tables; file: the model's, "" for none; memory:
    in which words, as of `fkeras.bit_space`."""

    model: str
    n_bits: int
    layout_digest: str
    content_digest: str
    covered: tuple[CoveredTensor, ...]
    not_covered: tuple[UncoveredTensor, ...]
    fault_model: str
    flips: str
    protection: str
    protected: str
    seed: int
    engine: str
    n_samples: int
    file: str = ""
    memory: str = "quantizer"


@dataclass(frozen=True, slots=True)
class BudgetRecord:
    """One test's budget.

    verdict: ASSERTED where the test judges the result itself; outcome: what pytest made of the test (passed, failed,
    error, skipped, xfailed, xpassed), "" while nobody knows; share_low, share_high: one-sided bounds on the share of
    trials over a limit, each at `confidence`, which is the required one where nothing was judged; metrics: by name;
    measured: the trials one by one, as `MeasuredCampaign.to_plain` gives them; comparison: against the baseline, and
    drift: against its anchor; where the baseline is missed, or was not compared with although it should have been, the
    verdict says so; cached: what was not computed now but read from a store; notices: what a reader must know of the
    trials, the metrics and the store; reasons: why nothing is decided, beyond the counts; lines: what the project's own
    hook adds; most_bits: how many critical bits are allowed, None where no number is stated; golden_limits: what
    fault-free values had to be; broken: why the network without faults is not what it must be, in sentences; dead:
    tensors of which no single flip changes an output.
    """

    nodeid: str
    verdict: Outcome
    text: str
    outcome: str = ""
    failures: int = 0
    trials: int = 0
    share_low: float = 0.0
    share_high: float = 1.0
    confidence: float = 0.0
    max_failure_rate: float | None = None
    max_trials: int | None = None
    more_trials: int | None = None
    metrics: dict[str, MetricRecord] = field(default_factory=dict)
    assumptions: Assumptions | None = None
    most_damaging: tuple[str, ...] = ()
    rerun: str = ""
    measured: dict[str, Any] | None = None
    comparison: Comparison | None = None
    drift: Comparison | None = None
    minimal_faults: MinimalFaultsRecord | None = None
    endurance: EnduranceRecord | None = None
    protection_curve: ProtectionCurve | None = None
    bit_map: BitMap | None = None
    cached: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    most_bits: int | None = None
    golden_limits: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    dead: tuple[DeadTensor, ...] = ()

    @property
    def is_judged(self) -> bool:
        """Whether trials were held against a requirement, so that the bounds say something."""
        return bool(self.confidence and self.trials and not self.broken)

    @property
    def label(self) -> str:
        """The verdict, with what became of the test where that is not what the verdict alone would make of it."""
        usual = _USUAL[self.verdict]
        return self.verdict if self.outcome in ("", *usual) else f"{self.verdict}, {self.outcome}"

    def to_json(self) -> str:
        """One line; `from_json` reads it. Infinite numbers are the texts "inf" and "-inf", NaN is "nan"."""
        return json.dumps(plain(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> BudgetRecord:
        """The record that `to_json` wrote."""
        return cls.from_plain(json.loads(text))

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> BudgetRecord:
        """The record whose plain values these are; InputError for a text that is no limit."""
        metrics = {name: with_limits(metric, name) for name, metric in values["metrics"].items()}
        endurance = values.get("endurance")
        if endurance is not None:
            endurance = with_limits(endurance, endurance["metric"])
        record: BudgetRecord = restored(cls, {**values, "metrics": metrics, "endurance": endurance})
        return record


def with_limits(values: dict[str, Any], metric: str) -> dict[str, Any]:
    """Plain values with their limits, which are on `metric`, read: only with its name is their text unambiguous."""
    return {**values, "limits": [Limit.parse(text, metric) for text in values.get("limits", ())]}


def record_of(
    nodeid: str,
    model: str,
    result: CampaignResult,
    requirement: Requirement | None,
    verdict: Verdict | None,
    most_damaging: Iterable[object] = (),
) -> BudgetRecord:
    """The record of a campaign; without a verdict the test judged it."""
    limits = () if requirement is None else requirement.limits
    metrics = {
        name: _metric_record(result[name], tuple(limit for limit in limits if limit.metric == name))
        for name in result.by_metric
    }
    record = BudgetRecord(
        nodeid,
        Outcome.ASSERTED,
        "judged by the test itself",
        trials=len(result),
        metrics=metrics,
        assumptions=_assumptions(model, result),
        notices=result.remarks,
        dead=result.fault_free.dead,
    )
    if requirement is None:
        return record
    most_bits = getattr(requirement, "most_bits", None)
    record = replace(record, max_failure_rate=requirement.max_failure_rate, most_bits=most_bits)
    if verdict is None:
        return replace(record, confidence=requirement.confidence)
    return replace(
        record,
        verdict=verdict.outcome,
        text=str(verdict),
        failures=verdict.failures,
        share_low=verdict.share.low,
        share_high=verdict.share.high,
        confidence=verdict.share.confidence,
        max_trials=verdict.max_trials,
        more_trials=verdict.more_trials,
        most_damaging=tuple(map(str, most_damaging)),
        reasons=verdict.reasons,
        golden_limits=tuple(map(str, requirement.golden.limits)),
        broken=verdict.broken,
    )


def _metric_record(result: CampaignResult, limits: tuple[Limit, ...]) -> MetricRecord:
    (trials,) = result.by_metric.values()
    mean = result.estimate if len(result) else None
    chance = result.fault_free.chance.get(trials.metric)
    return MetricRecord(
        float(trials.golden.value),
        float(trials.golden.standard_error),
        nan if mean is None else mean.best,
        -inf if mean is None else mean.low,
        inf if mean is None else mean.high,
        "not measured" if mean is None else mean.method,
        result.undefined,
        limits,
        trials.better,
        None if chance is None else chance.value,
    )


def _assumptions(model: str, result: CampaignResult) -> Assumptions:
    setting, space = result.setting, result.setting.space
    n_bits, protected = len(space), covered_bits(setting.protection, space)
    return Assumptions(
        model,
        n_bits,
        space.layout_digest,
        space.content_digest,
        _covered(space, protected),
        tuple(UncoveredTensor(one.path, int(one.n_values), one.reason, one.layer) for one in space.uncovered),
        str(setting.fault_model.describe(n_bits)),
        _short(setting.fault_model, n_bits),
        protection_text(setting),
        short(setting.protection),
        int(setting.seed),
        setting.engine,
        int(setting.n_samples),
        memory=space.memory,
    )


def _covered(space: BitSpace, protected: BitSet) -> tuple[CoveredTensor, ...]:
    import numpy as np

    within = np.bincount(space.locate(protected.bits).tensor, minlength=len(space.arrays))
    return tuple(
        CoveredTensor(tensor.path, tensor.size, tensor.layout.widest, int(n), tensor.n_bits, tensor.layout.n_empty)
        for tensor, n in zip(space.arrays, within, strict=True)
    )


def protection_text(setting: Setting) -> str:
    """One line about what is protected, and what that takes."""
    return account(setting.protection, setting.space, setting.area)


def _short(model: FaultModel, n_bits: int) -> str:
    """The fault model in a word, for a table."""
    short = getattr(model, "short", None)
    return str(short(n_bits)) if callable(short) else type(model).__name__
