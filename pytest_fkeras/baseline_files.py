"""The baseline's files at the end of a session, on the process that the user looks at: written, and found unused."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_fkeras.gate import ATTRIBUTE, KNOWN
from pytest_fkeras.options import OPTIONS, is_on
from pytest_fkeras.session import Gate

if TYPE_CHECKING:
    from fkeras.campaigns.measured_campaign import MeasuredCampaign
    from fkeras.report.record import BudgetRecord

_SELECTIONS = ("keyword", "markexpr", "deselect", "lf", "stepwise", "ignore", "ignore_glob")
"""Options by which pytest runs a part of the tests."""


class BaselineFiles:
    """Collects what budgets measured; under xdist it lives on the controller only."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self._texts: dict[str, str] = {}
        self._lines: list[str] = []
        self._known: set[str] = set()
        self._is_part = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        text = getattr(report, ATTRIBUTE, None)
        if text is not None:
            self._texts[report.nodeid] = text

        # A worker that died says nothing about the budget that it was at.
        if report.when not in ("setup", "call", "teardown"):
            self._is_part = True
        self._known.update(getattr(report, KNOWN, ()))

    def pytest_deselected(self) -> None:
        self._is_part = True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._is_part = self._is_part or report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.gate.folder is None or session.config.option.collectonly:
            return
        from fkeras.report.record import BudgetRecord

        records = [BudgetRecord.from_json(text) for text in self._texts.values()]
        measured = self._measured(records, session)
        if self.gate.update:
            self._write(measured, session)
        unknown = self._unknown(session)
        are_measured = [record.measured is not None for record in records]
        if not _is_whole(session) or self._is_part:
            return
        if all(are_measured):
            self._unused(set(measured))
        if all(are_measured) or not any(are_measured):
            self._not_judged(records, unknown, session)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        from fkeras.printable import printable

        for line in self._lines:
            terminalreporter.write_line(printable(line))

    def _measured(self, records: list[BudgetRecord], session: pytest.Session) -> dict[str, MeasuredCampaign]:
        """By file name, the longest of equal budgets."""
        from fkeras.campaigns.measured_campaign import MeasuredCampaign

        longest: dict[str, MeasuredCampaign] = {}
        ambiguous = set()
        for record in records:
            if record.measured is None:
                continue
            campaign = MeasuredCampaign.from_plain(record.measured, record.nodeid)
            other = longest.setdefault(campaign.file_name, campaign)
            differs = _difference(campaign, other)
            if differs:
                ambiguous.add(campaign.file_name)
                what = "another model" if differs == "model" else "other data"
                self._fail(
                    f"{record.nodeid} measures the budget of another test on {what}, and both get it from the "
                    f"fkeras_{differs} fixture in '{campaign.identity.model}': parametrize this fixture, or write one "
                    "beside each of the tests, so that each has a baseline of its own",
                    session,
                )
            elif campaign.kept > other.kept:
                longest[campaign.file_name] = campaign
        return {name: campaign for name, campaign in longest.items() if name not in ambiguous}

    def _write(self, measured: dict[str, MeasuredCampaign], session: pytest.Session) -> None:
        from fkeras.errors import InputError
        from fkeras.files import require_own, write_text

        folder, written = self.gate.folder, 0
        assert folder is not None
        for name, campaign in measured.items():
            is_new = not (folder / name).exists()
            if self.gate.update == "all" or is_new:
                try:
                    if not is_on(session.config, "force"):
                        require_own(folder / name, "baseline", f"replace it by {OPTIONS['force'].flag}")
                    write_text(folder / name, campaign.to_json())
                except (OSError, InputError) as error:
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
        from fkeras.campaigns.measured_campaign import SCHEMA
        from pytest_fkeras.baseline import files_of

        for path in files_of(folder, SCHEMA):
            if path.name not in used:
                self._lines.append(f"baseline: {path.name} belongs to no test any more; delete it")

    def _unknown(self, session: pytest.Session) -> set[str]:
        """The metrics of tolerances that neither a model under test nor a baseline knows: misspelt, whatever ran."""
        if not self._known or self.gate.folder is None:
            return set()
        unknown = {tolerance.metric for tolerance in self.gate.tolerances} - self._known
        # A part of the tests may be about another model than the one that has the metric.
        if unknown:
            from pytest_fkeras.baseline import metrics_in

            unknown -= metrics_in(self.gate.folder)
        for tolerance in self.gate.tolerances:
            if tolerance.metric in unknown:
                self._fail(
                    f"--fkeras-compare-fail={tolerance} judged nothing: no model under test has a "
                    f"metric '{tolerance.metric}'; there are {', '.join(sorted(self._known))}",
                    session,
                )
        return unknown

    def _not_judged(self, records: list[BudgetRecord], unknown: set[str], session: pytest.Session) -> None:
        """A tolerance that judged no budget of the whole suite is a gate that is not there."""
        seen = {name for record in records for name in record.metrics}
        for tolerance in self.gate.tolerances:
            if tolerance.metric not in seen | unknown:
                why = f"no budget measures '{tolerance.metric}'; there are {', '.join(sorted(seen))}"
                self._fail(
                    f"--fkeras-compare-fail={tolerance} judged nothing: "
                    + (why if seen else "no budget was measured; take it away with the tests, or restore them"),
                    session,
                )

    def _fail(self, problem: str, session: pytest.Session) -> None:
        from fkeras.printable import printable

        self._lines.append(f"baseline: {problem}")
        # The terminal's summary may be turned off, and an exit code alone explains nothing.
        print(printable(f"fkeras baseline: {problem}"), file=sys.stderr)
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _difference(campaign: MeasuredCampaign, other: MeasuredCampaign) -> Literal["model", "data", ""]:
    """Which source of two equal budgets is not the same."""
    from fkeras.campaigns.measured_campaign import same_data

    if campaign.content_digest != other.content_digest:
        return "model"
    return "" if campaign.n_samples == other.n_samples and same_data(campaign.data, other.data) else "data"


def _is_whole(session: pytest.Session) -> bool:
    """Whether all tests of the project ran, as far as options tell."""
    config = session.config
    chosen: Any = [getattr(config.option, name, None) for name in _SELECTIONS]
    if any(chosen) or session.shouldstop or session.shouldfail:
        return False
    start = config.invocation_params.dir
    if config.args_source == pytest.Config.ArgsSource.INVOCATION_DIR:
        return start == config.rootpath
    if config.args_source != pytest.Config.ArgsSource.ARGS:
        return True
    arguments = {Path(os.path.abspath(start / argument)) for argument in config.args}
    tests = [config.rootpath / path for path in config.getini("testpaths")]
    return config.rootpath in arguments or bool(tests and arguments.issuperset(tests))


def _shown(path: Path, session: pytest.Session) -> str:
    return os.path.relpath(path, session.config.invocation_params.dir)
