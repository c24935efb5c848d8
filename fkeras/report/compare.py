"""Two reports against one another, test by test, on identical fault sets where they drew the same."""

from __future__ import annotations

from collections.abc import Sequence

from fkeras.campaigns.measured_campaign import MeasuredCampaign
from fkeras.campaigns.suites import Suite, SuiteComparison, compare_suites
from fkeras.campaigns.verdict import WORST_FIRST, Outcome
from fkeras.errors import InputError
from fkeras.report.document import Report
from fkeras.report.table import Paint, unpainted, wrapped
from fkeras.statistics.tolerance import Tolerance


def compare_reports(
    old: Report, new: Report, tolerances: Sequence[Tolerance] = (), confidence: float = 0.95
) -> SuiteComparison:
    """Whether the tests of `new` got worse than those of `old` by more than is tolerated.

    Tests are matched by name, or else by an equal budget, so that a renamed test is found. With tolerances, tests of
    `old` that `new` lacks, a test that measured nothing, and a tolerance that no test measures are NOT_RUN, no pass.
    The share of draws that may be worse is the `max_failure_rate` of the test in `new`. InputError for a report whose
    trials are damaged, and for a tolerance relative to a mean of 0.
    """
    allowed = {one.nodeid: one.max_failure_rate for one in new.tests if one.max_failure_rate is not None}
    suites = _suite(old, "the old report"), _suite(new, "the new report")
    return compare_suites(*suites, tolerances, confidence, allowed)


def _suite(report: Report, name: str) -> Suite:
    suite: dict[str, MeasuredCampaign | None] = dict.fromkeys(record.nodeid for record in report.tests)
    try:
        for record in report.tests:
            if record.measured is not None:
                suite[record.nodeid] = MeasuredCampaign.from_plain(record.measured, f"{record.nodeid} in {name}")
        return suite
    except InputError as error:
        raise InputError(f"{error}, or make the report again") from None


def comparison_lines(suites: SuiteComparison, width: int = 80, paint: Paint = unpainted) -> list[str]:
    """The comparison as text, the worst first, no line longer than `width` (but for words that are)."""
    lines = []
    for name, comparison in sorted(suites.tests, key=lambda pair: WORST_FIRST.index(pair[1].outcome)):
        label = comparison.outcome or "compared"
        first, *rest = wrapped(f"{label} {name}: {comparison.reason or comparison}", width)
        lines += [paint(comparison.outcome, label) + first.removeprefix(label), *rest]
        lines += [line for notice in comparison.notices for line in wrapped(f"notice: {notice}", width)]
    for problem in suites.problems:
        first, *rest = wrapped(f"NOT_RUN {problem}", width)
        lines += [paint(Outcome.NOT_RUN, "NOT_RUN") + first.removeprefix("NOT_RUN"), *rest]
    for what, names in (
        ("missing in the new report", suites.missing),
        ("only in the new report", suites.added),
        ("better by more than the tolerance, so compare later runs with the new report", suites.tightening),
    ):
        if names and not (what.startswith("missing") and suites.problems):
            lines += wrapped(f"{what}: {', '.join(names)}", width)
    if not suites.tests:
        lines.append("the reports have no test in common")
    return lines
