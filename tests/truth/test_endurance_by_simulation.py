"""The largest survived look is claimed too large no more often than it says, although it was searched for."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from fkeras.campaigns import Limit, Requirement
from fkeras.campaigns.accumulation import OneByOne
from fkeras.campaigns.endurance import Endurance, Histories

CAMPAIGNS = 2000
LOOKS = np.arange(1.0, 41.0)


def claims(share_failed_by: np.ndarray, trials: int, confidence: float, recover: float) -> tuple[np.ndarray, ...]:
    """largest and exceeded_at of many campaigns; a trial fails first at a look with the given distribution."""
    generator = np.random.default_rng(trials)
    largest, exceeded = [], []
    requirement = Requirement((Limit("m", "max", 0.5),), 0.05, confidence)
    for _ in range(CAMPAIGNS):
        first = np.searchsorted(share_failed_by, generator.random(trials))
        broken = np.arange(LOOKS.size) >= first[:, None]
        # After its first failure a trial may look well again.
        broken &= (np.arange(LOOKS.size) == first[:, None]) | (generator.random(broken.shape) >= recover)
        zeros = np.zeros(broken.shape, np.int64)
        table = Histories(LOOKS, broken.astype(float), zeros, zeros, broken)
        nothing = SimpleNamespace(value=0.0)
        result = Endurance(
            "m",
            "lower",
            None,
            nothing,
            requirement,
            table,
            table,
            OneByOne(),
            None,
            0,
            None,
            "none",
            1,  # type: ignore[arg-type]
        )
        largest.append(result.largest or 0)
        exceeded.append(result.exceeded_at or math.inf)
    return np.array(largest), np.array(exceeded)


@pytest.mark.parametrize(("trials", "confidence"), [(59, 0.95), (100, 0.95), (100, 0.8)])
@pytest.mark.parametrize("recover", [0.0, 0.9])
def test_wrong_claims_stay_below_alpha(trials, confidence, recover):
    # The allowed 5 % are reached exactly at look 10, the worst case for both claims.
    failed_by = 0.05 * LOOKS / 10
    alpha = 1 - confidence
    most = alpha + 4 * math.sqrt(alpha * (1 - alpha) / CAMPAIGNS)
    largest, exceeded = claims(failed_by, trials, confidence, recover)
    assert (largest >= 10).mean() <= most
    assert (exceeded <= 10).mean() <= most
    # And the claims are not empty.
    assert (largest >= 2).mean() > 0.3
    assert (exceeded <= 40).mean() > 0.5


def test_a_plateau_at_the_limit_is_no_better():
    failed_by = np.where(LOOKS < 5, 0.0, 0.05)
    largest, _ = claims(failed_by, 100, 0.95, 0.5)
    assert (largest >= 5).mean() <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / CAMPAIGNS)
    assert (largest >= 4).all()
