"""Faults in words between layers: the chip reads what the CPU engine reads, bit by bit, or refuses the register."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import yaml

import fkeras
from fkeras.errors import ModelError, UnsupportedError
from fkeras.faults import FaultSet
from fkeras.faults.fault_set import SampleFlips
from fkeras.memory import FixedPoint
from fkeras.models import start_run

BETWEEN = ["inputs", "activations", "outputs"]


def chip_registers(model):
    """What stands between the layers of a chip, as far as the model has any of a kind."""
    parts = []
    for kind in BETWEEN:
        try:
            parts.append(fkeras.bit_space(model, of=kind))
        except ModelError:
            continue
    return sum(parts[1:], parts[0])


def digest(y_true, y):
    """A number that is another one for other outputs."""
    parts = y if isinstance(y, tuple) else (y,)
    return float(zlib.crc32(b"".join(np.asarray(part, np.float32).tobytes() for part in parts)))


def digests_under(model, x, space, faults, engine):
    """Of the outputs that an engine computes under each fault set."""
    metrics = {"digest": fkeras.metrics.dataset_metric(digest, name="digest", better="lower")}
    run = start_run(model, (x, model.predict(x, verbose=0)), metrics, space, engine)
    assert run.engine.startswith(engine.partition(":")[0])
    return run.fault_sets(faults)["digest"].values


def mixed_faults(space, n_samples, n, seed=0):
    """Flips and stuck bits in every sample, and flips in some, all of them at once."""
    rng, n_stored = np.random.default_rng(seed), int(space.offsets[len(space.tensors)])
    sets = [FaultSet.EMPTY]
    for _ in range(n):
        bits = rng.choice(np.arange(n_stored, len(space)), 9, replace=False)
        samples = SampleFlips(rng.integers(0, n_samples, 7), np.concatenate([bits[3:], bits[:1]]))
        sets.append(FaultSet(bits[:3], set_to_1=bits[3:6], set_to_0=bits[6:], in_samples=samples))
    return sets


def require_equal(model, x, space, faults, engine="hls4ml", judge="cpu"):
    ours, theirs = (digests_under(model, x, space, faults, each) for each in (engine, judge))
    differing = np.flatnonzero(ours != theirs)
    assert not differing.size, [faults[i].text(space) for i in differing[:5].tolist()]


@pytest.fixture
def written(tmp_path):
    """An engine under a configuration."""

    def write(config):
        path = tmp_path / "config.yml"
        path.write_text(yaml.safe_dump(config))
        return f"hls4ml:{path}"

    return write


def run_on(model, x, space, engine="hls4ml"):
    metrics = {"mean_squared_error": fkeras.metrics.resolve("mean_squared_error")}
    return start_run(model, (x, model.predict(x, verbose=0)), metrics, space, engine)


def networks(make):
    """Small ones of every kind of layer that hls4ml knows."""
    q, layer = make.q, make.layer
    quantized = {"kernel_quantizer": make.kernel, "bias_quantizer": make.bias}
    inputs = make.tf.keras.Input((4, 4, 1), name="x")
    start = make.bits("qin")(inputs)
    left = make.relu("left")(q.QConv2D(1, 3, padding="same", name="c1", **quantized)(start))
    right = make.bits("right")(q.QConv2D(1, 1, name="c2", **quantized)(start))
    joined = make.bits("sum")(make.tf.keras.layers.Add(name="add")([left, right]))
    both = make.tf.keras.layers.Concatenate(name="join")([joined, left])
    pooled = make.tf.keras.layers.Flatten()(make.tf.keras.layers.MaxPooling2D(2)(both))
    outputs = [make.relu("y1")(make.dense(2, "d1")(pooled)), make.bits("y2")(make.dense(3, "d2")(pooled))]
    return {
        "branches": make.randomized(make.tf.keras.Model(inputs, outputs, name="branches")),
        "folded": make.chain(
            (6, 6, 2),
            make.bits("qin"),
            q.QConv2DBatchnorm(3, 3, strides=2, activation="quantized_relu(5,1)", name="c", **quantized),
            layer("Flatten"),
            q.QDense(3, activation="quantized_bits(7,3,alpha=1)", name="d", **quantized),
        ),
        "one dimension": make.chain(
            (8, 3),
            make.bits("qin"),
            layer("ZeroPadding1D", 1),
            q.QConv1D(3, 3, name="c", **quantized),
            make.relu("a"),
            layer("AveragePooling1D", 2),
            make.bits("p"),
            layer("GlobalMaxPooling1D"),
            make.dense(2, "d"),
            make.bits("y"),
        ),
        "depthwise": make.chain(
            (5, 5, 2),
            make.bits("qin"),
            q.QDepthwiseConv2D(3, depthwise_quantizer=make.kernel, bias_quantizer=make.bias, name="c"),
            make.relu("a"),
            layer("UpSampling2D", 2),
            layer("GlobalAveragePooling2D"),
            make.bits("p"),
        ),
    }


@pytest.mark.parametrize("kind", ["branches", "folded", "one dimension", "depthwise"])
def test_every_bit_between_layers(make, kind):
    model = networks(make)[kind]
    x, space = make.data_for(model, 6), fkeras.bit_space(model) + chip_registers(model)
    bits = np.arange(space.offsets[len(space.tensors)], len(space))
    require_equal(model, x, space, [*(FaultSet([bit]) for bit in bits), *mixed_faults(space, 6, 20)])


def test_streams_under_a_project(make, written):
    convolution = make.q.QConv2D(3, 3, kernel_quantizer=make.kernel, bias_quantizer=make.bias, name="c")
    flat = make.layer("Flatten"), make.dense(2, "d"), make.relu("y")
    model = make.chain((5, 5, 2), make.bits("qin"), convolution, make.relu("a"), *flat)
    x, space = make.data_for(model, 6), chip_registers(model)
    project = fkeras.hls4ml.config(model, x, space) | {"IOType": "io_stream"}
    bits = np.random.default_rng(0).choice(len(space), 60, replace=False)
    require_equal(model, x, space, [*(FaultSet([bit]) for bit in bits), *mixed_faults(space, 6, 20)], written(project))


def test_nothing_wrong_changes_nothing_and_nothing_stays_wrong(tiny, make):
    x, space = make.data_for(tiny, 6), fkeras.bit_space(tiny) + chip_registers(tiny)
    alone = fkeras.bit_space(tiny)
    faults = [FaultSet.EMPTY, *mixed_faults(space, 6, 1), FaultSet.EMPTY]
    before, *_, after = digests_under(tiny, x, space, faults, "hls4ml")
    (stored_alone,) = digests_under(tiny, x, alone, [FaultSet.EMPTY], "hls4ml")
    assert before == after == stored_alone


def test_registers_of_a_nested_chip(make):
    """The chip is the part that stores words, also where faults hit registers alone; what is around it has its own."""
    encoder = make.chain((4,), make.bits("qin"), make.dense(5, "d1"), make.relu("a1"))
    inputs = make.tf.keras.Input((4,), name="image")
    decoded = make.layer("Dense", 3)(encoder(inputs))
    model = make.randomized(make.tf.keras.Model(inputs, make.bits("back")(decoded)))
    x = make.data_for(model, 6)
    for kind, path in (("activations", "chain/a1/activation"), ("inputs", "image/input")):
        space = fkeras.bit_space(model, of=kind, layers="!back")
        assert path in [register.path for register in space.registers]
        require_equal(model, x, space, [FaultSet([bit]) for bit in range(len(space))], judge="framework")
    for kind, why in (("activations", r"register 'back/activation': it is not on the chip, which holds 'chain'"),
                      ("outputs", r"register 'back/output': Keras computes what leaves the model")):  # fmt: skip
        with pytest.raises(UnsupportedError, match=why):
            run_on(model, x, fkeras.bit_space(model, of=kind))
    beside = make.tf.keras.Model(inputs, [encoder(inputs), make.bits("beside")(inputs)])
    with pytest.raises(UnsupportedError, match=r"register 'image/input': it is no"):
        run_on(beside, x, fkeras.bit_space(beside, of="inputs"))


def test_inputs_that_no_quantizer_reads(make):
    model = make.chain((4,), make.dense(3, "d"), make.relu("a"))
    space = fkeras.bit_space(model, of="inputs", input_format=FixedPoint(6, 1))
    x = np.random.default_rng(0).integers(-32, 32, (6, 4)).astype(np.float32) / 16
    require_equal(model, x, space, [FaultSet([bit]) for bit in range(len(space))])
    with pytest.raises(fkeras.InputError, match=r"register 'x/input' holds words of FixedPoint.* the first is 0.3"):
        run_on(model, np.full((6, 4), 0.3, np.float32), space)


def test_what_the_emulation_cannot_hit_is_refused_by_name(make, tiny, written):
    x = make.data_for(tiny, 6)
    activations = fkeras.bit_space(tiny, of="activations")
    with pytest.raises(UnsupportedError, match=r"register 'd1/accumulator': hls4ml's C\+\+ adds up products inside a "
                       r"layer, .*; leave it out, or use engine='cpu'"):  # fmt: skip
        run_on(tiny, x, fkeras.bit_space(tiny, of="accumulators"))
    run_on(tiny, x, activations)  # the remedy
    config = fkeras.hls4ml.config(tiny, x)
    config["HLSConfig"]["LayerName"]["a1"]["Precision"]["result"] = "ufixed<8,2,RND_CONV,SAT>"
    differs = (
        r"register 'a1/activation': it has words of FixedPoint\(width=6.*, and hls4ml 1.3.0 holds "
        "ufixed<8,2,RND_CONV,SAT> there; the hls4ml engine needs the same words"
    )
    with pytest.raises(UnsupportedError, match=differs):
        run_on(tiny, x, activations, written(config))
    for kind, codec in (("binary", "Binary"), ("ternary", "Ternary")):
        model = make.chain((4,), make.bits("qin"), make.dense(3, "d"), make.q.QActivation(f"{kind}(alpha=1)", name="t"))
        with pytest.raises(
            UnsupportedError, match=rf"register 't/activation': it has words of {codec}\(\), and hls4ml"
        ):
            run_on(model, make.data_for(model, 6), fkeras.bit_space(model, of="activations"))
    with pytest.raises(UnsupportedError, match=r"register 'qin/activation': the emulation checks no range"):
        fkeras.campaign(tiny, (x, tiny.predict(x, verbose=0)), metric="mean_squared_error", faults=1, trials=2,
                        space=activations, protected=fkeras.RangeCheck("clamp"), engine="hls4ml")  # fmt: skip
    with pytest.raises(fkeras.InputError, match="register 'qin/activation' is written anew for every sample"):
        fkeras.hls4ml.agreement(tiny, x, space=activations)


def test_a_quantizer_that_hls4ml_drops(make, written):
    """Its words are those of the layer before it, and nobody else's: else faults would hit others."""
    inputs = make.tf.keras.Input((4,), name="x")
    read = make.dense(3, "d1")(make.bits("qin")(inputs))
    alone = make.randomized(make.tf.keras.Model(inputs, make.dense(2, "d2")(make.bits("q")(read))))
    added = make.tf.keras.layers.Add(name="add")([make.bits("q")(read), make.relu("r")(read)])
    shared = make.randomized(make.tf.keras.Model(inputs, added))
    for model in (alone, shared):
        x, space = make.data_for(model, 6), fkeras.bit_space(model, of="activations", layers="q")
        config = fkeras.hls4ml.config(model, x)
        for node in ("d1", "d1_linear"):
            config["HLSConfig"]["LayerName"][node]["Precision"]["result"] = "fixed<8,2,RND_CONV,SAT>"
        if model is alone:
            assert run_on(model, x, space, written(config)).chip.boundaries == {"q/activation": "d1"}
            require_equal(model, x, space, [FaultSet([bit]) for bit in range(len(space))], written(config))
        else:
            with pytest.raises(UnsupportedError, match=r"register 'q/activation': hls4ml 1.3.0 dropped it, and others"):
                run_on(model, x, space, written(config))


