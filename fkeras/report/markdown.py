"""The verdicts in Markdown, for GitHub's step summary and for comments."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fkeras.campaigns.verdict import WORST_FIRST, Outcome
from fkeras.printable import printable
from fkeras.report.document import Report
from fkeras.report.headline import reason_of, test_name
from fkeras.report.record import BudgetRecord
from fkeras.report.table import limit_text, share_text

MOST_ROWS = 100
MOST_DETAILED, MOST_FAULTS = 10, 10
"""Failed tests that are explained, and faults of a minimal set that are named."""
MOST_CHARACTERS = 60_000
"""A comment on GitHub holds 65,536; what matters most comes first."""

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
    """A heading, one sentence, a table with the worst verdicts first, and what explains the tests that failed: as much
    of it as a comment on GitHub holds."""
    rows = sorted(report.tests, key=lambda record: WORST_FIRST.index(record.verdict))
    table, n_rows = _table(report, rows)
    said = [f"- {_cell(record.nodeid)}: {_cell('; '.join(record.notices))}" for record in rows if record.notices]
    more = [f"{len(rows) - n_rows} more tests are in the JSON report."] if len(rows) > n_rows else []
    lists = ["\n".join(said[:MOST_ROWS])] if said else []
    details = [_details(record) for record in rows if reason_of(record) and record.assumptions is not None]
    text = ""
    for part in (_head(report), table, *more, *lists, *details[:MOST_DETAILED]):
        if len(text) + len(part) > MOST_CHARACTERS:
            return f"{text}The rest is in the JSON report.\n\n"
        text += f"{part}\n\n"
    return text


def _head(report: Report) -> str:
    counts = ", ".join(f"{n} {verdict}" for verdict, n in report.counts.items() if n)
    about = ", ".join(f"{what} {_cell(fact)}" for what, fact in report.context.items())
    where = f"\n\n{about[:1].upper()}{about[1:]}." if about else ""
    return (
        f"## Fault budgets\n\n{counts} of {len(report.tests)} budgets; pytest's exit code {report.exit_code}, "
        f"seed {report.seed}.{where}"
    )


def _table(report: Report, records: Sequence[BudgetRecord]) -> tuple[str, int]:
    """As many of the records as there is room for, and how many these are."""
    headers, is_compared = list(_HEADERS), any(record.comparison is not None for record in report.tests)
    if is_compared:
        headers.insert(-1, _BASELINE)
    lines, room = [_line(headers), _line(["---"] * len(headers))], MOST_CHARACTERS // 2
    for record in records[:MOST_ROWS]:
        cells = _row(record)
        if is_compared:
            cells.insert(-1, _baseline(record))
        lines.append(_line(cells))
        room -= len(lines[-1])
        if room < 0:
            lines.pop()
            break
    return "\n".join(lines), len(lines) - 2


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _details(record: BudgetRecord) -> str:
    """Why a test failed, faults that are enough for it, and the line that shows it again."""
    lines = [f"**{record.label}** {_code(test_name(record))}", f"- {_code(reason_of(record))}"]
    least = record.minimal_faults
    if least is not None:
        changes = least.changes or ("",) * len(least.faults)
        shown = [_code(f"{bit} {change}") for bit, change in zip(least.faults, changes, strict=True)][:MOST_FAULTS]
        rest = [f"{len(least.faults) - MOST_FAULTS} more"] if len(least.faults) > MOST_FAULTS else []
        spare = ", none of which can be left out" if least.is_minimal else ""
        enough = f"{len(least.faults)} of {least.n_faults} faults of trial {least.trial} are enough{spare}"
        lines.append(f"- {enough}: {', '.join([*shown, *rest])}")
    lines += [f"- again: {_code(record.rerun)}"] if record.rerun else []
    return "\n".join([lines[0], "", *lines[1:]])


def _row(record: BudgetRecord) -> list[str]:
    assumed = record.assumptions
    if assumed is None:
        return [_SIGNS[record.verdict], _cell(record.nodeid), "", "", "", _cell(record.text), "", record.label]
    limited = {name: metric for name, metric in record.metrics.items() if metric.limits} or record.metrics
    means = [f"{name} {metric.mean:.4g}" if record.trials else f"{name} -" for name, metric in limited.items()]
    limits = [limit_text(limit) for metric in limited.values() for limit in metric.limits]
    texts = (record.nodeid, assumed.flips, assumed.protected, ", ".join(means), ", ".join(limits), share_text(record))
    return [_SIGNS[record.verdict], *map(_cell, texts), record.label]


def _baseline(record: BudgetRecord) -> str:
    """What the comparison says; how often limits were broken says nothing about it."""
    comparison = record.comparison
    return "" if comparison is None else _cell(comparison.reason or "; ".join(map(str, comparison.metrics)))


def _code(text: str) -> str:
    """Text as a code span with nothing in it changed, which ends where nothing in it can end it."""
    plain = printable(" ".join(text.split()))
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    return f"{fence} {plain} {fence}" if "`" in plain else f"`{plain}`"


def _cell(text: str) -> str:
    """Text as a code span in one cell, so that nothing in it is Markdown or HTML."""
    # A backslash before a pipe would undo the one that keeps the pipe from ending the cell.
    plain = printable(" ".join(text.split())).replace("\\|", "\\ |").replace("|", "\\|").replace("`", "'")
    return f"`{plain}`" if plain else ""
