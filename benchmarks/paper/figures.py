"""The paper's figures, from results. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.report.figures import empty_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fkeras.campaigns import Oracle
    from fkeras.memory import BitSpace
    from fkeras.sensitivity import Ranking

Values = NDArray[np.float64]
PANEL = 3.2
"""Height of one panel in inches."""


@dataclass(frozen=True, slots=True)
class DesignPoint:
    """One network in the design space: stored bits without and with protection, and its error without faults."""

    name: str
    n_bits: int
    protected_total: int
    golden: float
    metric: str


def bit_heatmap(oracle: Oracle, space: BitSpace, first_words: int | None = None) -> Figure:
    """The paper's Fig. 4: the metric under each single flip, words across, bit position (0 = MSB) down.

    first_words: only so many words. Bits that the oracle did not measure, and positions that a word lacks, stay blank.
    """
    words = np.concatenate([np.full(t.size, t.codec.width) for t in space.tensors])
    starts = np.concatenate([[0], np.cumsum(words)])
    word = np.searchsorted(starts, oracle.bits, side="right") - 1
    image = np.full((int(words.max()), words.size), np.nan)
    image[oracle.positions, word] = oracle.values
    shown = image[:, :first_words]
    figure = empty_figure(1, 1, width=10, height=2.6)
    axes = figure.axes[0]
    picture = axes.imshow(
        np.ma.masked_invalid(shown), aspect="auto", interpolation="nearest", cmap="viridis", vmin=oracle.golden
    )
    axes.set(xlabel="word", ylabel="bit (0 = MSB)", yticks=range(shown.shape[0]))
    figure.colorbar(picture, ax=axes, label=f"mean {oracle.metric}")
    return figure


def score_scatter(rankings: Sequence[Ranking], oracle: Oracle) -> Figure:
    """The paper's Fig. 5: measured against predicted, a row per ranking, a column per bit position.

    Predicted is the place in the ranking among the bits of the position, from 0 (last) to 1 (first); measured is
    |delta| as a share of the largest.
    """
    positions = np.unique(oracle.positions)
    figure = empty_figure(
        len(rankings), positions.size, width=1.7 * positions.size + 1, height=1.9 * len(rankings) + 0.4
    )
    grid = np.array(figure.axes).reshape(len(rankings), positions.size)
    damage = _share_of_largest(np.abs(oracle.delta))
    for number, (row, ranking) in enumerate(zip(grid, rankings, strict=True)):
        place = np.empty(len(ranking), np.int64)
        place[ranking.order] = np.arange(len(ranking))
        for axes, position in zip(row, positions, strict=True):
            chosen = np.flatnonzero(oracle.positions == position)
            rank = np.argsort(np.argsort(-place[oracle.bits[chosen]]))
            axes.plot(rank / max(chosen.size - 1, 1), damage[chosen], ".", markersize=1.5, alpha=0.5, rasterized=True)
            axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=(0, 1), yticks=(0, 1))
            if number == 0:
                axes.set_title(f"bit {position}", fontsize=9)
            if number == len(rankings) - 1:
                axes.set_xlabel("predicted", fontsize=8)
        row[0].set_ylabel(f"{ranking.method}\nmeasured", fontsize=8)
    return figure


def damage_curves(panels: Mapping[str, Mapping[str, tuple[Values, Values]]], quantity: str = "damage") -> Figure:
    """The paper's Figs. 7 and 8: cumulative damage against flips; panels: title -> name -> (flips, damage by then).

    quantity: what is added up, for the axis.
    """
    figure = _panels(len(panels))
    for axes, (title, curves) in zip(figure.axes, panels.items(), strict=True):
        for style, (name, (flips, damage)) in zip(_styles(curves), curves.items(), strict=True):
            axes.plot(flips, damage, label=name, **style)
        axes.set(title=title, xlabel="bits flipped", ylabel=f"cumulative {quantity}", xlim=(0, None), ylim=(0, None))
        if curves:
            axes.legend(fontsize=6)
    return figure


def top_percentile_curves(shares: Sequence[float], panels: Mapping[str, Mapping[str, Values]]) -> Figure:
    """The paper's Figs. 9 and 10: share of the bits to flip until the top `shares` of the sensitive bits are known.

    panels: title -> name -> (len(shares),) shares of all bits; not drawn where infinite (some bit is never found).
    """
    figure = _panels(len(panels))
    percent = 100 * np.asarray(shares)
    for axes, (title, curves) in zip(figure.axes, panels.items(), strict=True):
        for style, (name, values) in zip(_styles(curves), curves.items(), strict=True):
            found = np.isfinite(values)
            label = name if found.any() else f"{name} (never)"
            axes.plot(percent, np.where(found, values, np.nan), label=label, **style)
        axes.set(title=title, xlabel="top % of the sensitive bits", ylabel="share of all bits flipped")
        axes.set(xlim=(0, 100), ylim=(0, 1.02))
        if curves:
            axes.legend(fontsize=6)
    return figure


def sensitive_fractions(oracles: Mapping[str, Oracle]) -> Figure:
    """The paper's Fig. 11: share of sensitive bits against the size of the memory and against the golden error."""
    figure = empty_figure(1, 2, width=8, height=PANEL)
    metrics = " / ".join(sorted({oracle.metric for oracle in oracles.values()}))
    for name, oracle in oracles.items():
        share = 100 * float(oracle.sensitive.mean())
        for axes, across in zip(figure.axes, (oracle.n_bits, oracle.golden), strict=True):
            axes.plot(across, share, "o", color="C0")
            axes.annotate(name, (across, share), xytext=(4, 4), textcoords="offset points", fontsize=8)
    for axes, label in zip(figure.axes, ("bits", f"golden {metrics}"), strict=True):
        axes.set(xlabel=label, ylabel="sensitive bits, %", ylim=(0, 108))
        axes.margins(x=0.25)
    return figure


