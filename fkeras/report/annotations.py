"""What GitHub shows beside the lines of a change: a workflow command per test that did not do what it should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fkeras.campaigns.verdict import WORST_FIRST
from fkeras.printable import printable
from fkeras.report.headline import reason_of, test_name
from fkeras.report.record import BudgetRecord

Place = tuple[str, int]
"""A file, as GitHub calls it, and a line of it, from 1."""


def github_annotations(records: Sequence[BudgetRecord], places: Mapping[str, Place]) -> list[str]:
    """A line per test that has a reason not to be a success, the worst first: an error where it failed, a warning where
    it was let through. places: where tests stand, by name; without one the line names none."""
    worst = sorted(records, key=lambda record: WORST_FIRST.index(record.verdict))
    return [_line(record, places.get(record.nodeid)) for record in worst if reason_of(record)]


def _line(record: BudgetRecord, place: Place | None) -> str:
    command = "warning" if record.outcome == "passed" else "error"
    where = {} if place is None else {"file": place[0], "line": str(place[1])}
    properties = {**where, "title": f"{record.label} {test_name(record)}"}
    text = reason_of(record) + (f"\nagain: {record.rerun}" if record.rerun else "")
    said = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    return f"::{command} {said}::{_escaped(text)}"


def _escaped(text: str, separators: str = "") -> str:
    """Text that ends neither the command nor, for its properties, their list."""
    lines = "\n".join(printable(line) for line in text.splitlines())
    for character in f"%\r\n{separators}":
        lines = lines.replace(character, f"%{ord(character):02X}")
    return lines
