"""A report's file on a terminal, and as Markdown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from fkeras.report.document import new_report
from fkeras.report.markdown import MOST_CHARACTERS, MOST_ROWS, markdown_summary
from fkeras.report.record import BudgetRecord
from fkeras.report.table import report_text, wants_colour
from tests.unit.report.test_document import full


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_text_says_what_became_of_the_run(make_record, width):
    report = new_report([make_record("t.py::test_a", [1.0] * 60), make_record("t.py::test_b", [3.0] * 60)], 1, 7)
    text = report_text(report, width)
    assert max(map(len, text.splitlines())) <= width
    assert " ".join(text.split()).endswith(f"1 FAIL, 1 PASS; exit code 1, made {report.created}")
    assert "\x1b" not in text
    coloured = report_text(report, width, colour=True)
    assert "\x1b[32mPASS\x1b[0m" in coloured
    assert coloured.replace("\x1b[32m", "").replace("\x1b[1;31m", "").replace("\x1b[0m", "") == text


@pytest.mark.parametrize(
    ("is_terminal", "variables", "wanted"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colour_is_for_terminals(monkeypatch, is_terminal, variables, wanted):
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert wants_colour() == wanted


def test_markdown_has_the_worst_first_and_says_what_it_leaves_out(make_record):
    passing = [make_record(f"t.py::test_{i}", [1.0] * 60) for i in range(MOST_ROWS)]
    report = new_report([*passing, BudgetRecord("t.py::<b>|`x", "NOT_RUN", "a\nb|c", outcome="error")], 1, 7)
    lines = markdown_summary(report).splitlines()
    assert lines[2] == f"1 NOT_RUN, {MOST_ROWS} PASS of {MOST_ROWS + 1} budgets; pytest's exit code 1, seed 7."
    assert "`t.py::<b>\\|'x`" in lines[6]
    assert "`a b\\|c`" in lines[6]
    assert "| NOT_RUN" in lines[6]
    assert lines[-2] == "1 more tests are in the JSON report."


def test_markdown_explains_what_failed(make_record):
    failed = full(make_record)
    text = markdown_summary(new_report([failed, make_record("t.py::test_kept", [1.0] * 60)], 1, 7, {"commit": "0123"}))
    assert "seed 7.\n\nCommit `0123`.\n" in text
    details = text[text.index("**FAIL**") :].splitlines()
    assert details[0] == "**FAIL** `test_full`"
    assert details[2].startswith("- `over the limit: 40/100 >31.8 %; ")
    assert details[3:5] == [
        "- 1 of 2 faults of trial 3 are enough, none of which can be left out: `conv/kernel[0]:0 1 -> -1`",
        "- again: `python -m pytest t.py::test_full`",
    ]
    assert "test_kept" not in "\n".join(details)


def test_markdown_fits_a_comment(make_record):
    failed = replace(full(make_record), rerun="x" * 5000)
    many = [replace(failed, nodeid=f"t.py::test_{i}{'y' * 500}") for i in range(200)]
    text = markdown_summary(new_report(many, 1, 7))
    assert len(text) <= MOST_CHARACTERS + 100
    assert text.endswith("The rest is in the JSON report.\n\n")
    shown = sum(line.startswith("|") for line in text.splitlines()) - 2
    assert 20 < shown < 100
    assert f"{200 - shown} more tests are in the JSON report." in text


@pytest.mark.parametrize(
    "name", ["a`b", "``", "`", "<img src=x>", "|", "\\`", "*a*", "](http://x)", "a\n\n# b", "@all", "#1", " a "]
)
def test_names_are_no_markdown(make_record, name):
    failed = replace(full(make_record), nodeid=f"t.py::{name}", rerun=name)
    text = markdown_summary(new_report([failed], 1, 7))
    spans, rest = [], MarkdownIt("commonmark").enable("table").parse(text)
    for token in rest:
        assert token.type not in ("html_block", "code_block")
        spans += [child.content for child in token.children or () if child.type == "code_inline"]
        assert not any(child.type in ("html_inline", "link_open", "em_open") for child in token.children or ())
    assert spans.count(" ".join(name.split())) >= 2
