"""Checks that add no bit on other trainings of a network: made from its own words, or frozen with those of others.

usage: python -m benchmarks.trainings [--network digits|econ_t] [--trainings N] [--flips N] [--trials N] [--epochs N]

Trains a network of the example with seeds 1 to N. The last training is the one that is loaded later: its damage is
measured under checks that are reloaded with it, and under checks frozen with the words of the first, and of all others,
whose margin grows until they know all its words.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tabulate import tabulate

import fkeras
from fkeras.errors import InputError

SEED = 16_002
MARGINS = (0, 1, 2, 4, 8, 16)
CHECKS = {"range, undone": fkeras.RangeCheck, "known words": fkeras.KnownWords, "recoded": fkeras.Recoded}


def main() -> None:
    """Train, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=NETWORKS, default="digits")
    parser.add_argument("--trainings", type=int, default=4)
    parser.add_argument("--flips", type=int, default=100)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=60)
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "example_project"))
    train, data, metric = NETWORKS[options.network]()
    studies = [
        fkeras.Study(train(seed, options.epochs), data, metric, seed=SEED) for seed in range(1, options.trainings + 1)
    ]
    *others, loaded = studies
    ((judged_by, golden),) = ((name, score.value) for name, score in loaded.golden.items())
    print("golden", judged_by, *(f"{study.golden[judged_by].value:.3f}" for study in studies), flush=True)
    worse = 1.0 if loaded.run().metrics[judged_by].better == "lower" else -1.0

    def damage(check: Any) -> str:
        result = loaded.campaign(faults=options.flips, trials=options.trials, protected=check)
        error = 1.96 * result.values.std(ddof=1) / len(result) ** 0.5
        return f"{worse * (result.values.mean() - golden):.4f} ± {error:.4f}"

    rows = [["none", "-", damage(None)]]
    for name, check in CHECKS.items():
        rows.append([name, "its own", damage(check())])
        for frozen in (others[:1], others):
            spaces = [study.space for study in frozen]
            for margin in MARGINS if check is not fkeras.Recoded else MARGINS[:4]:
                made_from = f"{len(spaces)} other, margin {margin}"
                try:
                    rows.append([name, made_from, damage(check(of=spaces, margin=margin))])
                except InputError as error:
                    rows.append([name, made_from, f"refused: {str(error).partition(': ')[2][:60]}"])
                    continue
                break
        print(*rows[-1], flush=True)
    print(tabulate(rows, ("check", "made from", f"{judged_by} lost under {options.flips} flips")))


def _digits() -> tuple[Callable[[int, int], Any], tuple[Any, Any], Any]:
    from digits import data
    from digits.train import train

    return partial(train, 0), data.test_set(), "accuracy"


def _econ_t() -> tuple[Callable[[int, int], Any], tuple[Any, Any], Any]:
    from econ_t import data, geometry
    from econ_t.train import train

    metric = fkeras.metrics.emd(geometry.cell_coordinates(), cells=geometry.cell_of_output())
    return partial(train, 1), data.validation_set(), metric


NETWORKS = {"digits": _digits, "econ_t": _econ_t}
"""How a network is trained with a seed for so many epochs, what it is judged on, and by which metric."""


if __name__ == "__main__":
    main()
