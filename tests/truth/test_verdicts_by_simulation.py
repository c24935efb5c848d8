"""A verdict is wrong no more often than it says, although the campaign looks after every trial.

Each simulated campaign runs up to 1,000 trials and stops at its first decision. Thresholds leave four standard
deviations of the simulation itself.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from fkeras.statistics.means import bounded_mean
from fkeras.statistics.paired import paired_difference
from fkeras.statistics.proportions import upper_bound
from fkeras.statistics.sequential import log_evidence_above, log_evidence_below

CAMPAIGNS, TRIALS = 4000, 1000


def most(alpha: float, runs: int = CAMPAIGNS) -> float:
    return alpha + 4 * math.sqrt(alpha * (1 - alpha) / runs)


@cache
def decisions(limit: float, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Tables (trials, failures) of what is decided."""
    n, k = np.tril_indices(TRIALS + 1)
    enough = -math.log1p(-confidence)
    below, above = np.zeros((2, TRIALS + 1, TRIALS + 1), dtype=bool)
    below[n, k] = log_evidence_below(k, n, limit) >= enough
    above[n, k] = log_evidence_above(k, n, limit) >= enough
    return below, above


def simulate(share: float, limit: float, confidence: float = 0.95) -> tuple[float, float, np.ndarray]:
    """How often campaigns end "below" and "above", and after how many trials (TRIALS when undecided)."""
    below, above = decisions(limit, confidence)
    generator = np.random.default_rng([int(share * 1e6), int(limit * 1e6)])
    failures = np.cumsum(generator.random((CAMPAIGNS, TRIALS)) < share, axis=1)
    trial = np.arange(1, TRIALS + 1)
    says_below, says_above = below[trial, failures], above[trial, failures]
    decided = says_below | says_above
    first = np.where(decided.any(axis=1), decided.argmax(axis=1), TRIALS - 1)
    row = np.arange(CAMPAIGNS)
    return float(says_below[row, first].mean()), float(says_above[row, first].mean()), first + 1


@pytest.mark.parametrize("confidence", [0.95, 0.8])
@pytest.mark.parametrize("limit", [0.05, 0.3])
def test_wrong_verdicts_at_the_limit_stay_below_alpha(limit, confidence):
    passed, failed, _ = simulate(limit, limit, confidence)
    alpha = 1 - confidence
    assert passed <= most(alpha)
    assert failed <= most(alpha)
    # And the rule is not so timid that the law holds for free.
    assert passed + failed > alpha / 4


@pytest.mark.parametrize(("share", "wrong"), [(0.055, "below"), (0.08, "below"), (0.045, "above"), (0.02, "above")])
def test_wrong_verdicts_on_either_side_stay_below_alpha(share, wrong):
    passed, failed, _ = simulate(share, 0.05)
    assert (passed if wrong == "below" else failed) <= most(0.05)


@pytest.mark.parametrize(
    ("share", "right", "mean", "late"), [(0.0, "below", 69, 69), (0.01, "below", 150, 350), (0.2, "above", 35, 95)]
)
def test_clear_cases_are_decided_soon(share, right, mean, late):
    passed, failed, stopped = simulate(share, 0.05)
    assert (passed if right == "below" else failed) >= 1 - most(0.05)
    assert stopped.mean() <= mean
    assert np.quantile(stopped, 0.95) <= late


def test_the_simulation_catches_a_rule_that_may_not_look_twice():
    # Clopper-Pearson's bound, looked at after every trial, is the mistake that this module exists to avoid.
    allowed = np.array([-1] * (TRIALS + 1))
    for trials in range(1, TRIALS + 1):
        most_failures = allowed[trials - 1]
        while most_failures + 1 < trials and upper_bound(most_failures + 1, trials, 0.95) < 0.05:
            most_failures += 1
        allowed[trials] = most_failures
    failures = np.cumsum(np.random.default_rng(2).random((CAMPAIGNS, TRIALS)) < 0.05, axis=1)
    assert (failures <= allowed[1:]).any(axis=1).mean() > 2 * most(0.05)


DISTRIBUTIONS = {
    "rare ones": (0.03, lambda g, n: (g.random(n) < 0.03).astype(float)),
    "rare zeros": (0.97, lambda g, n: (g.random(n) >= 0.03).astype(float)),
    "two horns": (0.5, lambda g, n: g.beta(0.05, 0.05, n)),
    "a point and a tail": (0.19, lambda g, n: np.where(g.random(n) < 0.9, 0.1, 1.0)),
    "nearly constant": (0.3, lambda g, n: g.uniform(0.29, 0.31, n)),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("trials", [15, 120])
def test_bounded_means_cover_nasty_distributions(name, trials):
    # A candidate once excluded stays excluded, so covering at the end is covering at every trial before.
    mean, draw = DISTRIBUTIONS[name]
    generator = np.random.default_rng(trials)
    missed = 0
    for _ in range(300):
        estimate = bounded_mean(draw(generator, trials), (0, 1), 0.9)
        missed += not estimate.low <= mean <= estimate.high
    assert missed / 300 <= most(0.1, 300)


def test_paired_differences_cover_a_rare_large_regression():
    generator = np.random.default_rng(9)
    missed = np.zeros(2)
    for _ in range(300):
        old = generator.random(60) * 0.1
        new = np.where(generator.random(60) < 0.05, 1.0, old)
        estimate = paired_difference(new, old, bounds=(0, 1), confidence=0.9)
        missed += np.array([estimate.low > 0.05 * 0.95, estimate.high < 0.05 * 0.95])
    assert (missed / 300 <= most(0.1, 300)).all()


@pytest.mark.parametrize("shares", [(0.05, 0.01, 0.01), (0.05, 0.05, 0.05, 0.05)])
def test_a_run_of_several_budgets_lets_a_bad_model_through_at_most_as_often_as_one_budget(shares):
    # All budgets must pass; every one at the limit is a violation.
    below, above = decisions(0.05, 0.95)
    generator, trial = np.random.default_rng(len(shares)), np.arange(1, TRIALS + 1)
    passed, any_wrong = np.ones(CAMPAIGNS, bool), np.zeros(CAMPAIGNS, bool)
    for share in shares:
        failures = np.cumsum(generator.random((CAMPAIGNS, TRIALS)) < share, axis=1)
        says_below, says_above = below[trial, failures], above[trial, failures]
        first = np.argmax(says_below | says_above, axis=1)
        ends_below = says_below[np.arange(CAMPAIGNS), first]
        passed &= ends_below
        any_wrong |= ends_below if share >= 0.05 else False
    assert passed.mean() <= most(0.05)
    # Some wrong PASS among m of them is another matter: m times as likely at most.
    assert any_wrong.mean() <= most(0.05 * sum(share >= 0.05 for share in shares))
