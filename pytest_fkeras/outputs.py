"""Where reports go besides the terminal: files, checked when the session starts, written when it is over."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_fkeras.options import OPTIONS, PREFIX, is_on, stated

if TYPE_CHECKING:
    from fkeras.report.document import Report
    from fkeras.report.record import BudgetRecord

FILES = ("json", "html", "trend", "badge", "openmetrics")
"""The options that name a file which holds this run alone."""
_GITHUB_VARIABLE, _STEP_SUMMARY_VARIABLE = "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"
_NO_RUN = ("collectonly", "showfixtures", "show_fixtures_per_test", "cacheshow")
"""Options with which pytest runs no test: nothing to report, and no reason to touch the last report."""


class Outputs(NamedTuple):
    """What to write. targets: the files that hold this run alone, by option; step_summary: a file to append to;
    annotates: whether GitHub reads the output."""

    targets: Mapping[str, Path] = MappingProxyType({})
    step_summary: Path | None = None
    annotates: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """Those that hold this run alone."""
        return tuple(self.targets.values())

    def write_files(self, report: Report) -> None:
        """Write the files that hold this run alone."""
        from fkeras.report.forms import FORMS

        for name, path in self.targets.items():
            FORMS[name].write(report, path)

    def write(self, report: Report) -> None:
        """Write what was asked for."""
        self.write_files(report)
        if self.step_summary is not None and report.tests:
            from fkeras.report.markdown import markdown_summary

            with self.step_summary.open("a", encoding="utf-8") as file:
                file.write(markdown_summary(report))


def outputs_of(config: pytest.Config) -> Outputs:
    """What the command line and the ini file ask for; UsageError for a file that could not be written."""
    if any(getattr(config.option, name, None) for name in _NO_RUN):
        return Outputs()
    summary = os.environ.get(_STEP_SUMMARY_VARIABLE) if is_on(config, "step_summary", default=True) else None
    targets = {name: path for name in FILES if (path := _target(config, name)) is not None}
    on_github = os.environ.get(_GITHUB_VARIABLE) == "true"
    annotates = on_github and is_on(config, "annotations", default=True)
    outputs = Outputs(targets, Path(summary) if summary else None, annotates)
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
        **{OPTIONS[name].flag: path for name, path in outputs.targets.items()},
        _STEP_SUMMARY_VARIABLE: outputs.step_summary,
        "--junitxml": config.invocation_params.dir / os.path.expanduser(junit) if junit else None,
        "--log-file": config.rootpath / log if log else None,
    }
    try:
        require_distinct({option: path for option, path in paths.items() if path is not None})
    except InputError as error:
        raise pytest.UsageError(str(error)) from None


def _target(config: pytest.Config, name: str) -> Path | None:
    target = stated(config, name)
    if target is None:
        return None
    from fkeras.errors import InputError
    from fkeras.files import check_target, require_own
    from fkeras.report.forms import FORMS

    try:
        check_target(target.path)
        if not is_on(config, "force"):
            require_own(target.path, FORMS[name].kind, f"replace it by {OPTIONS['force'].flag}")
    except InputError as error:
        raise pytest.UsageError(f"{target.spelling}: {error}") from None
    return target.path


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


def add_junit_properties(item: pytest.Item, report: pytest.TestReport, record: BudgetRecord) -> None:
    """The record's main facts as user properties, which travel with the reports and end up in JUnit XML."""
    properties: list[tuple[str, object]] = [(f"{PREFIX}verdict", str(record.verdict))]
    if record.assumptions is not None:
        properties += [
            (f"{PREFIX}failures", record.failures),
            (f"{PREFIX}trials", record.trials),
            (f"{PREFIX}share_low", record.share_low),
            (f"{PREFIX}share_high", record.share_high),
            (f"{PREFIX}confidence", record.confidence),
            (f"{PREFIX}seed", record.assumptions.seed),
        ]
        if record.max_failure_rate is not None:
            properties.append((f"{PREFIX}max_failure_rate", record.max_failure_rate))
        for name, metric in record.metrics.items():
            properties += [(f"{PREFIX}mean_{name}", metric.mean), (f"{PREFIX}golden_{name}", metric.golden)]
            properties += [(f"{PREFIX}limit", str(limit)) for limit in metric.limits]
    if record.comparison is not None:
        properties.append((f"{PREFIX}baseline", str(record.comparison.outcome) or "not judged"))
        if record.comparison.reason:
            properties.append((f"{PREFIX}baseline_reason", record.comparison.reason))
        for one in record.comparison.metrics:
            properties.append((f"{PREFIX}baseline_mean_{one.metric}", one.old_mean))
            properties.append((f"{PREFIX}baseline_change_{one.metric}", one.change))
    # A test that is run again has one verdict, the last one.
    for kept in (item.user_properties, report.user_properties):
        kept[:] = [one for one in kept if not one[0].startswith(PREFIX)] + properties
