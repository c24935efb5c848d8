"""What checks that add no bit do for a network under flips: damage, paired with the bare memory, trial by trial.

usage: python -m benchmarks.free_protection DATA [--models econ_t_medium ...] [--trials N] [--margins] [--json FILE]

DATA: a folder with the paper's models and inputs. Nothing here was chosen by the trials that are measured: the seed is
not one that any default was chosen by, and the samples are others too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

import fkeras

SEED = 16_000
SAMPLES = slice(1000, 1800)
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

    low, high: a 95 % interval of the mean; saved, saved_low, saved_high: of bare minus this, trial by trial.
    """

    model: str
    metric: str
    flips: int
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
    parser.add_argument("--margins", action="store_true", help="what a margin costs, instead of the checks")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for model in options.models:
        for row in measured(options.data, model, options.trials, _margins if options.margins else _checks):
            rows.append(row)
            print(_line(row), flush=True)
    print(tabulate([_cells(row) for row in rows], ("model", "flips", "protection", "damage [95 %]", "saved [95 %]")))
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def measured(data: Path, name: str, trials: int, checks_of: Callable[..., dict[str, Any]]) -> Iterator[Damage]:
    """The damage to one model without protection and under each check."""
    inputs, metric = case(data, name)
    model = fkeras.load_model(data / "models" / f"{name}.h5")
    study = fkeras.Study(model, inputs, metric, seed=SEED)
    sign = 1 if next(iter(study.metrics.values())).better == "lower" else -1
    importance = study.rank("displacement")
    for flips in FLIPS[name]:
        rate = max(flips / len(study.space), 1e-4)
        bare: Any = None
        for label, check in checks_of(importance, rate).items():
            result = study.campaign(faults=flips, trials=trials, protected=check)
            damage = sign * (result.values - result.golden.value)
            bare = damage if bare is None else bare
            mean, low, high = _interval(damage)
            yield Damage(
                name, next(iter(study.metrics)), flips, label, trials, mean, low, high, *_interval(bare - damage),
                float(result.residual.mean()),
            )  # fmt: skip


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


def case(data: Path, name: str) -> tuple[Any, Any]:
    """Inputs with targets, and the metric."""
    if name == "rn07_cifar10":
        images = np.load(data / "cifar10_test_2000.npz")
        return (images["X"][1000:1400].astype(np.float32) / 256, images["Y"][1000:1400]), "accuracy"
    cells = np.load(data / "hgcal" / "geometry.npz")
    charges = np.load(data / "econ_t_val.npz")["calq"][SAMPLES].astype(np.float32)
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
        row.flips,
        row.protection,
        f"{row.mean:.4f} [{row.low:.4f}, {row.high:.4f}]",
        f"{row.saved:.4f} [{row.saved_low:.4f}, {row.saved_high:.4f}]",
    )


def _line(row: Damage) -> str:
    return "  ".join(map(str, _cells(row)))


if __name__ == "__main__":
    main()
