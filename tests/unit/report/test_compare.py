"""Reports against one another: pairing, what is missing, what is only in one of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fkeras.campaigns.measured_campaign import _checksum
from fkeras.errors import InputError
from fkeras.report.compare import compare_reports, comparison_lines
from fkeras.report.document import new_report
from fkeras.report.record import BudgetRecord
from fkeras.statistics.tolerance import parse_tolerances

VALUES = np.random.default_rng(3).uniform(0.9, 1.1, 400)
TOLERANCE = parse_tolerances("emd:50%")


def reports(make_record, old, new):
    return tuple(
        new_report([make_record(f"t.py::{name}", values) for name, values in tests.items()], 0, 7)
        for tests in (old, new)
    )


def test_identical_reports_pass_paired(make_record):
    old, new = reports(make_record, {"a": VALUES}, {"a": VALUES})
    found = compare_reports(old, new, TOLERANCE)
    assert found.outcome == "PASS"
    ((name, one),) = found.tests
    assert (name, one.pairing, one.metrics[0].difference) == ("t.py::a", "paired", 0.0)


def test_a_regression_fails(make_record):
    old, new = reports(make_record, {"a": VALUES, "b": VALUES}, {"a": VALUES, "b": VALUES + 4})
    found = compare_reports(old, new, TOLERANCE)
    assert found.outcome == "FAIL"
    assert [one.outcome for _, one in found.tests] == ["PASS", "FAIL"]
    lines = comparison_lines(found, 300)
    assert lines[0].startswith("FAIL t.py::b: emd fault-free 0.9 -> 0.9 (+0 %), under faults 1.0")
    assert lines[1].startswith("PASS t.py::a: ")


def test_an_improvement_passes(make_record):
    old, new = reports(make_record, {"a": VALUES + 4}, {"a": VALUES})
    assert compare_reports(old, new, TOLERANCE).outcome == "PASS"


def test_without_tolerances_nothing_is_judged(make_record):
    old, new = reports(make_record, {"a": VALUES, "gone": VALUES}, {"a": VALUES + 4})
    found = compare_reports(old, new)
    assert found.outcome == ""
    assert found.missing == ("t.py::gone",)
    assert comparison_lines(found, 200)[-1] == "missing in the new report: t.py::gone"


def test_a_missing_test_is_no_pass(make_record):
    old, new = reports(make_record, {"a": VALUES, "gone": VALUES}, {"a": VALUES, "fresh": VALUES[:60]})
    # The budgets are equal, so `fresh` might be `gone` renamed; another model is another budget.
    other = new_report([new.tests[0], make_record("t.py::fresh", VALUES, model="other")], 0, 7)
    found = compare_reports(old, other, TOLERANCE)
    assert found.outcome == "NOT_RUN"
    assert found.missing == ("t.py::gone",)
    assert found.added == ("t.py::fresh",)
    lines = comparison_lines(found, 200)
    assert "NOT_RUN t.py::gone is missing in the new report" in lines
    assert "only in the new report: t.py::fresh" in lines


def test_a_renamed_test_is_found_by_its_budget(make_record):
    old, new = reports(make_record, {"before": VALUES}, {"after": VALUES})
    found = compare_reports(old, new, TOLERANCE)
    assert (found.outcome, found.missing, found.added) == ("PASS", (), ())
    assert found.tests[0][0] == "t.py::after"


@pytest.mark.parametrize("which", ["old", "new"])
def test_a_test_that_measured_nothing_is_no_pass(make_record, which):
    measured = make_record("t.py::a", VALUES)
    crashed = BudgetRecord("t.py::a", "NOT_RUN", "crashed")
    pair = (crashed, measured) if which == "old" else (measured, crashed)
    old, new = (new_report([one], 0, 7) for one in pair)
    found = compare_reports(old, new, TOLERANCE)
    assert found.outcome == "NOT_RUN"
    assert comparison_lines(found, 200)[0] == f"NOT_RUN t.py::a: the {which} report has no trials of it"


def test_a_tolerance_that_judges_nothing_is_no_pass(make_record):
    old, new = reports(make_record, {"a": VALUES}, {"a": VALUES})
    found = compare_reports(old, new, parse_tolerances("accuracy:0.01"))
    assert found.outcome == "NOT_RUN"
    assert found.problems == ("accuracy:0.01 judged nothing: no test of both measures 'accuracy'",)


def test_a_regression_stands_above_a_missing_test(make_record):
    old, new = reports(make_record, {"a": VALUES, "gone": VALUES}, {"a": VALUES + 4})
    assert compare_reports(old, new, TOLERANCE).outcome == "FAIL"


def test_other_seeds_are_compared_unpaired(make_record):
    old = new_report([make_record("t.py::a", VALUES)], 0, 7)
    new = new_report([make_record("t.py::a", VALUES, seed=8)], 0, 8)
    ((_, one),) = compare_reports(old, new, TOLERANCE).tests
    assert one.pairing == "unpaired (another seed)"


def test_damaged_trials_are_refused(make_record):
    old, new = reports(make_record, {"a": VALUES}, {"a": VALUES})
    assert new.tests[0].measured is not None
    new.tests[0].measured["trials"] += 1
    with pytest.raises(InputError, match=r"t\.py::a in the new report is damaged"):
        compare_reports(old, new, TOLERANCE)


def test_reports_without_a_common_test(make_record):
    found = compare_reports(new_report([], 0, 7), new_report([], 0, 7))
    assert comparison_lines(found) == ["the reports have no test in common"]


def test_lines_fit_the_width(make_record):
    old, new = reports(make_record, {"a": VALUES, "gone": VALUES}, {"a": VALUES + 4})
    lines = comparison_lines(compare_reports(old, new, TOLERANCE), 60)
    assert max(map(len, lines)) <= 60


def test_what_a_reader_must_know_of_the_values_is_said_once(make_record):
    old, new = reports(make_record, {"a": VALUES}, {"a": VALUES + 1e-12})
    for report in (old, new):
        measured = report.tests[0].measured
        assert measured is not None
        measured["metrics"]["emd"]["identity"] = "I"
        measured["checksum"] = _checksum(measured)
    lines = comparison_lines(compare_reports(old, new, TOLERANCE), 400)
    (notice,) = (line for line in lines if line.startswith("notice: "))
    assert "yet 400 of 400 trials came out otherwise" in notice
    assert lines[0].startswith("PASS t.py::a: emd fault-free 0.9 -> 0.9 (+0 %), under faults")


def test_a_run_worth_comparing_with_is_named(make_record):
    old, new = reports(make_record, {"a": VALUES + 4, "b": VALUES}, {"a": VALUES, "b": VALUES})
    found = compare_reports(old, new, TOLERANCE)
    assert found.tightening == ("t.py::a",)
    text = "better by more than the tolerance, so compare later runs with the new report: t.py::a"
    assert comparison_lines(found, 200)[-1] == text


def test_each_test_is_asked_its_own_share_of_draws(make_record):
    worse = VALUES.copy()
    worse[:8] += 4
    old, new = reports(make_record, {"a": VALUES}, {"a": worse})
    assert compare_reports(old, new, TOLERANCE).outcome == "PASS"
    strict = replace(new, tests=[replace(new.tests[0], max_failure_rate=0.001)])
    assert compare_reports(old, strict, TOLERANCE).outcome == "FAIL"
