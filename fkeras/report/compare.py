"""Two reports against one another, test by test, on identical fault sets where they drew the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fkeras.campaigns.comparison import Comparison, compare
from fkeras.campaigns.measured import Measured
from fkeras.campaigns.verdict import WORST_FIRST, AnyOutcome, Outcome, worst
from fkeras.errors import InputError
from fkeras.report.document import Report
from fkeras.report.record import BudgetRecord
from fkeras.report.table import Paint, unpainted, wrapped

if TYPE_CHECKING:
    from fkeras.statistics.tolerance import Tolerance


@dataclass(frozen=True, slots=True)
class ReportComparison:
    """A report against an earlier one.

    tests: name and comparison of each test of both; missing: tests of the old report that are not in the new one;
    added: the other way round; problems: what else keeps it from passing.
    """

    tests: tuple[tuple[str, Comparison], ...]
    missing: tuple[str, ...]
    added: tuple[str, ...]
    problems: tuple[str, ...] = ()

    @property
    def outcome(self) -> AnyOutcome:
        """The worst; "" where nothing was asked for. A missing test is NOT_RUN."""
        return worst([*(one.outcome for _, one in self.tests), *([Outcome.NOT_RUN] if self.problems else [])])


def compare_reports(
    old: Report, new: Report, tolerances: Sequence[Tolerance] = (), confidence: float = 0.95
) -> ReportComparison:
    """Whether the tests of `new` got worse than those of `old` by more than is tolerated.

    Tests are matched by name, or else by an equal budget, so that a renamed test is found. With tolerances, tests of
    `old` that `new` lacks, a test that measured nothing, and a tolerance that no test measures are NOT_RUN, no pass.
    InputError for a report whose trials are damaged, and for a tolerance relative to a mean of 0.
    """
    before, now = _measured(old, "the old report"), _measured(new, "the new report")
    names = _matched(before, now)
    compared = []
    for name, other in names.items():
        was, one = before[other], now[name]
        if was is None or one is None:
            which = "the old report" if was is None else "the new report"
            reason = f"{which} has no trials of it"
            compared.append((name, Comparison(Outcome.NOT_RUN if tolerances else "", "", confidence, (), reason)))
        else:
            compared.append((name, compare(one, was, tolerances, confidence)))
    missing = tuple(name for name in before if name not in names.values())
    problems = [f"{name} is missing in the new report" for name in missing if tolerances]
    judged = {metric.metric for _, one in compared for metric in one.metrics if metric.outcome}
    problems += [
        f"{one.metric}:{one} judged nothing: no test of both measures '{one.metric}'"
        for one in tolerances
        if one.metric not in judged
    ]
    return ReportComparison(tuple(compared), missing, tuple(name for name in now if name not in names), tuple(problems))


def comparison_lines(found: ReportComparison, width: int = 80, paint: Paint = unpainted) -> list[str]:
    """The comparison as text, the worst first, no line longer than `width` (but for words that are)."""
    lines = []
    for name, one in sorted(found.tests, key=lambda pair: WORST_FIRST.index(pair[1].outcome)):
        label = one.outcome or "compared"
        first, *rest = wrapped(f"{label} {name}: {one.reason or one}", width)
        lines += [paint(one.outcome, label) + first.removeprefix(label), *rest]
    for problem in found.problems:
        first, *rest = wrapped(f"NOT_RUN {problem}", width)
        lines += [paint(Outcome.NOT_RUN, "NOT_RUN") + first.removeprefix("NOT_RUN"), *rest]
    for what, names in (("missing in the new report", found.missing), ("only in the new report", found.added)):
        if names and not (what.startswith("missing") and found.problems):
            lines += wrapped(f"{what}: {', '.join(names)}", width)
    if not found.tests:
        lines.append("the reports have no test in common")
    return lines


def _measured(report: Report, name: str) -> dict[str, Measured | None]:
    return {record.nodeid: _trials_of(record, name) for record in report.tests}


def _trials_of(record: BudgetRecord, name: str) -> Measured | None:
    if record.measured is None:
        return None
    try:
        return Measured.from_plain(record.measured, f"{record.nodeid} in {name}")
    except InputError as error:
        raise InputError(f"{error}, or make the report again") from None


def _matched(before: dict[str, Measured | None], now: dict[str, Measured | None]) -> dict[str, str]:
    """New name -> old name."""
    names = {name: name for name in now if name in before}
    for name, one in now.items():
        if name not in names and one is not None:
            equal = [
                other
                for other, was in before.items()
                if was is not None and was.file_name == one.file_name and other not in now
            ]
            if len(equal) == 1 and equal[0] not in names.values():
                names[name] = equal[0]
    return names
