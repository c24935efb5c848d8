"""Figures: those of the page, drawn for `svg.inline_svg` in its colours, and of rankings. Compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fkeras.campaigns.verdict import Outcome
from fkeras.errors import InputError, MissingExtraError
from fkeras.report.svg import DOUBT, GOOD, GRID, INK, LIMIT, MUTED, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from fkeras.campaigns import ProtectionCurve
    from fkeras.campaigns.bit_map import BitMap
    from fkeras.campaigns.endurance import EnduranceRecord
    from fkeras.sensitivity import RankingQuality

WIDTH, HEIGHT = 6.4, 2.6
_MARKS = {
    Outcome.PASS: ("o", GOOD, "passes"),
    Outcome.FAIL: ("X", LIMIT, "fails"),
    Outcome.INCONCLUSIVE: ("^", DOUBT, "not decided"),
}


def trials_figure(values: NDArray[np.float64], golden: float, limits: Sequence[float], metric: str) -> Figure:
    """How the metric is spread over the trials, with the golden value and the limits."""
    figure = _figure(1)
    axes = figure.axes[0]
    finite = values[np.isfinite(values)]
    marks = [value for value in (golden, *limits) if np.isfinite(value)]
    low, high = min([*finite, *marks], default=0.0), max([*finite, *marks], default=1.0)
    bins = np.linspace(low, high if high > low else low + 1, 41)
    axes.hist(finite, bins=bins.tolist(), color=SERIES, alpha=0.75, label=f"{values.size} trials")
    axes.axvline(golden, color=INK, linestyle=":", linewidth=1.5, label=f"golden {golden:.4g}")
    for limit in limits:
        axes.axvline(limit, color=LIMIT, linestyle="--", linewidth=1.5, label=f"limit {limit:.4g}")
    axes.set(xlabel=_literal(metric), ylabel="trials")
    axes.locator_params(axis="y", integer=True)
    _legend(axes)
    return figure


def endurance_figure(record: EnduranceRecord, limits: Sequence[float]) -> Figure:
    """The metric, and the share of trials that broke a limit by then, against flips or seconds."""
    figure = _figure(2 if record.limits else 1)
    # A survey over the whole range and a proof at closer looks are different trials: a line each.
    for number, trials in enumerate(dict.fromkeys(point.trials for point in record.curve)):
        points = [point for point in record.curve if point.trials == trials]
        looks = np.array([point.look for point in points])
        style: dict[str, Any] = {"color": SERIES, "marker": "os"[number % 2], "markersize": 4}
        damage = figure.axes[0]
        damage.fill_between(
            looks,
            _finite([point.mean_low for point in points]),
            _finite([point.mean_high for point in points]),
            color=SERIES,
            alpha=0.16,
            linewidth=0,
        )
        damage.plot(looks, _finite([point.mean for point in points]), label=f"mean of {trials} trials, 95 %", **style)
        if record.limits:
            best = 100 * np.array([point.failed / point.trials for point in points])
            low, high = (100 * np.array([getattr(p, name) for p in points]) for name in ("share_low", "share_high"))
            figure.axes[1].errorbar(
                looks, best, yerr=_errors(best, low, high), linestyle="", capsize=2, label=f"{trials} trials", **style
            )
    damage = figure.axes[0]
    damage.axhline(record.golden, color=INK, linestyle=":", linewidth=1.5, label=f"golden {record.golden:.4g}")
    for limit in limits:
        damage.axhline(limit, color=LIMIT, linestyle="--", linewidth=1.5, label=f"limit {limit:.4g}")
    damage.set(ylabel=_literal(record.metric))
    if record.limits:
        share = figure.axes[1]
        share.axhline(100 * (record.max_failure_rate or 0), color=LIMIT, linestyle="--", linewidth=1.5, label="allowed")
        if record.largest is not None:
            share.axvline(record.largest, color=GOOD, linewidth=1.5, label=f"survived: {record.largest:,.6g}")
        share.set(ylabel="over a limit by then, %", ylim=(-3, 103))
    for axes in figure.axes:
        axes.set_xscale("log")
        axes.set_xlabel(_literal(record.unit))
        _legend(axes)
    return figure


def protection_figure(record: ProtectionCurve, allowed: float | None) -> Figure:
    """The share of trials over a limit against the number of protected bits."""
    figure = _figure(1)
    axes = figure.axes[0]
    for outcome, (mark, colour, label) in _MARKS.items():
        k, verdicts = [], []
        for point in record.points:
            if point.verdict.outcome is outcome:
                k.append(point.k)
                verdicts.append(point.verdict)
        if k:
            best = 100 * np.array([verdict.failures / verdict.trials for verdict in verdicts])
            low, high = (100 * np.array([getattr(v, name) for v in verdicts]) for name in ("share_low", "share_high"))
            errors = _errors(best, low, high)
            axes.errorbar(k, best, yerr=errors, fmt=mark, color=colour, markersize=6, capsize=2, label=label)
    if allowed is not None:
        axes.axhline(100 * allowed, color=LIMIT, linestyle="--", linewidth=1.5, label="allowed")
    if record.smallest is not None:
        axes.axvline(record.smallest, color=GOOD, linewidth=1.5, label=f"smallest that passes: {record.smallest:,}")
    axes.set(xlabel="protected bits, first of the ranking", ylabel="over a limit, %", ylim=(-3, 103))
    _legend(axes)
    return figure


def map_figure(record: BitMap) -> Figure:
    """The paper's Fig. 4: words across, bit positions down."""
    figure = empty_figure(1, 1, width=9.2, height=2.2)
    axes = figure.axes[0]
    rows = np.array(record.picture)
    picture = axes.imshow(
        np.ma.masked_invalid(rows),
        aspect="auto",
        interpolation="nearest",
        cmap="viridis",
        extent=(0, rows.shape[1] * record.words_per_column, rows.shape[0] - 0.5, -0.5),
    )
    axes.set(xlabel="word", ylabel="bit (0 = MSB)", yticks=range(rows.shape[0]))
    bar = figure.colorbar(picture, ax=axes)
    bar.set_label(_literal(record.quantity), fontsize=8)
    for axis in (axes, bar.ax):
        _themed(axis)
    return figure


