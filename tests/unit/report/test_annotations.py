"""GitHub's annotations: a line per test that failed, which nothing in a name can end or begin."""

from __future__ import annotations

import re

import pytest

from fkeras.report.record import BudgetRecord
from fkeras.report.services import github_annotations
from tests.unit.report.test_hostile_reports import HOSTILE

COMMAND = re.compile(r"::(error|warning) (?:file=([^,:]*),line=(\d+),)?title=([^,:]*)::(.*)")


def unescaped(text: str) -> str:
    """As GitHub's runner reads it."""
    return re.sub("%(0D|0A|3A|2C|25)", lambda found: chr(int(found[1], 16)), text)


def test_what_failed_is_an_error_at_its_line(make_record):
    failed = make_record("t.py::test_a", [3.0] * 60)
    (line,) = github_annotations([failed], {"t.py::test_a": ("sub/t.py", 12)})
    assert line == (
        "::error file=sub/t.py,line=12,title=FAIL test_a::over the limit: 60/60 >95.1 %25"
        "%0Aagain: python -m pytest t.py::test_a"
    )


@pytest.mark.parametrize(
    ("verdict", "outcome", "command"),
    [
        ("FAIL", "failed", "error"),
        ("FAIL", "xfailed", None),
        ("INCONCLUSIVE", "failed", "error"),
        ("INCONCLUSIVE", "passed", "warning"),
        ("NOT_RUN", "error", "error"),
        ("NOT_RUN", "", "error"),
        ("NOT_RUN", "skipped", None),
        ("ASSERTED", "failed", "error"),
        ("ASSERTED", "passed", None),
        ("PASS", "passed", None),
        ("PASS", "failed", "error"),
    ],
)
def test_which_tests_are_marked(verdict, outcome, command):
    lines = github_annotations([BudgetRecord("t.py::t", verdict, "why", outcome=outcome)], {})
    assert [line.split()[0] for line in lines] == ([] if command is None else [f"::{command}"])


def test_the_worst_comes_first(make_record):
    records = [BudgetRecord("t.py::n", "NOT_RUN", "no"), make_record("t.py::f", [3.0] * 60)]
    assert [COMMAND.match(line)[4] for line in github_annotations(records, {})] == ["FAIL f", "NOT_RUN n"]


@pytest.mark.parametrize("text", [HOSTILE, "50 %0A::error::x", "a,line=1:2", "a\r\n::set-output name=x::y", "%"])
def test_nothing_in_a_name_ends_the_command(make_record, text):
    one = BudgetRecord(f"t.py::{text}", "FAIL", text, rerun=text)
    (line,) = github_annotations([one], {one.nodeid: (f"{text}.py", 3)})
    assert "\n" not in line
    assert "\r" not in line
    found = COMMAND.fullmatch(line)
    assert found is not None, line
    assert found[3] == "3"
    if text.isprintable():
        assert unescaped(found[2]) == f"{text}.py"
        assert unescaped(found[4]) == f"FAIL {text}"
        assert unescaped(found[5]) == f"{text}\nagain: {text}"
