"""Which registers matter: flips are drawn bit position by bit position, and intervals hold the mean over all bits."""

from __future__ import annotations

import numpy as np

import fkeras
from benchmarks.registers import LayerFlips, figure_of, lines, measured
from fkeras.progress import silent
from tests.unit.faults.test_memories import one_layer, one_layer_data


def test_all_flips_where_there_are_no_more_and_as_many_of_each_position_else() -> None:
    network, (x, y) = one_layer(), one_layer_data()
    space, data = fkeras.bit_space(network, of="activations"), (x[:50], y[:50])
    oracle = fkeras.oracle(network, data, metric="mispredictions", space=space, progress=silent)
    (whole,) = measured(network, data, "mispredictions", space, 99)
    assert whole.is_whole
    assert whole.error == 0
    np.testing.assert_allclose(whole.mean, np.abs(oracle.delta).mean())
    np.testing.assert_allclose(
        whole.changes.mean(axis=1), [np.abs(oracle.delta[place::5]).mean() for place in range(5)]
    )
    (part,) = measured(network, data, "mispredictions", space, 4)
    assert part.bits.shape == (5, 4)
    np.testing.assert_array_equal(space.bit_positions[part.bits], np.arange(5)[:, None] * np.ones(4, int))
    np.testing.assert_allclose(part.changes, np.abs(oracle.delta)[part.bits])
    assert "all 50 bits" in lines([whole])[0]
    assert "20 of 50 bits" in lines([part])[0]
    assert len(figure_of({"one": ("mispredictions", [whole]), "two": ("emd", [part, whole])}).axes) == 2


def test_intervals_hold_the_mean_over_all_bits_nineteen_times_of_twenty() -> None:
    rng = np.random.default_rng(0)
    population = rng.exponential(2.0 ** -np.arange(4)[:, None], (4, 500))
    held = 0
    for _ in range(400):
        bits = np.stack([rng.choice(500, 100, replace=False) for _ in range(4)])
        layer = LayerFlips("a", 2000, bits, np.take_along_axis(population, bits, axis=1), 1.0)
        held += abs(layer.mean - population.mean()) <= layer.error
    assert 0.92 < held / 400 < 0.98
