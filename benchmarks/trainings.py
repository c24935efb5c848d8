"""Checks that add no bit on other trainings of a network: made from its own words, or frozen with those of others.

usage: python -m benchmarks.trainings [--trainings N] [--flips N] [--trials N] [--epochs N]

Trains the example's digits network with seeds 1 to N. The last training is the one that is loaded later: its damage is
measured under checks that are reloaded with it, and under checks frozen with the words of the first, and of all others,
whose margin grows until they know all its words.
"""

from __future__ import annotations

import argparse
import sys
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
    parser.add_argument("--trainings", type=int, default=4)
    parser.add_argument("--flips", type=int, default=100)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=60)
    options = parser.parse_args()
    studies = _studies(options.trainings, options.epochs)
    *others, loaded = studies
    golden = loaded.golden["accuracy"].value
    print("golden accuracy", *(f"{study.golden['accuracy'].value:.3f}" for study in studies), flush=True)

    def damage(check: Any) -> str:
        result = loaded.campaign(faults=options.flips, trials=options.trials, protected=check)
        error = 1.96 * result.values.std(ddof=1) / len(result) ** 0.5
        return f"{golden - result.values.mean():.4f} ± {error:.4f}"

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
    print(tabulate(rows, ("check", "made from", f"accuracy lost under {options.flips} flips")))


def _studies(n_trainings: int, epochs: int) -> list[fkeras.Study]:
    sys.path.insert(0, str(Path(__file__).parents[1] / "example_project"))
    from digits import data
    from digits.train import train

    x, y = data.test_set()
    models = [train(0, seed, epochs) for seed in range(1, n_trainings + 1)]
    return [fkeras.Study(model, (x, y), "accuracy", seed=SEED) for model in models]


if __name__ == "__main__":
    main()
