"""The verdicts as a Markdown table, for GitHub's step summary."""

from __future__ import annotations

from tabulate import tabulate

from fkeras.campaigns.verdict import WORST_FIRST, Outcome
from fkeras.printable import printable
from fkeras.report.document import Report
from fkeras.report.record import BudgetRecord
from fkeras.report.table import limit_text, share_text

MOST_ROWS = 100
"""GitHub shows 1 MiB of a summary; the rows that matter most come first."""

_SIGNS = {
    Outcome.FAIL: "❌",
    Outcome.NOT_RUN: "⛔",
    Outcome.INCONCLUSIVE: "❔",
    Outcome.ASSERTED: "☑️",
    Outcome.PASS: "✅",
}
_BASELINE = "baseline"
_HEADERS = ("", "test", "flips", "protected", "mean", "limit", "over limit", "verdict")


def markdown_summary(report: Report) -> str:
    """A heading, one sentence, and a table with the worst verdicts first."""
    counts = ", ".join(f"{n} {verdict}" for verdict, n in report.counts.items() if n)
    rows = sorted(report.tests, key=lambda record: WORST_FIRST.index(record.verdict))
    headers, cells = list(_HEADERS), [_row(record) for record in rows[:MOST_ROWS]]
    if any(record.comparison is not None for record in report.tests):
        headers.insert(-1, _BASELINE)
        for record, row in zip(rows, cells, strict=False):
            row.insert(-1, _baseline(record))
    table = tabulate(cells, headers, tablefmt="github", disable_numparse=True)
    more = f"\n\n{len(rows) - MOST_ROWS} more tests are in the JSON report." if len(rows) > MOST_ROWS else ""
    said = [f"- {_cell(record.nodeid)}: {_cell('; '.join(record.notices))}" for record in rows if record.notices]
    notices = "\n\n" + "\n".join(said[:MOST_ROWS]) if said else ""
    return (
        f"## Fault budgets\n\n{counts} of {len(report.tests)} budgets; pytest's exit code {report.exit_code}, "
        f"seed {report.seed}.\n\n{table}{more}{notices}\n\n"
    )


def _row(record: BudgetRecord) -> list[str]:
    assumed = record.assumptions
    if assumed is None:
        return [_SIGNS[record.verdict], _cell(record.nodeid), "", "", "", _cell(record.text), "", record.label]
    limited = {name: metric for name, metric in record.metrics.items() if metric.limits} or record.metrics
    means = [f"{name} {metric.mean:.4g}" for name, metric in limited.items()]
    limits = [limit_text(limit) for metric in limited.values() for limit in metric.limits]
    texts = (record.nodeid, assumed.flips, assumed.protected, ", ".join(means), ", ".join(limits), share_text(record))
    return [_SIGNS[record.verdict], *map(_cell, texts), record.label]


def _baseline(record: BudgetRecord) -> str:
    """What the comparison says; how often limits were broken says nothing about it."""
    comparison = record.comparison
    return "" if comparison is None else _cell(comparison.reason or "; ".join(map(str, comparison.metrics)))


def _cell(text: str) -> str:
    """Text as a code span in one cell, so that nothing in it is Markdown or HTML."""
    # A backslash before a pipe would undo the one that keeps the pipe from ending the cell.
    plain = printable(" ".join(text.split())).replace("\\|", "\\ |").replace("|", "\\|").replace("`", "'")
    return f"`{plain}`" if plain else ""
