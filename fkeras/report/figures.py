"""Figures: those of the page, drawn for `svg.inline_svg` in its colours, and of rankings. Compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fkeras.campaigns import ProtectionCurve
from fkeras.campaigns.bit_map import BitMap
from fkeras.campaigns.comparison import Histogram, MetricComparison
from fkeras.campaigns.endurance import EndurancePoint, EnduranceRecord
from fkeras.campaigns.verdict import Outcome
from fkeras.errors import InputError, MissingExtraError
from fkeras.report.svg import DOUBT, GOOD, GRID, INK, LIMIT, MUTED, NO_MATPLOTLIB, SERIES
from fkeras.statistics.histograms import bin_edges
from fkeras.statistics.means import SPREAD

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from fkeras.rtl.front import Front
    from fkeras.sensitivity import RankingQuality

WIDTH, HEIGHT = 4.6, 2.7
"""Narrow enough to be read on a telephone."""
MAP_WIDTH = 6.4
BINS = 40
_MOST_NAMES = 20
"""Names above a map, of the largest tensors; the table beside it has them all."""
_LEADER = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0}
_LETTER = 0.02
"""The width of a letter above a map, as a share of the map's."""
_MARKS = {
    Outcome.PASS: ("o", GOOD, "passes"),
    Outcome.FAIL: ("X", LIMIT, "fails"),
    Outcome.INCONCLUSIVE: ("^", DOUBT, "not decided"),
}


def trials_figure(values: NDArray[np.float64], golden: float, limits: Sequence[float], metric: str) -> Figure:
    """How the metric is spread over the trials, with the golden value and the limits."""
    axes = _axes()
    finite = values[np.isfinite(values)]
    low, high = _range([*finite, golden])
    if np.unique(finite).size > 1:
        bins = bin_edges(finite, BINS)
        low, high = min(low, float(bins[0])), max(high, float(bins[-1]))
    else:
        bins = np.linspace(low, high, BINS + 1)
    axes.hist(finite, bins=bins.tolist(), color=SERIES, alpha=0.75, label=f"{values.size:,} trials")
    _mark_levels(axes, "x", (low, high), golden, limits)
    axes.set(xlabel=_literal(metric), ylabel="trials")
    axes.locator_params(axis="y", integer=True)
    axes.locator_params(axis="x", nbins=6)
    return _finished(axes)


def before_and_now_figure(record: MetricComparison, histogram: Histogram) -> Figure:
    """How the metric is spread over the trials compared, before and now."""
    axes = _axes()
    before: dict[str, Any] = {"color": MUTED, "fill": True, "alpha": 0.35}
    now: dict[str, Any] = {"color": SERIES, "linewidth": 1.6}
    axes.stairs(histogram.before, histogram.edges, label=f"before, mean {record.old_mean:.4g}", **before)
    axes.stairs(histogram.now, histogram.edges, label=f"now, mean {record.new_mean:.4g}", **now)
    for mean, colour in ((record.old_mean, MUTED), (record.new_mean, SERIES)):
        if np.isfinite(mean):
            axes.axvline(mean, color=colour, linestyle=":", linewidth=1.5)
    axes.set(xlabel=_literal(record.metric), ylabel="trials", xlim=_range(histogram.edges))
    axes.locator_params(axis="y", integer=True)
    axes.locator_params(axis="x", nbins=6)
    return _finished(axes)


def damage_figure(record: EnduranceRecord, limits: Sequence[float]) -> Figure:
    """The metric against flips or seconds: what single trials give, and their mean with its interval."""
    axes = _axes()
    within = damage_range(record)
    # A survey over the whole range and a proof at closer looks are different trials: a line each.
    for number, points in enumerate(record.parts):
        looks, mean = _column(points, "look"), _column(points, "mean")
        low, high = (np.clip(_column(points, name), *within) for name in ("low", "high"))
        label = f"{100 * SPREAD:g} % of trials" if number == 0 and not np.isnan(low).all() else None
        axes.fill_between(looks, low, high, color=SERIES, alpha=0.16, linewidth=0, label=label)
        mean_low, mean_high = _column(points, "mean_low"), _column(points, "mean_high")
        fits = (mean_low >= within[0]) & (mean_high <= within[1])
        errors = np.where(fits, _errors(mean, mean_low, mean_high), 0)
        label = f"mean of {points[0].trials}" + (", 95 %" if fits.any() else ", whose 95 % is wider")
        mean[np.isinf(mean)] = np.nan
        axes.errorbar(looks, mean, yerr=errors, label=label, **_style(number))
    _mark_levels(axes, "y", within, record.golden, limits)
    axes.set(xlabel=_literal(record.unit), ylabel=_literal(record.metric), xscale="log")
    return _finished(axes)


def damage_range(record: EnduranceRecord) -> tuple[float, float]:
    """Between which values its trials and their means lie."""
    values = [_column(record.curve, name) for name in ("mean", "low", "high")]
    return _range([record.golden, *np.concatenate(values)])


