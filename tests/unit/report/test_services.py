"""Trend, badge and OpenMetrics follow what their readers ask for, and say what the report says."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from fkeras.cli.output import _WRITTEN
from fkeras.files import require_own
from fkeras.report.document import Report, new_report
from fkeras.report.forms import FORMS
from fkeras.report.record import BudgetRecord
from fkeras.report.services import badge, openmetrics, trend
from pytest_fkeras.options import OPTIONS
from pytest_fkeras.outputs import FILES
from tests.unit.report.test_hostile_reports import HOSTILE

POINTS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "unit": {"type": "string", "minLength": 1},
            "value": {"type": "number"},
            "range": {"type": "string"},
            "extra": {"type": "string"},
        },
        "required": ["name", "unit", "value"],
        "additionalProperties": False,
    },
}
"""As github-action-benchmark's README describes `customSmallerIsBetter`."""
ENDPOINT = {
    "type": "object",
    "properties": {
        "schemaVersion": {"const": 1},
        "label": {"type": "string"},
        "message": {"type": "string", "minLength": 1},
        "color": {"enum": ["brightgreen", "red", "yellow"]},
        "isError": {"type": "boolean"},
    },
    "required": ["schemaVersion", "label", "message"],
    "additionalProperties": False,
}
"""As https://shields.io/badges/endpoint-badge describes it."""
_NUMBER = r"(?:[+-]?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|Inf)|NaN)"
_LABEL = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"(fkeras_[a-z_]+)(\{{{_LABEL}(?:,{_LABEL})*\}})? {_NUMBER}")
"""Of the exposition's grammar what is used here."""


def test_every_form_has_its_options():
    others = {"--json": "result", "--figure": "figure"}
    assert {f"--{name}": form.kind for name, form in FORMS.items() if name != "json"} | others == _WRITTEN
    assert {*FILES, "markdown"} == set(FORMS), "the Markdown goes into the step summary"
    assert all(OPTIONS[name].metavar == "PATH" and OPTIONS[name].example for name in FILES)


def higher(record: BudgetRecord) -> BudgetRecord:
    """The same with a metric that is better higher."""
    one = replace(record.metrics["emd"], golden=0.9, mean=0.7, mean_low=0.65, mean_high=0.75, better="higher")
    return replace(record, metrics={"accuracy": one})


@pytest.fixture
def report(make_record) -> Report:
    failing = make_record("t.py::test_a", [1.0] * 15 + [3.0] * 5)
    kept = higher(make_record("t.py::test_b", [1.0] * 60))
    never = BudgetRecord("t.py::test_c", "NOT_RUN", "killed")
    return new_report([failing, kept, never], 1, 7)


def test_a_trend_is_better_when_it_is_smaller(report):
    points = json.loads(trend(report), parse_constant=pytest.fail)
    Draft202012Validator(POINTS).validate(points)
    assert {point["name"]: (pytest.approx(point["value"]), point["unit"]) for point in points} == {
        "t.py::test_a: trials over the limit": (25, "%"),
        "t.py::test_a: emd under faults": (1.5, "emd"),
        "t.py::test_b: trials over the limit": (0, "%"),
        "t.py::test_b: accuracy lost to faults": (0.2, "accuracy"),
    }
    assert points[-1]["range"] == "0.15 to 0.25"
    assert points[-1]["extra"] == "PASS, 60 trials, golden 0.9, mean 0.7"


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_trend_leaves_out_what_is_no_number(report, value):
    first = report.tests[0]
    wild = replace(first, metrics={"emd": replace(first.metrics["emd"], mean=value)})
    points = json.loads(trend(replace(report, tests=(wild,))), parse_constant=pytest.fail)
    assert [point["name"] for point in points] == ["t.py::test_a: trials over the limit"]


