"""From a campaign to a test's outcome.

Campaigns are measured in set-up, so one that crashes is an ERROR; here, in the call phase, the verdict is read: FAIL
raises BudgetExceeded, and what is not a verdict (INCONCLUSIVE, NOT_RUN) fails in a way that no xfail swallows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_fkeras.collection import NAME, BudgetError
from pytest_fkeras.options import is_on
from pytest_fkeras.outputs import add_junit_properties
from pytest_fkeras.rerun import rerun_command
from pytest_fkeras.session import SESSION, state_of

if TYPE_CHECKING:
    from fkeras.report.record import BudgetRecord
    from pytest_fkeras.campaign import FaultCampaign

ATTRIBUTE = "fkeras_record"
"""The attribute of a test report that carries the record, as a JSON string, from a worker to the controller."""

KNOWN = "fkeras_known_metrics"
"""The attribute of a test report with the names of all metrics that a limit or a tolerance could mean."""


class Undecided(Exception):
    """A fault budget without a verdict: INCONCLUSIVE or NOT_RUN."""

    def __str__(self) -> str:
        from fkeras.printable import printable

        return printable(super().__str__())


class Judgement:
    """What the call phase found: the record for reports, and the exception that says so, if any."""

    def __init__(self, record: BudgetRecord, problem: Exception | None, is_verdict: bool) -> None:
        self.record = record
        self.problem = problem
        self.is_verdict = is_verdict


def judge(item: pytest.Item, body: BaseException | None = None) -> None:
    """Judge the item's campaign after its body, which raised `body` or returned.

    Raises BudgetExceeded for FAIL, WorseThanBaseline where the baseline was better, and Undecided for INCONCLUSIVE,
    unless the body failed by itself: then both are reported. A skip or an xfail from inside the body does not stand
    above a missed budget.
    """
    campaign = state_of(item).campaign
    if isinstance(body, KeyboardInterrupt | SystemExit | pytest.exit.Exception):
        return
    if campaign is None:
        _without_campaign(item, body)
        return
    from pytest_fkeras.explain import damage_curve

    session, rerun = item.config.stash[SESSION], rerun_command(item)
    judgement = _judgement(item, campaign, rerun, body)
    is_sound = not judgement.record.broken
    if judgement.record.verdict != "NOT_RUN" and is_sound:
        judgement = _with_baseline(judgement, item, campaign)
    is_shown, assumptions = session.writes_report and is_sound, judgement.record.assumptions
    judgement.record = replace(
        judgement.record,
        rerun=rerun,
        assumptions=None if assumptions is None else replace(assumptions, file=campaign.study.hooks.model_file),
        bit_map=campaign.bit_map() if is_shown else None,
        endurance=damage_curve(campaign) if is_shown and judgement.record.metrics else None,
        cached=campaign.cached,
        notices=(*judgement.record.notices, *campaign.notices, *session.notices),
    )
    state_of(item).judgement = judgement
    if judgement.problem is None:
        return
    if body is None or isinstance(body, pytest.skip.Exception | pytest.xfail.Exception):
        raise judgement.problem from None
    item.add_report_section("call", "fault budget", str(judgement.problem))


def refuse_broken_set_up(item: pytest.Item) -> None:
    """BrokenSetUp before a test's body where there is nothing for it to look at."""
    campaign = state_of(item).campaign
    if campaign is not None and campaign.problems:
        judge(item)


def _without_campaign(item: pytest.Item, body: BaseException | None) -> None:
    """A budget that nothing measured does not pass with its test's body."""
    if item.get_closest_marker(NAME) is None or body is not None:
        return
    from fkeras.campaigns import Outcome
    from fkeras.report.record import BudgetRecord

    text = (
        f"NOT_RUN: {item.name} states a {NAME} and nothing measured it: it is no test function, or a fixture of the "
        "project takes the place of the plugin's fkeras_campaign; give that fixture another name, or take the mark away"
    )
    problem = Undecided(text)
    state_of(item).judgement = Judgement(BudgetRecord(item.nodeid, Outcome.NOT_RUN, text), problem, False)
    raise problem


