"""The law of the GPU engine: its numbers are those of the whole network under the fault, and of the CPU engine."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

import fkeras
from fkeras import network as fn
from fkeras.engines.cpu.run import CpuRun
from fkeras.faults import FaultSet, RangeCheck, SampleFlips
from fkeras.memory import WordTensor
from fkeras.memory.codecs import FixedPoint
from fkeras.memory.inventory import LayerMemory
from fkeras.memory.register import REGISTERS
from fkeras.network.floats import storing
from fkeras.network.ranges import golden_range
from fkeras.network.registers import register_space
from tests.unit.engines.cpu.test_run import (
    Builder,
    metrics_of,
    random_network,
    register_faults,
    require_same,
    slowly,
)

pytestmark = pytest.mark.usefixtures("jax")
MSE = {"mse": fkeras.metrics.mean_squared_error()}


def started(network, space, x, y, metrics):
    """The GPU engine."""
    from fkeras.engines.gpu.run import GpuRun

    return GpuRun(network, space, x, y, metrics)


def classifier(seed: int, floats: bool = False) -> tuple[fn.Network, np.ndarray]:
    """Exact layers of all geometries up to class scores, with or without a softmax; floats: with norms, slopes and
    means in front of quantizers."""
    b = Builder(seed, (6, 5, 2))
    rng = b.rng
    x = b.quantize("x", 5, 1, signed=True)
    for _ in range(rng.integers(1, 4)):
        options = {"padding": str(rng.choice(["same", "valid"])) if min(b.shapes[x]) > 3 else "same"}
        options["strides"] = tuple(rng.integers(1, 3, 2).tolist())
        size, bias = tuple(rng.integers(1, 4, 2).tolist()), str(rng.choice(["", "stored", "float"]))
        kind = rng.choice(["Convolution", "Convolution", "DepthwiseConvolution"])
        x = b.weighted(x, kind, int(rng.integers(2, 6)), size, bias, **options)
        if floats and rng.random() < 0.7:
            x = b.add(fn.Affine(b.constant((b.shapes[x][-1],)), b.constant((b.shapes[x][-1],))), x)
            x = b.add(fn.Relu(float(rng.choice([0.0, 0.3]))), x)
        if rng.random() < 0.3:
            low = b.constant((b.shapes[x][-1],))
            b.constants[low] = np.full(b.shapes[x][-1], -4, np.float32)
            x = b.add(fn.Quantize(0.25, low, 7, rounding=str(rng.choice(["half_even", "half_up", "floor"]))), x)
        else:
            x = b.quantize(x, int(rng.integers(3, 9)), 1, signed=bool(rng.integers(2)))
        if rng.random() < 0.3:
            x = b.add(fn.MaxPool((2, 2), (2, 2), "same"), x)
        elif floats:
            x = b.quantize(b.add(fn.AveragePool((3, 2), (2, 2), "same"), x), 6, 1)
    x = b.add(fn.Reshape((int(np.prod(b.shapes[x])),)), x)
    if rng.random() < 0.5:
        x = b.quantize(b.weighted(x, "Dense", 6, (), "stored"), 5, 1)
    x = b.weighted(x, "Dense", 4, (), str(rng.choice(["", "stored"])), scale=0.25)
    x = b.add(fn.Function("softmax"), x) if rng.random() < 0.7 else x
    given = rng.normal(0, 1, (7, 6, 5, 2)).astype(np.float32)
    return b.network(x), given if rng.integers(2) else np.round(given * 16) / 16


def normed(seed: int) -> tuple[fn.Network, np.ndarray]:
    """A classifier that rounds products, sums and means in front of its quantizers."""
    return classifier(seed, floats=True)


@pytest.mark.parametrize(
    ("make", "seed"),
    [(classifier, seed) for seed in (0, 1, 3)] + [(normed, seed) for seed in (0, 1)] + [(random_network, 0)],
)
def test_single_flips_and_fault_sets_are_those_of_the_whole_network(make, seed: int) -> None:
    network, x = make(seed, "one width") if make is random_network else make(seed)
    rng = np.random.default_rng(seed)
    space = network.memory.space(biases=True)
    bits = rng.choice(len(space), min(60, len(space)), replace=False)
    sets = [FaultSet(rng.choice(len(space), n, replace=False)) for n in (0, 1, 2, 9, 30)]
    first, targets, second, labels = metrics_of(network, x, rng)
    for metrics, y in ((first, targets), (second, labels)):
        if metrics is first and make is not random_network:
            continue
        run, cpu = started(network, space, x, y, metrics), CpuRun(network, space, x, y, metrics)
        assert run.misfit is None
        assert (run._counting is not None) == (make is not random_network)
        flips = [FaultSet(np.array([bit])) for bit in bits]
        measured = run.flips(bits)
        require_same(measured, slowly(network, space, x, y, metrics, flips))
        require_same(measured, cpu.flips(bits))
        require_same(run.fault_sets(sets), slowly(network, space, x, y, metrics, sets))


def every_operation() -> tuple[fn.Network, np.ndarray]:
    """One of each kind that the others leave out."""
    b = Builder(5, (6, 4))
    x = b.quantize("x", 5, 1, signed=True)
    x = b.quantize(b.weighted(x, "Convolution", 4, (3,), "stored", padding="causal", dilation=(2,)), 4, 1)
    b.layers.append(LayerMemory("mixed", (b.words("mixed/kernel", (4, 3)),), ()))
    x = b.quantize(b.add(fn.Einsum("mixed/kernel", "nab,bc->nac"), x), 5, 2, signed=True)
    x = b.add(fn.Permute((1, 0)), b.add(fn.Cropping(((1, 0),)), b.add(fn.ZeroPadding(((1, 2),)), x)))
    x = b.add(fn.Repeat((2,)), x)
    half = b.add(fn.Relu(0.5), x)
    x = b.quantize(b.add(fn.Merge("average"), half, x), 6, 2, signed=True)
    x = b.add(fn.Concatenate(1), x, b.add(fn.Merge("multiply"), x, x))
    b.layers.append(LayerMemory("up", (b.words("up/kernel", (2, 3, b.shapes[x][-1])),), ()))
    lengths = (2 * b.shapes[x][0] + 1,)
    x = b.add(fn.TransposedConvolution("up/kernel", (2,), "valid", (2,), lengths), x)
    x = b.add(fn.Quantize(0.5, -8, 7, overflow="wrap"), x)
    x = b.add(fn.AveragePool((2,), (2,), "valid"), x)
    for name in ("sigmoid", "tanh", "softplus", "softsign", "swish", "elu", "selu", "hard_sigmoid"):
        x = b.add(fn.Function(name), x)
    outputs = b.add(fn.Function("exponential"), x)
    return b.network(outputs), np.round(b.rng.normal(0, 1, (5, 6, 4)) * 16).astype(np.float32) / 16


def test_every_operation() -> None:
    network, x = every_operation()
    space = network.memory.space()
    sets = [FaultSet(b.astype(np.int64)) for b in np.random.default_rng(0).integers(0, len(space), (4, 3))]
    y = np.zeros((5, *network.shapes[network.outputs[0]]))
    run = started(network, space, x, y, MSE)
    assert run.misfit is None
    require_same(run.fault_sets(sets), slowly(network, space, x, y, MSE, sets))


def wide(levels: int) -> tuple[fn.Network, np.ndarray]:
    """A classifier whose inputs have so many levels, and whose weights can pass what is exact when many are wrong."""
    b = Builder(3, (64,))
    x = b.add(fn.Quantize(1.0, 0, levels), "x")
    codec = FixedPoint(8, 8)
    words = b.rng.integers(-2, 3, 64 * 5).astype(np.int8).view(np.uint8).astype(np.uint32)
    golden = codec.decode(words).astype(np.float32)
    b.layers.append(
        LayerMemory("k", (WordTensor("k/kernel", (64, 5), codec, words, np.ones(320, np.float32), golden),))
    )
    x = b.add(fn.Dense("k/kernel"), x)
    return b.network(x), b.rng.integers(0, levels + 1, (9, 64)).astype(np.float32)


@pytest.mark.parametrize(("levels", "passes"), [(200, False), (2000, False), (4000, True)])
def test_what_passes_2_to_the_24_goes_through_the_cpu_engine(levels, passes, monkeypatch) -> None:
    from fkeras.engines.cpu.behind import Behind

    network, x = wide(levels)
    space, rng = network.memory.space(), np.random.default_rng(1)
    metrics = {"right": fkeras.metrics.accuracy()}
    y = rng.integers(0, 5, 9)
    run = started(network, space, x, y, metrics)
    signs = np.flatnonzero(np.arange(len(space)) % 8 == 0)
    sets = [FaultSet(signs), FaultSet(signs[:2])]
    on_cpu = []
    measured = Behind.fault_sets
    monkeypatch.setattr(Behind, "fault_sets", lambda self, faults: on_cpu.append(len(faults)) or measured(self, faults))
    require_same(run.fault_sets(sets), slowly(network, space, x, y, metrics, sets))
    assert on_cpu == [1] * passes


def unrounded(words: list[int], width: int, levels: int) -> tuple[fn.Network, np.ndarray]:
    """Two weighted sums with no quantizer between them; words of the second kernel, of so many bits."""
    b = Builder(3, (64,))
    x = b.add(fn.Quantize(1.0, 0, levels), "x")
    codec = FixedPoint(width, width)
    for shape, stored in (((64, 8), b.rng.integers(0, 2, 512)), ((8, len(words)), np.repeat([words], 8, 0).ravel())):
        path, ones = f"layer{len(b.layers)}/kernel", np.ones(stored.size, np.float32)
        unsigned = (stored & (2**width - 1)).astype(np.uint32)
        kernel = WordTensor(path, shape, codec, unsigned, ones, codec.decode(unsigned).astype(np.float32))
        b.layers.append(LayerMemory(path, (kernel,)))
        x = b.add(fn.Dense(path), x)
    return b.network(x), b.rng.integers(0, levels + 1, (9, 64)).astype(np.float32)


@pytest.mark.parametrize(
    ("words", "width", "levels", "passes"), [([1, -1, 0], 5, 1, False), ([127, -127, 90], 8, 15, True)]
)
def test_sums_of_sums_grow_with_all_words_that_are_wrong(words, width, levels, passes, monkeypatch) -> None:
    from fkeras.engines.cpu.behind import Behind

    network, x = unrounded(words, width, levels)
    space, metrics, y = network.memory.space(), MSE, np.zeros((9, 3))
    run = started(network, space, x, y, metrics)
    sets = [FaultSet(width * np.arange(512)), FaultSet(width * np.arange(0, 512, 100))]  # signs of the first kernel
    on_cpu = []
    measured = Behind.fault_sets
    monkeypatch.setattr(Behind, "fault_sets", lambda self, faults: on_cpu.append(len(faults)) or measured(self, faults))
    require_same(run.fault_sets(sets), slowly(network, space, x, y, metrics, sets))
    assert on_cpu == [1] * passes


def test_operands_hold_what_they_multiply() -> None:
    from fkeras.engines.gpu.operand import WIDE, operand_of

    for levels in (256, 257, 2048):
        numbers = np.arange(levels - 8, levels + 1, dtype=np.float32)
        held = np.asarray(operand_of(levels).narrow(numbers), np.float32)
        np.testing.assert_array_equal(held, numbers)
    assert operand_of(256) != operand_of(257) != operand_of(2048.5) == WIDE


def test_what_the_device_does_not_compute_exactly_is_named_and_served_by_the_cpu_engine() -> None:
    b = Builder(0, (6, 2))
    x = b.quantize(b.weighted(b.quantize("x", 5, 1, signed=True), "Convolution", 3, (2,)), 5, 1)
    x = b.weighted(b.add(fn.Function("tanh"), b.add(fn.Reshape((18,)), x)), "Dense", 2)
    network = b.network(x)
    x = np.round(b.rng.normal(0, 1, (4, 6, 2)) * 16).astype(np.float32) / 16
    y = np.zeros((4, *network.shapes[network.outputs[0]]))
    study = fkeras.Study(network, (x, y), metric="mean_squared_error", engine="gpu")
    assert study.run().engine.startswith("cpu ('Dense 5' reads stored words in sums that are not exact in float32")


@pytest.mark.parametrize(("make", "seed"), [(classifier, 0), (normed, 1), (random_network, 0), (random_network, 3)])
def test_faults_in_registers_are_those_of_the_whole_network(make, seed: int) -> None:
    network, x = make(seed, "one width") if make is random_network else make(seed)
    rng, space = np.random.default_rng(seed), network.memory.space(biases=True)
    for kind in REGISTERS:
        with suppress(fkeras.ModelError):  # none of that kind
            space += register_space(network, kind)
    assert {register.memory for register in space.registers} >= {"activations", "inputs", "accumulators"}
    network = storing(network, space)
    bits, sets = register_faults(space, len(x), rng)
    bits = np.concatenate([bits[space.locate(bits).tensor == space.locate(bit).tensor] for bit in bits[:2]])  # of two
    first, targets, second, labels = metrics_of(network, x, rng)
    for metrics, y in ((first, targets), (second, labels)):
        if metrics is None or (metrics is first and make is normed):
            continue
        run = started(network, space, x, y, metrics)
        assert run.misfit is None
        flips = [FaultSet(np.array([bit])) for bit in bits]
        require_same(run.flips(bits), slowly(network, space, x, y, metrics, flips))
        require_same(run.fault_sets(sets), slowly(network, space, x, y, metrics, sets))


@pytest.mark.parametrize(
    ("data", "why"), [(0.5, ""), (0.3, "data that its words do not mean"), (9.0, "data that its words do not mean")]
)
def test_inputs_in_a_stated_format_are_the_devices_where_they_have_words(data: float, why: str) -> None:
    b = Builder(0, (3,))
    network = b.network(b.weighted("x", "Dense", 2))
    x, y = np.full((2, 3), data, np.float32), np.zeros((2, 2))
    space = register_space(network, "inputs", input_format=FixedPoint(6, 2))
    run = fkeras.Study(network, (x, y), metric="mean_squared_error", engine="gpu", space=space).run()
    assert why in run.engine
    assert run.engine.startswith("cpu ('x/input'" if why else "gpu")


def test_registers_that_are_read_through_limits_are_the_cpu_engines() -> None:
    b = Builder(0, (3,))
    network = b.network(b.quantize(b.weighted(b.quantize("x", 5, 1, signed=True), "Dense", 2)))
    x, y = np.ones((2, 3), np.float32), np.zeros((2, 2))
    space = register_space(network, "activations")
    space = RangeCheck("clamp").limited(space, golden_range(network, space.registers, [x]))
    run = fkeras.Study(network, (x, y), metric="mean_squared_error", engine="gpu", space=space).run()
    assert run.engine == f"cpu ('{space.registers[0].path}' is read through limits)"


def test_a_stored_bit_that_flips_for_one_sample_is_refused() -> None:
    b = Builder(0, (3,))
    network = b.network(b.quantize(b.weighted(b.quantize("x", 5, 1, signed=True), "Dense", 2)))
    run = started(network, network.memory.space(), np.ones((2, 3), np.float32), np.zeros((2, 2)), MSE)
    with pytest.raises(fkeras.InputError, match=r"\[0,0\].* is stored, and a stored bit that flips stays wrong"):
        run.fault_sets([FaultSet(in_samples=SampleFlips([1], [0]))])
