"""What a report says about one fault budget, as plain values that travel between processes as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fkeras.campaigns import CampaignResult, MetricTrials, Requirement, Setting, Verdict
    from fkeras.faults import FaultModel
    from fkeras.statistics import Estimate


@dataclass(frozen=True, slots=True)
class MetricRecord:
    """One metric of a budget: golden value with the data set's standard error, mean over trials, limits on it."""

    name: str
    golden: float
    golden_standard_error: float
    mean: float
    mean_low: float
    mean_high: float
    mean_method: str
    undefined: int
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What the numbers rest on; `protected` and `flips` are short, for tables.

    not_covered: path, number of values and reason of every weight tensor outside the memory.
    """

    model: str
    n_bits: int
    layout_digest: str
    content_digest: str
    not_covered: tuple[tuple[str, int, str], ...]
    fault_model: str
    flips: str
    protection: str
    protected: str
    seed: int
    engine: str
    n_samples: int


@dataclass(frozen=True, slots=True)
class BudgetRecord:
    """One test's budget: PASS, FAIL, INCONCLUSIVE, NOT_RUN, or ASSERTED where the test judges the result itself."""

    nodeid: str
    outcome: str
    text: str
    failures: int = 0
    trials: int = 0
    share_low: float = 0.0
    share_high: float = 1.0
    confidence: float = 0.0
    max_trials: int | None = None
    metrics: tuple[MetricRecord, ...] = ()
    assumptions: Assumptions | None = None
    most_damaging: tuple[str, ...] = ()

    def to_json(self) -> str:
        """One line; `from_json` reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> BudgetRecord:
        """The record that `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        values["metrics"] = tuple(MetricRecord(**{**one, "limits": tuple(one["limits"])}) for one in values["metrics"])
        if values["assumptions"] is not None:
            assumed = values["assumptions"]
            values["assumptions"] = Assumptions(**{**assumed, "not_covered": tuple(map(tuple, assumed["not_covered"]))})
        values["most_damaging"] = tuple(values["most_damaging"])
        return cls(**values)


def record_of(
    nodeid: str,
    model: str,
    result: CampaignResult,
    requirement: Requirement | None,
    verdict: Verdict | None,
    most_damaging: Sequence[str] = (),
) -> BudgetRecord:
    """The record of a campaign; without a verdict the test judged it."""
    limits = () if requirement is None else requirement.limits
    metrics = tuple(
        _metric_record(trials, result[name].estimate, tuple(str(limit) for limit in limits if limit.metric == name))
        for name, trials in result.by_metric.items()
    )
    assumed = _assumptions(model, result)
    if verdict is None:
        return BudgetRecord(
            nodeid, "ASSERTED", "judged by the test itself", trials=len(result), metrics=metrics, assumptions=assumed
        )
    return BudgetRecord(
        nodeid,
        verdict.outcome.value,
        str(verdict),
        verdict.failures,
        verdict.trials,
        verdict.share.low,
        verdict.share.high,
        verdict.share.confidence,
        verdict.max_trials,
        metrics,
        assumed,
        tuple(most_damaging),
    )


def _metric_record(trials: MetricTrials, mean: Estimate, limits: tuple[str, ...]) -> MetricRecord:
    return MetricRecord(
        trials.metric,
        float(trials.golden.value),
        float(trials.golden.standard_error),
        mean.best,
        mean.low,
        mean.high,
        mean.method,
        int(trials.undefined.sum()),
        limits,
    )


def _assumptions(model: str, result: CampaignResult) -> Assumptions:
    setting, space = result.setting, result.setting.space
    n_bits, covered = len(space), setting.protection.bits
    protected = f"{covered.label or f'{len(covered):,} bits'}" if len(covered) else "-"
    return Assumptions(
        model,
        n_bits,
        space.layout_digest,
        space.content_digest,
        tuple((one.path, one.n_values, one.reason) for one in space.uncovered),
        setting.fault_model.describe(n_bits),
        _flips(setting.fault_model, n_bits),
        protection_text(setting),
        protected,
        int(setting.seed),
        setting.engine,
        int(setting.n_samples),
    )


def protection_text(setting: Setting) -> str:
    """One line about what is protected."""
    return setting.protection.describe(len(setting.space)) if len(setting.protection.bits) else "none"


def _flips(fault_model: FaultModel, n_bits: int) -> str:
    """The fault model in a word, for a table."""
    from fkeras.campaigns.exhaustive import EachBitAlone
    from fkeras.faults import BitErrorRate, Exposure, FlipCount

    if isinstance(fault_model, FlipCount):
        return str(fault_model.n_faults)
    if isinstance(fault_model, BitErrorRate):
        return f"ber {fault_model.ber:g}"
    if isinstance(fault_model, Exposure):
        return f"~{fault_model.mean_upsets(n_bits):.4g}"
    return "each" if isinstance(fault_model, EachBitAlone) else type(fault_model).__name__
