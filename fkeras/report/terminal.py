"""A report on a terminal, made from its file."""

from __future__ import annotations

import os
import sys

from fkeras.campaigns.verdict import AnyOutcome, Outcome
from fkeras.report.document import Report
from fkeras.report.table import report_lines, unpainted, wrapped

_CODES: dict[str, str] = {
    Outcome.PASS: "32",
    Outcome.FAIL: "1;31",
    Outcome.INCONCLUSIVE: "1;33",
    Outcome.NOT_RUN: "1;33",
}


def report_text(report: Report, width: int = 80, colour: bool = False, *, details: bool = False) -> str:
    """What pytest printed (with details: pytest -v), in lines of at most `width`, and what became of the run."""
    counts = ", ".join(f"{n} {verdict}" for verdict, n in report.counts.items() if n) or "no budget"
    lines = report_lines(report.tests, width, painted if colour else unpainted, details=details)
    lines += wrapped(f"{counts}; exit code {report.exit_code}, made {report.created}", width)
    return "\n".join(lines) + "\n"


def painted(verdict: AnyOutcome, text: str) -> str:
    """`text` in the verdict's colour, in ANSI codes."""
    return f"\x1b[{_CODES[verdict]}m{text}\x1b[0m" if verdict in _CODES else text


def wants_colour() -> bool:
    """Whether standard output shows colours: a terminal, and no NO_COLOR (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
