"""Print how often verdicts are wrong and how many trials they take: computed, not simulated.

The distribution of the failures of all campaigns still undecided is carried from trial to trial, so the numbers
are exact up to rounding. Run: python benchmarks/verdict_statistics.py
With --compare, simulated: comparisons with a baseline, as the plugin makes them, where a wrong answer is most likely:
by means at the tolerance, by draws at the share of worse ones that is allowed.
"""

from __future__ import annotations

import argparse
import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from fkeras.campaigns.comparing import compare
from fkeras.campaigns.measured_campaign import BudgetIdentity, MeasuredCampaign, MeasuredMetric
from fkeras.statistics.sequential import log_evidence_above, log_evidence_below, share_decision
from fkeras.statistics.tolerance import Tolerance


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


WORSENINGS = {
    "a little, everywhere": lambda g, old: (0.9 * old + 0.1 * g.random(old.size), 0.025),
    "much, in 4 % of trials": lambda g, old: (np.where(g.random(old.size) < 0.04, 1.0, old), 0.03),
    "other luck": lambda g, old: (g.beta(2.4, 6, old.size), 2.4 / 8.4 - 0.25),
    "all or nothing": lambda g, old: (np.where(g.random(old.size) < 0.4, 1.0, 0.0), 0.4 - 0.25),
}
"""Old values (mean 0.25, in [0, 1]) -> new ones, and by how much their mean is larger."""


def compare_simulated(repeats: int, trials: int) -> None:
    """Wrong answers of comparisons whose true worsening is the tolerance."""
    print(f"at most {trials} trials, {repeats} repetitions")
    print("differences                          wrong PASS  wrong FAIL  trials")
    for name, worsen in WORSENINGS.items():
        for pairing in ("paired", "unpaired"):
            generator, outcomes, used = np.random.default_rng(1), [], 0
            for _ in range(repeats):
                old, luck = generator.beta(2, 6, (2, trials))
                new, worse = worsen(generator, old if pairing == "paired" else luck)
                outcome, n = gated(new, old, Tolerance("err", worse, False, "mean"), pairing == "paired")
                outcomes.append(outcome)
                used += n
            wrong = [outcomes.count(outcome) / repeats for outcome in ("PASS", "FAIL")]
            print(f"{name + ', ' + pairing:<35}  {wrong[0]:10.3f}  {wrong[1]:10.3f}  {used / repeats:6.0f}")


ALLOWED, LIMIT = 0.05, 0.1
Z = NormalDist().inv_cdf(1 - ALLOWED)
CHANGES = {
    "much, in 5 % of draws": (
        lambda g, old: old + (g.random(old.size) < ALLOWED) * g.uniform(1, 9, old.size),
        lambda limit: ALLOWED,
    ),
    "a little, everywhere": (
        lambda g, old: old + g.normal(LIMIT / 2, LIMIT / 2 / Z, old.size),
        lambda limit: 1 - NormalDist(LIMIT / 2, LIMIT / 2 / Z).cdf(limit),
    ),
    "in proportion to the baseline": (
        lambda g, old: old * (1 + LIMIT / (1 - math.log(ALLOWED))),
        lambda limit: math.exp(1 - limit * (1 - math.log(ALLOWED)) / LIMIT),
    ),
}
"""Old values (1 + exponential, mean 2, unbounded) -> new ones, and the share that is worse by more than a number."""


def draws_simulated(repeats: int, trials: int) -> None:
    """Wrong answers of comparisons where the share of worse draws is the one allowed, absolute and relative."""
    print(f"at most {trials} trials, {repeats} repetitions")
    print("differences                          tolerance   wrong PASS  wrong FAIL  trials")
    for name, (change, share_past) in CHANGES.items():
        for tolerance in (Tolerance("err", LIMIT, False), Tolerance("err", LIMIT / 2, True)):
            generator, wrong, used = np.random.default_rng(1), {"PASS": 0, "FAIL": 0, "INCONCLUSIVE": 0}, 0
            for _ in range(repeats):
                old = 1 + generator.exponential(1, trials)
                outcome, n = gated(change(generator, old), old, tolerance, paired=True, bounds=None)
                # A share of the baseline's mean is another number in each repetition, and so is what is right.
                share, used = share_past(tolerance.absolute(float(old.mean()))), used + n
                is_right = {"PASS": share < ALLOWED * (1 - 1e-9), "FAIL": share > ALLOWED * (1 + 1e-9)}
                wrong[outcome] += not is_right.get(outcome, True)
            passed, failed = wrong["PASS"] / repeats, wrong["FAIL"] / repeats
            print(f"{name:<35}  {tolerance.amount:<10}  {passed:10.3f}  {failed:10.3f}  {used / repeats:6.0f}")


def gated(
    new: NDArray[np.float64],
    old: NDArray[np.float64],
    tolerance: Tolerance,
    paired: bool,
    bounds: tuple[float, float] | None = (0.0, 1.0),
) -> tuple[str, int]:
    """What the plugin's gate says: a campaign ends at its verdict, an undecided comparison goes on."""
    n_new = ended(new) if bounds else ended(new, 6.0, ALLOWED)
    while True:
        made = compare(measured(new[:n_new], 1, bounds), measured(old, 1 if paired else 2, bounds), (tolerance,))
        if made.outcome != "INCONCLUSIVE" or n_new >= new.size:
            return made.outcome, n_new
        n_new = min(new.size, 2 * n_new)


def ended(values: NDArray[np.float64], limit: float = 0.5, max_failure_rate: float = 0.2) -> int:
    """Where a campaign ends that stops once its verdict is decided."""
    failures = np.cumsum(values > limit)
    decided = (n for n in range(1, values.size) if share_decision(int(failures[n - 1]), n, max_failure_rate))
    return next(decided, values.size)


def measured(values: NDArray[np.float64], seed: int, bounds: tuple[float, float] | None) -> MeasuredCampaign:
    """A campaign that gave these values."""
    metric = MeasuredMetric("lower", bounds, 0.1, float(values.mean()), 0, values)
    faults = (np.arange(values.size) % 256).astype(np.uint8)
    return MeasuredCampaign(
        BudgetIdentity("model", "faults"), seed, "layout", "content", 1, (), values.size, False, faults, {"err": metric}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=0.05)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--max-trials", type=int, default=1000)
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.2, 0.5, 1]
    )
    parser.add_argument("--compare", action="store_true", help="simulate comparisons with a baseline instead")
    parser.add_argument("--repeats", type=int, default=1000)
    arguments = parser.parse_args()
    if arguments.compare:
        draws_simulated(arguments.repeats, min(arguments.max_trials, 300))
        compare_simulated(arguments.repeats, min(arguments.max_trials, 300))
        return
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