def test_transients_in_a_campaign(tiny, make):
    """Samples draw their own, whoever computes them."""
    x = make.data_for(tiny)
    data = x, tiny.predict(x, verbose=0)
    faults = {"weights": 2, "activations": fkeras.Transient(ber=0.01)}
    of = ["weights", "activations"]
    ours, theirs = (
        fkeras.campaign(tiny, data, metric="mean_squared_error", faults=faults, trials=10, engine=engine,
                        space=fkeras.bit_space(tiny, of=of))
        for engine in ("hls4ml", "framework")
    )  # fmt: skip
    assert ours.values.tolist() == theirs.values.tolist()
    assert len(set(ours.values.tolist())) > 5


def test_accumulators_in_the_words_of_a_project(tiny, make, tmp_path):
    """As wide as the project's accum_t; what this cannot hold is not covered, and says why."""
    x, path = make.data_for(tiny, 6), tmp_path / "config.yml"
    config = fkeras.hls4ml.config(tiny, x)
    layers = config["HLSConfig"]["LayerName"]
    exact = {register.path: register.codec for register in fkeras.bit_space(tiny, of="accumulators").registers}

    def stated(**types):
        for layer, held in types.items():
            layers[layer]["Precision"]["accum"] = held
        path.write_text(yaml.safe_dump(config))
        return fkeras.bit_space(tiny, of="accumulators", project=path)

    space = stated(d1="fixed<20,9>", d2="fixed<24,10>")
    assert [register.codec for register in space.registers] == [FixedPoint(20, 8), FixedPoint(24, 9)]
    assert all(codec.width < 20 for codec in exact.values())
    bits = [FaultSet([bit]) for bit in range(len(space))]
    ours, theirs = (digests_under(tiny, x, space, bits, engine) for engine in ("cpu", "framework"))
    assert np.array_equal(ours, theirs)
    for held, why in (
        ("fixed<6,6>", "hls4ml adds up in fixed<6,6>, and sums of words like these may have steps of "),
        ("fixed<60,20>", "hls4ml adds up in fixed<60,20>; words have at most 32 bits here"),
    ):
        space = stated(d2=held)
        assert [register.path for register in space.registers] == ["d1/accumulator"]
        (left,) = [entry for entry in space.uncovered if entry.path == "d2/accumulator"]
        assert left.reason.startswith(why)
    with pytest.raises(ModelError, match=r"no accumulator of this project has words: d1/accumulator .*fixed<6,6>"):
        stated(d1="fixed<6,6>")
    with pytest.raises(fkeras.InputError, match=r"says how wide accumulators are; use it with of='accumulators'"):
        fkeras.bit_space(tiny, of="activations", project=path)
    with pytest.raises(fkeras.InputError, match="nowhere does not exist"):
        fkeras.bit_space(tiny, of="accumulators", project="nowhere")


def test_scales_behind_a_sum(make, tmp_path):
    """The chip adds up before it multiplies: its sums are other numbers than the network's."""
    scaled = make.q.QDense(
        3, kernel_quantizer="quantized_bits(4,0,alpha='auto_po2')", bias_quantizer=make.bias, name="d"
    )
    model = make.chain((4,), make.bits("qin"), scaled, make.relu("a"))
    config = fkeras.hls4ml.config(model, make.data_for(model, 6))
    path = tmp_path / "config.yml"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match=r"d/accumulator .*hls4ml multiplies with its scale \(alpha\) behind the sum"):
        fkeras.bit_space(model, of="accumulators", project=path)
