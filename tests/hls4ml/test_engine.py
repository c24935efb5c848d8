"""The engine gives the reference's numbers where the chip computes what QKeras computes, and leaves no trace."""

from __future__ import annotations

import gc
import shutil
import tempfile

import numpy as np
import pytest

import fkeras
from fkeras.engines.hls4ml import compiling, emulation
from fkeras.engines.hls4ml import engine as engine_module
from fkeras.engines.hls4ml.emulation import Write
from fkeras.metrics import resolve
from fkeras.models import start_run

METRICS = {"mean_squared_error": resolve("mean_squared_error")}


@pytest.fixture(scope="module")
def runs(tiny, make):
    x = make.data_for(tiny)
    y = np.random.default_rng(0).normal(size=(40, 3))
    return [start_run(tiny, (x, y), METRICS, None, engine) for engine in ("hls4ml", "framework")]


def draws(space, n, count, seed=0):
    rng = np.random.default_rng(seed)
    return [fkeras.FaultSet(rng.choice(len(space), count, replace=False)) for _ in range(n)]


def same_scores(ours, theirs):
    for name in ours:
        assert ours[name].values.tolist() == theirs[name].values.tolist()
        assert ours[name].harmed.tolist() == theirs[name].harmed.tolist()
        assert ours[name].undefined.tolist() == theirs[name].undefined.tolist()


def test_golden_single_flips_and_fault_sets_are_the_references(runs):
    chip, reference = runs
    assert chip.engine == "hls4ml"
    assert np.array_equal(chip.golden_outputs, reference.golden_outputs)
    bits = np.arange(len(chip.space))
    same_scores(chip.flips(bits), reference.flips(bits))
    sets = [*draws(chip.space, 5, 30), fkeras.FaultSet(set_to_1=[0, 7], set_to_0=[3]), fkeras.FaultSet.EMPTY]
    same_scores(chip.fault_sets(sets), reference.fault_sets(sets))
    assert sorted(np.concatenate(list(chip.batches(bits))).tolist()) == bits.tolist()


def test_what_was_written_is_restored_bit_for_bit_in_every_copy(runs):
    chip = runs[0].chip.emulation
    for held in chip.words():
        assert {name: array.tolist() for name, array in held.items()} == {
            name: array.tolist() for name, array in chip.golden.items()
        }
    assert np.array_equal(chip.run(runs[0].chip.chip_inputs)[0], runs[0].golden_outputs)


def test_words_are_restored_when_the_prediction_fails(runs):
    chip = runs[0].chip.emulation
    with pytest.raises(ValueError, match="reshape"):
        chip.run([np.zeros((2, 5))], [Write("w3", np.array([0]), np.array([7]))])
    assert all(held["w3"][0] == chip.golden["w3"][0] for held in chip.words())


def test_a_write_changes_the_word_that_it_names_and_what_the_chip_computes(runs):
    run = runs[0]
    bit = run.space.index("d2/kernel[1,2]:0")
    (write,) = run.chip.order.writes(fkeras.FaultSet([bit]))
    word = int(run.space.tensors[1].words[5]) ^ 0b100000
    assert (write.variable, write.positions.tolist()) == ("w6", [5])
    assert write.codes.tolist() == [word - 64 if word >= 32 else word]
    with fkeras.injected(run_model(run), fkeras.FaultSet([bit])) as faulty:
        assert np.array_equal(run.outputs(fkeras.FaultSet([bit])), faulty.predict(run.chip.inputs[0], verbose=0))


def run_model(run):
    return run.chip.conversion.part.whole


def test_oracle_and_campaign_take_the_engine(tiny, make, runs):
    data = (make.data_for(tiny), np.random.default_rng(0).normal(size=(40, 3)))
    arguments = {"metric": "mean_squared_error"}
    ours, theirs = (
        fkeras.oracle(tiny, data, bits=range(0, 200, 11), engine=engine, **arguments)
        for engine in ("hls4ml", "framework")
    )
    assert ours.values.tolist() == theirs.values.tolist()
    ours, theirs = (
        fkeras.campaign(tiny, data, faults=5, trials=6, engine=engine, **arguments)
        for engine in ("hls4ml", "framework")
    )
    assert ours.values.tolist() == theirs.values.tolist()


def test_a_model_is_compiled_once(tiny, make, runs, monkeypatch):
    monkeypatch.setattr(compiling, "compile_library", lambda *_: pytest.fail("compiled again"))
    data = (make.data_for(tiny)[:3], np.zeros((3, 3)))
    again = start_run(tiny, data, METRICS, None, "hls4ml")
    assert again.chip.emulation is runs[0].chip.emulation
    monkeypatch.setattr(emulation, "_kept", type(emulation._kept)())  # as in another process
    other = start_run(tiny, data, METRICS, None, "hls4ml")
    assert other.chip.emulation is not runs[0].chip.emulation
    same_scores(other.flips(np.arange(8)), again.flips(np.arange(8)))


