"""Faults in words that are written for every sample: numpy by hand, the framework and the CPU engine say the same."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import fkeras
from fkeras.errors import UnsupportedError
from fkeras.faults import FaultSet
from fkeras.faults.fault_set import SampleFlips
from fkeras.memory import FixedPoint
from fkeras.models import start_run
from fkeras.statistics.ranks import spearman

pytestmark = pytest.mark.filterwarnings("ignore:The initializer .* is unseeded")
REGISTERS = ["inputs", "activations", "accumulators", "outputs"]


def outputs_under(model, x, space, faults, engine: str) -> np.ndarray:
    """What an engine computes under each fault set, flat; read by a metric."""
    seen: list[np.ndarray] = []

    def look(y_true: np.ndarray, y: np.ndarray) -> float:
        seen.append(np.array(y).reshape(-1))
        return 0.0

    metric = fkeras.metrics.dataset_metric(look, name="look", better="lower")
    run = start_run(model, (x, model.predict(x, verbose=0)), {"look": metric}, space, engine)
    assert run.engine == engine
    assert run.golden["look"].value == 0.0
    seen.clear()
    run.fault_sets(faults)
    return np.stack(seen)


def range_checked(model, x, space, check, **settings):
    """The memory as a campaign reads it behind a check."""
    data = x, model.predict(x, verbose=0)
    how = {"metric": "mean_squared_error", "faults": 1, "trials": 3, **settings}
    return fkeras.campaign(model, data, space=space, protected=check, **how).setting.space


@pytest.fixture(scope="module")
def dense(tf, q, kit):
    """4 inputs of 5 bits, 3 hidden values of 4 bits, 2 outputs of 6."""
    inputs = tf.keras.Input((4,), name="x")
    y = q.QActivation("quantized_bits(5,1,alpha=1)", name="read")(inputs)
    y = q.QDense(3, kernel_quantizer="quantized_bits(4,0,alpha=1)", bias_quantizer="quantized_bits(6,1,alpha=1)",
                 activation="quantized_relu(4,1)", name="hidden")(y)  # fmt: skip
    y = q.QDense(2, kernel_quantizer="quantized_bits(4,0,alpha=1)", use_bias=False, name="out")(y)
    y = q.QActivation("quantized_bits(6,2,alpha=1)", name="told")(y)
    model = kit.randomize(tf.keras.Model(inputs, y))
    return model, np.random.default_rng(3).normal(0, 1, (5, 4)).astype(np.float32)


def by_hand(stored, widths, x, place: str, element: int, bit: int, samples, limits=None, outside=None) -> np.ndarray:
    """The dense network in numpy, with one bit of one word wrong in some samples; outside: what becomes of words beyond
    `limits`, by place, which are noted there unless told."""

    def fixed(values, width, step, signed=True):
        low, high = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
        return np.clip(np.rint(values / step), low, high) * step

    def hit(values, here, width, step, signed=True):
        values = values.copy()
        for sample in samples if here == place else ():
            word = round(values[sample, element] / step) % 2**width
            word ^= 1 << (width - 1 - bit)
            number = word - 2**width if signed and word >= 2 ** (width - 1) else word
            values[sample, element] = number * step
        if limits is None:
            return values
        if outside is None:
            limits[here] = values.min(), values.max()
        low, high = limits[here]
        instead = np.clip(values, low, high) if outside == "clamp" else np.zeros_like(values)
        return np.where((values < low) | (values > high), instead, values)

    kernel, bias, last = (tensor.golden.astype(float).reshape(tensor.shape) for tensor in stored)
    a = fixed(x.astype(float), 5, 2**-3)
    a = hit(a, "x/input", 5, 2**-3)
    a = hit(fixed(a, 5, 2**-3), "read/activation", 5, 2**-3)
    a = hit(a @ kernel, "hidden/accumulator", widths["hidden/accumulator"], 2**-6)
    a = hit(fixed(a + bias, 4, 2**-3, signed=False), "hidden/activation", 4, 2**-3, signed=False)
    a = hit(a @ last, "out/accumulator", widths["out/accumulator"], 2**-6)
    a = hit(fixed(a, 6, 2**-3), "told/activation", 6, 2**-3)
    return hit(a, "told/output", 6, 2**-3)


@pytest.mark.parametrize("outside", [None, "clamp", "zero"])
@pytest.mark.parametrize("engine", ["cpu", "framework"])
def test_every_register_bit_of_a_dense_network_is_what_numpy_says(dense, engine: str, outside: str | None) -> None:
    model, x = dense
    space = fkeras.bit_space(model, of=REGISTERS)
    assert [register.path for register in space.registers] == [
        "x/input", "read/activation", "hidden/activation", "told/activation", "hidden/accumulator", "out/accumulator",
        "told/output",
    ]  # fmt: skip
    stored = fkeras.bit_space(model, biases=True).tensors
    widths = {register.path: register.codec.width for register in space.registers}
    limits = None if outside is None else {}
    if outside is not None:
        by_hand(stored, widths, x, "", 0, 0, (), limits)
        space = range_checked(model, x, space, fkeras.RangeCheck(outside))
    places = [space.address(bit) for bit in range(len(space))]
    flips = [FaultSet([bit]) for bit in range(len(space))]
    once = [FaultSet(in_samples=SampleFlips([1, 3], [bit, bit])) for bit in range(len(space))]
    everywhere = outputs_under(model, x, space, flips, engine)
    in_two = outputs_under(model, x, space, once, engine)
    n_read = 0
    for bit, place in enumerate(places):
        bare = by_hand(stored, widths, x, place.tensor, place.element[0], place.bit, range(5))
        n_read += not np.array_equal(everywhere[bit], bare.reshape(-1))
        for computed, samples in ((everywhere[bit], range(5)), (in_two[bit], (1, 3))):
            expected = by_hand(stored, widths, x, place.tensor, place.element[0], place.bit, samples, limits, outside)
            np.testing.assert_array_equal(computed, expected.reshape(-1), err_msg=str(place))
    assert n_read > 20 if outside else n_read == 0


def test_stuck_bits_read_what_they_are_stuck_at_in_every_sample(dense) -> None:
    model, x = dense
    space = fkeras.bit_space(model, of="activations", layers="hidden")
    every = np.arange(len(space))
    assert (outputs_under(model, x, space, [FaultSet(set_to_0=every)], "cpu") == 0).all()
    ones = outputs_under(model, x, space, [FaultSet(set_to_1=every)], "framework")
    np.testing.assert_array_equal(ones, outputs_under(model, x, space, [FaultSet(set_to_1=every)], "cpu"))
    largest = (
        FixedPoint(4, 1, False).largest * np.ones((5, 3)) @ fkeras.bit_space(model).tensors[1].golden.reshape(3, 2)
    )
    np.testing.assert_array_equal(ones[0], np.clip(np.rint(largest * 8), -32, 31).reshape(-1) / 8)


def layers_of(tf, q, name: str):
    """A small network of each kind of layer."""
    keras = tf.keras
    kernel, bias = "quantized_bits(5,1,alpha=1)", "quantized_bits(6,1,alpha=1)"
    made = {"kernel_quantizer": kernel, "bias_quantizer": bias}
    inputs = keras.Input((6, 6, 2), name="x")
    x = q.QActivation("quantized_bits(6,1,alpha=1)", name="read")(inputs)
    if name == "convolutions":
        x = q.QConv2D(3, 3, strides=2, padding="same", activation="quantized_relu(4,1)", name="conv", **made)(x)
        x = q.QConv2D(4, 2, name="second", use_bias=False, kernel_quantizer=kernel)(x)
    elif name == "depthwise":
        x = q.QDepthwiseConv2D(3, depthwise_quantizer=kernel, bias_quantizer=bias, name="conv")(x)
        x = keras.layers.MaxPooling2D(2)(q.QActivation("quantized_relu(5,2)", name="relu")(x))
    elif name == "levels":
        x = q.QConv2D(3, 3, activation="ternary(alpha=1)", name="conv", **made)(x)
        x = q.QConv2D(3, 2, activation="binary(alpha=1)", name="second", **made)(x)
        x = q.QActivation("quantized_po2(4)", name="powers")(x)
    else:
        a = q.QConv2D(3, 3, padding="same", activation="quantized_bits(4,1,alpha=1)", name="conv", **made)(x)
        b = q.QConv2D(3, 1, activation="quantized_bits(4,1,alpha=1)", name="second", **made)(x)
        x = q.QActivation("quantized_bits(5,2,alpha=1)", name="added")(keras.layers.Add()([a, b]))
    x = q.QActivation("quantized_relu(4,1)", name="last")(x)
    x = q.QDense(3, name="dense", **made)(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Softmax(name="class")(x))


@pytest.mark.parametrize("name", ["convolutions", "depthwise", "levels", "merged"])
def test_engines_agree_on_registers_of_each_kind_of_layer(tf, q, kit, name: str) -> None:
    model = kit.randomize(layers_of(tf, q, name))
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, (9, 6, 6, 2)).astype(np.float32), rng.integers(0, 3, 9)
    space = fkeras.bit_space(model) + fkeras.bit_space(model, of=["inputs", "activations", "accumulators"])
    with pytest.raises(fkeras.ModelError, match=r"class/output .* no quantizer makes words of it"):
        fkeras.bit_space(model, of="outputs")
    metrics = {"mse": fkeras.metrics.mean_squared_error(), "wrong": fkeras.metrics.mispredictions()}
    targets = np.eye(3)[y]
    runs = [start_run(model, (x, targets), metrics, space, engine) for engine in ("cpu", "framework")]
    assert [run.engine for run in runs] == ["cpu", "framework"]
    held = np.flatnonzero(space.is_register)
    sets = [FaultSet([bit]) for bit in rng.choice(held, 25, replace=False)]
    sets += [FaultSet(rng.choice(len(space), 6, replace=False), in_samples=SampleFlips(range(9), rng.choice(held, 9)))]
    sets += [FaultSet([], *np.split(rng.choice(held, 10, replace=False), 2))]
    cpu, framework = (run.fault_sets(sets) for run in runs)
    for name in metrics:
        np.testing.assert_allclose(cpu[name].values, framework[name].values, rtol=1e-6, atol=1e-12)


def test_a_view_and_a_campaign_by_memory_compute_with_registers(dense) -> None:
    model, x = dense
    space = fkeras.bit_space(model, of=["weights", "activations"])
    bit = space.index("hidden/activation[1]:0")
    with fkeras.injected(model, FaultSet([bit]), space) as faulty:
        seen = faulty.predict(x)
    np.testing.assert_array_equal(seen.reshape(-1), outputs_under(model, x, space, [FaultSet([bit])], "cpu")[0])
    once = FaultSet(in_samples=SampleFlips([0], [bit]))
    refused = pytest.raises(fkeras.InputError, match="flips in some of them are not known to it; measure them")
    with refused, fkeras.injected(model, once, space):
        pass
    faults = {"weights": fkeras.FlipCount(2), "activations": fkeras.Transient(ber=0.05)}
    data = x, model.predict(x, verbose=0)
    runs = [
        fkeras.campaign(model, data, metric="mean_squared_error", faults=faults, trials=12, engine=engine)
        for engine in ("cpu", "framework")
    ]
    np.testing.assert_allclose(runs[0].values, runs[1].values, rtol=1e-6)
    assert len(np.unique(runs[0].values)) > 3
    assert runs[0].setting.space.content_digest == fkeras.bit_space(model, of=sorted(faults)).content_digest


def test_a_range_check_reads_weights_and_registers_of_one_campaign(dense) -> None:
    model, x = dense
    data = x, model.predict(x, verbose=0)
    faults = {"weights": fkeras.FlipCount(4), "activations": fkeras.Transient(ber=0.05)}

    def campaign(protected, engine="cpu", **how):
        given = {"metric": "mean_squared_error", "faults": faults, "trials": 12, **how}
        return fkeras.campaign(model, data, protected=protected, engine=engine, **given)

    bare, checked, judge = campaign(None), campaign(fkeras.RangeCheck("clamp")), campaign(
        [fkeras.RangeCheck("clamp")], "framework")  # fmt: skip
    np.testing.assert_allclose(checked.values, judge.values, rtol=1e-6)
    assert checked.golden.value == bare.golden.value
    assert checked.values.mean() < bare.values.mean()
    assert (
        "of 3 registers two comparators per read port, 9 with all words in parallel"
        in checked.setting.protection.describe(99)
    )
    of_weights = campaign(fkeras.RangeCheck("clamp"), faults=4)
    assert of_weights.setting.space.content_digest == fkeras.bit_space(model).content_digest
    every = campaign(fkeras.RangeCheck("clamp"), faults=1, trials="all", space=bare.setting.space)
    alone = campaign(fkeras.RangeCheck("clamp"), "framework", faults=1, trials="all", space=bare.setting.space)
    np.testing.assert_allclose(every.values, alone.values, rtol=1e-6)
    assert every.setting.space.content_digest == checked.setting.space.content_digest


def test_frozen_limits_of_registers_meet_other_data(dense) -> None:
    model, x = dense
    space = fkeras.bit_space(model, of=["activations", "outputs"])
    seen = range_checked(model, x, space, fkeras.RangeCheck("clamp"))
    frozen, narrow = (
        fkeras.RangeCheck("clamp", of=range_checked(model, data, space, fkeras.RangeCheck("clamp")))
        for data in (x, x / 9)
    )
    assert range_checked(model, x, space, frozen).content_digest == seen.content_digest
    assert range_checked(model, x[:2], space, frozen).content_digest == seen.content_digest
    assert range_checked(model, x / 9, space, fkeras.RangeCheck("clamp")).content_digest != seen.content_digest
    wide = range_checked(model, x, space, fkeras.RangeCheck("clamp", margin=99))
    assert range_checked(model, 9 * x, space, fkeras.RangeCheck("clamp", of=wide)).content_digest == wide.content_digest
    refused = {
        r"words of register 'read/activation' leave its limits without any fault, .* make it from these data too": (
            x, narrow),
        r"register 'read/activation' has no limits in a memory that it is made from": (
            x, fkeras.RangeCheck("clamp", of=space)),
        r"outside='undo': registers, such as 'read/activation', .* write outside='clamp' or outside='zero'": (
            x, fkeras.RangeCheck()),
        r"stored=True: limits of registers, such as 'read/activation', are constants": (
            x, fkeras.RangeCheck("zero", stored=True)),
    }  # fmt: skip
    for message, (inputs, check) in refused.items():
        with pytest.raises(fkeras.InputError, match=message):
            range_checked(model, inputs, space, check)
    with pytest.raises(fkeras.InputError, match=r"read through limits, and protected= names no range check; write pr"):
        range_checked(model, x, seen, None)
    again = range_checked(model, x, seen, [fkeras.RangeCheck("clamp", of=seen), range(9)])
    assert again.content_digest == seen.content_digest
    with pytest.raises(fkeras.InputError, match="the range of register 'read/activation' is known on data only"):
        fkeras.RangeCheck("clamp").on(space)


def test_hls4ml_orders_stored_words_alone(dense) -> None:
    model, _ = dense
    space = fkeras.bit_space(model, of=["weights", "activations"])
    for ask in (fkeras.hls4ml.order, partial(fkeras.hls4ml.ports, project=None)):
        with pytest.raises(fkeras.InputError, match="needs words that are stored, and register 'read/activation'"):
            ask(model, space=space)


def test_registers_are_ranked_beside_weights_by_the_derivatives_of_the_network(dense, monkeypatch) -> None:
    model, x = dense
    y = model.predict(x, verbose=0)
    space = fkeras.bit_space(model) + fkeras.bit_space(model, of=REGISTERS)
    metric = fkeras.metrics.mean_squared_error()
    oracle = fkeras.oracle(model, (x, y), metric=metric, space=space)
    ranking = fkeras.rank(model, (x, y), method="displacement", space=space)
    assert spearman(ranking.scores, oracle.delta) > 0.7
    last = [space.address(bit).tensor in ("out/accumulator", "told/activation", "told/output") for bit in oracle.bits]
    assert sum(last) == 2 * (6 + 6) + space.registers[-2].n_bits
    np.testing.assert_allclose(ranking.scores[last] / 2, oracle.delta[last], rtol=1e-5)  # the mean of two outputs
    monkeypatch.setattr("fkeras.models.network.ranks", lambda *_: False)
    with pytest.raises(
        UnsupportedError, match=r"the model's network, which does not compute .* rank by method='msb' or"
    ):
        fkeras.rank(model, (x, y), method="displacement", space=space)
    assert len(fkeras.rank(model, (x, y), method="msb", space=space)) == len(space)