def sensitive_by_position(oracles: Mapping[str, Oracle]) -> Figure:
    """The paper's Fig. 12: (a) share of each position's bits that are sensitive, (b) where the sensitive bits lie."""
    figure = empty_figure(1, 2, width=9, height=PANEL)
    width = 0.8 / max(len(oracles), 1)
    for number, (name, oracle) in enumerate(oracles.items()):
        measured = np.bincount(oracle.positions)
        sensitive = np.bincount(oracle.positions[oracle.sensitive], minlength=measured.size)
        place = np.arange(measured.size) + (number - (len(oracles) - 1) / 2) * width
        within = 100 * sensitive / np.maximum(measured, 1)
        among = 100 * sensitive / max(int(sensitive.sum()), 1)
        for axes, heights in zip(figure.axes, (within, among), strict=True):
            axes.bar(place, heights, width, label=name)
    for axes, label in zip(figure.axes, ("of the position's bits, %", "of the sensitive bits, %"), strict=True):
        axes.set(xlabel="bit (0 = MSB)", ylabel=f"sensitive, {label}")
    figure.axes[0].legend(fontsize=7)
    return figure


def protection_levels(trials: Mapping[str, Values], golden: float, metric: str) -> Figure:
    """The paper's Fig. 13: the metric over the trials of each protection level, golden value as a line.

    trials: level -> (n_trials,), `result.values` of a campaign. Boxes span the quartiles, whiskers all trials.
    """
    figure = empty_figure(1, 1, width=max(4.0, 1.25 * len(trials)), height=3.6)
    axes = figure.axes[0]
    axes.boxplot(list(trials.values()), whis=(0, 100), showfliers=False)
    axes.set_xticks(range(1, len(trials) + 1), list(trials), fontsize=8)
    axes.axhline(golden, color="black", linestyle=":", label=f"golden {golden:.4g}")
    axes.set(xlabel="protected bits", ylabel=f"{metric} of a trial")
    axes.legend(fontsize=8)
    return figure


def design_space(points: Sequence[DesignPoint]) -> Figure:
    """Error without faults against stored bits, unprotected (hollow) to protected (filled); a panel per metric.

    The line joins the networks that no other beats in both protected bits and error (the Pareto front).
    """
    metrics = list(dict.fromkeys(point.metric for point in points))
    figure = empty_figure(1, len(metrics), width=4.6 * len(metrics), height=PANEL)
    for axes, metric in zip(figure.axes, metrics, strict=True):
        of_metric = [point for point in points if point.metric == metric]
        for point in of_metric:
            pair = (point.n_bits, point.protected_total)
            axes.plot(pair, (point.golden, point.golden), "-", color="0.7", zorder=1)
            axes.plot(point.n_bits, point.golden, "o", markerfacecolor="none", color="C0")
            axes.plot(point.protected_total, point.golden, "o", color="C0")
            axes.annotate(
                point.name,
                (point.protected_total, point.golden),
                xytext=(4, 4),
                textcoords="offset points",
                fontsize=8,
            )
        front = pareto_front(of_metric)
        axes.plot([p.protected_total for p in front], [p.golden for p in front], "--", color="C3", label="Pareto front")
        axes.set(xlabel="stored bits, without and with TMR", ylabel=f"golden {metric}", xscale="log")
        axes.margins(x=0.2, y=0.15)
        axes.legend(fontsize=7)
    return figure


def pareto_front(points: Sequence[DesignPoint]) -> list[DesignPoint]:
    """The points that no other equals or beats in both protected bits and error, by bits."""
    front: list[DesignPoint] = []
    for point in sorted(points, key=lambda one: (one.protected_total, one.golden)):
        if not front or point.golden < front[-1].golden:
            front.append(point)
    return front


def _share_of_largest(damage: Values) -> Values:
    finite = np.where(np.isfinite(damage), damage, np.nan)
    largest = np.nanmax(finite, initial=0.0)
    return np.nan_to_num(finite / largest if largest else finite, nan=1.0)


def _styles(curves: Mapping[str, object]) -> list[dict[str, Any]]:
    """Ten colours, then the same dashed; the oracle is black."""
    return [
        {"color": "black" if name == "oracle" else f"C{i % 10}", "linestyle": "--" if i > 9 else "-", "linewidth": 1.3}
        for i, name in enumerate(curves)
    ]


def _panels(n: int) -> Figure:
    """n panels, two in a row."""
    if n == 0:
        raise InputError("no curves were given; pass title -> name -> curve")
    columns = min(n, 2)
    rows = -(-n // columns)
    figure = empty_figure(rows, columns, width=5 * columns, height=PANEL * rows + 0.2)
    for axes in figure.axes[n:]:
        axes.remove()
    return figure
