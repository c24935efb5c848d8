"""A report is strict JSON that follows its schema, survives the file, and is refused when it is something else."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import pytest
from jsonschema import Draft202012Validator

from fkeras.campaigns import Limit
from fkeras.campaigns.bit_map import BitMap, MappedBit, TensorMap
from fkeras.campaigns.comparison import Comparison, Histogram, MetricComparison, PairCounts
from fkeras.campaigns.endurance import EnduranceRecord
from fkeras.campaigns.protection_curve import ProtectionCurve
from fkeras.campaigns.shrink import MinimalFaultsRecord
from fkeras.errors import InputError
from fkeras.plain import restored
from fkeras.report import html_page, markdown_summary, report_text
from fkeras.report.document import SCHEMA, Report, new_report, read_report, schema
from fkeras.report.forms import FORMS
from fkeras.report.record import Assumptions, BudgetRecord, CoveredTensor, MetricRecord, UncoveredTensor, with_limits

ENDURANCE = {
    "metric": "emd",
    "better": "lower",
    "unit": "flips",
    "golden": 1.0,
    "limits": ["max_emd=2"],
    "max_failure_rate": 0.05,
    "confidence": 0.95,
    "largest": 81,
    "exceeded_at": 148,
    "time_average": {"best": 1.1, "low": 1.0, "high": 1.2},
    "text": "survives 81 flips, not 148 flips",
    "faults": "distinct bits flip one after another",
    "protection": "none",
    "seed": 7,
    "n_bits": 8,
    "recovered": 0,
    "curve": [
        {"look": look, "trials": 30, "mean": mean, "mean_low": 0.5, "mean_high": math.inf}
        | {"failed": failed, "share_low": 0.0, "share_high": 0.2}
        for look, mean, failed in ((1.0, 1.0, 0), (100.0, 2.5, 20), (200.0, math.inf, 30))
    ],
}
CURVE = {
    "metric": "emd",
    "smallest": 6,
    "largest_failing": 4,
    "points": [
        {"k": k, "outcome": outcome, "failures": n, "trials": 60, "share_low": 0.0, "share_high": 0.5, "mean": 1.0}
        for k, outcome, n in ((2, "FAIL", 60), (4, "INCONCLUSIVE", 3), (6, "PASS", 0))
    ],
}
MAP = BitMap(
    "measured",
    "|change of emd|",
    (TensorMap("conv/kernel", 2, (3.0, 2.0, math.inf, math.nan), (3.0, 2.0, math.inf, math.nan)),),
    ((3.0, 3.0), (2.0, 2.0), (math.inf, 1.0), (math.nan, math.nan)),
    1,
    (MappedBit("conv/kernel[1]:0", 3.0), MappedBit("conv/activation[4,2]:1", math.inf)),
)


def full(make_record) -> BudgetRecord:
    """A record in which nothing is left out."""
    histogram = Histogram((0.5, 1.0, 1.5), (40, 20), (10, 50))
    difference = MetricComparison(
        "emd", "lower", 1.0, 1.1, 0.05, 0.1, math.inf, "paired t", 60, 60, 0.05, "5 %", "FAIL", 12,
        1.0, 1.05, False, "draws", "", PairCounts(60, 30, 0, 0.3, 0.7, 0.05), False, "of another machine", histogram,
    )  # fmt: skip
    return replace(
        make_record("t.py::test_full", [1.0] * 60 + [3.0] * 40),
        most_damaging=("conv/kernel[0]:0 (sign) in 12 of 40 failing trials",),
        minimal_faults=MinimalFaultsRecord(("conv/kernel[0]:0",), True, 3, 2, {"emd": math.inf}, ("1 -> -1",)),
        endurance=restored(EnduranceRecord, with_limits(ENDURANCE, "emd")),
        protection_curve=restored(ProtectionCurve, CURVE),
        comparison=Comparison("FAIL", "paired", 0.95, (difference,), "", "baselines/a.json"),
        drift=Comparison("", "paired", 0.95, (difference,), "because"),
        bit_map=MAP,
    )


def report_of(*tests: BudgetRecord, exit_code: int = 1) -> Report:
    return new_report(tests, exit_code, 7)


def test_a_report_survives_its_file(tmp_path, make_record):
    infinite = make_record("t.py::test_inf", [math.inf] * 3)
    report = report_of(full(make_record), infinite, BudgetRecord("t.py::x", "NOT_RUN", "crashed"))
    report.write(tmp_path / "deep" / "run.json")
    again = read_report(tmp_path / "deep" / "run.json")
    assert again.tests[1:] == report.tests[1:]
    assert again.to_json() == report.to_json()
    assert again.tests[0].endurance == report.tests[0].endurance
    assert again.tests[0].comparison == report.tests[0].comparison
    assert list(tmp_path.joinpath("deep").iterdir()) == [tmp_path / "deep" / "run.json"]


def test_strict_parsers_read_it(make_record):
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    text = report_of(full(make_record), make_record("t.py::test_inf", [math.inf] * 3)).to_json()
    values = json.loads(text, parse_constant=refuse)
    assert values["tests"][1]["metrics"]["emd"]["mean"] == "inf"
    assert values["tests"][1]["metrics"]["emd"]["mean_low"] == "-inf"
    assert values["bit_maps"][0]["tensors"][0]["mean"] == [3.0, 2.0, "inf", "nan"]


def test_the_promised_names_are_there(make_record):
    values = json.loads(report_of(full(make_record), exit_code=1).to_json())
    assert values["schema"] == "fkeras-report/1" == SCHEMA
    (test,) = values["tests"]
    assert test["nodeid"] == "t.py::test_full"
    assert test["verdict"] == "FAIL"
    assert test["metrics"]["emd"]["limits"] == ["max_emd=2"]
    assert test["assumptions"]["seed"] == 7
    (left_out,) = test["assumptions"]["not_covered"]
    assert left_out == {"path": "conv/bias", "n_values": 3, "reason": "bias", "layer": ""}
    assert values["summary"] == {
        "exit_code": 1,
        "tests": 1,
        "verdicts": {"FAIL": 1, "INCONCLUSIVE": 0, "NOT_RUN": 0, "PASS": 0, "ASSERTED": 0},
    }
    assert {"python", "pytest", "tensorflow", "pytest-fkeras"} <= set(values["versions"])


def _closed(part):
    """The schema with nothing allowed that it does not name."""
    if isinstance(part, dict):
        closed = {name: _closed(one) for name, one in part.items()}
        if "properties" in part and "additionalProperties" not in part:
            closed["additionalProperties"] = False
            closed["required"] = list(part["properties"])
        return closed
    return [_closed(one) for one in part] if isinstance(part, list) else part


def test_everything_that_is_written_is_in_the_schema(make_record):
    Draft202012Validator.check_schema(schema())
    values = json.loads(report_of(full(make_record), BudgetRecord("t.py::x", "NOT_RUN", "no")).to_json())
    assert [error.message for error in Draft202012Validator(_closed(schema())).iter_errors(values)] == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (BudgetRecord, "test"),
        (MetricRecord, "metric"),
        (Assumptions, "assumptions"),
        (CoveredTensor, "covered"),
        (UncoveredTensor, "not_covered"),
        (EnduranceRecord, "endurance"),
        (ProtectionCurve, "protection_curve"),
        (BitMap, "bit_map"),
        (Comparison, "comparison"),
        (MetricComparison, "metric_comparison"),
        (PairCounts, "pair_counts"),
    ],
)
def test_the_schema_and_the_code_name_the_same_things(kind, name):
    described = schema()["$defs"][name]["properties"]
    assert set(described) == {field.name for field in fields(kind)}
    assert all("description" in one for one in described.values())


def test_a_later_report_with_more_in_it_is_read(tmp_path, make_record):
    values = json.loads(report_of(full(make_record)).to_json())
    values["tests"][0]["novelty"] = values["novelty"] = {"x": 1}
    values["tests"][0]["assumptions"]["novelty"] = 1
    (tmp_path / "a.json").write_text(json.dumps(values))
    assert read_report(tmp_path / "a.json").tests[0].verdict == "FAIL"


def test_equal_maps_are_written_once(make_record):
    one = full(make_record)
    values = json.loads(report_of(one, replace(one, nodeid="t.py::other"), replace(one, bit_map=None)).to_json())
    assert len(values["bit_maps"]) == 1
    assert [test["bit_map"] for test in values["tests"]] == [0, 0, None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(schema="fkeras-report/2"), "has schema 'fkeras-report/2'; this version reads"),
        (lambda v: v.pop("schema"), "states no schema"),
        (lambda v: v["tests"][0].update(verdict="MAYBE"), r"\$\.tests\[0\]\.verdict: 'MAYBE' is not one of"),
        (lambda v: v["tests"][0].pop("nodeid"), "'nodeid' is a required property"),
        (lambda v: v["summary"].pop("exit_code"), "'exit_code' is a required property"),
        (lambda v: v["tests"][0]["metrics"]["emd"].update(mean="many"), r"metrics\.emd\.mean"),
        (lambda v: v["tests"][0]["assumptions"].update(n_bits=-1), "-1 is less than the minimum"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, make_record, change, message):
    values = json.loads(report_of(make_record("t.py::a", [1.0] * 60)).to_json())
    change(values)
    (tmp_path / "a.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=message):
        read_report(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("", "is no JSON"),
        ("[1]", "states no schema"),
        ("NaN", "NaN is no JSON number"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_what_is_no_json_is_refused(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_report(tmp_path / "a.json")


def test_a_missing_report_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read .* a report is written by pytest --fkeras-json"):
        read_report(tmp_path / "none.json")


@pytest.mark.parametrize("metric", ["emd", "loss_drop", "gain_increase"])
@pytest.mark.parametrize("kind", ["max", "min", "increase", "drop"])
def test_limits_stay_what_they_are_in_a_file(tmp_path, make_record, metric, kind):
    one = make_record("t.py::t", [1.0] * 60)
    limit = Limit(metric, kind, 0.25)
    one = replace(one, metrics={metric: replace(one.metrics["emd"], limits=(limit,))})
    report_of(one).write(tmp_path / "a.json")
    again = read_report(tmp_path / "a.json").tests[0]
    assert again.metrics[metric].limits == (limit,)
    assert BudgetRecord.from_json(one.to_json()) == one


def test_a_limit_that_is_none_is_refused(tmp_path, make_record):
    values = json.loads(report_of(full(make_record)).to_json())
    values["tests"][0]["metrics"]["emd"]["limits"] = ["about 2"]
    (tmp_path / "a.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"a\.json: 'about 2' is no limit on 'emd', .*; write it again with --fkeras-"):
        read_report(tmp_path / "a.json")


def test_a_report_looks_alike_in_memory_and_from_its_file(tmp_path, make_record):
    report = report_of(full(make_record), make_record("t.py::test_inf", [math.inf] * 3))
    report.write(tmp_path / "a.json")
    for form in (html_page, markdown_summary, report_text):
        assert form(read_report(tmp_path / "a.json")) == form(report)


def test_verdicts_are_counted_in_the_order_of_the_schema(make_record):
    verdicts = json.loads(report_of(full(make_record)).to_json())["summary"]["verdicts"]
    assert list(verdicts) == ["FAIL", "INCONCLUSIVE", "NOT_RUN", "PASS", "ASSERTED"]


def places(values, path=()):
    """The path to every property."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        if isinstance(values, dict):
            yield (*path, key)
        if isinstance(value, dict | list) and key != "measured":
            yield from places(value, (*path, key))


