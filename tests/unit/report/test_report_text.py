"""Records travel as JSON; tables and failure messages say what was measured and assumed."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.campaigns import CampaignResult, FixedTrials, Limit, MetricTrials, Requirement, Setting
from fkeras.campaigns.exhaustive import EachBitAlone
from fkeras.engine import GoldenScore
from fkeras.faults import TMR, AssumedImmune, BitErrorRate, Exposure, FlipCount
from fkeras.memory import BitSet, BitSpace, FixedPoint, Uncovered, WordTensor
from fkeras.report.failure import change_text, failure_text, golden_text
from fkeras.report.record import BudgetRecord, record_of
from fkeras.report.table import report_lines

CODEC = FixedPoint(4, 0)
VALUES = np.array([0.5, -0.25], np.float32)
SPACE = BitSpace(
    (WordTensor("conv/kernel", (2,), CODEC, CODEC.encode(VALUES), np.ones(2, np.float32), VALUES),),
    tuple(Uncovered(f"layer_{i}/bias", 3, "bias") for i in range(5)),
)


def result_of(values: list[float], *, faults=None, protected=None, golden=1.0, undefined=0) -> CampaignResult:
    n = len(values)
    protection = protected or AssumedImmune(BitSet(np.zeros(0, np.int64)))
    golden_score = GoldenScore(golden, 0.01, 0, None)
    trials = MetricTrials("emd", "lower", None, np.array(values), np.full(n, undefined), golden_score)
    return CampaignResult(
        {"emd": trials},
        Setting(faults or FlipCount(2), protection, 7, "numpy", 50, SPACE),
        FixedTrials(n),
        np.full(n, 2),
        np.zeros(n, np.int64),
        np.full(n, 2),
    )


REQUIREMENT = Requirement((Limit("emd", "max", 2.0),), 0.05, 0.95)


def record(values: list[float], **keywords) -> BudgetRecord:
    result = result_of(values, **keywords)
    verdict = result.verdict(REQUIREMENT)
    return record_of("tests/test_a.py::test_one[x]", "econ", result, REQUIREMENT, verdict, ["bit 3"])


@pytest.mark.parametrize("values", [[1.0] * 60, [3.0] * 60, [np.inf] * 3])
def test_a_record_survives_json(values):
    one = record(values)
    assert BudgetRecord.from_json(one.to_json()) == one
    assert "\n" not in one.to_json()


def test_a_record_without_a_campaign_survives_json():
    one = BudgetRecord("test_a.py::test", "NOT_RUN", "crashed")
    assert BudgetRecord.from_json(one.to_json()) == one


def test_a_record_says_what_was_measured():
    one = record([1.0] * 60 + [3.0] * 40)
    assert (one.outcome, one.failures, one.trials) == ("FAIL", 40, 100)
    assert one.share_low == pytest.approx(0.317, abs=1e-3)
    assert one.metrics[0].mean == pytest.approx(1.8)
    assert one.metrics[0].limits == ("max_emd=2",)
    assert one.assumptions is not None
    assert one.assumptions.seed == 7
    assert len(one.assumptions.not_covered) == 5


@pytest.mark.parametrize(
    ("faults", "short"),
    [
        (FlipCount(960), "960"),
        (BitErrorRate(1e-4), "ber 0.0001"),
        (Exposure(8, upsets_per_second=2), "~16"),
        (EachBitAlone(), "each"),
    ],
)
def test_fault_models_have_short_names(faults, short):
    one = record([1.0], faults=faults)
    assert one.assumptions is not None
    assert one.assumptions.flips == short


def test_the_table_has_one_row_per_test_and_what_it_rests_on():
    protected = AssumedImmune(BitSet(np.arange(4), label="ranking[:4]"))
    lines = report_lines([record([1.0] * 60, protected=protected)], 200)
    assert lines[0] == (
        f"model econ  content {SPACE.content_digest[:12]}  layout {SPACE.layout_digest[:12]}  8 bits  "
        "50 samples  engine numpy"
    )
    assert lines[1:] == [
        "test           flips  protected    metric      mean  limit    over limit            verdict",
        "test_one[x]        2  ranking[:4]  emd            1  <=2      0 of 60 [0.0%, 4.9%]  PASS",
        "not covered: layer_0/bias (3 values: bias), layer_1/bias (3 values: bias), layer_2/bias (3 values: bias) "
        "and 2 more",
        "faults: 2 distinct bits, uniform over 8  protection: ranking[:4]: 4 bits (50.0%) assumed immune  seed 7",
        "golden emd 1 +- 0.01 (data)",
        "over limit: one-sided bounds, each at 0.95 confidence, given this data set",
        "most damaging: bit 3",
    ]


def test_undefined_scores_are_told():
    assert any(
        "180 undefined sample scores counted as the worst" in line
        for line in report_lines([record([1.0] * 60, undefined=3)], 200)
    )


def test_models_have_tables_of_their_own():
    result = result_of([1.0])
    other = record_of("test_b.py::test_two", "other", result, REQUIREMENT, result.verdict(REQUIREMENT))
    lines = report_lines([record([1.0]), other, record([3.0])], 200)
    assert [line.split()[1] for line in lines if line.startswith("model ")] == ["econ", "other"]


@pytest.mark.parametrize("width", [30, 60, 90])
def test_lines_fit_the_width(width):
    assert max(map(len, report_lines([record([1.0] * 60)], width))) <= max(width, 50)


def test_a_failure_says_everything():
    result = result_of([1.0] * 60 + [3.0] * 40, protected=TMR(BitSet(np.arange(4), label="ranking[:4]")))
    text = failure_text(result, REQUIREMENT, result.verdict(REQUIREMENT), [], "python -m pytest t.py::test_one")
    lines = text.splitlines()
    assert lines[0].startswith("FAIL: 40 of 100 trials over the limit, share above 31.")
    assert lines[2:] == [
        "  faults      2 distinct bits, uniform over 8; seed 7",
        "  protection  ranking[:4]: 4 bits under TMR, 8 extra bits (overhead 100.0%), hits on the copies not modelled",
        "  emd         mean 1.8 over 100 trials, golden 1 +- 0.01 (data)",
        "  again       python -m pytest t.py::test_one",
    ]


def test_a_golden_model_past_the_limit_is_told():
    result = result_of([3.0] * 60, golden=2.5)
    text = failure_text(result, REQUIREMENT, result.verdict(REQUIREMENT), [], "")
    assert "golden 2.5 +- 0.01 (data); the golden model breaks the limit already" in text


@pytest.mark.parametrize(("bit", "change"), [(0, "0.5 -> -0.5"), (3, "0.5 -> 0.625"), (4, "-0.25 -> 0.75")])
def test_changes_of_a_word(bit, change):
    assert change_text(SPACE, bit) == change


def test_golden_without_a_standard_error():
    assert golden_text(0.5, float("nan")) == "0.5"
