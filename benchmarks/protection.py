"""What protecting the first third or half of each ranking does for the digits example under 400 flips.

usage: python benchmarks/protection.py [--trials N]        (a minute or two)
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tabulate import tabulate

import fkeras

EXAMPLE = Path(__file__).parents[1] / "example_project"
sys.path.insert(0, str(EXAMPLE))

METHODS = ("msb", "gradient", "hessian", "displacement", "loss_change", "adaptive")


def main() -> None:
    """Print a table of mean and worst accuracy by ranking and protected share."""
    from digits.data import test_set

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=30)
    trials = parser.parse_args().trials
    model, data = fkeras.load_model(EXAMPLE / "digits" / "digits.h5"), test_set()
    rankings = {name: fkeras.rank(model, data, method=name, metric="accuracy") for name in METHODS}
    oracle = fkeras.oracle(model, data, metric="mispredictions")
    displacement = rankings["displacement"].scores
    tie_breaks = displacement / (2 * displacement.max())
    space = fkeras.bit_space(model)
    rankings["oracle: change of the count"] = fkeras.Ranking.from_scores(abs(oracle.delta), space)
    rankings["oracle: images harmed, ties by displacement"] = fkeras.Ranking.from_scores(
        oracle.harmed + tie_breaks, space
    )
    rows = []
    for name, ranking in rankings.items():
        row: list[object] = [name]
        for share in (1 / 3, 1 / 2):
            result = fkeras.campaign(
                model, data, metric="accuracy", faults=400, trials=trials, protected=ranking.fraction(share)
            )
            row += [result.values.mean(), result.values.min()]
        rows.append(row)
    print(tabulate(rows, ("ranking", "1/3 mean", "1/3 worst", "1/2 mean", "1/2 worst"), floatfmt=".4f"))


if __name__ == "__main__":
    main()
