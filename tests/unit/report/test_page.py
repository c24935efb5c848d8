"""The page is whole, valid, escaped, small, asks for nothing from outside, and leaves no fact out."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from math import inf

import numpy as np
import pytest

from fkeras.campaigns.bit_map import BitMap, TensorMap, map_of
from fkeras.campaigns.dead_tensors import DeadTensor
from fkeras.campaigns.verdict import WORST_FIRST, Outcome
from fkeras.memory import BitSpace, FixedPoint, Register, WordTensor
from fkeras.report.document import Report, new_report
from fkeras.report.headline import headline_of
from fkeras.report.page import LONGEST_PART, MOST_FIGURES, SMALL_TABLE, html_page, write_html
from fkeras.report.record import BudgetRecord, UncoveredTensor
from fkeras.report.services import trend
from fkeras.report.table import report_lines, share_text
from tests.unit.report.test_document import full

VOID = {"meta", "link", "br", "img", "input", "hr", "wbr"}


class Page(HTMLParser):
    """Checks that elements close in order, and collects what a check asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def report(make_record) -> Report:
    tests = [
        full(make_record),
        make_record("t.py::test_kept", [1.0] * 60),
        BudgetRecord("t.py::test_never", "NOT_RUN", "the worker was killed"),
    ]
    return new_report(tests, 1, 20260101)


@pytest.fixture(scope="module")
def page(report) -> str:
    return html_page(report)


def test_it_is_whole(page):
    parsed = Page(page)
    assert page.startswith("<!DOCTYPE html>\n")
    assert parsed.all("html") == [{"lang": "en"}]
    assert [tag for tag, _ in parsed.elements if tag == "h1"] == ["h1"]
    for tag in ("header", "main", "nav", "footer"):
        assert len(parsed.all(tag)) == 1
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [attributes["href"][1:] for attributes in parsed.all("a")]
    assert set(targets) <= set(ids)


def test_it_asks_for_nothing_from_outside(page):
    parsed = Page(page)
    assert not parsed.all("script")
    outside = [
        value for _, attributes in parsed.elements for name, value in attributes.items() if name in ("src", "href")
    ]
    outside += [
        value for _, attributes in parsed.elements for name, value in attributes.items() if name == "xlink:href"
    ]
    assert {value for value in outside if not value.startswith(("#", "data:"))} == set()
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []


def test_it_has_names_for_those_who_do_not_see_it(page):
    parsed = Page(page)
    ids = {attributes["id"] for _, attributes in parsed.elements if "id" in attributes}
    figures = [one for one in parsed.all("svg") if one.get("role") == "img"]
    # One map; trials of two tests; damage, survival, protection curve and comparison of one.
    assert len(figures) == 7
    assert all(set(one["aria-labelledby"].split()) <= ids for one in figures)
    assert all(one.get("aria-hidden") == "true" for one in parsed.all("svg") if one.get("role") != "img")
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    assert all(one.get("scope") in ("col", "row") for one in parsed.all("th"))
    roles = {"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "td": "cell"}
    for tag, role in roles.items():
        assert {one["role"] for one in parsed.all(tag)} == {role}, "cards are no table any more, unless they say so"
    assert {(one["scope"], one["role"]) for one in parsed.all("th")} == {("col", "columnheader"), ("row", "rowheader")}
    for one in parsed.all("div"):
        if one.get("class") == "scroll":
            assert one["role"] == "region"
            assert one["aria-label"]
            assert one["tabindex"] == "0"
    levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize(
    "fact",
    [
        "The run failed: 1 of 3 budgets kept, 1 missed, 1 without a verdict",
        "exit code 1",
        "seed 20260101",
        "FAIL",
        "PASS",
        "NOT_RUN",
        "the worker was killed",
        "40/100 >31.8 %",
        "emd ≤ 2",
        "conv/kernel",
        "conv/bias",
        "2 distinct bits, uniform over 8",
        "8 stored bits that faults can hit",
        "0.9 ± 0.01",
        "conv/kernel[0]:0",
        "Survives 81 flips, not 148 flips",
        "The smallest number of protected bits found to pass is 6; 4 do not pass",
        "|change of emd|",
        "Compared with the baseline",
        "Drift since the anchored release",
        "1 → 1.05",
        "baselines/a.json",
        "worse by more than 5 % in 30 of 60 pairs",
        "python -m pytest t.py::test_full",
        "1 -> -1",
    ],
)
def test_it_says(page, fact):
    assert fact in " ".join(Page(page).text.split())


def test_the_worst_comes_first(page):
    rows = [
        re.sub("<wbr>", "", row)
        for row in re.findall(r'<th role="rowheader" data-label="Test" scope="row" class="name">(.*?)<small>', page)
    ]
    names = [re.sub("<[^>]*>", "", row) for row in rows]
    assert names[:3] == ["test_full", "test_never", "test_kept"]


def test_every_cell_knows_its_column(page):
    tables = re.findall(r'<table class="cards.*?</table>', page, re.DOTALL)
    assert len(tables) == page.count("<table")
    for table in tables:
        heads = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', table)
        for row in re.findall(r"<tr[^>]*>.*?</tr>", table.partition("<tbody")[2], re.DOTALL):
            labels = [unescape(label) for label in re.findall(r'<t[dh] role="\w+" data-label="([^"]*)"', row)]
            n_cells = len(re.findall(r"<t[dh]\b", row))
            assert labels == [unescape(head) for head in heads[: len(labels)]]
            assert len(labels) == n_cells - row.count(" colspan=")


def test_the_header_says_what_was_tested(report, make_record):
    context = {"project": "beam<line>", "commit": "0123abcd, changed since", "branch": "feature/x"}
    one = full(make_record)
    assert one.assumptions is not None
    one = replace(one, assumptions=replace(one.assumptions, file="models/encoder.h5"))
    text = " ".join(Page(html_page(replace(report, tests=(one,), context=context))).text.split())
    assert "Fault budgets of beam<line>" in text
    assert "commit 0123abcd, changed since branch feature/x model models/encoder.h5 made" in text


@pytest.mark.parametrize(
    ("tests", "exit_code", "reasons"),
    [
        ("F", 1, ["t.py::F: over the limit: 60/60 >95.1 %"]),
        ("PNF", 1, ["t.py::F: over the limit: 60/60 >95.1 %", "t.py::N: killed"]),
        ("P", 1, ["every budget is kept: a test without a budget failed, or one outside its budget"]),
        ("P", 0, []),
        ("NNNNN", 1, ["t.py::N: killed"] * 3 + ["and 2 more"]),
    ],
)
def test_the_banner_says_why(make_record, tests, exit_code, reasons):
    made = {"F": make_record("t.py::F", [3.0] * 60), "P": make_record("t.py::P", [1.0] * 60)}
    records = [made.get(name) or BudgetRecord(f"t.py::{name}", "NOT_RUN", "killed") for name in tests]
    text = html_page(new_report(records, exit_code, 0))
    listed = re.search(r'<ul class="reasons">(.*?)</ul>', text, re.DOTALL)
    lines = [] if listed is None else re.findall(r"<li>(.*?)</li>", listed[1])
    lines = [unescape(line.replace("<wbr>", "")) for line in lines]
    assert len(lines) == len(reasons)
    assert all(f"t.py::{line}".startswith(start) or line == start for line, start in zip(lines, reasons, strict=True))


def test_the_banner_counts_no_trials_where_there_were_none(make_record):
    one = replace(make_record("t.py::test", [3.0] * 60), trials=0, failures=0, text="FAIL: broken")
    assert headline_of(new_report([one], 1, 0)).reasons == ("test: FAIL: broken",)


def test_weights_of_one_layer_left_out_for_one_reason_are_one_row(make_record):
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    left_out = [UncoveredTensor(f"net/bn_{n}/{name}", 16, "float layer") for n in (1, 2) for name in names]
    one = make_record("t.py::test", [1.0] * 60)
    others = (*left_out, UncoveredTensor("net/bn_1/scale", 2, "other"), UncoveredTensor("alone", 1, "float layer"))
    parts = [f"{part}/{name}" for part in ("query", "key") for name in ("kernel", "bias")]
    others += tuple(UncoveredTensor(f"net/attention/{part}", 8, "float layer", "net/attention") for part in parts)
    text = html_page(new_report([replace(one, assumptions=replace(one.assumptions, not_covered=others))], 0, 0))
    table = text[text.index("Not covered: no fault") :].partition("</table>")[0].replace("<wbr>", "")
    rows = [
        re.sub("<[^>]*>", " ", row).split() for row in re.findall(r"<tr[^>]*>(.*?)</tr>", table.partition("<tbody")[2])
    ]
    listed = ["gamma,", "beta,", "moving_mean,", "moving_variance"]
    assert rows == [
        ["net/bn_1", *listed, "64", "float", "layer"],
        ["net/bn_2", *listed, "64", "float", "layer"],
        ["net/bn_1/scale", "2", "other"],
        ["alone", "1", "float", "layer"],
        ["net/attention", "query/kernel,", "query/bias,", "key/kernel,", "key/bias", "32", "float", "layer"],
    ]


def test_a_broken_set_up_is_said_before_any_number(make_record):
    one = make_record("t.py::test_broken", [3.0] * 60)
    chance = replace(one.metrics["emd"], chance=0.95)
    broken = ("emd 0.9 is no better than chance, 0.95",)
    dead = (DeadTensor("conv/kernel", 8, 8),)
    one = replace(one, metrics={"emd": chance}, broken=broken, golden_limits=("max_golden_emd=0.5",), dead=dead)
    text = " ".join(Page(html_page(new_report([one], 1, 0))).text.split())
    assert "more trials do not shrink it); chance 0.95" in text
    for fact in (*broken, "max_golden_emd=0.5", str(dead[0])):
        assert fact in text


def words(*tests: BudgetRecord) -> str:
    return " ".join(Page(html_page(new_report(tests, 1, 0))).text.split())


@pytest.mark.parametrize(
    ("changes", "required"),
    [
        ({}, "emd ≤ 2 in at least 95 % of all trials, at 0.95 confidence"),
        ({"max_failure_rate": 0.0}, "emd ≤ 2 in all trials, at 0.95 confidence"),
        ({"most_bits": 3}, "emd ≤ 2, which at most 3 bits may break alone"),
        ({"most_bits": 0}, "emd ≤ 2, which no bit may break alone"),
    ],
)
def test_a_broken_set_up_changes_nothing_of_what_was_required(unmeasured, changes, required):
    text = words(replace(unmeasured, verdict=Outcome.FAIL, broken=("golden emd is no better than chance",), **changes))
    assert f"Required{required}" in text
    assert "Mean emdnot measured" in text
    for number in ("inf", "0 confidence", "0/0", "nan"):
        assert number not in text.partition("Test by test")[2]


def test_what_was_not_judged_has_no_point_and_no_bounds(unmeasured):
    report = new_report([replace(unmeasured, verdict=Outcome.FAIL, broken=("broken",))], 1, 0)
    assert share_text(report.tests[0]) == "0 trials"
    assert trend(report).strip() == "[]"
    assert "one-sided" not in " ".join(report_lines(report.tests, 120))
    assert '<svg class="bound"' not in html_page(report)


def test_a_mean_that_nothing_bounds_has_no_interval_in_numbers(make_record):
    one = full(make_record)
    assert one.endurance is not None
    points = tuple(replace(point, mean=1.0, low=0.9, high=1.2, mean_low=0.95) for point in one.endurance.curve)
    wide, narrow = (replace(point, mean_high=high) for point, high in zip(points, (5.0, 1.1), strict=False))
    unbounded = replace(one.metrics["emd"], mean=1.0, mean_low=-inf, mean_high=inf)
    endurance = replace(one.endurance, curve=(wide, narrow))
    text = words(replace(one, metrics={"emd": unbounded}, endurance=endurance))
    dash = "[\N{EN DASH}]"
    assert f"1 {dash}0.9 to 1.2" in text
    assert "1 [0.95, 1.1]0.9 to 1.2" in text
    assert "[0.95, 5]" not in text
    assert f"Mean emd1 {dash}, " in text


@pytest.mark.parametrize(
    ("values", "outcome", "start", "end"),
    [
        ([1.0] * 60, "FAIL", "worse than its baseline: emd", "; the limit is kept: 0/60 <4.9 %"),
        ([1.0] * 60, "INCONCLUSIVE", "worse than its baseline or not, which is not decided: emd", "0/60 <4.9 %"),
        ([1.0] * 30, "FAIL", "worse than its baseline: emd", "over the limit: 0/30 0 to 9.5 %; about"),
        ([3.0] * 60, "FAIL", "over the limit: 60/60 >95.1 %; ", "worse than its baseline: emd"),
    ],
)
def test_what_decides_is_said_first(make_record, values, outcome, start, end):
    comparison = full(make_record).comparison
    assert comparison is not None
    metrics = tuple(replace(metric, outcome=outcome) for metric in comparison.metrics)
    one = make_record("t.py::test", values)
    one = replace(
        one,
        verdict=min(one.verdict, outcome, key=WORST_FIRST.index),
        text=f"{one.text}; against the baseline {comparison}",
        comparison=replace(comparison, outcome=outcome, metrics=metrics),
        outcome="failed",
    )
    (reason,) = headline_of(new_report([one], 1, 0)).reasons
    assert reason.startswith(f"test: {start}")
    assert end in reason
    assert f": {outcome}" not in reason
    text = words(one)
    assert "PASS: " not in text
    assert f"{start[:1].upper()}{start[1:]}" in text.partition("Test by test")[2], "the test's own section, too"


@pytest.mark.parametrize("outcome", ["FAIL", "INCONCLUSIVE", "PASS", ""])
def test_what_became_of_the_comparison_is_said_once_in_its_row(make_record, outcome):
    comparison = full(make_record).comparison
    assert comparison is not None
    metrics = tuple(replace(metric, outcome=outcome) for metric in comparison.metrics)
    one = replace(
        make_record("t.py::test", [1.0] * 60), comparison=replace(comparison, outcome=outcome, metrics=metrics)
    )
    (cell,) = re.findall(r'data-label="Against the baseline">(.*?)</td>', html_page(new_report([one], 1, 0)))
    assert re.findall(r"[A-Z]{4,}", cell) == ([outcome] if outcome else [])


def test_an_expected_miss_of_the_baseline_is_said(make_record):
    one = replace(full(make_record), minimal_faults=None, outcome="xfailed")
    assert headline_of(new_report([one], 0, 0)).reasons == ()
    assert "worse than its baseline: emd" in words(one)


def test_it_says_of_a_minimal_set_no_more_than_is_known(make_record):
    text = words(full(make_record))
    assert "1 of the 2 faults of trial 3" in text
    assert "without any one of them the limit is kept" in text
    assert "fewest" not in text


@pytest.mark.parametrize("broken", [(), ("golden emd is no better than chance",)])
def test_no_map_claims_nothing_about_rankings(unmeasured, broken):
    text = words(replace(unmeasured, broken=broken))
    assert "no ranking was used" not in text
    assert ("A test whose set-up is broken has none" in text) == bool(broken)


def test_everything_from_users_is_escaped(make_record):
    nasty = "<script>alert('x')</script>&\"<img src=x onerror=y>"
    one = full(make_record)
    assert one.assumptions is not None
    assumed = replace(
        one.assumptions,
        **{name: nasty for name in ("model", "fault_model", "flips", "protection", "protected", "engine")},
        covered=(replace(one.assumptions.covered[0], path=nasty),),
        not_covered=(replace(one.assumptions.not_covered[0], path=nasty, reason=nasty),),
    )
    assert one.bit_map is not None
    assert one.endurance is not None
    bad = replace(
        one,
        nodeid=f"t.py::test[{nasty}]",
        text=nasty,
        rerun=nasty,
        assumptions=assumed,
        metrics={nasty: one.metrics["emd"]},
        most_damaging=(nasty,),
        measured=None,
        bit_map=replace(one.bit_map, source=nasty, quantity=nasty),
        endurance=replace(one.endurance, text=nasty, faults=nasty, protection=nasty, metric=nasty, unit=nasty),
    )
    text = html_page(new_report([bad, BudgetRecord(nasty, "NOT_RUN", nasty)], 1, 0))
    parsed = Page(text)
    assert not parsed.all("script")
    assert not parsed.all("img")
    assert not any("onerror" in attributes for _, attributes in parsed.elements)
    assert parsed.text.count("alert('x')") > 10


def test_names_of_files_and_tests_with_tex_in_them_are_drawn(make_record):
    one = full(make_record)
    assert one.endurance is not None
    text = html_page(new_report([replace(one, endurance=replace(one.endurance, metric=r"$\bad{$", unit="$x$"))], 1, 0))
    assert [label in text for label in (r">$\bad{$</text>", ">$x$</text>")] == [True, True]


def test_without_matplotlib_it_says_what_to_install(monkeypatch, make_record):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    text = html_page(new_report([full(make_record)], 1, 0))
    parsed = Page(text)
    assert not [one for one in parsed.all("svg") if one.get("role") == "img"]
    assert "pip install 'pytest-fkeras[plot]'" in parsed.text
    assert "The smallest number of protected bits" in " ".join(parsed.text.split())


def test_many_tests_stay_small(tmp_path, monkeypatch, make_record, page):
    one = full(make_record)
    tests = [replace(one, nodeid=f"t.py::test_{i}") for i in range(200)]
    monkeypatch.setattr("fkeras.report.page.MOST_FIGURES", 2)
    write_html(new_report(tests, 1, 0), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    largest = max(map(len, re.findall(r'<svg viewBox="[^"]*" role="img".*?</svg>', page, re.DOTALL)))
    assert len(text) + MOST_FIGURES * largest < 2_000_000
    assert "Figures are shown for the first tests only" in text
    assert "The worst 50 tests are shown; the JSON report has all." in text


@pytest.mark.parametrize(
    ("exit_code", "outcome", "headline"),
    [
        (0, "xfailed", "The run passed: 1 of 2 budgets kept, 1 missed as expected"),
        (1, "failed", "The run failed: 1 of 2 budgets kept, 1 missed"),
        (2, "failed", "The run was interrupted: 1 of 2 budgets kept, 1 missed"),
        (3, "failed", "The run ended with exit code 3: 1 of 2 budgets kept, 1 missed"),
    ],
)
def test_the_headline(make_record, exit_code, outcome, headline):
    tests = [make_record("t.py::a", [3.0] * 60, outcome=outcome), make_record("t.py::b", [1.0] * 60)]
    assert headline in " ".join(Page(html_page(new_report(tests, exit_code, 0))).text.split())


def test_no_budget_is_no_pass():
    text = Page(html_page(new_report([], 0, 0))).text
    assert "The run passed, without any fault budget" in text
    assert "Nothing was shown about any model" in text


def test_the_same_report_is_the_same_page(report, page):
    assert html_page(report) == page


def test_nothing_is_wider_than_a_telephone(page):
    css = page.partition("<style>")[2].partition("</style>")[0]
    widths = [float(size) for size in re.findall(r"min-width: ([\d.]+)rem", css)]
    assert max(widths) <= 20
    grids = re.findall(r"minmax\(([^;{]*?), 1fr\)", css)
    assert grids
    assert all(grid.startswith("min(100%") for grid in grids), "a column gives way where the screen is narrower"
    assert "min-width" not in "".join(re.findall(r'style="([^"]*)"', page))
    assert "overflow-x" not in re.sub(r"\.scroll \{ overflow-x: auto[^}]*\}", "", css)


def test_headings_stay_with_what_they_head(page):
    css = page.partition("@media print")[2].partition("</style>")[0]
    (kept,) = re.findall(r"^ *([^{}]*)\{ break-after: avoid; \}", css, re.MULTILINE)
    assert {"h1", "h2", "h3", "h4", "caption", "thead"} <= {name.strip() for name in kept.split(",")}
    assert "article { break-inside" not in css, "a long one would leave most of a page empty"


@pytest.mark.parametrize("name", ["x" * 300, "a_b/c.d::e(f)", "<b>&\"'", "1.5 % of 0.25", "ä" * 50])
def test_names_break_where_they_must_and_lose_nothing(make_record, name):
    one = BudgetRecord(f"t.py::{name}", "NOT_RUN", name)
    text = html_page(new_report([one], 1, 0))
    cell = re.findall(r'<th role="rowheader" data-label="Test"[^>]*>(.*?)<small>', text, re.DOTALL)[0]
    assert unescape(cell.replace("<wbr>", "")) == name
    assert max(len(unescape(part)) for part in re.split(r"<wbr>|\s", cell)) <= LONGEST_PART + 1
    assert not re.search(r"\d\.<wbr>\d", cell)


def test_shares_are_shaded_from_0_to_1(make_record):
    half = BitMap(
        "a mask", "share of bits protected", (TensorMap("t", 2, (0.5, 0.0), (1.0, 0.0)),), ((0.5,), (0.0,)), 2
    )
    text = html_page(new_report([replace(make_record("t.py::test", [1.0] * 60), bit_map=half)], 0, 0))
    assert re.findall(r'class="heat" style="--v:([\d.]+)"', text) == ["0.50", "0.00"]
    assert "sensitive bits are" not in text, "a mask says nothing about that"


def test_paper_breaks_no_row_and_no_small_table(page):
    css = page.partition("@media print")[2].partition("</style>")[0]
    (whole,) = re.findall(r"^ *([^{}]*)\{ break-inside: avoid; \}", css, re.MULTILINE)
    assert {"tr", "td", "th", ".small", "figure"} <= {name.strip() for name in whole.split(",")}
    tables = re.findall(r'<table class="cards[^"]*".*?</table>', page, re.DOTALL)
    for table in tables:
        n_rows = table.partition("<tbody")[2].count("<tr ")
        assert ("small" in table.partition(">")[0]) == (n_rows <= SMALL_TABLE)


def test_registers_and_the_most_critical_bits_stand_in_the_map(make_record):
    codec = FixedPoint(4, 0)
    kernel = WordTensor("d/kernel", (2,), codec, np.zeros(2, np.uint32), np.ones(2, "f4"), np.zeros(2, "f4"))
    space = BitSpace((kernel,), registers=(Register("d/activation", (2, 1), codec, "activations", "d/activation"),))
    values = np.concatenate([np.zeros(7), [0.25], np.full(7, np.nan), [0.5]])
    found = map_of(values, space, "every single flip measured on 9 samples", "|change of mse|")
    assert [(bit.address, bit.value) for bit in found.critical] == [
        ("d/activation[1,0]:3", 0.5),
        ("d/kernel[1]:3", 0.25),
    ]
    assert [tensor.overall for tensor in found.tensors] == [0.03125, 0.5]
    assert map_of(values, space, "a mask", "share of bits protected").critical == ()
    report = new_report([replace(make_record("t.py::test", [1.0] * 60), bit_map=found)], 0, 0)
    text = re.sub("<wbr>", "", html_page(report))
    assert "Most critical: <code>d/activation[1,0]:3</code> 0.5, <code>d/kernel[1]:3</code> 0.25." in text
    assert "2 words, mean 0.5</small>" in text
    lines = "\n".join(report_lines(report.tests, 300, details=True))
    assert "mean by tensor: d/activation 0.5, d/kernel 0.03125" in lines
    assert "most critical: d/activation[1,0]:3 0.5, d/kernel[1]:3 0.25" in lines