@pytest.mark.parametrize(
    ("exit_code", "kinds", "message", "colour"),
    [
        (0, "PP", "2 of 2 budgets kept", "brightgreen"),
        (0, "PN", "1 of 2 budgets kept, 1 without a verdict", "yellow"),
        (1, "PF", "failed: 1 of 2 budgets kept, 1 missed", "red"),
        (1, "P", "failed: 1 of 1 budgets kept", "red"),
        (2, "P", "interrupted: 1 of 1 budgets kept", "yellow"),
        (3, "P", "exit code 3: 1 of 1 budgets kept", "red"),
        (0, "", "no fault budget", "yellow"),
        (5, "", "nothing ran: no fault budget", "yellow"),
    ],
)
def test_a_badge_is_green_only_when_everything_is_shown(make_record, exit_code, kinds, message, colour):
    made = {
        "P": make_record("t.py::p", [1.0] * 60),
        "F": make_record("t.py::f", [3.0] * 60),
        "N": BudgetRecord("t.py::n", "NOT_RUN", "killed"),
    }
    values = json.loads(badge(new_report([made[kind] for kind in kinds], exit_code, 7)))
    Draft202012Validator(ENDPOINT).validate(values)
    assert (values["message"], values["color"], values["isError"]) == (message, colour, colour == "red")


def test_openmetrics_has_every_number(report):
    samples = dict(line.rsplit(" ", 1) for line in openmetrics(report).splitlines() if not line.startswith("#"))
    assert samples["fkeras_exit_code"] == "1"
    assert samples['fkeras_budgets{verdict="FAIL"}'] == "1"
    assert samples['fkeras_budgets{verdict="NOT_RUN"}'] == "1"
    assert samples['fkeras_over_limit_ratio{test="t.py::test_a"}'] == "0.25"
    assert samples['fkeras_golden{test="t.py::test_b",metric="accuracy"}'] == "0.9"
    assert samples['fkeras_mean{test="t.py::test_b",metric="accuracy"}'] == "0.7"
    assert not any("test_c" in name for name in samples)


def wild(report: Report) -> Report:
    """What names and numbers may be at their worst."""
    first = report.tests[0]
    numbers = replace(first.metrics["emd"], mean=math.inf, mean_low=-math.inf, golden=math.nan, mean_high=1e-300)
    names = (HOSTILE, 'a"b\\', "line\nbreak", "{}=,#", "# EOF")
    tests = [replace(first, nodeid=f"t.py::{name}", metrics={name: numbers}) for name in names]
    return replace(report, tests=tuple(tests))


@pytest.mark.parametrize("changed", [lambda report: report, wild, lambda report: replace(report, tests=())])
def test_openmetrics_follows_its_grammar(report, changed):
    text = openmetrics(changed(report))
    lines = text.split("\n")
    assert lines[-2:] == ["# EOF", ""]
    family, families, seen = "", set(), set()
    for line in lines[:-2]:
        what = re.fullmatch(r"# (TYPE|UNIT|HELP) (fkeras_[a-z_]+) (.+)", line)
        if what is None:
            sample = SAMPLE.fullmatch(line)
            assert sample is not None, line
            assert sample[1] == family, "samples stand below their family"
            assert line.rsplit(" ", 1)[0] not in seen
            seen.add(line.rsplit(" ", 1)[0])
        elif what[1] == "TYPE":
            assert what[2] not in families, "a family stands in one piece"
            family = what[2]
            families.add(family)
        else:
            assert what[2] == family
            assert what[1] == "HELP" or family.endswith(f"_{what[3]}")


@pytest.mark.parametrize("changed", [lambda report: report, wild])
def test_prometheus_reads_the_numbers(report, changed):
    report = changed(report)
    families = {one.name: one for one in text_string_to_metric_families(openmetrics(report))}
    means = {(one.labels["test"], one.labels["metric"]): one.value for one in families["fkeras_mean"].samples}
    assert means == {(test.nodeid, name): one.mean for test in report.tests for name, one in test.metrics.items()}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("changed", [lambda report: report, wild, lambda report: replace(report, tests=())])
def test_every_form_is_known_as_ours_and_replaced(report, changed, name, tmp_path, monkeypatch):
    monkeypatch.setattr("fkeras.report.page.MOST_FIGURES", 0)
    path = tmp_path / "file"
    FORMS[name].write(changed(report), path)
    require_own(path, FORMS[name].kind, "")
    for other in FORMS:
        if other != name:
            with pytest.raises(Exception, match="that fkeras wrote, and would be replaced"):
                require_own(path, FORMS[other].kind, "")