def test_the_nested_model_goes_onto_the_chip_and_keras_computes_what_is_around_it(make, monkeypatch):
    layers = make.tf.keras.layers
    encoder = make.chain((4,), make.bits("qin"), make.dense(5, "d1"), make.relu("a1"))
    x = make.tf.keras.Input((2, 2), name="image")
    latent = encoder(layers.Flatten()(layers.Rescaling(0.5)(x)))
    joined = layers.Concatenate()([latent, layers.Flatten()(x)])
    model = make.randomized(make.tf.keras.Model(x, layers.Dense(3, activation="softmax")(joined)))
    data = (make.data_for(model), np.random.default_rng(1).integers(0, 3, 40))
    metrics = {name: resolve(name) for name in ("accuracy", "mispredictions")}
    chip, reference = (start_run(model, data, metrics, None, engine) for engine in ("hls4ml", "framework"))
    assert chip.chip.conversion.part.prefix == "chain/"
    assert chip.golden_outputs == pytest.approx(reference.golden_outputs, abs=1e-6)
    sets = draws(chip.space, 20, 3)
    ours, theirs = chip.fault_sets(sets), reference.fault_sets(sets)
    for name in metrics:
        assert ours[name].values.tolist() == theirs[name].values.tolist()
    # A float layer may round a sample otherwise when there are fewer around it.
    numbers, usual = set(), chip.chip.around.after
    monkeypatch.setattr(chip.chip.around, "after", lambda x, y: (numbers.add(len(y[0])), usual(x, y))[1])
    chip.flips(np.arange(40))
    assert numbers == {40}
    monkeypatch.setattr(engine_module, "CHUNK", 16)
    again = chip.fault_sets(sets)
    assert numbers == {40, 16, 8}
    for name in metrics:
        assert again[name].values.tolist() == ours[name].values.tolist()


def test_streams_folded_batch_norm_and_a_softmax_that_is_left_to_keras(make):
    layers, q = make.tf.keras.layers, make.q
    model = make.chain(
        (40, 40, 3),
        q.QConv2DBatchnorm(3, 3, strides=4, padding="same", kernel_quantizer=make.kernel, bias_quantizer=make.bias),
        make.relu("a"),
        layers.Flatten(),
        make.dense(3, "d"),
        layers.Activation("softmax", name="classes"),
    )
    x = np.rint(make.data_for(model, 4) * 32) / 32
    chip, reference = (start_run(model, (x, np.arange(4) % 3), {"accuracy": resolve("accuracy")}, None, engine)
                       for engine in ("hls4ml", "framework"))  # fmt: skip
    assert chip.chip.conversion.config["IOType"] == "io_stream"
    assert chip.chip.conversion.softmax == (True,)
    assert chip.golden_outputs == pytest.approx(reference.golden_outputs, abs=1e-6)
    sets = draws(chip.space, 6, 4)
    same_scores(chip.fault_sets(sets), reference.fault_sets(sets))
    with fkeras.injected(model, sets[0]) as faulty:
        assert chip.outputs(sets[0]) == pytest.approx(faulty.predict(x, verbose=0), abs=1e-6)


def test_an_engine_that_does_not_exist(tiny):
    with pytest.raises(
        fkeras.InputError, match=r"engine='hls5ml'; allowed are auto, cpu, gpu, framework, hls4ml, and hls4ml:"
    ):
        start_run(tiny, (np.zeros((1, 4)), np.zeros((1, 3))), METRICS, None, "hls5ml")
    with pytest.raises(fkeras.InputError, match="engine='auto:x'"):
        start_run(tiny, (np.zeros((1, 4)), np.zeros((1, 3))), METRICS, None, "auto:x")
    with pytest.raises(fkeras.InputError, match="nowhere does not exist"):
        start_run(tiny, (np.zeros((1, 4)), np.zeros((1, 3))), METRICS, None, "hls4ml:nowhere")


def test_a_missing_compiler_says_what_to_install(tiny, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(fkeras.EnvironmentSetupError, match=r"found no g\+\+ on PATH; install one"):
        start_run(tiny, (np.zeros((1, 4)), np.zeros((1, 3))), METRICS, None, "hls4ml")


def test_a_missing_hls4ml_names_the_extra(tiny, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "hls4ml", None)
    with pytest.raises(fkeras.MissingExtraError, match=r"pip install 'pytest-fkeras\[hls4ml\]'"):
        start_run(tiny, (np.zeros((1, 4)), np.zeros((1, 3))), METRICS, None, "hls4ml")


def test_an_emulation_that_gives_up_does_not_take_the_process_along(make):
    model = make.chain((6, 6, 2), make.bits("qin"), make.q.QDepthwiseConv2D(
        3, depthwise_quantizer=make.kernel, bias_quantizer=make.bias, name="c"), make.relu("a"))  # fmt: skip
    x = make.data_for(model, 2)
    config = fkeras.hls4ml.config(model, x)
    config["HLSConfig"]["Model"] |= {"Strategy": "Resource", "ReuseFactor": 2}
    with pytest.raises(fkeras.UnsupportedError, match=r"gives up: Assertion .*Resource strategy for DepthwiseConv2D"):
        fkeras.hls4ml.agreement(model, x, project=config)


def test_nothing_stays_but_the_library(make, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model = make.chain((3,), make.bits("qin"), make.dense(2, "d1"))
    run = start_run(model, (make.data_for(model), np.zeros((40, 2))), METRICS, None, "hls4ml")
    run.flips(np.arange(2))
    (copies,) = tmp_path.iterdir()
    assert {path.suffix for path in copies.iterdir()} == {".so"}
    emulation._kept.clear()
    del run
    gc.collect()
    assert list(tmp_path.iterdir()) == []
