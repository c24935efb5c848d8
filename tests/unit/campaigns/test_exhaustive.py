"""The exhaustive campaign: trial i is the flip of bit i, and nothing is estimated."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.campaigns import Limit, Outcome, Requirement
from fkeras.campaigns.exhaustive import run_exhaustive
from fkeras.engine import GoldenScore, Scores
from fkeras.errors import InputError
from fkeras.faults import FaultSet, protection
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.metrics import mean_squared_error
from fkeras.progress import silent

CODEC = FixedPoint(4, 0)
WORDS = np.zeros(3, np.float32)
SPACE = BitSpace((WordTensor("dense/kernel", (3,), CODEC, CODEC.encode(WORDS), np.ones(3, np.float32), WORDS),))


class CountingRun:
    """Bit i has the damage i; batches come backwards and in threes."""

    engine, batch_size, n_samples, space = "numpy", 3, 1, SPACE

    def __init__(self):
        self.metrics = {"mse": mean_squared_error()}
        self.golden = {"mse": GoldenScore(-1.0, 0.0, 0, None)}

    def batches(self, bits):
        return iter(np.array_split(np.arange(len(bits))[::-1], 3))

    def flips(self, bits):
        return {"mse": Scores(bits.astype(float), bits % 2, np.ones(len(bits), np.int64))}


def campaign(protected=None):
    return run_exhaustive(CountingRun(), protection(protected, SPACE), silent)


def test_trial_i_flips_bit_i():
    result = campaign()
    assert result.values.tolist() == list(range(12))
    assert result["mse"].values.tolist() == list(range(12))
    assert [result.setting.residual(trial) for trial in (0, 7)] == [FaultSet([0]), FaultSet([7])]
    assert result.undefined == 6


def test_protected_bits_are_golden():
    result = campaign([3, 4])
    assert result.values.tolist() == [0, 1, 2, -1, -1, 5, 6, 7, 8, 9, 10, 11]
    assert result.residual.tolist() == [1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1]


def test_estimates_are_exact():
    result = campaign()
    for estimate, value in ((result.estimate, 5.5), (result.failure_rate(8.0), 0.25), (result["mse"].estimate, 5.5)):
        assert (estimate.low, estimate.best, estimate.high, estimate.confidence) == (value, value, value, 1.0)


@pytest.mark.parametrize(("share", "outcome"), [(0.25, Outcome.PASS), (0.2499, Outcome.FAIL), (0.0, Outcome.FAIL)])
def test_the_verdict_compares_the_share_itself(share, outcome):
    verdict = campaign().verdict(Requirement((Limit("mse", "max", 8.0),), share))
    assert (verdict.outcome, verdict.failures, verdict.trials, verdict.exact) == (outcome, 3, 12, True)
    assert "exact (every single flip measured)" in str(verdict)


def test_an_empty_memory_is_refused():
    class Empty(CountingRun):
        space = BitSpace(())

    with pytest.raises(InputError, match="no bits to flip"):
        run_exhaustive(Empty(), protection(None, Empty.space), silent)
