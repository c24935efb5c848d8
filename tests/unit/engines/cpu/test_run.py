"""The law of the CPU engine: whatever it leaves out, its numbers are those of the whole network under the fault."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import get_args

import numpy as np
import pytest

import fkeras.metrics
from fkeras import network as fn
from fkeras.arithmetic.forward import NO_MISREADS, Forward
from fkeras.engines.cpu.rows import Pass
from fkeras.engines.cpu.run import CpuRun
from fkeras.engines.cpu.worker import CellWorker
from fkeras.errors import ModelError
from fkeras.faults import FaultSet, RangeCheck
from fkeras.faults.fault_set import SampleFlips
from fkeras.memory import BitSpace, WordTensor
from fkeras.memory.codecs import FixedPoint, Float, FloatName, MixedFixedPoint
from fkeras.memory.inventory import Inventory, LayerMemory
from fkeras.memory.register import REGISTERS
from fkeras.models.network import run_of
from fkeras.network.floats import storing
from fkeras.network.ranges import golden_range
from fkeras.network.registers import faulty_reads, register_space
from fkeras.network.tables import table_space
from fkeras.scoring import Scorecard, scores_of


class Builder:
    """Puts nodes behind one another; words and constants are random."""

    def __init__(self, seed: int, shape: tuple[int, ...], kind: str = "one width") -> None:
        self.kind = kind
        self.rng = np.random.default_rng(seed)
        self.inputs, self.nodes, self.layers, self.constants = [fn.Input("x", shape)], [], [], {}
        self.shapes = {"x": shape}

    def words(self, path: str, shape: tuple[int, ...], scale: float = 1.0) -> WordTensor:
        """A tensor of random words."""
        codec, size = FixedPoint(5, 1), int(np.prod(shape))
        if self.kind == "own widths":
            codec = MixedFixedPoint(*(self.rng.integers(low, high, size) for low, high in ((0, 7), (-1, 2), (0, 2))))
        words = self.rng.integers(0, 1 << codec.width, size).astype(np.uint32)
        if self.kind in get_args(FloatName):
            codec, scale = Float(self.kind), 1.0
            words = codec.encode(self.rng.integers(-16, 16, size) / 16)
        scales = np.full(size, scale, np.float32)
        return WordTensor(path, shape, codec, words, scales, (codec.decode(words) * scales).astype(np.float32))

    def constant(self, shape: tuple[int, ...], spread: float = 0.7) -> str:
        """A parameter that is not stored."""
        name = f"c{len(self.constants)}"
        self.constants[name] = self.rng.normal(0, spread, shape).astype(np.float32)
        return name

    def add(self, operation: fn.Operation, *inputs: str) -> str:
        """A node."""
        name = f"{type(operation).__name__} {len(self.nodes)}"
        self.nodes.append(fn.Node(name, operation, inputs))
        parameters = {tensor.path: tensor.shape for layer in self.layers for tensor in (*layer.kernels, *layer.biases)}
        parameters |= {path: values.shape for path, values in self.constants.items()}
        self.shapes[name] = operation.shape(parameters, *(self.shapes[part] for part in inputs))
        return name

    def weighted(self, x: str, kind: str, channels: int, size=(), bias: str = "", scale: float = 1.0, **options) -> str:
        """A weighted sum with stored words, and a bias: "stored", "float" or none."""
        path, given = f"layer{len(self.layers)}", self.shapes[x][-1]
        shape = (*size, given // options.get("groups", 1), channels)
        stored = (self.words(f"{path}/bias", (shape[-1] * (given if kind == "DepthwiseConvolution" else 1),)),)
        layer = LayerMemory(path, (self.words(f"{path}/kernel", shape, scale=scale),), stored * (bias == "stored"))
        self.layers.append(layer)
        if kind != "Dense":
            rank = len(size)
            options = {"strides": (1,) * rank, "padding": "same", "dilation": (1,) * rank} | options
        x = self.add(getattr(fn, kind)(f"{path}/kernel", **options), x)
        if bias:
            x = self.add(fn.Bias(f"{path}/bias" if bias == "stored" else self.constant((self.shapes[x][-1],))), x)
        return x

    def quantize(self, x: str, width: int = 4, integer: int = 1, signed: bool = False) -> str:
        """A quantizer."""
        step, steps = 2.0 ** (integer + signed - width), 2 ** (width - signed)
        through = str(self.rng.choice(["", "input", "relu", "range"])) if not signed else ""
        return self.add(fn.Quantize(step, -steps if signed else 0, steps - 1, through=through), x)

    def network(self, *outputs: str) -> fn.Network:
        """What was put together."""
        inventory = Inventory("test", tuple(self.layers))
        names = tuple(f"y{number}" for number in range(len(outputs)))
        return fn.Network("test", tuple(self.inputs), tuple(self.nodes), outputs, names, inventory, self.constants)


def random_network(seed: int, kind: str) -> tuple[fn.Network, np.ndarray]:
    """Branches that rejoin, shared words, groups, pools, a float tail or none; kind: of words."""
    b = Builder(seed, (6, 5, 2), kind)
    rng = b.rng

    def bias() -> str:
        return str(rng.choice(["", "stored", "float"]))

    x = b.quantize("x", 5, 1, signed=True)
    for _ in range(rng.integers(1, 4)):
        size = tuple(rng.integers(1, 4, 2).tolist())
        options = {"padding": str(rng.choice(["same", "valid"])) if min(b.shapes[x]) > 3 else "same"}
        options["strides"] = tuple(rng.integers(1, 3, 2).tolist())
        kind = rng.choice(["plain", "plain", "depthwise", "groups", "dilated", "per channel", "separable"])
        if kind == "depthwise":
            x = b.weighted(x, "DepthwiseConvolution", 2, size, bias(), **options)
        elif kind == "groups" and b.shapes[x][-1] % 2 == 0:
            x = b.weighted(x, "Convolution", 4, size, bias(), groups=2, **options)
        elif kind == "separable":
            x = b.weighted(x, "DepthwiseConvolution", 1, size, **options)
            x = b.weighted(x, "Convolution", 3, (1, 1), bias())
        elif kind == "dilated":
            x = b.weighted(x, "Convolution", 3, size, bias(), padding="same", dilation=(2, 1))
        else:
            x = b.weighted(x, "Convolution", 3, size, bias(), scale=float(rng.choice([0.5, 1.0])), **options)
        if rng.random() < 0.2:
            x = b.add(fn.Relu(), x)
        if kind == "per channel":
            low = b.constant((b.shapes[x][-1],))
            b.constants[low] = np.full(b.shapes[x][-1], -4, np.float32)
            x = b.add(fn.Quantize(0.25, low, 7, rounding=str(rng.choice(["half_even", "half_up", "floor"]))), x)
        elif rng.random() < 0.1:
            levels, thresholds = b.constant((3,)), b.constant((2,))
            b.constants[levels] = np.array([-1, 0, 1], np.float32)
            b.constants[thresholds] = np.array([-0.5, 0.5], np.float32)
            x = b.add(fn.Steps(thresholds, levels), x)
        else:
            x = b.quantize(x, int(rng.integers(3, 6)), 1, signed=bool(rng.integers(2)))
        where = rng.choice(["nothing", "nothing", "merge", "pool", "shared"])
        if where == "merge":
            same = b.quantize(b.weighted(x, "Convolution", b.shapes[x][-1], (1, 1), bias()), 5, 2, signed=True)
            x = b.add(fn.Merge(str(rng.choice(["add", "subtract", "maximum", "multiply"]))), same, x)
            x = b.quantize(x, 5, 2, signed=True)
        elif where == "pool":
            pool = fn.MaxPool if rng.integers(2) else fn.AveragePool
            x = b.quantize(b.add(pool((2, 2), (2, 2), "same"), x), 5, 2)
        elif where == "shared":
            channels = b.shapes[x][-1]
            x = b.quantize(b.weighted(x, "Convolution", channels, (1, 1)), 4, 1)
            x = b.quantize(b.add(b.nodes[-2].operation, x), 4, 1)
    outputs = [x] if rng.random() < 0.1 else []
    if rng.random() < 0.8:
        x = b.add(fn.Reshape((int(np.prod(b.shapes[x])),)), x)
    x = b.weighted(x, "Dense", 4, (), bias(), scale=0.25)
    tail = rng.choice(["softmax", "transposed", "none", "quantized", "sigmoid"])
    if tail == "transposed" and len(b.shapes[x]) == 1:
        x = b.add(fn.Reshape((2, 2, 1)), b.quantize(x))
        for channels, given, lengths in ((3, 1, (4, 4)), (1, 3, (8, 8))):
            kernel = b.constant((3, 3, channels, given))
            x = b.add(fn.TransposedConvolution(kernel, (2, 2), "same", (1, 1), lengths), x)
            x = b.add(fn.Relu(), b.add(fn.Bias(b.constant((channels,))), x))
        x = b.add(fn.Reshape((64,)), x)
    elif tail in ("softmax", "sigmoid"):
        x = b.add(fn.Function(str(tail)), x)
    elif tail == "quantized":
        x = b.quantize(x, 6, 2, signed=True)
    given = rng.normal(0, 1, (7, 6, 5, 2)).astype(np.float32)
    return b.network(x, *outputs), given if rng.integers(2) else np.round(given * 16) / 16


def slowly(network, space, x, y, metrics, faults):
    """The scores of fault sets by the whole network."""
    golden = network([x])
    card = Scorecard(metrics, y, golden[0] if len(golden) == 1 else golden)
    results = []
    for fault in faults:
        values = dict(network.values)
        for patch in fault.patches(space):
            tensor = space.tensors[patch.tensor]
            changed = tensor.golden.copy()
            changed[patch.elements] = patch.values
            values[tensor.path] = changed.reshape(tensor.shape)
        outputs = network([x], values, faulty_reads(network, fault.register_patches(space), np.arange(len(x))))
        tally = card.tally()
        tally.add(outputs[0] if len(outputs) == 1 else outputs, slice(0, len(x)))
        results.append(tally.result())
    return scores_of(results, list(metrics))


def metrics_of(network, x, rng):
    """Metrics of numbers and of classes that fit the outputs, with targets for both."""
    golden = network([x])
    mse = fkeras.metrics.mean_squared_error()
    if len(golden) > 1:
        targets = tuple(rng.normal(0, 1, part.shape) for part in golden)
        return {"mse": fkeras.metrics.on_output(0, mse)}, targets, None, None
    classes = {"right": fkeras.metrics.accuracy(), "wrong": fkeras.metrics.mispredictions()}
    labels = rng.integers(0, golden[0].shape[1], len(x)) if golden[0].ndim == 2 else None
    return {"mse": mse}, rng.normal(0, 1, golden[0].shape), classes if labels is not None else None, labels


def require_same(ours, truth) -> None:
    for name in truth:
        np.testing.assert_allclose(ours[name].values, truth[name].values, rtol=2e-6, atol=1e-12)
        np.testing.assert_array_equal(ours[name].undefined, truth[name].undefined)
        if name != "mse":  # whose smallest changes are roundings behind a float tail
            np.testing.assert_array_equal(ours[name].harmed, truth[name].harmed)


KINDS = {"one width": 40, "own widths": 6, "float32": 2, "float16": 1, "bfloat16": 1}


@pytest.mark.parametrize(("kind", "seed"), [(kind, seed) for kind, n in KINDS.items() for seed in range(n)])
def test_single_flips_and_fault_sets_are_those_of_the_whole_network(kind: str, seed: int) -> None:
    network, x = random_network(seed, kind)
    rng = np.random.default_rng(seed)
    space = network.memory.space(biases=True)
    bits = rng.choice(len(space), min(60, len(space)), replace=False)
    sets = [FaultSet(rng.choice(len(space), n, replace=False)) for n in (0, 1, 2, 9, 30)]
    first, targets, second, labels = metrics_of(network, x, rng)
    for metrics, y in ((first, targets), (second, labels)):
        if metrics is None:
            continue
        run = CpuRun(network, space, x, y, metrics)
        flips = [FaultSet(np.array([bit])) for bit in bits]
        require_same(run.flips(bits), slowly(network, space, x, y, metrics, flips))
        require_same(run.fault_sets(sets), slowly(network, space, x, y, metrics, sets))


@pytest.mark.parametrize("seed", [0, 6])
def test_any_bits_in_any_order_score_as_among_all(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = random_network(seed, "one width")
    space, rng = network.memory.space(biases=True), np.random.default_rng(seed)
    x = np.concatenate([x * np.float32(2.0**-scale) for scale in range(6)])  # enough to tell orders of additions apart
    metrics, targets, *_ = metrics_of(network, x, rng)
    whole = CpuRun(network, space, x, targets, metrics).flips(np.arange(len(space)))["mse"]
    for cells, held in ((2**21, 2**24), (50, 1)):
        monkeypatch.setattr("fkeras.engines.cpu.worker.MOST_CELLS", cells)
        monkeypatch.setattr("fkeras.engines.cpu.activations.HELD_BYTES", held)
        monkeypatch.setattr("fkeras.engines.cpu.golden.HELD_BYTES", held)
        run = CpuRun(network, space, x, targets, metrics)
        for n in (1, 3, 20):
            bits = rng.permutation(len(space))[:n]
            np.testing.assert_array_equal(run.flips(bits)["mse"].values, whole.values[bits])
            alone = run.fault_sets([FaultSet(bits[[number]]) for number in range(n)])["mse"].values
            np.testing.assert_allclose(alone, whole.values[bits], rtol=2e-6, atol=1e-12)


def test_an_output_that_a_fault_does_not_reach_beside_one_behind_a_float_tail() -> None:
    b = Builder(0, (6,))
    early = b.quantize("x", 5, 1, signed=True)
    late = b.weighted(b.quantize(b.weighted(early, "Dense", 5), 4), "Dense", 3)
    network = b.network(b.add(fn.Function("sigmoid"), b.quantize(late, 6, 2, signed=True)), early)
    x = np.round(b.rng.normal(0, 1, (9, 6)) * 16).astype(np.float32) / 16
    space, targets = network.memory.space(), tuple(b.rng.normal(0, 1, (9, n)) for n in (3, 6))
    metrics = {"mse": fkeras.metrics.on_output(0, fkeras.metrics.mean_squared_error())}
    sets = [FaultSet(np.array([bit, len(space) - 1])) for bit in range(0, len(space) - 1, 7)]
    run = CpuRun(network, space, x, targets, metrics)
    require_same(run.fault_sets(sets), slowly(network, space, x, targets, metrics, sets))


def test_a_pass_begins_behind_a_reshape_too() -> None:
    b = Builder(0, (4, 4, 2))
    x = b.quantize(b.weighted(b.quantize("x", 5, 1, signed=True), "Convolution", 3, (2, 2)), 4)
    x = b.quantize(b.weighted(b.add(fn.Reshape((48,)), x), "Dense", 3, bias="stored"), 6, 2, signed=True)
    network, data = b.network(x), np.round(b.rng.normal(0, 1, (5, 4, 4, 2)) * 16).astype(np.float32) / 16
    targets, metrics = b.rng.normal(0, 1, (5, 3)), {"mse": fkeras.metrics.mean_squared_error()}
    run = CpuRun(network, network.memory.space(biases=True), data, targets, metrics)
    dense = network.nodes[-3:]
    (step,) = run.plan.rows.passes(dense, network.values)
    assert isinstance(step, Pass)
    assert step.given == network.nodes[-4].name
    golden = network.compute(network.nodes, {"x": data})
    np.testing.assert_array_equal(step(step.stored(golden[step.given])), golden[x])


def every_memory(network) -> BitSpace:
    """Kernels, biases, tables and every kind of register that a network has."""
    space = network.memory.space(biases=True)
    parts = [lambda: table_space(network), *(partial(register_space, network, kind) for kind in REGISTERS)]
    for part in parts:
        with suppress(ModelError):  # none of that kind
            space += part()
    return space


def register_faults(space: BitSpace, n: int, rng) -> tuple[np.ndarray, list[FaultSet]]:
    """Some bits of registers, and fault sets in which some flip, some are stuck, and some flip in one of n samples."""
    registers = np.flatnonzero(space.is_register)

    def drawn(n_stored: int, n_in_every: int, n_stuck: int, n_in_samples: int) -> FaultSet:
        stored = rng.choice(np.flatnonzero(~space.is_register), n_stored, replace=False)
        held = rng.choice(registers, min(n_in_every + n_stuck, registers.size), replace=False)
        pairs = rng.choice(n * registers.size, n_in_samples, replace=False)
        stuck = np.array_split(held[n_in_every:], 2)
        flips = np.concatenate([stored, held[:n_in_every]])
        return FaultSet(
            flips, *stuck, in_samples=SampleFlips(pairs // registers.size, registers[pairs % registers.size])
        )

    bits = rng.choice(registers, min(40, registers.size), replace=False)
    counts = ((0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0, 0, 0, 3), (1, 1, 0, 0), (0, 9, 5, 0), (2, 3, 4, 50))
    counts += ((0, 40, 20, 0), (3, 40, 20, 90))
    return bits, [drawn(*count) for count in counts]


CHECKS = [RangeCheck("clamp"), RangeCheck("zero", margin=1, per="channel")]


@pytest.mark.parametrize(
    ("kind", "seed", "check"),
    [(kind, seed, None) for kind, n in KINDS.items() for seed in range(n)]
    + [(kind, seed, CHECKS[seed % 2]) for kind, n in KINDS.items() for seed in range(min(n, 4))],
)
def test_faults_in_registers_are_those_of_the_whole_network(kind: str, seed: int, check: RangeCheck | None) -> None:
    network, x = random_network(seed, kind)
    rng = np.random.default_rng(seed)
    space = every_memory(network)
    network = storing(network, space)
    if check is not None:
        space = check.limited(space, golden_range(network, space.registers, [x]))
    bits, sets = register_faults(space, len(x), rng)
    first, targets, second, labels = metrics_of(network, x, rng)
    for metrics, y in ((first, targets), (second, labels)):
        if metrics is None:
            continue
        run = CpuRun(network, space, x, y, metrics)
        flips = [FaultSet(np.array([bit])) for bit in bits]
        require_same(run.flips(bits), slowly(network, space, x, y, metrics, flips))
        require_same(run.fault_sets(sets), slowly(network, space, x, y, metrics, sets))


def test_registers_are_read_wrongly_on_the_way_of_passes_where_layers_are_exact(monkeypatch) -> None:
    """Else the fast way would have been compared with nothing."""
    kinds = set()
    called = Forward.levels

    def levels(self, stored, kernels=None, misreads=NO_MISREADS):
        kinds.update("input" if place == 0 else "sums" if place % 2 else "levels" for place in misreads)
        kinds.update("limits" for words in misreads.values() if words.limits.size)
        return called(self, stored, kernels, misreads)

    monkeypatch.setattr(Forward, "levels", levels)
    for seed in range(4):
        network, x = random_network(seed, "one width")
        metrics, targets, *_ = metrics_of(network, x, np.random.default_rng(seed))
        for kind in ("activations", "accumulators"):
            space = network.memory.space() + register_space(network, kind)
            _, sets = register_faults(space, len(x), np.random.default_rng(seed))
            if seed == 0 and kind == "activations":
                space = RangeCheck("clamp").limited(space, golden_range(network, space.registers, [x]))
            CpuRun(network, space, x, targets, metrics).fault_sets(sets)
    assert kinds == {"input", "levels", "sums", "limits"}


def test_activations_are_followed_element_by_element_where_layers_are_exact() -> None:
    """Else the fast way would have been compared with nothing."""
    kinds = [0, 0]
    for seed in range(12):
        network, x = random_network(seed, "one width")
        metrics, targets, *_ = metrics_of(network, x, np.random.default_rng(seed))
        space = register_space(network, "activations")
        run = CpuRun(network, space, x, targets, metrics)
        for number in range(len(space.registers)):
            kinds[isinstance(run.worker(number), CellWorker)] += 1
    assert kinds[True] > 20


def test_lists_of_arrays_are_several_inputs_and_several_targets_as_tuples_are() -> None:
    b = Builder(0, (4,))
    b.inputs.append(fn.Input("z", (4,)))
    b.shapes["z"] = (4,)
    first, second = (b.quantize(b.weighted(b.quantize(x, 5, 1, signed=True), "Dense", 3), 5, 1) for x in "xz")
    network = b.network(b.add(fn.Merge("add"), first, second), second)
    x = [b.rng.normal(0, 1, (12, 4)).astype(np.float32) for _ in range(2)]
    x[1][:2] = 0  # on which no flip of what reads them changes anything
    y = [b.rng.normal(0, 1, (12, 3)) for _ in range(2)]
    metric = {"mse": fkeras.metrics.on_output(1, fkeras.metrics.mean_squared_error())}
    listed, tupled = (
        fkeras.Study(network, data, metric=metric, engine="cpu") for data in ((x, y), (tuple(x), tuple(y)))
    )
    assert listed.dead_tensors() == tupled.dead_tensors()
    np.testing.assert_array_equal(listed.oracle(sample_groups=4).values, tupled.oracle(sample_groups=4).values)


def test_what_is_wrong_where_it_goes_out_is_right_where_the_next_layer_reads_it() -> None:
    b = Builder(0, (4,))
    early = b.quantize(b.weighted(b.quantize("x", 5, 1, signed=True), "Dense", 3), 5, 1)
    late = b.quantize(b.weighted(early, "Dense", 3), 5, 1)
    network = b.network(late, early, late)
    x, mse = b.rng.normal(0, 1, (9, 4)).astype(np.float32), fkeras.metrics.mean_squared_error()
    y = tuple(b.rng.normal(0, 1, (9, 3)) for _ in range(3))
    metrics = {f"{number}": fkeras.metrics.on_output(number, mse) for number in range(3)}
    space = register_space(network, "outputs")
    run = run_of(network, (x, y), metrics, space, "cpu")
    flips = run.flips(np.arange(len(space)))
    register = space.locate(np.arange(len(space))).tensor
    for number, (name, scores) in enumerate(flips.items()):
        changed = ~np.isclose(scores.values, run.golden[name].value, rtol=1e-9)
        np.testing.assert_array_equal(changed, register == number)


def test_an_accumulator_may_hold_more_than_any_words_add_up_to() -> None:
    b = Builder(0, (3,))
    x = b.weighted(b.quantize("x", 2, 1, signed=True), "Dense", 2)
    (kernel,) = b.layers[0].kernels
    b.layers[0] = LayerMemory("layer0", (replace(kernel, words=kernel.words * 0 + 16, golden=kernel.golden * 0 - 2),))
    network = b.network(b.weighted(b.quantize(x, 16, 9, signed=True), "Dense", 2))
    x, y = b.rng.normal(0, 1, (9, 3)).astype(np.float32), b.rng.normal(0, 1, (9, 2))
    space = network.memory.space() + register_space(network, "accumulators")
    sets = [FaultSet([bit]) for bit in range(len(space))] + [FaultSet(np.arange(0, len(space), 3))]
    metrics = {"mse": fkeras.metrics.mean_squared_error()}
    run = CpuRun(network, space, x, y, metrics)
    require_same(run.fault_sets(sets), slowly(network, space, x, y, metrics, sets))


def test_a_table_that_is_wrong_beside_the_weights_before_it() -> None:
    b = Builder(0, (4,))
    x = b.weighted(b.add(fn.Quantize(8.0, -4, 3), "x"), "Dense", 5)  # sums in whole steps: levels are clip(round(sum))
    levels, thresholds = b.constant((3,)), b.constant((2,))
    b.constants |= {levels: np.array([-1, 0, 1], np.float32), thresholds: np.array([-0.5, 0.5], np.float32)}
    network = b.network(b.weighted(b.add(fn.Steps(thresholds, levels), x), "Dense", 2))
    kernels, tables = network.memory.space(), table_space(network)
    network = storing(network, kernels + tables)
    sets = [FaultSet([6 * bit, len(kernels) + bit]) for bit in range(len(tables))]
    x, y = 8 * b.rng.integers(-4, 4, (9, 4)).astype(np.float32), b.rng.normal(0, 1, (9, 2))
    metrics = {"mse": fkeras.metrics.mean_squared_error()}
    run = CpuRun(network, kernels + tables, x, y, metrics)
    require_same(run.fault_sets(sets), slowly(network, kernels + tables, x, y, metrics, sets))
