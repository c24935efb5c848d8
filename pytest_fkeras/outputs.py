"""Where reports go besides the terminal: options, checked when the session starts; files, written when it is over."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_fkeras.places import ini_folder

if TYPE_CHECKING:
    from fkeras.report.document import Report
    from fkeras.report.record import BudgetRecord

_KINDS = {"json": "report", "html": "page"}
FILES = {
    "json": "write the report as JSON (schema fkeras-report/1)",
    "html": "write the report as a self-contained HTML page",
}
KEYS = (*FILES, "junit", "step_summary")
"""The ini keys, without their prefix."""
_JUNIT = "add verdict, share, limits and seed to JUnit XML as properties (strict xunit2 readers refuse them)"
_STEP_SUMMARY = "append a table of the verdicts to GitHub's step summary when there is one (default true)"
_FORCE = "let reports replace files that fkeras did not write"
_STEP_SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
_PREFIX = "fkeras_"
_NO_RUN = ("collectonly", "showfixtures", "show_fixtures_per_test", "cacheshow")
"""Options with which pytest runs no test: nothing to report, and no reason to touch the last report."""


class Outputs(NamedTuple):
    """The files to write; None: not asked for."""

    json: Path | None = None
    html: Path | None = None
    step_summary: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Those that hold this run alone."""
        return tuple(path for path in (self.json, self.html) if path is not None)

    def write_files(self, report: Report) -> None:
        """Write the files that hold this run alone."""
        if self.json is not None:
            report.write(self.json)
        if self.html is not None:
            from fkeras.report.page import write_html

            write_html(report, self.html)

    def write(self, report: Report) -> None:
        """Write what was asked for."""
        self.write_files(report)
        if self.step_summary is not None and report.tests:
            from fkeras.report.markdown import markdown_summary

            with self.step_summary.open("a", encoding="utf-8") as file:
                file.write(markdown_summary(report))


def add_options(group: pytest.OptionGroup, parser: pytest.Parser) -> None:
    """Options and ini keys."""
    for name, text in FILES.items():
        group.addoption(f"--fkeras-{name}", dest=f"fkeras_{name}", default=None, metavar="PATH", help=text)
        parser.addini(f"fkeras_{name}", f"{text}; a path relative to the ini file", default=None)
    group.addoption("--fkeras-force", dest="fkeras_force", action="store_true", help=_FORCE)
    group.addoption("--fkeras-junit", dest="fkeras_junit", action="store_true", help=_JUNIT)
    parser.addini("fkeras_junit", _JUNIT, type="bool", default=None)
    parser.addini("fkeras_step_summary", _STEP_SUMMARY, type="bool", default=None)


def outputs_of(config: pytest.Config) -> Outputs:
    """What the command line and the ini file ask for; UsageError for a file that could not be written."""
    if any(getattr(config.option, name, None) for name in _NO_RUN):
        return Outputs()
    is_wanted = config.getini("fkeras_step_summary") is not False
    summary = os.environ.get(_STEP_SUMMARY_VARIABLE) if is_wanted else None
    outputs = Outputs(
        json=_target(config, "json"), html=_target(config, "html"), step_summary=Path(summary) if summary else None
    )
    _require_distinct(config, outputs)
    return outputs


def _require_distinct(config: pytest.Config, outputs: Outputs) -> None:
    """UsageError where two files that this session writes are one, those of pytest included."""
    if not outputs.files:
        return
    from fkeras.errors import InputError
    from fkeras.files import require_distinct

    junit = getattr(config.option, "xmlpath", None)
    log = getattr(config.option, "log_file", None)
    paths = {
        "--fkeras-json": outputs.json,
        "--fkeras-html": outputs.html,
        _STEP_SUMMARY_VARIABLE: outputs.step_summary,
        "--junitxml": config.invocation_params.dir / os.path.expanduser(junit) if junit else None,
        "--log-file": config.rootpath / log if log else None,
    }
    try:
        require_distinct({option: path for option, path in paths.items() if path is not None})
    except InputError as error:
        raise pytest.UsageError(str(error)) from None


def _target(config: pytest.Config, name: str) -> Path | None:
    given, stated = getattr(config.option, f"fkeras_{name}"), config.getini(f"fkeras_{name}")
    if given is None and not stated:
        return None
    spelling = f"--fkeras-{name}" if given is not None else f"the ini option fkeras_{name}"
    base = config.invocation_params.dir if given is not None else ini_folder(config)
    if given == "":
        raise pytest.UsageError(f"{spelling} names no file; write {spelling}=report.{name}")
    path: Path = base / os.path.expanduser(stated if given is None else given)
    from fkeras.errors import InputError
    from fkeras.files import check_target, require_own

    try:
        check_target(path)
        if not config.option.fkeras_force:
            require_own(path, _KINDS[name], "replace it by --fkeras-force")
    except InputError as error:
        raise pytest.UsageError(f"{spelling}: {error}") from None
    return path


def write_at_the_end(outputs: Outputs, report: Report, session: pytest.Session) -> None:
    """Write the files of a session that is over; what cannot be written makes a session that passed fail."""
    try:
        outputs.write(report)
    except Exception as error:
        from fkeras.printable import printable

        print(printable(f"fkeras: the report could not be written: {type(error).__name__}: {error}"), file=sys.stderr)
        if not isinstance(error, OSError):
            traceback.print_exc()
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


def wants_files(config: pytest.Config) -> bool:
    """Whether this run's report goes into a file."""
    return any(getattr(config.option, f"fkeras_{name}") or config.getini(f"fkeras_{name}") for name in FILES)


def wants_junit(config: pytest.Config) -> bool:
    """Whether JUnit properties were asked for."""
    return bool(config.option.fkeras_junit or config.getini("fkeras_junit"))


def add_junit_properties(item: pytest.Item, report: pytest.TestReport, record: BudgetRecord) -> None:
    """The record's main facts as user properties, which travel with the reports and end up in JUnit XML."""
    properties: list[tuple[str, object]] = [(f"{_PREFIX}verdict", str(record.verdict))]
    if record.assumptions is not None:
        properties += [
            (f"{_PREFIX}failures", record.failures),
            (f"{_PREFIX}trials", record.trials),
            (f"{_PREFIX}share_low", record.share_low),
            (f"{_PREFIX}share_high", record.share_high),
            (f"{_PREFIX}confidence", record.confidence),
            (f"{_PREFIX}seed", record.assumptions.seed),
        ]
        if record.max_failure_rate is not None:
            properties.append((f"{_PREFIX}max_failure_rate", record.max_failure_rate))
        for name, metric in record.metrics.items():
            properties += [(f"{_PREFIX}mean_{name}", metric.mean), (f"{_PREFIX}golden_{name}", metric.golden)]
            properties += [(f"{_PREFIX}limit", str(limit)) for limit in metric.limits]
    if record.comparison is not None:
        properties.append((f"{_PREFIX}baseline", str(record.comparison.outcome) or "not judged"))
        if record.comparison.reason:
            properties.append((f"{_PREFIX}baseline_reason", record.comparison.reason))
        for one in record.comparison.metrics:
            properties.append((f"{_PREFIX}baseline_mean_{one.metric}", one.old_mean))
            properties.append((f"{_PREFIX}baseline_change_{one.metric}", one.change))
    # A test that is run again has one verdict, the last one.
    for kept in (item.user_properties, report.user_properties):
        kept[:] = [one for one in kept if not one[0].startswith(_PREFIX)] + properties