def _judgement(item: pytest.Item, campaign: FaultCampaign, rerun: str, body: BaseException | None) -> Judgement:
    from fkeras.campaigns import BudgetExceeded, Outcome, most_damaging
    from fkeras.report.failure import failure_text
    from fkeras.report.record import BudgetRecord, record_of
    from pytest_fkeras.explain import with_explanation

    if campaign.problems:
        return _of_broken_set_up(item, campaign, rerun)
    if campaign.requirement is None and not campaign.was_read:
        text = (
            "NOT_RUN: the budget has no limit and the test read no result; add a limit such as max_emd=1.25, or "
            "assert on fkeras_campaign.failure_rate(...)"
        )
        # A body that failed on its own is the test's result; one that passed proves nothing.
        return Judgement(BudgetRecord(item.nodeid, Outcome.NOT_RUN, text), None if body else Undecided(text), False)
    result, requirement, verdict = campaign.result, campaign.requirement, campaign.verdict
    if requirement is None or verdict is None:
        return Judgement(record_of(item.nodeid, campaign.study.model_name, result, None, None), None, True)
    culprits = most_damaging(result, result.broken(requirement.limits)) if verdict.failures else []
    record = record_of(item.nodeid, campaign.study.model_name, result, requirement, verdict, culprits)
    if verdict.outcome is Outcome.PASS:
        return Judgement(record, None, True)
    # An expected failure is not looked into: it costs evaluations, and nobody reads the message.
    found = campaign.explanation() if verdict.failures and item.get_closest_marker("xfail") is None else None
    if found is not None:
        record = with_explanation(record, found, result.setting.space)
    text = failure_text(result, requirement, verdict, culprits, rerun, found)
    if verdict.outcome is Outcome.FAIL:
        return Judgement(record, BudgetExceeded(text), True)
    if item.config.stash[SESSION].gate.inconclusive_passes:
        return Judgement(record, None, True)
    return Judgement(record, Undecided(text), False)


def _of_broken_set_up(item: pytest.Item, campaign: FaultCampaign, rerun: str) -> Judgement:
    """FAIL, which no expected failure covers: faults have no part in it."""
    from fkeras.campaigns import Outcome
    from fkeras.campaigns.verdict import BrokenSetUp
    from fkeras.report.failure import broken_text
    from fkeras.report.record import BudgetRecord, record_of

    result, problems = campaign.measured, campaign.problems
    record = BudgetRecord(item.nodeid, Outcome.FAIL, "")
    if result is not None:
        record = record_of(item.nodeid, campaign.study.model_name, result, campaign.requirement, None)
    limits = tuple(map(str, campaign.golden_requirement.limits))
    text = f"FAIL: {'; '.join(problems)}"
    record = replace(record, verdict=Outcome.FAIL, text=text, reasons=problems, broken=problems, golden_limits=limits)
    return Judgement(record, BrokenSetUp(broken_text(problems, limits, rerun)), False)


def _with_baseline(judgement: Judgement, item: pytest.Item, campaign: FaultCampaign) -> Judgement:
    """The judgement with the comparison, which fails a test whatever its limits say, and never passes one."""
    from fkeras.campaigns.comparison import WorseThanBaseline
    from fkeras.campaigns.verdict import WORST_FIRST
    from pytest_fkeras.baseline import against_baseline, baseline_text, tightening_text

    against = state_of(item).against or against_baseline(item, campaign)
    comparison, problem = against.comparison, judgement.problem
    record = replace(judgement.record, measured=against.measured.to_plain(), comparison=comparison, drift=against.drift)
    if comparison is not None:
        said = filter(None, (*comparison.notices, tightening_text(comparison, item)))
        record = replace(record, notices=(*record.notices, *said))
    if comparison is None or not comparison.outcome or comparison.outcome == "PASS":
        return Judgement(record, problem, judgement.is_verdict)
    record = replace(
        record,
        verdict=min(record.verdict, comparison.outcome, key=WORST_FIRST.index),
        text=f"{record.text}; against the baseline {comparison}",
    )
    if comparison.outcome == "INCONCLUSIVE" and item.config.stash[SESSION].gate.inconclusive_passes:
        return Judgement(record, problem, judgement.is_verdict)
    text = baseline_text(against, comparison, item, "" if problem is None else str(problem))
    is_worse = comparison.outcome == "FAIL"
    return Judgement(record, WorseThanBaseline(text) if is_worse else Undecided(text), is_worse)


