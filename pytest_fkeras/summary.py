"""The report of a session, on the process that the user looks at: records come in with the test reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_fkeras.gate import ATTRIBUTE

if TYPE_CHECKING:
    from fkeras.report.record import BudgetRecord

TITLE = "fkeras resilience"


class Summary:
    """Collects one record per test; under xdist it lives on the controller only."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def records(self) -> list[BudgetRecord]:
        """The records so far, in the order of their tests' reports."""
        from fkeras.report.record import BudgetRecord

        return [BudgetRecord.from_json(text) for text in self._texts.values()]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        text = getattr(report, ATTRIBUTE, None)
        if text is not None:
            self._texts[report.nodeid] = text

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._texts:
            return
        from fkeras.report.table import report_lines

        terminalreporter.write_sep("=", TITLE)
        for line in report_lines(self.records(), terminalreporter._tw.fullwidth):
            terminalreporter.write_line(line)
