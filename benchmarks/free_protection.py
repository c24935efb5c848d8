"""What checks that add no bit do for a network under flips: damage, paired with the bare memory, trial by trial.

usage: python -m benchmarks.free_protection DATA [--models econ_t_medium ...] [--trials N]
           [--study checks|margins|rates|clusters|prior] [--only CHECK ...] [--json FILE] [--figure FILE]

DATA: a folder with the paper's models and inputs. Nothing here was chosen by the trials that are measured: the seed is
not one that any default was chosen by, the samples are others too, and importance is ranked on others again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

import fkeras
from benchmarks.prior_work import EmbeddedParity, InPlaceECC, SignMagnitude, in_place_blocks

SEED = 16_000
SAMPLES = slice(1000, 1800)
RANKED_ON = slice(400, 1000)
RATES = (0.001, 0.005, 0.02, 0.075)
FLIPS = {
    "econ_t_medium": (60, 960),
    "econ_t_small": (100,),
    "econ_t_large": (300,),
    "rn07_cifar10": (20, 100),
}
"""Models, and how many flips anywhere in their memory."""


@dataclass(frozen=True)
class Damage:
    """Mean damage above golden over trials, and its difference from the bare memory on the same faults.

    faults: of the memory; rate: the share of bits that they hit, or events per bit; low, high: a 95 % interval of the
    mean; saved, saved_low, saved_high: of bare minus this, trial by trial.
    """

    model: str
    metric: str
    faults: str
    rate: float
    protection: str
    trials: int
    mean: float
    low: float
    high: float
    saved: float
    saved_low: float
    saved_high: float
    wrong_words: float


def main() -> None:
    """Measure, print a table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", nargs="+", choices=FLIPS, default=list(FLIPS))
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--study", choices=STUDIES, default="checks")
    parser.add_argument("--only", nargs="+", metavar="CHECK", help="these of the study, beside none")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path, help="damage against the rate, as .svg")
    options = parser.parse_args()
    rows = []
    for model in options.models:
        for row in measured(options.data, model, options.trials, options.study, options.only):
            rows.append(row)
            print(_line(row), flush=True)
    print(tabulate([_cells(row) for row in rows], ("model", "faults", "protection", "damage [95 %]", "saved [95 %]")))
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    if options.figure is not None:
        _draw(rows, options.figure)


def measured(data: Path, name: str, trials: int, study_name: str, only: list[str] | None = None) -> Iterator[Damage]:
    """The damage to one model without protection and under each check, or those named in `only`."""
    inputs, metric = case(data, name)
    model = fkeras.load_model(data / "models" / f"{name}.h5")
    study = fkeras.Study(model, inputs, metric, seed=SEED)
    sign = 1 if next(iter(study.metrics.values())).better == "lower" else -1
    importance = fkeras.Study(model, *case(data, name, RANKED_ON), seed=SEED).rank("displacement")
    if study_name == "prior":
        print("{} of {} blocks have room for in-place ECC".format(*in_place_blocks(study.space)), flush=True)
    for rate, faults in _faults(study_name, name, len(study.space)):
        bare: Any = None
        for label, check in STUDIES[study_name](importance, max(rate, 1e-4)).items():
            if only and label not in ("none", *only):
                continue
            result = study.campaign(faults=faults, trials=trials, protected=check)
            damage = sign * (result.values - result.golden.value)
            bare = damage if bare is None else bare
            mean, low, high = _interval(damage)
            yield Damage(
                name, next(iter(study.metrics)), repr(faults), rate, label, trials, mean, low, high,
                *_interval(bare - damage), float(result.residual.mean()),
            )  # fmt: skip


def _faults(study_name: str, model: str, n_bits: int) -> list[tuple[float, Any]]:
    """Fault models, each with its rate."""
    if study_name == "rates":
        return [(rate, fkeras.BitErrorRate(rate)) for rate in RATES]
    if study_name == "clusters":
        cells = fkeras.CellLayout(columns=128)
        sizes = {1: 0.9, 2: 0.08, (2, 2): 0.02}
        return [(n / n_bits, fkeras.ClusteredUpsets(n, sizes, cells)) for n in FLIPS[model]]
    return [(n / n_bits, fkeras.FlipCount(n)) for n in FLIPS[model]]


