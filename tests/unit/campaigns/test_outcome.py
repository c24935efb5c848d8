"""There is one order of outcomes, and all that sorts or picks follows it."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from fkeras.campaigns import Comparison, Limit, Outcome, Requirement, judge
from fkeras.campaigns.suites import SuiteComparison
from fkeras.campaigns.verdict import worst
from fkeras.cli.faults_and_limits import exit_code
from fkeras.report import BudgetRecord, html_page, markdown_summary
from fkeras.report.compare import comparison_lines
from fkeras.report.document import new_report

ORDER = ["FAIL", "NOT_RUN", "INCONCLUSIVE", "ASSERTED", "PASS"]


def test_what_did_not_run_is_worse_than_what_was_not_decided():
    assert list(Outcome) == ORDER
    for order in permutations([*ORDER, ""], 3):
        assert worst(order) == min(order, key=[*ORDER, ""].index)
    assert worst([]) == ""


def test_every_list_of_verdicts_has_that_order():
    records = [BudgetRecord(f"t.py::budget{ORDER.index(name)}", Outcome(name), "text") for name in reversed(ORDER)]
    report = new_report(records, 1, 0)
    assert list(report.counts) == ORDER
    for text in (html_page(report).partition('id="verdicts"')[2], markdown_summary(report)):
        places = [text.index(f"budget{place}") for place in range(len(ORDER))]
        assert places == sorted(places)
    compared = ["INCONCLUSIVE", "PASS", "NOT_RUN", "FAIL"]
    found = SuiteComparison(tuple((name, Comparison(Outcome(name), "", 0.95)) for name in compared), (), ())
    assert [line.split()[0] for line in comparison_lines(found)] == [name for name in ORDER if name in compared]
    assert (found.outcome, replace(found, tests=found.tests[:3]).outcome) == ("FAIL", "NOT_RUN")


@pytest.mark.parametrize(("outcome", "code"), [("", 0), ("PASS", 0), ("FAIL", 1), ("INCONCLUSIVE", 3), ("NOT_RUN", 3)])
def test_a_command_ends_with_its_outcome(outcome, code):
    assert exit_code(outcome) == code


@pytest.mark.parametrize("failures", [0, 3, 60])
@pytest.mark.parametrize("max_trials", [None, 100])
def test_the_record_of_a_verdict_has_its_numbers(failures, max_trials):
    verdict = judge(Requirement((Limit("emd", "max", 1.0),)), failures, 60, max_trials=max_trials)
    record = verdict.record
    assert (record.outcome, record.failures, record.trials) == (verdict.outcome, failures, 60)
    assert (record.share_low, record.share_high) == (verdict.share.low, verdict.share.high)


@pytest.mark.parametrize(("rate", "said"), [(0.05, "5 %"), (0.005, "0.5 %"), (0.29, "29 %")])
def test_what_is_not_decided_says_the_limit_in_per_cent_like_the_bounds(rate, said):
    requirement = Requirement((Limit("emd", "max", 1.0),), rate)
    verdict = judge(requirement, round(200 * rate), 200, max_trials=1000)
    assert f"%, not decided against {said}: " in str(verdict)