def test_a_report_that_lacks_anything_is_read_or_refused(tmp_path, make_record):
    text = report_of(full(make_record)).to_json()
    refused = []
    for *path, key in places(json.loads(text)):
        values = json.loads(text)
        part = values
        for step in path:
            part = part[step]
        del part[key]
        (tmp_path / "a.json").write_text(json.dumps(values))
        try:
            read_report(tmp_path / "a.json")
        except InputError:
            refused.append(key)
    assert {"schema", "nodeid", "metrics", "method", "k"} <= set(refused)
    assert not {"rerun", "notices", "bit_map", "time_average"} & set(refused)


def required_alone(values, kind):
    """Plain values with only what the schema requires of each object."""
    if "$ref" in kind:
        kind = schema()["$defs"][kind["$ref"].rpartition("/")[2]]
    if "anyOf" in kind:
        kind = next((one for one in kind["anyOf"] if "$ref" in one), kind["anyOf"][0])
        return required_alone(values, kind) if isinstance(values, dict) else values
    if isinstance(values, list):
        return [required_alone(one, kind.get("items", {})) for one in values]
    if not isinstance(values, dict) or "properties" not in kind:
        other = kind.get("additionalProperties")
        is_table = isinstance(values, dict) and isinstance(other, dict)
        return {name: required_alone(one, other) for name, one in values.items()} if is_table else values
    return {name: required_alone(values[name], kind["properties"][name]) for name in kind["required"]}


def test_reports_that_have_only_what_is_required_are_read_and_shown(make_record, tmp_path):
    """As those of the first version were: later ones may add properties, and none goes away."""
    whole = json.loads(report_of(full(make_record)).to_json())
    least = required_alone(whole, schema())
    assert "context" not in least
    test = least["tests"][0]
    for part in ("endurance", "protection_curve", "minimal_faults", "comparison", "drift"):
        test[part] = required_alone(whole["tests"][0][part], {"$ref": f"#/$defs/{part.replace('drift', 'comparison')}"})
    (tmp_path / "old.json").write_text(json.dumps(least))
    report = read_report(tmp_path / "old.json")
    (record,) = report.tests
    assert (record.metrics["emd"].better, record.assumptions.file, record.endurance.curve[0].low) == ("", "", None)
    assert record.comparison.metrics[0].histogram is None
    for form in FORMS.values():
        assert form.text(report)