def _is_refusal(problem: BaseException, when: str | None) -> bool:
    """Whether a message says it all: what the environment lacks, and what set-up gave that cannot be used."""
    from fkeras.errors import EnvironmentSetupError, FkerasError, MissingExtraError

    return isinstance(problem, EnvironmentSetupError | MissingExtraError if when == "call" else FkerasError)


def finish_report(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Put the verdict into the report: the message without a traceback, never an xfail without a verdict."""
    judgement = state_of(item).judgement
    problem = call.excinfo.value if call.excinfo else None
    ours = None if judgement is None else judgement.problem
    misconfigured = report.when == "setup" and isinstance(problem, pytest.UsageError | BudgetError)
    if (
        report.failed
        and problem is not None
        and (problem is ours or misconfigured or _is_refusal(problem, report.when))
    ):
        _drop_traceback(call, report)
    if item.get_closest_marker(NAME) is None or report.when == "teardown":
        return
    campaign = state_of(item).campaign
    if campaign is not None:
        setattr(report, KNOWN, campaign.study.metric_names)
    is_unmeasured = judgement is not None and judgement.record.assumptions is None
    if judgement is not None and judgement.record.verdict == "NOT_RUN" and is_unmeasured and problem is not ours:
        return
    if report.skipped and hasattr(report, "wasxfail") and (judgement is None or not judgement.is_verdict):
        outcome = "NOT_RUN" if judgement is None else judgement.record.verdict
        uncovered = "a fault budget without a verdict"
        if judgement is not None and judgement.record.broken:
            uncovered = "a network that is not sound without faults"
        reason = report.wasxfail
        del report.wasxfail
        report.outcome = "failed"
        if problem is not None and not isinstance(problem, pytest.xfail.Exception):
            _drop_traceback(call, report)
        report.longrepr = (
            f"{outcome}: an expected failure (xfail: {reason}) does not cover {uncovered}\n"
            f"{report.longreprtext or problem}"
        )
    _attach(item, judgement, report)


def finish_collect_report(collector: pytest.Collector, report: pytest.CollectReport) -> None:
    """Show what fkeras refuses while a module is imported as the module's own line and the message."""
    call = getattr(report, "call", None)
    refusal = None if call is None or call.excinfo is None else call.excinfo
    if not report.failed or refusal is None:
        return
    from fkeras.errors import FkerasError

    raiser = refusal.traceback[-1].frame.f_globals.get("__name__")
    # What a selection cannot do is an error of the language's own kind, as hasattr and iter want.
    is_of_selection = raiser == "pytest_fkeras.selection" and isinstance(refusal.value, TypeError)
    if is_of_selection or isinstance(refusal.value, FkerasError | BudgetError):
        own = [entry for entry in refusal.traceback if str(entry.path) == str(collector.path)]
        where = f"{own[-1].path}:{own[-1].lineno + 1}: {str(own[-1].statement).strip()}\n" if own else ""
        report.longrepr = f"{where}{type(refusal.value).__name__}: {refusal.value}"


def _attach(item: pytest.Item, judgement: Judgement | None, report: pytest.TestReport) -> None:
    from fkeras.campaigns import Outcome
    from fkeras.report.record import BudgetRecord

    if judgement is not None:
        record = judgement.record
    elif not report.passed:
        crash = getattr(report.longrepr, "reprcrash", None)
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else crash.message if crash else ""
        reason = reason.strip() or report.longreprtext.strip()
        last = reason.splitlines()[0] if reason else report.outcome
        record = BudgetRecord(item.nodeid, Outcome.NOT_RUN, last)
    else:
        return
    setattr(report, ATTRIBUTE, record.to_json())
    if is_on(item.config, "junit"):
        add_junit_properties(item, report, record)


def _drop_traceback(call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    assert call.excinfo is not None
    report.longrepr = call.excinfo.getrepr(style="value", chain=False)
    location = getattr(report.longrepr, "reprcrash", None)
    if location is not None:
        location.message = f"{type(call.excinfo.value).__name__}: {call.excinfo.value}"
