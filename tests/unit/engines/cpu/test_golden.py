"""Golden tensors are held as those who read them read them, and made once while they fit."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras.metrics
from fkeras import network as fn
from fkeras.engines.cpu import golden
from fkeras.engines.cpu.run import CpuRun
from fkeras.faults import FaultSet
from tests.unit.engines.cpu.test_run import Builder, require_same, slowly


@pytest.mark.parametrize("share", [0.75, 0.1])
def test_fault_sets_that_begin_anywhere_make_golden_tensors_once(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """share: of what all would take as floats."""
    b = Builder(0, (6, 6, 2))
    x = b.quantize("x", 5, 1, signed=True)
    for _ in range(3):
        x = b.quantize(b.weighted(x, "Convolution", 4, (2, 2)), 4)
    network = b.network(b.weighted(b.add(fn.Reshape((144,)), x), "Dense", 3))
    n = 12
    data = np.round(b.rng.normal(0, 1, (n, 6, 6, 2)) * 16).astype(np.float32) / 16
    space, targets = network.memory.space(), b.rng.normal(0, 1, (n, 3))
    metrics = {"mse": fkeras.metrics.mean_squared_error()}
    run = CpuRun(network, space, data, targets, metrics)
    sets = [FaultSet(np.array([first, len(space) - 1])) for first in space.offsets[:-1]]
    truth = slowly(network, space, data, targets, metrics, sets)
    floats = 4 * sum(int(np.prod(network.shapes[node.inputs[0]])) for node in network.nodes if "kernel" in str(node))
    monkeypatch.setattr(golden, "HELD_BYTES", int(share * n * floats))
    made, gathered = [], golden.gathered

    def count(compute, rows, size):
        made.append(rows)
        return gathered(compute, rows, size)

    monkeypatch.setattr(golden, "gathered", count)
    require_same(run.fault_sets(sets), truth)
    assert len(made) == len({rows.start for rows in made})
    assert (len(made) == 1) == (share > 0.5)
    if len(made) == 1:
        for fault, value in zip(sets, truth["mse"].values, strict=True):
            np.testing.assert_allclose(run.fault_sets([fault])["mse"].values, value, rtol=2e-6)
        assert len(made) == 1
