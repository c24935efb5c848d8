"""The report of a session, on the process that the user looks at: records come in with the test reports.

Every collected budget is in it: one that never reported is NOT_RUN. Under pytest-xdist only workers collect; each
writes what it found into a folder of the controller's, because a worker that is killed tells nothing any more.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_fkeras.collection import NAME
from pytest_fkeras.gate import ATTRIBUTE
from pytest_fkeras.outputs import write_at_the_end
from pytest_fkeras.rerun import without_group
from pytest_fkeras.session import SESSION, FkerasSession

if TYPE_CHECKING:
    from fkeras.report.record import BudgetRecord

TITLE = "fkeras resilience"

_UNFINISHED = "the session was killed, or is running still"
_COLOURS = {
    "PASS": {"green": True},
    "FAIL": {"red": True, "bold": True},
    "INCONCLUSIVE": {"yellow": True, "bold": True},
    "NOT_RUN": {"yellow": True, "bold": True},
}


class Summary:
    """Collects one record per test; under xdist it lives on the controller only."""

    def __init__(self, state: FkerasSession) -> None:
        self._state, self._outputs, self._seed = state, state.outputs, state.options.seed()
        self._session: pytest.Session | None = None
        self._names: list[str] = []
        self._texts: dict[str, dict[str, str]] = {}
        self._outcomes: dict[str, str] = {}
        self._places: dict[str, tuple[str, int]] = {}
        self._crashes: dict[str, str] = {}
        self._lines: dict[str, tuple[str, ...]] = {}

    def records(self) -> list[BudgetRecord]:
        """The record of every budget, in the order of collection."""
        names = dict.fromkeys([*self._names, *self._state.names_of_workers(), *self._texts])
        return [self._with_lines(self._record(name)) for name in names]

    def _with_lines(self, record: BudgetRecord) -> BudgetRecord:
        """The record with what the project's hook says about it; asked once, because terminal and files agree."""
        if self._session is None:
            return record
        if record.nodeid not in self._lines:
            self._lines[record.nodeid] = self._asked(record, self._session)
        return replace(record, lines=self._lines[record.nodeid])

    def _asked(self, record: BudgetRecord, session: pytest.Session) -> tuple[str, ...]:
        """What the hook says; one that fails ends neither the session nor its reports, and the session fails."""
        from fkeras.printable import in_one_line

        try:
            given = session.config.hook.pytest_fkeras_report_lines(record=record)
            wrong = [one for one in given if isinstance(one, str) or not isinstance(one, Iterable)]
            if wrong:
                what = "the text " if isinstance(wrong[0], str) else ""
                raise pytest.UsageError(f"gave {what}{wrong[0]!r}; it returns a list of lines, as in ['{wrong[0]}']")
            return tuple(str(line) for lines in given for line in lines)
        except (Exception, pytest.fail.Exception, pytest.skip.Exception) as error:
            what = str(error) if isinstance(error, pytest.UsageError) else f"raised {type(error).__name__}: {error}"
            if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
                session.exitstatus = pytest.ExitCode.USAGE_ERROR
                if not isinstance(error, pytest.UsageError):
                    traceback.print_exc()
                print(in_one_line(f"fkeras: pytest_fkeras_report_lines {what}"), file=sys.stderr)
            return (f"pytest_fkeras_report_lines {what}",)

    def _record(self, name: str) -> BudgetRecord:
        from fkeras.campaigns.verdict import WORST_FIRST, Outcome
        from fkeras.report.record import BudgetRecord

        outcome = "failed" if name in self._crashes else self._outcomes.get(name, "")
        # Several workers run the same test under --dist=each: the worst verdict counts.
        found = [BudgetRecord.from_json(text) for text in self._texts.get(name, {}).values()]
        if found:
            worst = min(found, key=lambda record: WORST_FIRST.index(record.verdict))
            return replace(worst, nodeid=name, outcome=outcome)
        text = self._crashes.get(name) or (
            "its test was over without a campaign" if outcome else "the session ended before this test did"
        )
        return BudgetRecord(name, Outcome.NOT_RUN, text, outcome=outcome)

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session
        self._write_unfinished()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._names = budget_names(session)
        self._write_unfinished()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        self._write_unfinished()

    @property
    def _only_collects(self) -> bool:
        """Whether nothing is to run, so that nothing is missing and earlier reports stay."""
        return self._session is not None and bool(self._session.config.option.collectonly)

    def _write_unfinished(self) -> None:
        """The report of a session that is killed from here on, so that an earlier one's cannot pass for it."""
        if self._outputs.files and not self._only_collects:
            from fkeras.report.document import new_report

            names = dict.fromkeys([*self._names, *self._state.names_of_workers()])
            records = [replace(self._record(name), text=_UNFINISHED) for name in names]
            self._outputs.write_files(new_report(records, pytest.ExitCode.INTERRUPTED, self._seed, self._state.context))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = without_group(report.nodeid)
        text = getattr(report, ATTRIBUTE, None)
        if text is not None:
            self._texts.setdefault(name, {})[getattr(report, "worker_id", "")] = text
        if report.when not in ("setup", "call", "teardown"):
            self._crashes[name] = str(report.longrepr)
        path, line, _ = report.location
        self._places[name] = path, line or 0
        outcome = _outcome(report)
        if outcome:
            self._outcomes[name] = outcome

    def _place(self, name: str) -> tuple[str, int]:
        """Where a test stands, in the repository that CI checked out; the first line of its file where nobody said."""
        path, line = self._places.get(name, (name.partition("::")[0], 0))
        root = self._state.config.rootpath
        return os.path.relpath(root / path, os.environ.get("GITHUB_WORKSPACE") or root), line + 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._only_collects:
            return
        records = self.records()
        if records:
            from fkeras.report.table import report_lines

            writer, details = terminalreporter._tw, terminalreporter.verbosity > 0
            terminalreporter.write_sep("=", TITLE)
            for line in report_lines(records, writer.fullwidth, painter(writer.markup), details=details):
                terminalreporter.write_line(line)
        from fkeras.printable import printable

        for path in self._outputs.files:
            terminalreporter.write_line(printable(f"report: {path}"))
        if self._outputs.annotates and records:
            from fkeras.report.services import github_annotations

            for line in github_annotations(records, {record.nodeid: self._place(record.nodeid) for record in records}):
                terminalreporter.write_line(line)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        # The first moment at which pytest's exit code is final, and the last at which it can be changed.
        session = self._session
        if (
            session is not None
            and not self._only_collects
            and (self._outputs.files or self._outputs.step_summary is not None)
        ):
            from fkeras.report.document import new_report

            report = new_report(self.records(), int(session.exitstatus), self._seed, self._state.context)
            write_at_the_end(self._outputs, report, session)


def tell_names(session: pytest.Session) -> None:
    """On a worker: write the names of the budgets that it collected."""
    path = session.config.stash[SESSION].names_file
    # On another machine there is no such folder; then the tests that report are all that is known.
    if path is not None and path.parent.is_dir():
        unfinished = path.with_suffix(".part")  # the controller may be reading
        unfinished.write_text(json.dumps(budget_names(session)), encoding="utf-8")
        unfinished.replace(path)


def budget_names(session: pytest.Session) -> list[str]:
    """The names of the collected tests that have a fault budget."""
    return [without_group(item.nodeid) for item in session.items if item.get_closest_marker(NAME) is not None]


def painter(markup: Callable[..., str]) -> Callable[[str, str], str]:
    """Colours verdicts with pytest's own means, which know about terminals, --color and NO_COLOR."""

    def paint(verdict: str, text: str) -> str:
        return markup(text, **_COLOURS.get(verdict, {}))

    return paint


def _outcome(report: pytest.TestReport) -> str:
    """What a report makes of its test; "" where it adds nothing."""
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    if report.failed:
        return "failed" if report.when not in ("setup", "teardown") else "error"
    return "skipped" if report.skipped else "passed" if report.passed and report.when == "call" else ""
