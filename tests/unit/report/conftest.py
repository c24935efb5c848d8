"""Records of small campaigns on a memory of 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from fkeras.campaigns import CampaignResult, FixedTrials, Limit, MetricTrials, Requirement, Setting
from fkeras.campaigns.measured_campaign import BudgetIdentity, MeasuredCampaign
from fkeras.engine import GoldenScore
from fkeras.faults import AssumedImmune, FlipCount
from fkeras.memory import BitSet, BitSpace, FixedPoint, Uncovered, WordTensor
from fkeras.report.record import BudgetRecord, record_of

CODEC = FixedPoint(4, 0)
VALUES = np.array([0.5, -0.25], np.float32)
SPACE = BitSpace(
    (WordTensor("conv/kernel", (2,), CODEC, CODEC.encode(VALUES), np.ones(2, np.float32), VALUES),),
    (Uncovered("conv/bias", 3, "bias"),),
)
REQUIREMENT = Requirement((Limit("emd", "max", 2.0),), 0.05, 0.95)

MakeRecord = Callable[..., BudgetRecord]


@pytest.fixture(scope="session")
def unmeasured() -> BudgetRecord:
    """The record of a budget that nothing was drawn for."""
    return record_of("t.py::test_unmeasured", "econ", _result([]), REQUIREMENT, None)


@pytest.fixture(scope="session")
def make_record() -> MakeRecord:
    """make_record("t.py::test", values, seed=7, model="econ"): a record with its trials."""

    def make(
        nodeid: str, values: Sequence[float], *, seed: int = 7, model: str = "econ", outcome: str = ""
    ) -> BudgetRecord:
        result = _result(values, seed)
        verdict = result.verdict(REQUIREMENT)
        made = record_of(nodeid, model, result, REQUIREMENT, verdict)
        measured = MeasuredCampaign.of(result, BudgetIdentity(model, "FlipCount(n_faults=2)")).to_plain()
        usual = {"PASS": "passed"}.get(made.verdict, "failed")
        return replace(made, measured=measured, outcome=outcome or usual, rerun=f"python -m pytest {nodeid}")

    return make


def _result(values: Sequence[float], seed: int = 7) -> CampaignResult:
    n = len(values)
    score = GoldenScore(0.9, 0.01, 0, None)
    bounds = (0.0, 14.0) if np.isfinite(values).all() else None
    trials = MetricTrials("emd", "lower", bounds, np.array(values, float), np.zeros(n, np.int64), score)
    nothing = AssumedImmune(BitSet(np.zeros(0, np.int64)))
    setting = Setting(FlipCount(2), nothing, seed, "numpy", 50, SPACE)
    hits = np.full(n, 2)
    return CampaignResult({"emd": trials}, setting, FixedTrials(n or 1), hits, np.zeros(n, np.int64), hits)
