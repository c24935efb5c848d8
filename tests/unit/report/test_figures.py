"""Figures show what single trials give, zoom to the data, and name what lies off the scale."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from fkeras.campaigns.bit_map import BitMap, TensorMap
from fkeras.campaigns.comparison import Histogram, MetricComparison
from fkeras.campaigns.endurance import EndurancePoint, EnduranceRecord
from fkeras.campaigns.protection_curve import ProtectionCurve
from fkeras.plain import restored
from fkeras.report import figures
from tests.unit.report.test_document import CURVE


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def points(n: int = 10, *, high: float = 3.0, is_survey: bool = False) -> tuple[EndurancePoint, ...]:
    rows = ((1.0, 1.0, 1.0), (10.0, 1.2, 1.5), (100.0, 2.0, high))
    return tuple(
        EndurancePoint(look, n, mean, mean - 0.1, mean + 0.1, 0, 0.0, 0.3, 0.9, mean, high, is_survey)
        for look, mean, high in rows
    )


RECORD = EnduranceRecord("emd", "flips", 0.9, "", points())


@pytest.mark.parametrize("limit", [1.5, 1000.0])
def test_damage_shows_what_trials_give_beside_the_mean(limit):
    figure = figures.damage_figure(RECORD, [limit])
    (axes,) = figure.axes
    (band,) = [one for one in axes.collections if "Fill" in type(one).__name__ or "Poly" in type(one).__name__]
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.round(6)}
    assert {(1.0, 0.9), (100.0, 0.9), (10.0, 1.5), (100.0, 3.0)} <= corners
    assert "80 % of trials" in legend(figure)
    assert "mean of 10, 95 %" in legend(figure)
    low, high = axes.get_ylim()
    assert low < 0.9 < 3.0 < high < 4, "zoomed to the data"
    assert ("limit 1000, far above" in legend(figure)) == (limit == 1000)
    assert ("limit 1.5" in legend(figure)) == (limit == 1.5)


def test_an_interval_wider_than_the_figure_is_said_and_not_drawn():
    wide = tuple(replace(point, mean_low=-math.inf, mean_high=math.inf) for point in points())
    figure = figures.damage_figure(replace(RECORD, curve=wide), [])
    assert "mean of 10, whose 95 % is wider" in legend(figure)
    assert figure.axes[0].get_ylim()[1] < 4


def test_a_spread_that_reaches_infinity_reaches_the_edge():
    figure = figures.damage_figure(replace(RECORD, curve=points(high=math.inf)), [])
    (axes,) = figure.axes
    tops = max(corner[1] for one in axes.collections for path in one.get_paths() for corner in path.vertices)
    assert math.isfinite(tops)
    assert tops >= 2.0


def test_a_survey_and_a_proof_are_two_lines():
    record = replace(RECORD, curve=(*points(30, is_survey=True), *points(30)))
    means = [label for label in legend(figures.damage_figure(record, [])) if label.startswith("mean")]
    assert means == ["mean of 30, 95 %"] * 2


def test_reports_that_kept_no_spread_are_drawn_without_one():
    old = tuple(replace(point, low=None, median=None, high=None) for point in points())
    assert "80 % of trials" not in legend(figures.damage_figure(replace(RECORD, curve=old), []))


@pytest.mark.parametrize(("limit", "is_shown"), [(2.1, True), (1e3, False)])
def test_trials_fill_their_axes(limit, is_shown):
    values = np.random.default_rng(0).normal(2, 0.05, 200)
    figure = figures.trials_figure(values, 1.9, [limit], "emd")
    low, high = figure.axes[0].get_xlim()
    assert high - low < 1.5 * (values.max() - values.min() + 0.2)
    assert (f"limit {limit:.4g}" in legend(figure)) == is_shown
    assert ("limit 1000, far to the right" in legend(figure)) != is_shown


def test_trials_of_few_samples_have_no_narrower_bins_than_their_metric():
    values = np.repeat(np.arange(15, 20) / 20, 6)
    figure = figures.trials_figure(values, 0.95, [], "accuracy")
    bars = [bar for bar in figure.axes[0].patches if bar.get_width() > 0]
    assert [bar.get_height() for bar in bars] == [6] * 5
    assert all(bar.get_width() == pytest.approx(1 / 20) for bar in bars)
    low, high = figure.axes[0].get_xlim()
    assert low <= bars[0].get_x()
    assert bars[-1].get_x() + bars[-1].get_width() <= high


@pytest.mark.parametrize("values", [[], [0.5] * 30, [math.nan] * 30])
def test_trials_without_a_step_are_drawn(values):
    assert figures.trials_figure(np.array(values, float), 0.95, [], "accuracy").axes[0].patches


@pytest.mark.parametrize(
    ("quantity", "scale"),
    [("share of bits protected", (0, 1)), ("place in the ranking, 1 = first", (0, 1)), ("|change of emd|", (0.2, 0.4))],
)
@pytest.mark.parametrize(("per_column", "label"), [(1, ""), (5, ", mean over 5 words")])
def test_a_colour_bar_says_what_is_shown_and_shares_have_one_scale(quantity, scale, per_column, label):
    record = BitMap("", quantity, (TensorMap("t", 2 * per_column, (0.3,), (0.4,)),), ((0.2, 0.4),), per_column)
    axes, bar = figures.map_figure(record).axes
    assert axes.images[0].get_clim() == scale
    assert bar.get_xlabel() == f"{quantity}{label}"


def test_shares_fill_their_axes():
    shown = replace(RECORD, limits=(), max_failure_rate=0.05, largest=10)
    low, high = figures.survival_figure(shown).axes[0].get_ylim()
    assert low < 0
    assert 5 < high < 10


def test_a_protection_curve_shows_where_nobody_knows():
    curve = restored(ProtectionCurve, CURVE)
    assert curve.undecided == (2, 6)
    figure = figures.protection_figure(curve, 0.05)
    spans = sorted((one.get_x(), one.get_x() + one.get_width()) for one in figure.axes[0].patches)
    left, right = figure.axes[0].get_xlim()
    assert spans == [(pytest.approx(left), 2), (2, 6), (6, pytest.approx(right))]
    assert {"passes", "fails", "not decided", "undecided", "allowed 5 %"} == set(legend(figure))


@pytest.mark.parametrize(
    ("keep", "undecided"), [("FAIL", (2, None)), ("PASS", (None, 6)), ("INCONCLUSIVE", (None, None))]
)
def test_a_protection_curve_of_one_kind_of_verdict_is_drawn(keep, undecided):
    curve = restored(ProtectionCurve, CURVE)
    some = tuple(point for point in curve.points if point.verdict.outcome == keep)
    curve = replace(curve, points=some, smallest=6 if keep == "PASS" else None)
    assert curve.undecided == undecided
    figures.protection_figure(curve, 0.05)


@pytest.mark.parametrize("sizes", [(30,), (20, 10), (500, 3, 400, 1, 97), (1,) * 10 + (990,), (990,) + (1,) * 10])
def test_a_map_names_its_tensors_and_marks_where_they_end(sizes):
    n = sum(sizes)
    tensors = tuple(TensorMap(f"layer_{i}/kernel", size, (1.0,), (1.0,)) for i, size in enumerate(sizes))
    per_column = -(-n // 240)
    picture = tuple((0.5,) * -(-n // per_column) for _ in range(4))
    axes = figures.map_figure(BitMap("measured", "damage", tensors, picture, per_column)).axes[0]
    assert axes.get_xlim() == (0, n)
    ends = np.cumsum(sizes)[:-1].tolist()
    assert [line.get_xdata()[0] for line in axes.lines] == ends
    named = {text.get_text(): text for text in axes.texts}
    assert {name: text.xy[0] for name, text in named.items()} == {
        f"layer_{i}": sum(sizes[:i]) + size / 2 for i, size in enumerate(sizes)
    }
    slots = [text.get_position()[0] for text in named.values()]
    assert all(n / 20 <= right - left + 1e-9 for left, right in pairwise(slots)), "no name on another"
    assert all(0 < slot <= n for slot in slots)


def test_a_map_of_many_tensors_names_the_largest():
    sizes = [10] * 15 + [100] * 20
    tensors = tuple(TensorMap(f"t{i}", size, (1.0,), (1.0,)) for i, size in enumerate(sizes))
    picture = ((0.5,) * -(-sum(sizes) // 10),) * 4
    axes = figures.map_figure(BitMap("measured", "damage", tensors, picture, 10)).axes[0]
    assert [text.get_text() for text in axes.texts] == [f"t{i}" for i in range(15, 35)]


def test_before_and_now_stand_in_one_figure():
    histogram = Histogram((0.5, 1.0, 1.5), (40, 20), (10, 50))
    comparison = MetricComparison("emd", "lower", 0.9, 1.2, 0.0, 0.3, 0.5, "", 60, 60, histogram=histogram)
    figure = figures.before_and_now_figure(comparison, histogram)
    assert legend(figure) == ["before, mean 0.9", "now, mean 1.2"]
    before, now = figure.axes[0].patches
    assert before.get_data().values.tolist() == [40, 20]
    assert now.get_data().values.tolist() == [10, 50]
    assert now.get_data().edges.tolist() == [0.5, 1.0, 1.5]