def survival_figure(record: EnduranceRecord) -> Figure:
    """The share of trials that broke a limit by then, against flips or seconds."""
    axes = _axes()
    allowed = 100 * (record.max_failure_rate or 0)
    shares = [allowed]
    for number, points in enumerate(record.parts):
        best = 100 * _column(points, "failed") / np.maximum(_column(points, "trials"), 1)
        errors = _errors(best, 100 * _column(points, "share_low"), 100 * _column(points, "share_high"))
        axes.errorbar(_column(points, "look"), best, yerr=errors, label=f"{points[0].trials} trials", **_style(number))
        shares += best.tolist()
    axes.axhline(allowed, color=LIMIT, linestyle="--", linewidth=1.5, label=f"allowed {allowed:.4g} %")
    if record.largest is not None:
        axes.axvline(record.largest, color=GOOD, linewidth=1.5, label=f"survived: {record.largest:,.6g}")
    axes.set(xlabel=_literal(record.unit), ylabel="over a limit by then, %", xscale="log")
    axes.set_ylim(*_share_range(shares))
    return _finished(axes)


def protection_figure(record: ProtectionCurve, allowed: float | None) -> Figure:
    """The share of trials over a limit against the number of protected bits: where it fails, where nobody knows, and
    where it passes."""
    axes = _axes()
    shares = [] if allowed is None else [100 * allowed]
    for outcome, (mark, colour, label) in _MARKS.items():
        k, verdicts = [], []
        for point in record.points:
            if point.verdict.outcome is outcome:
                k.append(point.k)
                verdicts.append(point.verdict)
        if k:
            best = 100 * np.array([verdict.failures / max(verdict.trials, 1) for verdict in verdicts])
            low, high = (100 * np.array([getattr(v, name) for v in verdicts]) for name in ("share_low", "share_high"))
            errors = _errors(best, low, high)
            axes.errorbar(k, best, yerr=errors, fmt=mark, color=colour, markersize=6, capsize=2, label=label)
            shares += [*best, *(high if outcome is Outcome.PASS else low)]
    if allowed is not None:
        axes.axhline(100 * allowed, color=LIMIT, linestyle="--", linewidth=1.5, label=f"allowed {100 * allowed:.4g} %")
    left, right = _range([point.k for point in record.points])
    failing, passing = record.undecided
    spans = (
        (left, failing, LIMIT, None),
        (failing or left, passing or right, DOUBT, "undecided"),
        (passing, right, GOOD, None),
    )
    for start, end, colour, what in spans:
        if start is not None and end is not None and end > start:
            axes.axvspan(start, end, color=colour, alpha=0.09, linewidth=0, label=what)
    axes.set(xlabel="protected bits, first of the ranking", ylabel="over a limit, %", xlim=(left, right))
    axes.set_ylim(*_share_range(shares))
    return _finished(axes)


def front_figure(front: Front, allowed: float) -> Figure:
    """The share of trials over a limit against measured area; a line along the designs that none beats in both."""
    axes = _axes()
    for outcome, (mark, colour, label) in _MARKS.items():
        points = [point for point in front.points if point.verdict.outcome is outcome]
        if points:
            best = 100 * np.array([point.share for point in points])
            low, high = (
                100 * np.array([getattr(p.verdict, name) for p in points]) for name in ("share_low", "share_high")
            )
            area = [point.area for point in points]
            errors = _errors(best, low, high)
            axes.errorbar(area, best, yerr=errors, fmt=mark, color=colour, markersize=6, capsize=2, label=label)
    steps = [(point.area, 100 * point.share) for point in front.front]
    axes.step(*zip(*steps, strict=True), where="post", color=SERIES, linewidth=1.2, label="front")
    axes.axhline(100 * allowed, color=LIMIT, linestyle="--", linewidth=1.5, label=f"allowed {100 * allowed:.4g} %")
    axes.set(xlabel="gate equivalents, measured", ylabel="over a limit, %")
    axes.set_ylim(*_share_range([100 * point.share for point in front.points]))
    return _finished(axes)


