"""A run whose metric is any function of the fault set: no model, no data."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.engine import GoldenScore, Scores
from fkeras.faults import FaultSet
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.metrics import mean_squared_error

CODEC = FixedPoint(4, 0)


def space_of(n_words: int) -> BitSpace:
    zeros = np.zeros(n_words, np.float32)
    return BitSpace((WordTensor("d/kernel", (n_words,), CODEC, CODEC.encode(zeros), np.ones(n_words), zeros),))


class FunctionRun:
    """Metric "mse" is damage(flat bits that flip); golden is damage of none. Counts what it is asked."""

    engine, n_samples = "function", 1

    def __init__(self, damage, n_words=25, batch_size=8):
        self.damage, self.space, self.batch_size = damage, space_of(n_words), batch_size
        self.metrics = {"mse": mean_squared_error()}
        self.golden = {"mse": GoldenScore(float(damage(np.zeros(0, np.int64))), 0.0, 0, None)}
        self.golden_outputs = np.zeros(1)
        self.evaluations, self.batches_asked = 0, []

    def batches(self, bits):
        return iter(np.array_split(np.arange(len(bits)), max(1, len(bits) // 8)))

    def fault_sets(self, faults):
        self.evaluations += len(faults)
        self.batches_asked.append(len(faults))
        values = np.array([float(self.damage(one.flips)) for one in faults])
        zeros = np.zeros(len(faults), np.int64)
        return {"mse": Scores(values, zeros, zeros)}

    def flips(self, bits):
        return self.fault_sets([FaultSet([bit]) for bit in bits])


@pytest.fixture
def function_run():
    """function_run(damage, n_words=25, batch_size=8): a run over 4 * n_words bits."""
    return FunctionRun
