"""The baseline's files at the end of a session, on the process that the user looks at: written, and found unused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_fkeras.baseline import Gate
from pytest_fkeras.gate import ATTRIBUTE

if TYPE_CHECKING:
    from fkeras.campaigns.measured import Measured
    from fkeras.report.record import BudgetRecord

_SELECTIONS = ("keyword", "markexpr", "deselect", "lf", "stepwise", "ignore", "ignore_glob")
"""Options by which pytest runs a part of the tests."""


class BaselineFiles:
    """Collects what budgets measured; under xdist it lives on the controller only."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self._texts: dict[str, str] = {}
        self._lines: list[str] = []
        self._deselected = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        text = getattr(report, ATTRIBUTE, None)
        if text is not None:
            self._texts[report.nodeid] = text

    def pytest_deselected(self) -> None:
        self._deselected = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not self._texts or self.gate.folder is None:
            return
        from fkeras.report.record import BudgetRecord

        records = [BudgetRecord.from_json(text) for text in self._texts.values()]
        measured = self._measured(records, session)
        if self.gate.update:
            self._write(measured, session)
        if _is_whole(session, self._deselected) and all(record.measured is not None for record in records):
            self._unused(set(measured))
            self._not_judged(records, session)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self._lines:
            terminalreporter.write_line(line)

    def _measured(self, records: list[BudgetRecord], session: pytest.Session) -> dict[str, Measured]:
        """By file name, the longest of equal budgets."""
        from fkeras.campaigns.measured import Measured

        found: dict[str, Measured] = {}
        ambiguous = set()
        for record in records:
            if record.measured is None:
                continue
            one = Measured.from_plain(record.measured, record.nodeid)
            other = found.setdefault(one.file_name, one)
            if other.content_digest != one.content_digest:
                ambiguous.add(one.file_name)
                self._fail(
                    f"{record.nodeid} measures the budget of another test on another model, and both get it from the "
                    f"fkeras_model fixture in '{one.identity.model}': parametrize this fixture, or write one beside "
                    "each of the tests, so that each has a baseline of its own",
                    session,
                )
            elif one.kept > other.kept:
                found[one.file_name] = one
        return {name: one for name, one in found.items() if name not in ambiguous}

    def _write(self, measured: dict[str, Measured], session: pytest.Session) -> None:
        from fkeras.files import write_text

        folder, written = self.gate.folder, 0
        assert folder is not None
        for name, one in measured.items():
            is_new = not (folder / name).exists()
            if self.gate.update == "all" or is_new:
                try:
                    write_text(folder / name, one.to_json())
                except OSError as error:
                    self._fail(f"{folder / name} could not be written: {error}", session)
                    continue
                written += 1
                self._lines.append(f"baseline: {'new' if is_new else 'updated'} {_shown(folder / name, session)}")
        if not written:
            self._lines.append(f"baseline: nothing to write to {_shown(folder, session)}")

    def _unused(self, used: set[str]) -> None:
        folder = self.gate.folder
        if folder is None or not folder.is_dir():
            return
        from fkeras.campaigns.measured import SCHEMA

        for path in sorted(folder.glob("*.json")):
            if path.name not in used and SCHEMA in path.read_text(encoding="utf-8", errors="replace")[:200]:
                self._lines.append(f"baseline: {path.name} belongs to no test any more; delete it")

    def _not_judged(self, records: list[BudgetRecord], session: pytest.Session) -> None:
        """A tolerance that judged no budget of the whole suite is a gate that is not there."""
        seen = {name for record in records for name in record.metrics}
        for tolerance in self.gate.tolerances:
            if tolerance.metric not in seen:
                self._fail(
                    f"--fkeras-compare-fail={tolerance.metric}:{tolerance} judged nothing: no budget measures "
                    f"'{tolerance.metric}'; there are {', '.join(sorted(seen)) or 'none'}",
                    session,
                )

    def _fail(self, problem: str, session: pytest.Session) -> None:
        self._lines.append(f"baseline: {problem}")
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _is_whole(session: pytest.Session, deselected: bool) -> bool:
    """Whether all tests of the project ran, as far as options tell."""
    config = session.config
    chosen: Any = [getattr(config.option, name, None) for name in _SELECTIONS]
    if deselected or any(chosen) or session.shouldstop or session.shouldfail:
        return False
    if config.args_source != pytest.Config.ArgsSource.ARGS:
        return True
    start = config.invocation_params.dir
    given = {Path(os.path.abspath(start / one)) for one in config.args}
    tests = [config.rootpath / one for one in config.getini("testpaths")]
    return config.rootpath in given or bool(tests and given.issuperset(tests))


def _shown(path: Path, session: pytest.Session) -> str:
    return os.path.relpath(path, session.config.invocation_params.dir)
