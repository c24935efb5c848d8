"""Print how often verdicts are wrong and how many trials they take: computed, not simulated.

The distribution of the failures of all campaigns still undecided is carried from trial to trial, so the numbers
are exact up to rounding. Run: python benchmarks/verdict_statistics.py
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from numpy.typing import NDArray

from fkeras.statistics.sequential import log_evidence_above, log_evidence_below


def characteristics(share: float, below: NDArray[np.bool_], above: NDArray[np.bool_]) -> tuple[float, ...]:
    """P(PASS), P(FAIL), mean, median and 95th percentile of the trials used, for a true share."""
    trials = below.shape[0] - 1
    undecided = np.zeros(trials + 1)
    undecided[0] = 1.0
    passed, failed = np.zeros((2, trials + 1))
    for n in range(1, trials + 1):
        undecided[1:] = undecided[1:] * (1 - share) + undecided[:-1] * share
        undecided[0] *= 1 - share
        passed[n], failed[n] = undecided[below[n]].sum(), undecided[above[n]].sum()
        undecided[below[n] | above[n]] = 0.0
    ended = passed + failed
    ended[trials] += undecided.sum()
    middle, late = np.searchsorted(np.cumsum(ended), (0.5, 0.95))
    return float(passed.sum()), float(failed.sum()), float(np.arange(trials + 1) @ ended), float(middle), float(late)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=0.05)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--max-trials", type=int, default=1000)
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.2, 0.5, 1]
    )
    arguments = parser.parse_args()
    n, k = np.tril_indices(arguments.max_trials + 1)
    enough = -math.log1p(-arguments.confidence)
    below, above = np.zeros((2, arguments.max_trials + 1, arguments.max_trials + 1), dtype=bool)
    below[n, k] = log_evidence_below(k, n, arguments.limit) >= enough
    above[n, k] = log_evidence_above(k, n, arguments.limit) >= enough
    print(f"limit {arguments.limit:g}, confidence {arguments.confidence:g}, at most {arguments.max_trials} trials")
    print("true share      PASS      FAIL  undecided  mean trials  median  95 % done by")
    for share in arguments.shares:
        passed, failed, mean, middle, late = characteristics(share, below, above)
        rest = max(0.0, 1 - passed - failed)
        print(f"{share:10.3f}  {passed:8.4f}  {failed:8.4f}  {rest:9.4f}  {mean:11.1f}  {middle:6.0f}  {late:12.0f}")


if __name__ == "__main__":
    main()
