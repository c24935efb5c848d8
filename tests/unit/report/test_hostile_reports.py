"""Reports come from anywhere: whatever is in one, it is refused in a sentence or shown without harm."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fkeras.errors import InputError
from fkeras.report import compare_reports, comparison_lines, html_page, markdown_summary, read_report, report_text
from fkeras.report.document import Report, new_report
from tests.unit.report.test_document import full

HOSTILE = "x\x1b[2J\x1b[32mPASS\x1b[0m\r\x07\u202e\u200b\x85\u2028|\\|`<script>\n2 PASS; exit code 0"
LIES: list[Any] = [None, True, -1, 0, 10**400, 1.5, 1e308, "nan", "-inf", "", "word", HOSTILE, [], [[]], {}, {"a": 1}]
MUTATIONS = 150


def forms(report: Report) -> Iterator[str]:
    yield report_text(report, 80)
    yield report_text(report, 200)
    yield markdown_summary(report)
    yield html_page(report)
    yield "\n".join(comparison_lines(compare_reports(report, report)))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value below `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield (*path, key)
        yield from places(below, (*path, key))


def changed(text: str, path: tuple[Any, ...], value: Any) -> str:
    values = json.loads(text)
    target = values
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return json.dumps(values)


@pytest.fixture
def text(make_record) -> str:
    records = [full(make_record), make_record("a.py::test_b", [1.0] * 70), make_record("a.py::test_c", [9.0] * 30)]
    return new_report(records, 1, 7).to_json()


@pytest.fixture
def without_figures(monkeypatch):
    monkeypatch.setattr("fkeras.report.page.MOST_FIGURES", 0)


def test_names_never_reach_a_terminal_raw(make_record):
    made = full(make_record)
    names = dict.fromkeys(("text", "rerun"), HOSTILE) | dict.fromkeys(("lines", "notices", "cached"), (HOSTILE,))
    assumed = replace(made.assumptions, model=HOSTILE, protected=HOSTILE, fault_model=HOSTILE)
    metrics = {HOSTILE: made.metrics["emd"]}
    bad = replace(made, nodeid=f"t.py::{HOSTILE}", assumptions=assumed, metrics=metrics, **names)
    for form in forms(new_report([bad, replace(bad, verdict="NOT_RUN", assumptions=None)], 1, 7)):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e]", form)
        assert form.startswith("<!DOCTYPE") or not re.search(r"^ *2 PASS", form, re.MULTILINE)


def test_a_table_keeps_its_columns(make_record):
    made = [replace(full(make_record), nodeid=f"t.py::{name}") for name in ("a|b", r"a\|b", r"a\\|b", "a`|`b", HOSTILE)]
    rows = [line for line in markdown_summary(new_report(made, 1, 7)).splitlines() if line.startswith("|")]
    assert len(rows) == 7
    # As GitHub's cmark-gfm reads a row: a backslash takes the next sign with it.
    assert len({len(re.findall(r"\|", re.sub(r"\\.", "", row))) for row in rows}) == 1


def test_a_report_that_lies_is_refused_or_shown(tmp_path, text, without_figures):
    rng, path, shown = random.Random(5), tmp_path / "r.json", 0
    ways = list(places(json.loads(text)))
    for _ in range(MUTATIONS):
        path.write_text(changed(text, rng.choice(ways), rng.choice(LIES)))
        try:
            shown += all("\x1b" not in form for form in forms(read_report(path)))
        except InputError:
            continue
    assert 0 < shown < MUTATIONS
