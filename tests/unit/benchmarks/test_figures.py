"""Figures show the numbers they are given."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.paper import figures
from benchmarks.paper.figures import DesignPoint, pareto_front
from fkeras.campaigns import Oracle
from fkeras.errors import InputError, MissingExtraError
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.report.figures import quality_figure
from fkeras.sensitivity import Ranking, ranking_quality


def memory(*sizes_and_widths: tuple[int, int]) -> BitSpace:
    return BitSpace(
        tuple(
            WordTensor(
                f"layer_{i}/kernel",
                (size,),
                FixedPoint(width, 0),
                np.zeros(size, np.uint32),
                np.ones(size, np.float32),
                np.zeros(size, np.float32),
            )
            for i, (size, width) in enumerate(sizes_and_widths)
        )
    )


SPACE = memory((2, 3), (1, 2))


def measured(values, space=SPACE, golden=1.0, bits=None, metric="emd") -> Oracle:
    chosen = np.arange(len(space)) if bits is None else np.asarray(bits)
    return Oracle(
        metric,
        "lower",
        False,
        chosen,
        space.bit_positions[chosen],
        np.asarray(values, np.float64),
        np.zeros(chosen.size, np.int64),
        np.zeros(chosen.size, np.int64),
        golden,
        0.1,
        4,
        len(space),
        space.layout_digest,
        space.content_digest,
        "cpu",
    )


ORACLE = measured([5.0, 4.0, 1.0, 3.0, 1.0, 1.0, 2.0, 0.5])


def test_heatmap_has_words_across_and_bits_down_and_blanks_where_nothing_is():
    axes = figures.bit_heatmap(ORACLE, SPACE).axes[0]
    image = axes.images[0].get_array()
    assert image.filled(-1).tolist() == [[5, 3, 2], [4, 1, 0.5], [1, 1, -1]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("word", "bit (0 = MSB)")
    assert axes.images[0].norm.vmin == 1.0  # colours start at golden


def test_heatmap_of_a_sample_leaves_the_rest_blank_and_can_show_the_first_words():
    sampled = measured([7.0, 8.0], bits=[1, 6])
    image = figures.bit_heatmap(sampled, SPACE).axes[0].images[0].get_array()
    assert image.filled(-1).tolist() == [[-1, -1, 8], [7, -1, -1], [-1, -1, -1]]
    assert figures.bit_heatmap(ORACLE, SPACE, first_words=1).axes[0].images[0].get_array().shape == (3, 1)


def test_scatter_has_a_row_per_ranking_and_a_column_per_position():
    best = Ranking.from_scores(np.abs(ORACLE.delta), SPACE, "best")
    worst = Ranking.from_scores(-np.abs(ORACLE.delta), SPACE, "worst")
    figure = figures.score_scatter([best, worst], ORACLE)
    assert len(figure.axes) == 6
    x, y = figure.axes[0].lines[0].get_data()
    assert x.tolist() == [1.0, 0.5, 0.0]  # bits 0, 3, 6 by predicted place, first is 1
    assert y.tolist() == [1.0, 0.5, 0.25]  # |delta| 4, 2, 1 of 4
    assert figure.axes[3].lines[0].get_xdata().tolist() == [0.0, 0.5, 1.0]
    assert [axes.get_title() for axes in figure.axes[:3]] == ["bit 0", "bit 1", "bit 2"]
    assert figure.axes[0].get_ylabel() == "best\nmeasured"


def test_damage_curves_are_the_given_lines_panel_by_panel():
    curve = np.array([0.0, 1.0, 2.0]), np.array([0.0, 3.0, 4.0])
    figure = figures.damage_curves({"A": {"oracle": curve}, "B": {"oracle": curve, "msb": curve}, "C": {}}, "change")
    assert [axes.get_title() for axes in figure.axes] == ["A", "B", "C"]
    line = figure.axes[1].lines[1]
    assert line.get_label() == "msb"
    assert np.array_equal(line.get_data(), curve)
    assert figure.axes[0].lines[0].get_color() == "black"
    assert figure.axes[0].get_ylabel() == "cumulative change"
    with pytest.raises(InputError, match="no curves were given"):
        figures.damage_curves({})


def test_percentile_curves_end_where_a_bit_is_never_found():
    shares = [0.5, 1.0]
    panels = {"A": {"oracle": np.array([0.1, 0.2]), "half": np.array([0.3, np.inf]), "blind": np.full(2, np.inf)}}
    lines = figures.top_percentile_curves(shares, panels).axes[0].lines
    assert [line.get_label() for line in lines] == ["oracle", "half", "blind (never)"]
    assert lines[0].get_xdata().tolist() == [50.0, 100.0]
    assert lines[0].get_ydata().tolist() == [0.1, 0.2]
    assert lines[1].get_ydata()[0] == 0.3
    assert np.isnan(lines[1].get_ydata()[1])


def test_sensitive_fractions_against_size_and_golden():
    small, large = measured([2.0, 2.0, 0.0, 0.0], memory((2, 2)), golden=1.5), ORACLE
    sizes, goldens = figures.sensitive_fractions({"S": small, "L": large}).axes
    assert [line.get_xydata().tolist() for line in sizes.lines] == [[[4, 50.0]], [[8, 50.0]]]
    assert [line.get_xydata().tolist() for line in goldens.lines] == [[[1.5, 50.0]], [[1.0, 50.0]]]
    assert goldens.get_xlabel() == "golden emd"
    assert [text.get_text() for text in sizes.texts] == ["S", "L"]


def test_sensitive_bits_by_position():
    within, among = figures.sensitive_by_position({"A": ORACLE}).axes
    assert [bar.get_height() for bar in within.patches] == pytest.approx([100, 100 / 3, 0])
    assert [bar.get_height() for bar in among.patches] == pytest.approx([75, 25, 0])


def test_protection_levels_are_boxes_over_trials_with_the_golden_line():
    axes = figures.protection_levels({"0 %": np.array([3.0, 5.0, 4.0]), "100 %": np.ones(3)}, 1.0, "mean emd").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0 %", "100 %"]
    assert {4.0, 1.0} <= {float(line.get_ydata()[0]) for line in axes.lines}  # medians, golden
    assert axes.get_legend().get_texts()[0].get_text() == "golden 1"
    assert axes.get_ylabel() == "mean emd of a trial"


POINTS = [
    DesignPoint("S", 10, 30, 3.0, "EMD"),
    DesignPoint("M", 12, 20, 2.0, "EMD"),
    DesignPoint("L", 60, 65, 1.0, "EMD"),
    DesignPoint("C", 100, 110, 0.2, "error rate"),
]


def test_design_space_has_a_panel_per_metric_and_the_front():
    emd, images = figures.design_space(POINTS).axes
    front = next(line for line in emd.lines if line.get_label() == "Pareto front")
    assert front.get_xydata().tolist() == [[20, 2.0], [65, 1.0]]
    assert [text.get_text() for text in images.texts] == ["C"]
    assert images.get_ylabel() == "golden error rate"


def test_pareto_front_drops_what_another_beats_in_both():
    assert [point.name for point in pareto_front(POINTS[:3])] == ["M", "L"]


def test_quality_figure_has_curves_and_rho_by_position():
    ranking = Ranking.from_scores(np.abs(ORACLE.delta), SPACE, "best")
    quality = ranking_quality(ranking, ORACLE)
    curves, bars = quality_figure([quality]).axes
    assert [line.get_label() for line in curves.lines] == ["oracle", "best, area 1.000"]
    assert np.array_equal(curves.lines[1].get_ydata(), quality.curve)
    assert [bar.get_height() for bar in bars.patches] == [one.rho.best for one in quality.by_position]
    with pytest.raises(InputError, match="no quality was given"):
        quality_figure([])


def test_figures_are_written_without_a_display(tmp_path):
    figures.bit_heatmap(ORACLE, SPACE).savefig(tmp_path / "heatmap.png")
    assert (tmp_path / "heatmap.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pytest-fkeras\[plot\]'"):
        figures.bit_heatmap(ORACLE, SPACE)