def _checks(importance: fkeras.Ranking, rate: float) -> dict[str, Any]:
    """By what the table calls them; rate: the share of bits that flip."""
    return {
        "none": None,
        "range, reads 0": fkeras.RangeCheck("zero"),
        "range, clamped": fkeras.RangeCheck("clamp"),
        "range, undone": fkeras.RangeCheck(),
        "range per channel, undone": fkeras.RangeCheck(per="channel"),
        "known words": fkeras.KnownWords(),
        "known words, by importance": fkeras.KnownWords(importance=importance),
        "recoded": fkeras.Recoded(),
        "recoded, by importance": fkeras.Recoded(importance=importance),
        "recoded for this rate, by importance": fkeras.Recoded(rate, importance=importance),
        "known words, stored tables": fkeras.KnownWords(stored=True),
        "range, stored limits": fkeras.RangeCheck(stored=True),
    }


def _margins(importance: fkeras.Ranking, rate: float) -> dict[str, Any]:
    """The same with words beside the stored ones taken for stored."""
    checks: dict[str, Any] = {"none": None}
    for margin in (0, 1, 2, 4, 8):
        checks[f"range, margin {margin}"] = fkeras.RangeCheck(margin=margin)
        checks[f"known words, margin {margin}"] = fkeras.KnownWords(margin=margin, importance=importance)
        checks[f"recoded, margin {margin}"] = fkeras.Recoded(margin=margin, importance=importance)
    return checks


def _plain(importance: fkeras.Ranking, rate: float) -> dict[str, Any]:
    """Each check as it is by default."""
    return {
        "none": None,
        "RangeCheck()": fkeras.RangeCheck(),
        "KnownWords()": fkeras.KnownWords(),
        "Recoded()": fkeras.Recoded(),
    }


def _prior(importance: fkeras.Ranking, rate: float) -> dict[str, Any]:
    """Prior work, and the checks beside it."""
    prior = {
        "sign and magnitude": SignMagnitude(),
        "parity in the last bit": EmbeddedParity(),
        "in-place ECC": InPlaceECC(),
    }
    return {**_plain(importance, rate), **prior}


STUDIES = {"checks": _checks, "margins": _margins, "rates": _plain, "clusters": _plain, "prior": _prior}


def case(data: Path, name: str, samples: slice = SAMPLES) -> tuple[Any, Any]:
    """Inputs with targets, and the metric."""
    if name == "rn07_cifar10":
        images = np.load(data / "cifar10_test_2000.npz")
        first = slice(samples.start, samples.start + 400)
        return (images["X"][first].astype(np.float32) / 256, images["Y"][first]), "accuracy"
    cells = np.load(data / "hgcal" / "geometry.npz")
    charges = np.load(data / "econ_t_val.npz")["calq"][samples].astype(np.float32)
    if name == "econ_t_large":
        charges = charges[:300]
    images = (charges / charges.sum(axis=1, keepdims=True))[:, cells["arrange"]] * cells["mask"]
    return (images.reshape(-1, 8, 8, 1), charges), fkeras.metrics.emd(
        cells["coordinates"], cells=cells["cell_of_output"]
    )


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and asymptotic 95 % interval."""
    mean, half = float(values.mean()), 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5
    return mean, mean - half, mean + half


def _cells(row: Damage) -> tuple[object, ...]:
    return (
        row.model,
        row.faults,
        row.protection,
        f"{row.mean:.4f} [{row.low:.4f}, {row.high:.4f}]",
        f"{row.saved:.4f} [{row.saved_low:.4f}, {row.saved_high:.4f}]",
    )


def _draw(rows: list[Damage], file: Path) -> None:
    """A panel for each model, on a ground of its own for pages that are dark."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    models = list(dict.fromkeys(row.model for row in rows))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "fkeras"}):
        figure = Figure(figsize=(4 * len(models), 3.2), layout="constrained", facecolor="white")
        for place, model in enumerate(models, 1):
            axes = figure.add_subplot(1, len(models), place)
            for label in dict.fromkeys(row.protection for row in rows):
                line = [row for row in rows if (row.model, row.protection) == (model, label)]
                rates = [row.rate for row in line]
                drawn = axes.plot(rates, [row.mean for row in line], marker="o", markersize=3, label=label)
                low, high = [row.low for row in line], [row.high for row in line]
                axes.fill_between(rates, low, high, alpha=0.25, color=drawn[0].get_color(), linewidth=0)
            axes.set(xscale="log", xlabel="share of bits that flip", title=model)
            axes.set_ylabel(f"mean damage ({rows[0].metric})")
            axes.legend(frameon=False)
        figure.savefig(file, metadata={"Date": None})


def _line(row: Damage) -> str:
    return "  ".join(map(str, _cells(row)))


if __name__ == "__main__":
    main()
