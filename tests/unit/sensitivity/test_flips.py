"""Rankings of registers: what a flip changes is another number in each sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fkeras
from fkeras import network as fn
from fkeras.errors import InputError
from fkeras.memory import BitSpace
from fkeras.network.registers import register_space
from fkeras.statistics.ranks import spearman
from tests.unit.engines.cpu.test_run import Builder, every_memory

METRIC = fkeras.metrics.mean_squared_error()


def with_one_output(seed: int) -> tuple[fn.Network, np.ndarray]:
    """Two dense layers, whose one output is a sum: behind the first layer's quantizer everything is linear."""
    b = Builder(seed, (6,))
    x = b.quantize("x", 6, 1, signed=True)
    x = b.quantize(b.add(fn.Relu(), b.weighted(x, "Dense", 5, (), "stored")), 4, 1)
    x = b.weighted(x, "Dense", 1, (), "stored", scale=0.25)
    return b.network(x), np.round(b.rng.normal(0, 1, (40, 6)) * 16).astype(np.float32) / 16


def of_layers(seed: int) -> tuple[fn.Network, np.ndarray, np.ndarray]:
    """Two convolutions and a dense layer, their data, and targets near the outputs."""
    b = Builder(seed, (5, 5, 2))
    x = b.quantize("x", 5, 1, signed=True)
    for strides, scale in ((2, 1.0), (1, 0.5)):
        x = b.quantize(b.weighted(x, "Convolution", 3, (2, 2), "stored", scale=scale, strides=(strides, strides)), 5, 2)
    x = b.weighted(b.add(fn.Reshape((int(np.prod(b.shapes[x])),)), x), "Dense", 3, (), "stored", scale=0.125)
    network = b.network(x)
    data = np.round(b.rng.normal(0, 0.5, (60, 5, 5, 2)) * 16).astype(np.float32) / 16
    return network, data, network([data])[0] + b.rng.normal(0, 0.3, (60, 3)).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", ["displacement", "loss_change"])
def test_a_score_is_the_damage_where_all_behind_is_functions_of_one_number_and_sums(seed: int, method: str) -> None:
    network, x = with_one_output(seed)
    space = register_space(network, "activations") + register_space(network, "accumulators")
    data = x, network([x])[0]
    scores = fkeras.rank(network, data, method=method, space=space).scores
    damage = fkeras.oracle(network, data, metric=METRIC, space=space).delta
    read_by_a_sum = space.offsets[1]
    assert np.count_nonzero(damage[read_by_a_sum:]) > 50
    np.testing.assert_allclose(scores[read_by_a_sum:], damage[read_by_a_sum:], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("method", ["gradient", "taylor"])
def test_words_of_registers_are_ranked_by_their_slopes_in_each_sample(method: str) -> None:
    network, x = with_one_output(0)
    space = register_space(network, "activations")
    rng = np.random.default_rng(1)
    y = network([x])[0] + rng.normal(0, 1, (len(x), 1)).astype(np.float32)
    hidden = replace(network, outputs=(space.registers[1].tensor,))([x])[0]
    kernel = network.values["layer1/kernel"].astype(np.float64)
    slopes = 2 * (network([x])[0] - y) * kernel.T
    strength = np.abs(slopes).mean(0) if method == "gradient" else np.abs((slopes * hidden).mean(0))
    ranking = fkeras.rank(network, (x, y), method=method, space=space)
    top = ranking.scores[space.offsets[1] :: space.registers[1].codec.width]
    assert np.argsort(top).tolist() == np.argsort(strength).tolist()
    assert (space.bit_positions[ranking.order[: 6 + 5]] == 0).all()


@pytest.fixture(scope="module")
def judged():
    """A network, its data, and what every bit of all its memories does."""
    network, x, y = of_layers(0)
    space = every_memory(network)
    return network, (x, y), space, fkeras.oracle(network, (x, y), metric=METRIC, space=space)


def rhos(judged, method: str) -> tuple[float, float]:
    """Rank correlation with the measured damage: of all bits, and of the registers' alone."""
    network, data, space, oracle = judged
    scores = fkeras.rank(network, data, method=method, metric=METRIC, space=space).scores
    parts = slice(None), space.is_register
    return tuple(spearman(scores[part], np.abs(oracle.delta[part])) for part in parts)


@pytest.mark.parametrize("method", ["displacement", "loss_change", "adaptive"])
def test_rankings_of_all_memories_agree_with_measured_damage(judged, method: str) -> None:
    assert set(judged[2].kinds) == {"weights", "biases", "inputs", "activations", "accumulators"}
    assert min(rhos(judged, method)) > 0.9


def test_msb_does_not_agree_so_well(judged) -> None:
    assert max(rhos(judged, "msb")) < 0.75
    assert all(ours > theirs for ours, theirs in zip(rhos(judged, "gradient"), rhos(judged, "msb"), strict=True))


@pytest.mark.parametrize("method", ["gradient", "taylor"])
def test_stored_bits_stand_in_the_same_order_beside_registers(judged, method: str) -> None:
    network, data, space, _ = judged
    stored = BitSpace(space.tensors)
    together, alone = (fkeras.rank(network, data, method=method, space=part).order for part in (space, stored))
    np.testing.assert_array_equal(together[together < len(stored)], alone)


def test_protecting_the_first_bits_of_a_ranking_helps_more_than_the_last(judged) -> None:
    network, data, space, _ = judged
    ranking = fkeras.rank(network, data, metric=METRIC, space=space)
    assert ranking.method == "displacement"
    third = len(space) // 3
    errors = [
        fkeras.campaign(
            network, data, faults=fkeras.FlipCount(10), metric=METRIC, space=space, trials=20, protected=protected
        ).values.mean()
        for protected in (ranking[:third], ranking[len(space) - third :])
    ]
    assert errors[0] < errors[1] / 2


@pytest.mark.parametrize("method", ["hessian", "hessian_upstream"])
def test_the_hessian_is_of_stored_words(judged, method: str) -> None:
    network, data, space, _ = judged
    with pytest.raises(InputError, match="a ranking by the Hessian needs words that are stored, and register"):
        fkeras.rank(network, data, method=method, space=space)