def map_figure(record: BitMap) -> Figure:
    """The paper's Fig. 4: words across, bit positions down; a line where a tensor ends, its name above it."""
    rows = np.array(record.picture)
    sizes = [tensor.n_words for tensor in record.tensors]
    ends = np.cumsum(sizes)
    n_words = max(int(ends[-1]), rows.shape[1] * (record.words_per_column - 1) + 1)
    named = sorted(sorted(range(len(sizes)), key=lambda i: -sizes[i])[:_MOST_NAMES])
    names = [_short_path(record.tensors[i].path) for i in named]
    middles = [float(ends[i] - sizes[i] / 2) for i in named]
    is_level = all(_LETTER * len(name) < sizes[i] / n_words for i, name in zip(named, names, strict=True))
    figure = empty_figure(1, 1, width=MAP_WIDTH, height=3.6 if is_level else 4.8)
    axes = figure.axes[0]
    picture = axes.imshow(
        np.ma.masked_invalid(rows),
        aspect="auto",
        interpolation="nearest",
        cmap="viridis",
        extent=(0, rows.shape[1] * record.words_per_column, rows.shape[0] - 0.5, -0.5),
    )
    if record.bounds is not None:
        picture.set_clim(*record.bounds)
    for end in ends[:-1]:
        axes.axvline(end, color="white", linewidth=1.2)
    level: dict[str, Any] = {"ha": "center"}
    slanted: dict[str, Any] = {"rotation": 55, "rotation_mode": "anchor", "arrowprops": _LEADER}
    slots = middles if is_level else _spaced(middles, n_words / _MOST_NAMES, n_words)
    above: Any = ("data", "axes fraction")
    for name, middle, slot in zip(names, middles, slots, strict=True):
        at = (middle, 1), (slot, 1.03 if is_level else 1.12), above, above
        axes.annotate(name, *at, fontsize=11, color=INK, **(level if is_level else slanted))
    axes.set(xlabel="word", ylabel="bit (0 = MSB)", yticks=range(rows.shape[0]), xlim=(0, n_words))
    axes.locator_params(axis="x", nbins=5)
    bar = figure.colorbar(picture, ax=axes, location="bottom", aspect=45, pad=0.03)
    bar.set_label(_literal(record.shown), fontsize=11)
    for axis in (axes, bar.ax):
        _themed(axis, 11)
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
        raise MissingExtraError(NO_MATPLOTLIB) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.subplots(rows, columns, squeeze=False)
    return figure


def _axes() -> Axes:
    axes = empty_figure(1, 1, width=WIDTH, height=HEIGHT).axes[0]
    _themed(axes, 9)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def _finished(axes: Axes) -> Figure:
    """The figure, its legend above the axes, where no data are."""
    legend: Any = axes.legend(
        fontsize=9,
        frameon=False,
        labelcolor=INK,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1),
        ncols=2,
        columnspacing=1.2,
    )
    legend.set_zorder(5)
    return cast("Figure", axes.figure)


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Where the finite values are, with a little room."""
    finite = [float(value) for value in values if np.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    room = 0.04 * (high - low) or 0.02 * abs(high) or 0.5
    return low - room, high + room


def _share_range(shares: Sequence[float]) -> tuple[float, float]:
    top = max(1.0, *(share for share in shares if np.isfinite(share)))
    return -0.04 * top, min(1.12 * top, 103)


def _mark_levels(axes: Axes, along: str, shown: tuple[float, float], golden: float, limits: Sequence[float]) -> None:
    """The golden value and the limits; what lies so far off that the data would be a line is only named."""
    low, high = shown
    room = high - low
    for value, what, colour, style in ((golden, "golden", INK, ":"), *((one, "limit", LIMIT, "--") for one in limits)):
        draw = axes.axvline if along == "x" else axes.axhline
        if low - room <= value <= high + room:
            draw(value, color=colour, linestyle=style, linewidth=1.5, label=f"{what} {value:.4g}")
            shown = min(shown[0], value - 0.04 * room), max(shown[1], value + 0.04 * room)
        else:
            side = ("to the left", "to the right") if along == "x" else ("below", "above")
            label = f"{what} {value:.4g}, far {side[int(value > high)]}"
            axes.plot([], [], color=colour, linestyle=style, linewidth=1.5, label=label)
    (axes.set_xlim if along == "x" else axes.set_ylim)(*shown)


def _spaced(places: Sequence[float], gap: float, end: float) -> list[float]:
    """Ascending places in (0, end), moved apart to `gap` as little as that takes."""
    slots: list[float] = []
    for place in places:
        slots.append(max(place, slots[-1] + gap) if slots else place)
    limit = end
    for i in reversed(range(len(slots))):
        slots[i] = min(slots[i], limit)
        limit = slots[i] - gap
    return slots


def _short_path(path: str) -> str:
    """A tensor's name without what every name ends with."""
    text = path.removesuffix("/kernel")
    return _literal(text if len(text) <= 22 else f"{text[:10]}..{text[-10:]}")


def _themed(axes: Axes, size: int) -> None:
    axes.tick_params(which="both", colors=MUTED, labelcolor=INK, labelsize=size)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    for spine in axes.spines.values():
        spine.set_edgecolor(MUTED)


def _literal(text: str) -> str:
    """A user's name, in which a dollar sign is no mathematics."""
    return text.replace("$", r"\$")


def _style(number: int) -> dict[str, Any]:
    return {"color": SERIES, "marker": "os"[number % 2], "markersize": 4, "capsize": 2}


def _column(points: Sequence[EndurancePoint], name: str) -> NDArray[np.float64]:
    """One of the points' numbers, NaN where it is not known."""
    return np.array([getattr(point, name) for point in points], np.float64)


def _errors(best: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lengths of an interval's two arms; none where they are infinite, and say nothing."""
    with np.errstate(invalid="ignore"):
        arms = np.array([best - low, high - best])
    return np.where(np.isfinite(arms), np.maximum(arms, 0), 0)