def quality_figure(qualities: Sequence[RankingQuality]) -> Figure:
    """Cumulative damage of each ranking as a share of the total, and its rho within each bit position."""
    if not qualities:
        raise InputError("no quality was given; pass one or more results of fkeras.ranking_quality")
    figure = empty_figure(1, 2, width=10, height=3.6)
    curves, bars = figure.axes
    share = np.linspace(0, 1, qualities[0].oracle_curve.size)
    curves.plot(share, qualities[0].oracle_curve, color="black", label="oracle")
    width = 0.8 / len(qualities)
    for number, quality in enumerate(qualities):
        curves.plot(
            np.linspace(0, 1, quality.curve.size),
            quality.curve,
            label=f"{quality.method}, area {quality.area.best:.3f}",
        )
        offset = (number - (len(qualities) - 1) / 2) * width
        rhos = [position.rho for position in quality.by_position]
        best = np.array([rho.best for rho in rhos])
        bars.bar(
            [position.position + offset for position in quality.by_position],
            best,
            width,
            yerr=(best - [rho.low for rho in rhos], [rho.high for rho in rhos] - best),
            label=quality.method,
        )
    curves.set(xlabel="share of the bits flipped", ylabel="share of the damage met", xlim=(0, 1), ylim=(0, 1.02))
    curves.legend(fontsize=7)
    bars.set(xlabel="bit (0 = MSB)", ylabel="Spearman's rho")
    return figure


def empty_figure(rows: int, columns: int, *, width: float, height: float) -> Figure:
    """A figure with a grid of axes, drawn by Agg whatever the machine's settings; pyplot's state is left alone."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "figures need matplotlib; install it with: pip install 'pytest-fkeras[plot]'"
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.subplots(rows, columns, squeeze=False)
    return figure


def _figure(panels: int) -> Figure:
    figure = empty_figure(1, panels, width=WIDTH if panels == 1 else 1.5 * WIDTH, height=HEIGHT)
    for axes in figure.axes:
        _themed(axes)
        axes.grid(color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return figure


def _themed(axes: Axes) -> None:
    axes.tick_params(which="both", colors=MUTED, labelcolor=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    for spine in axes.spines.values():
        spine.set_edgecolor(MUTED)


def _literal(text: str) -> str:
    """A user's name, in which a dollar sign is no mathematics."""
    return text.replace("$", r"\$")


def _legend(axes: Axes) -> None:
    legend: Any = axes.legend(fontsize=8, frameon=False, labelcolor=INK, loc="best")
    legend.set_zorder(5)


def _finite(values: Sequence[float]) -> NDArray[np.float64]:
    array = np.array(values, np.float64)
    return np.where(np.isfinite(array), array, np.nan)


def _errors(best: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum([best - low, high - best], 0)
