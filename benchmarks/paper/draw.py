"""The figures, from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.paper import figures
from benchmarks.paper.design import Design
from benchmarks.paper.measure import Measured
from fkeras.report.figures import quality_figure

SHARES = tuple(np.arange(1, 101) / 100)
PAPER_METHODS = ("random", "msb", "gradient", "hessian")


def draw_all(
    networks: dict[str, Measured],
    trials: dict[str, NDArray[np.float64]],
    golden: float,
    designs: Sequence[Design],
    folder: Path,
) -> None:
    """Write every figure as .png (64 colours, to be small in a repository) and .svg."""
    medium = networks["ECON-T Medium"]
    emd = {title: one for title, one in networks.items() if not one.oracle.classification}
    oracles = {title: one.oracle for title, one in networks.items()}
    made = {
        "fig04_heatmap": figures.bit_heatmap(medium.oracle, medium.case.space),
        "fig04_heatmap_first_100": figures.bit_heatmap(medium.oracle, medium.case.space, 100),
        "fig05_scatter": figures.score_scatter(
            [medium.rankings[name] for name in ("hessian", "gradient", medium.case.default)], medium.oracle
        ),
        "fig06_quality": quality_figure([medium.qualities[name] for name in _ranked(medium)]),
        "fig07_damage": figures.damage_curves(_damage(networks, compared=False), "damage"),
        "fig08_damage_baselines": figures.damage_curves(_damage(networks, compared=True), "damage"),
        "fig09_top": figures.top_percentile_curves(SHARES, _tops(networks, compared=False)),
        "fig10_top_baselines": figures.top_percentile_curves(SHARES, _tops(networks, compared=True)),
        "fig11_sensitive_by_model": figures.sensitive_fractions({title: one.oracle for title, one in emd.items()}),
        "fig12_sensitive_by_position": figures.sensitive_by_position(oracles),
        "fig13_protection": figures.protection_levels(trials, golden, f"mean {medium.oracle.metric}"),
        "design_space": figures.design_space([one.point for one in designs]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in made.items():
        picture = folder / f"{name}.png"
        figure.savefig(picture, dpi=80)
        with Image.open(picture) as full:
            few_colours = full.convert("P", palette=Image.Palette.ADAPTIVE, colors=64)
        few_colours.save(picture, optimize=True)
        figure.savefig(folder / f"{name}.svg")


def names(found: Measured, *, compared: bool) -> list[str]:
    """The searches of Figs. 7 and 9, or with `compared` of Figs. 8 and 10."""
    if compared:
        baselines = [name for name in found.discoveries if name.startswith(("BinFI", "StatFI"))]
        return ["oracle", "hessian", found.case.default, *baselines]
    return ["oracle", *_ranked(found)]


def _ranked(found: Measured) -> list[str]:
    return [name for name in (*PAPER_METHODS, "displacement", "loss_change", "adaptive") if name in found.rankings]


def _damage(networks: dict[str, Measured], *, compared: bool) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    return {
        title: {name: one.discoveries[name].damage_curve(one.damage) for name in names(one, compared=compared)}
        for title, one in networks.items()
    }


def _tops(networks: dict[str, Measured], *, compared: bool) -> dict[str, dict[str, np.ndarray]]:
    return {
        title: {
            name: one.discoveries[name].flips_for_top_sensitive(one.damage, one.oracle.sensitive, SHARES)
            for name in names(one, compared=compared)
        }
        for title, one in networks.items()
    }
