"""What became of a run, in a sentence, with its reasons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from fkeras.campaigns.verdict import WORST_FIRST, AnyOutcome, Outcome
from fkeras.report.document import Report
from fkeras.report.record import BudgetRecord
from fkeras.report.table import share_text
from fkeras.report.why import why

Look = Literal["good", "bad", "doubt"]

MOST_REASONS = 3
"""How many tests are named; the table has them all."""

_ENDS: dict[int, tuple[Look, str, str, str]] = {
    0: ("good", "✓", "passed", "The run passed"),
    1: ("bad", "✕", "failed", "The run failed"),
    2: ("doubt", "⊘", "interrupted", "The run was interrupted"),
    5: ("doubt", "⊘", "nothing ran", "No test ran"),
}

_AGAINST: dict[AnyOutcome, str] = {
    Outcome.FAIL: "worse than its baseline",
    Outcome.INCONCLUSIVE: "worse than its baseline or not, which is not decided",
    Outcome.NOT_RUN: "not compared with its baseline",
}


@dataclass(frozen=True, slots=True)
class Headline:
    """look: good only where the run passed and every budget has a verdict; sign: the look in a letter; short: what
    became of the run; counts: what became of the budgets; text: both; reasons: why it is not simply good."""

    look: Look
    sign: str
    short: str
    counts: str
    text: str
    reasons: tuple[str, ...] = ()


def headline_of(report: Report) -> Headline:
    """The headline of a report."""
    broken: tuple[Look, str, str, str] = (
        "bad",
        "✕",
        f"exit code {report.exit_code}",
        f"The run ended with exit code {report.exit_code}",
    )
    look, sign, short, start = _ENDS.get(report.exit_code, broken)
    if not report.tests:
        return Headline("doubt", "⊘", short, "no fault budget", f"{start}, without any fault budget")
    counts, open_ones = _counts(report)
    if look == "good" and open_ones:
        look, sign = "doubt", "?"
    return Headline(look, sign, short, counts, f"{start}: {counts}", _reasons(report))


def test_name(record: BudgetRecord) -> str:
    """A test's name without its file."""
    return record.nodeid.partition("::")[2] or record.nodeid


def _counts(report: Report) -> tuple[str, int]:
    """How many budgets were kept and missed, in words; and how many have no verdict."""
    counts = report.counts
    expected = sum(record.verdict == Outcome.FAIL and record.outcome == "xfailed" for record in report.tests)
    good = [record.outcome == "passed" for record in report.tests if record.verdict in (Outcome.PASS, Outcome.ASSERTED)]
    kept, asserted = good.count(True), good.count(False)
    missed, open_ones = counts[Outcome.FAIL] - expected, counts[Outcome.INCONCLUSIVE] + counts[Outcome.NOT_RUN]
    parts = [f"{kept} of {len(report.tests)} budgets kept"]
    parts += [f"{missed} missed"] if missed else []
    parts += [f"{expected} missed as expected"] if expected else []
    parts += [f"{asserted} failed by the test itself"] if asserted else []
    parts += [f"{open_ones} without a verdict"] if open_ones else []
    return ", ".join(parts), open_ones


def _reasons(report: Report) -> tuple[str, ...]:
    worst = sorted(report.tests, key=lambda record: WORST_FIRST.index(record.verdict))
    lines = [f"{test_name(record)}: {reason}" for record in worst if (reason := reason_of(record))]
    if not lines and report.exit_code == 1:
        lines = ["every budget is kept: a test without a budget failed, or one outside its budget"]
    more = (f"and {len(lines) - MOST_REASONS} more",) if len(lines) > MOST_REASONS else ()
    return (*lines[:MOST_REASONS], *more)


def reason_of(record: BudgetRecord) -> str:
    """Why a test is no success; "" where it is one, was skipped, or fails as expected."""
    if record.outcome in ("xfailed", "skipped"):
        return ""
    if record.verdict in (Outcome.PASS, Outcome.ASSERTED):
        return "its own assertions failed" if record.outcome in ("failed", "error") else ""
    return explained(record) or record.text


def explained(record: BudgetRecord) -> str:
    """What the verdict rests on, the decisive first: a baseline decides where the limit by itself is not broken."""
    counted = share_text(record) if record.is_judged else ""
    most = 1.0 if record.max_failure_rate is None else record.max_failure_rate
    baseline, reasons = against_baseline(record), why(replace(record, comparison=None))
    if baseline and counted and not reasons and record.share_high <= most:
        return f"{baseline}; the limit is kept: {counted}"
    by_limit = (f"over the limit: {counted}" if counted else "", reasons)
    is_over = counted and record.share_low > most
    return "; ".join(filter(None, (*by_limit, baseline) if is_over else (baseline, *by_limit)))


def against_baseline(record: BudgetRecord) -> str:
    """That the baseline is missed, and what shows it; "" where it is not, or was not asked about."""
    comparison = record.comparison
    if comparison is None or comparison.outcome not in _AGAINST:
        return ""
    metrics = (str(metric).replace(f": {metric.outcome}", "", 1) for metric in comparison.metrics)
    return f"{_AGAINST[comparison.outcome]}: {comparison.reason or '; '.join(metrics)}"
