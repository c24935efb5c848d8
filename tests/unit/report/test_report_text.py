"""Records travel as JSON; tables and failure messages say what was measured and assumed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fkeras.campaigns import (
    CampaignResult,
    Culprit,
    FixedTrials,
    Limit,
    MetricTrials,
    Requirement,
    Setting,
    UntilDecided,
)
from fkeras.campaigns.exhaustive import EachBitAlone
from fkeras.campaigns.protection_curve import ProtectionCurve, ProtectionPoint
from fkeras.campaigns.shrink import MinimalFaultsRecord
from fkeras.campaigns.verdict import Outcome, VerdictRecord
from fkeras.engine import GoldenScore
from fkeras.faults import TMR, AssumedImmune, BitErrorRate, Exposure, FlipCount
from fkeras.memory import BitSet, BitSpace, FixedPoint, Uncovered, WordTensor
from fkeras.report.failure import change_text, failure_text, golden_text
from fkeras.report.record import BudgetRecord, UncoveredTensor, record_of
from fkeras.report.table import report_lines
from fkeras.report.why import why

CODEC = FixedPoint(4, 0)
VALUES = np.array([0.5, -0.25], np.float32)
SPACE = BitSpace(
    (WordTensor("conv/kernel", (2,), CODEC, CODEC.encode(VALUES), np.ones(2, np.float32), VALUES),),
    tuple(Uncovered(f"layer_{i}/bias", 3, "bias") for i in range(5)),
)


def result_of(values: list[float], *, faults=None, protected=None, golden=0.9, undefined=0) -> CampaignResult:
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
    assert (one.verdict, one.failures, one.trials) == ("FAIL", 40, 100)
    assert one.share_low == pytest.approx(0.317, abs=1e-3)
    assert one.metrics["emd"].mean == pytest.approx(1.8)
    assert one.metrics["emd"].limits == (Limit("emd", "max", 2.0),)
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
    assert report_lines([record([1.0] * 60, protected=protected)], 100) == [
        "model econ  8 bits  50 samples  seed 7  engine numpy",
        "test         flips  protected    metric  golden  mean  limit  over limit   verdict",
        "test_one[x]      2  ranking[:4]  emd     0.9     1     <=2    0/60 <4.9 %  PASS",
        "not covered: 15 values (bias)  golden: emd 0.9 +- 0.01 (data)",
        "over limit: 5 % allowed, one-sided 95 % bounds for this data",
    ]


def test_details_say_what_every_test_assumed_and_measured():
    protected = AssumedImmune(BitSet(np.arange(4), label="ranking[:4]"))
    one = record([1.0] * 60, protected=protected)
    head, *lines = report_lines([one, replace(one, nodeid="t.py::test_two")], 300, details=True)
    assert head.endswith(f"engine numpy  content {SPACE.content_digest[:8]}  layout {SPACE.layout_digest[:8]}")
    assert f"not covered: {', '.join(f'layer_{i}/bias (3 values: bias)' for i in range(5))}" in lines[3]
    assert lines[-10:] == [
        line
        for name in ("test_one[x]", "test_two")
        for line in (
            name,
            "  faults: 2 distinct bits, uniform over 8, seed 7",
            "  protection: ranking[:4]: 4 bits (50.0%) assumed immune",
            "  allowed: 5 % of trials",
            "  most damaging: bit 3",
        )
    ]


def test_the_worst_comes_first_and_what_was_expected_to_fail_last():
    kept, missed = record([1.0] * 60), record([3.0] * 60)
    records = [kept, replace(missed, outcome="xfailed"), replace(missed, outcome="failed")]
    assert [line.split("  ")[-1] for line in report_lines(records, 200)[2:5]] == ["FAIL", "PASS", "FAIL, xfailed"]


def test_a_column_in_which_no_row_says_anything_is_left_out():
    bare = replace(record([1.0] * 60), metrics={"emd": replace(record([1.0]).metrics["emd"], limits=())})
    assert report_lines([bare], 200)[1].split() == [
        "test",
        "flips",
        "metric",
        "golden",
        "mean",
        "over",
        "limit",
        "verdict",
    ]


def test_where_the_table_is_too_wide_the_test_stands_above_its_row():
    protected = AssumedImmune(BitSet(np.arange(4), label="ranking('hessian').fraction(0.5)"))
    one = record([1.0] * 60, protected=protected)
    names = [f"t.py::test_survives_400_flips_with_{how}_of_its_bits_protected" for how in ("a_third", "a_fifth")]
    assert report_lines([replace(one, nodeid=name) for name in names], 80)[1:6] == [
        "  metric  golden  mean  limit  over limit   verdict",
        "test_survives_400_flips_with_a_third_of_its_bits_protected  flips 2",
        "  protected ranking('hessian').fraction(0.5)",
        "  emd     0.9     1     <=2    0/60 <4.9 %  PASS",
        "test_survives_400_flips_with_a_fifth_of_its_bits_protected  flips 2",
    ]


def test_where_numbers_do_not_fit_either_they_are_a_paragraph():
    assert report_lines([record([1.0] * 60)], 48)[:5] == [
        "model econ  8 bits  50 samples  seed 7",
        "  engine numpy",
        "test_one[x]  flips 2",
        "  emd  golden 0.9  mean 1  limit <=2",
        "    over limit 0/60 <4.9 %  PASS",
    ]


REAL = {
    "model": "econ_t_medium",
    "n_bits": 12720,
    "n_samples": 1000,
    "not_covered": tuple(UncoveredTensor(f"encoder/conv_{i}/bias", 8, "bias; biases=True covers it") for i in range(3))
    + tuple(UncoveredTensor(f"decoder/expand_{i}/kernel", 708, "not a QKeras layer") for i in range(4)),
    "fault_model": "960 distinct bits, uniform over 12,720",
    "flips": "960",
    "protection": "ranking('msb').fraction(0.5): 6,360 bits (50.0%) assumed immune, ranked anew for these weights",
    "protected": "ranking('msb').fraction(0.5)",
    "seed": 20260101,
}
"""The texts of a real network, which are longer than those of a toy."""


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize("name", ["test_one", "test_four_hours_with_the_upper_half_of_every_word_protected"])
def test_two_passing_tests_take_twelve_lines_at_most(name, width):
    one = record([0.47] * 69, faults=FlipCount(2))
    assert one.assumptions is not None
    passing = replace(one, assumptions=replace(one.assumptions, **REAL), outcome="passed", max_trials=1000)
    assert passing.verdict == "PASS"
    lines = report_lines([replace(passing, nodeid=f"t.py::{name}{i}") for i in range(2)], width)
    assert len(lines) <= (12 if width >= 80 else 16)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for fact in (
        f"{name}0",
        f"{name}1",
        "ranking('msb').fraction(0.5)",
        "24 values",
        "2,832",
        "20260101",
        "emd 0.9 +-",
    ):
        assert fact in text


def test_verdicts_are_painted_and_nothing_else():
    painted = report_lines(
        [record([1.0] * 60), BudgetRecord("t.py::x", "NOT_RUN", "no")], 80, lambda v, t: f"<{v}:{t}>"
    )
    plain = report_lines([record([1.0] * 60), BudgetRecord("t.py::x", "NOT_RUN", "no")], 80)
    assert [line.replace("<PASS:PASS>", "PASS").replace("<NOT_RUN:NOT_RUN>", "NOT_RUN") for line in painted] == plain
    assert sum("<" in a and a != b for a, b in zip(painted, plain, strict=True)) == 2


@pytest.mark.parametrize(
    ("verdict", "outcome", "label"),
    [
        ("PASS", "passed", "PASS"),
        ("PASS", "failed", "PASS, failed"),
        ("FAIL", "failed", "FAIL"),
        ("FAIL", "xfailed", "FAIL, xfailed"),
        ("ASSERTED", "failed", "ASSERTED, failed"),
        ("NOT_RUN", "error", "NOT_RUN"),
        ("NOT_RUN", "skipped", "NOT_RUN, skipped"),
        ("PASS", "", "PASS"),
    ],
)
def test_a_label_says_what_became_of_the_test(verdict, outcome, label):
    assert BudgetRecord("t.py::t", verdict, "", outcome=outcome).label == label


def test_every_limit_has_its_row():
    requirement = Requirement((Limit("emd", "max", 2.0), Limit("emd", "increase", 0.5)))
    result = result_of([1.0] * 60)
    one = record_of("t.py::test_two_limits", "econ", result, requirement, result.verdict(requirement))
    lines = report_lines([one], 90)
    assert lines[2].split() == ["test_two_limits", "2", "emd", "0.9", "1", "<=2", "0/60", "<4.9", "%", "PASS"]
    assert lines[3].split() == ["emd", "0.9", "1", "<=golden+0.5"]


def test_what_did_not_run_has_a_line_with_the_reason():
    one = BudgetRecord("t.py::test_one", "NOT_RUN", "no metric 'foo'")
    other = BudgetRecord("t.py::test_two", "NOT_RUN", "NOT_RUN: the budget has no limit")
    assert report_lines([one, other], 80) == [
        "NOT_RUN test_one: no metric 'foo'",
        "NOT_RUN test_two: the budget has no limit",
    ]


def test_undefined_scores_are_told():
    assert any(
        "undefined: 180 sample scores, counted as the worst" in line
        for line in report_lines([record([1.0] * 60, undefined=3)], 200)
    )


def test_models_have_tables_of_their_own():
    result = result_of([1.0])
    other = record_of("test_b.py::test_two", "other", result, REQUIREMENT, result.verdict(REQUIREMENT))
    lines = report_lines([record([1.0]), other, record([3.0])], 200)
    assert [line.split()[1] for line in lines if line.startswith("model ")] == ["econ", "other"]


def test_facts_that_tests_share_are_said_once():
    one = record([1.0] * 60)
    text = "\n".join(report_lines([one, replace(one, nodeid="t.py::test_two"), record([3.0] * 60)], 200))
    assert [text.count(f"{what}: ") for what in ("not covered", "golden", "over limit")] == [1, 1, 1]


@pytest.mark.parametrize("width", [30, 60, 90])
def test_lines_fit_the_width(width):
    assert max(map(len, report_lines([record([1.0] * 60)], width))) <= max(width, 50)


def test_a_failure_says_everything():
    result = result_of([1.0] * 60 + [3.0] * 40, protected=TMR(BitSet(np.arange(4), label="ranking[:4]")))
    culprit = Culprit.of(3, SPACE, "in 12 of 40 failing trials")
    text = failure_text(result, REQUIREMENT, result.verdict(REQUIREMENT), [culprit], "python -m pytest t.py::test_one")
    lines = text.splitlines()
    assert lines[0].startswith("FAIL: 40 of 100 trials over the limit, share above 31.")
    assert lines[2:] == [
        "  faults      2 distinct bits, uniform over 8; seed 7",
        "  protection  ranking[:4]: 4 bits under TMR, 8 extra bits (overhead 100.0%), hit like the others, "
        "never scrubbed; area +100.0%, assumed to be that of the extra bits",
        "  emd         mean 1.8 over 100 trials, golden 0.9 +- 0.01 (data)",
        "  most damaging bits (an association over the trials, unless alone)",
        "    conv/kernel[0]:3 in 12 of 40 failing trials: 0.5 -> 0.625",
        "  again       python -m pytest t.py::test_one",
    ]


def test_details_say_what_stopping_saved():
    result = replace(result_of([1.0] * 69), plan=UntilDecided(REQUIREMENT, 1000))
    one = record_of("t.py::test_one", "econ", result, REQUIREMENT, result.verdict(REQUIREMENT))
    assert "  allowed: 5 % of trials, decided after 69 of up to 1,000" in report_lines([one], 80, details=True)
    assert "  allowed: 5 % of trials" in report_lines([record([1.0] * 69)], 80, details=True)


def test_a_golden_model_past_the_limit_is_told():
    result = result_of([3.0] * 60, golden=2.5)
    text = failure_text(result, REQUIREMENT, result.verdict(REQUIREMENT), [], "")
    assert "golden 2.5 +- 0.01 (data); the golden model breaks the limit already" in text


@pytest.mark.parametrize(("bit", "change"), [(0, "0.5 -> -0.5"), (3, "0.5 -> 0.625"), (4, "-0.25 -> 0.75")])
def test_changes_of_a_word(bit, change):
    assert change_text(SPACE, bit) == change


def test_golden_without_a_standard_error():
    assert golden_text(0.5, float("nan")) == "0.5"


def curve_of(smallest: int | None) -> ProtectionCurve:
    point = ProtectionPoint(8, VerdictRecord(Outcome.FAIL, 9, 9, 0.5, 1.0), 3.0)
    return ProtectionCurve("emd", (point,), smallest)


def minimal(n: int) -> MinimalFaultsRecord:
    return MinimalFaultsRecord(tuple(f"conv/kernel[0]:{i}" for i in range(n)), True, 4, 60, {"emd": 3.0})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"minimal_faults": minimal(2)}, "2 of 60 faults of trial 4 are enough: conv/kernel[0]:0 conv/kernel[0]:1"),
        ({"minimal_faults": minimal(5)}, "5 of 60 faults of trial 4 are enough"),
        ({"protection_curve": curve_of(6)}, "6 protected bits would pass"),
        ({"protection_curve": curve_of(None)}, "not even 8 protected bits pass"),
        ({"minimal_faults": minimal(2), "outcome": "xfailed"}, ""),
    ],
)
def test_a_failure_has_its_reasons(changes, reason):
    assert why(replace(record([3.0] * 60), **changes)) == reason


def test_a_golden_model_past_the_limit_is_a_reason():
    assert why(record([3.0] * 60, golden=2.5)) == "without a fault the network breaks max_emd=2 already"


@pytest.mark.parametrize(
    ("failures", "reason"),
    [(1, "about 93 more trials would decide"), (3, "the share lies at the limit, more trials will not decide")],
)
def test_an_undecided_test_says_whether_more_trials_help(failures, reason):
    undecided = record([3.0] * failures + [1.0] * (60 - failures))
    assert undecided.verdict == "INCONCLUSIVE"
    assert why(undecided) == reason
    assert f"test_one[x]: {reason}" in report_lines([undecided], 100)


def test_a_passing_test_needs_no_reason():
    assert why(record([1.0] * 60)) == ""
