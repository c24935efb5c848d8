"""HGQ2 models in fkeras' own functions: loaded, measured, ranked, stored, exported, and refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fkeras
from fkeras.errors import InputError, ModelError, UnsupportedError
from fkeras.memory import MixedFixedPoint


@pytest.fixture(scope="session")
def trained(keras3_data: Path, hgq: Any) -> tuple[Any, Any, Any]:
    """A model as `fkeras.load_model` gives it, and its data."""
    with np.load(keras3_data / "hgq_cnn.npz") as truth:
        x, y = truth["x16"] / np.float32(16), truth["labels"]
    model = fkeras.load_model(keras3_data / "models" / "hgq_cnn.keras")
    return model, x.reshape(len(x), *model.input_shape[1:]), y


def small(keras: Any, hgq: Any, **arguments: Any) -> Any:
    model = keras.Sequential([keras.Input((4,)), hgq.QDense(3, name="d", **arguments)])
    model.get_layer("d").kernel.assign(np.linspace(-0.9, 0.9, 12).reshape(4, 3))
    return model


def test_a_file_is_measured_and_ranked(trained: Any) -> None:
    model, x, y = trained
    space = fkeras.bit_space(model)
    assert len(space) == 3701
    assert [str(entry.reason) for entry in space.uncovered] == ["bias; biases=True covers it"] * 3
    oracle = fkeras.oracle(model, (x, y), metric="accuracy", bits=range(100))
    order = fkeras.rank(model, (x, y))
    assert np.array_equal(np.sort(order.order), np.arange(len(space)))
    harmed = fkeras.campaign(model, (x, y), metric="accuracy", faults=30, trials=20, protected=order[:1500])
    bare = fkeras.campaign(model, (x, y), metric="accuracy", faults=30, trials=20)
    assert oracle.golden == pytest.approx(0.975)
    assert harmed.estimate.best > bare.estimate.best


def test_a_network_file_is_the_model(trained: Any, keras3_data: Path, tmp_path: Path) -> None:
    from fkeras.models.exporting import export

    model, x, y = trained
    network = export(keras3_data / "models" / "hgq_cnn.keras", tmp_path / "m.fkn", x)
    again = fkeras.load_model(tmp_path / "m.fkn")
    assert again.digest == network.digest
    assert fkeras.bit_space(again).content_digest == fkeras.bit_space(model).content_digest
    runs = [
        fkeras.campaign(each, (x, y), metric="accuracy", faults=5, trials=10, seed=3).estimate.best
        for each in (model, again)
    ]
    assert runs[0] == runs[1]


def test_both_memories_are_measured(trained: Any) -> None:
    from fkeras.metrics.named import resolve
    from fkeras.models import start_run

    model, x, y = trained
    metrics = {"accuracy": resolve("accuracy")}
    for memory, n_bits in (("quantizer", 3701), ("hls4ml", 5102)):
        space = fkeras.bit_space(model, memory=memory)  # type: ignore[arg-type]
        assert len(space) == n_bits
        run = start_run(model, (x, y), metrics, space)
        assert run.golden["accuracy"].value == pytest.approx(0.975)
        assert run.space is space


def test_a_changed_model_is_read_again(keras: Any, hgq: Any) -> None:
    model = small(keras, hgq)
    before = fkeras.bit_space(model)
    x, y = np.ones((6, 4), np.float32), np.zeros(6, int)
    fkeras.oracle(model, (x, y), metric="accuracy", space=before)
    model.get_layer("d").kernel.assign(np.full((4, 3), 0.5))
    with pytest.raises(ModelError, match="read from other weights than model"):
        fkeras.oracle(model, (x, y), metric="accuracy", space=before)
    after = fkeras.bit_space(model)
    assert before.content_digest != after.content_digest
    assert before.layout_digest == after.layout_digest


def test_what_is_not_known_is_refused_by_name(keras: Any, hgq: Any) -> None:
    from hgq.config import QuantizerConfig

    cases = {
        "has a scaler (0.3)": QuantizerConfig(place="weight", scaler=0.3),
        "has an affine map": QuantizerConfig(place="weight", affine=(2.0, 1.0)),
    }
    for reason, config in cases.items():
        with pytest.raises(UnsupportedError, match="layer 'd'") as refusal:
            fkeras.bit_space(small(keras, hgq, kq_conf=config))
        assert reason in str(refusal.value)
    model = keras.Sequential([keras.Input((4,)), hgq.QDenseT(3, name="t")])
    with pytest.raises(UnsupportedError, match=r"layer 't' \(QDenseT\) is not supported; exclude it with layers='!t'"):
        fkeras.bit_space(model)


def test_a_layer_that_is_left_out_is_not_refused(keras: Any, hgq: Any) -> None:
    from hgq.config import QuantizerConfig

    mapped = hgq.QDense(3, kq_conf=QuantizerConfig(place="weight", affine=(2.0, 0.5)), name="mapped")
    model = keras.Sequential([keras.Input((4,)), mapped, hgq.QDense(2, name="d")])
    with pytest.raises(UnsupportedError, match=r"layer 'mapped': .*; exclude it with layers='!mapped'"):
        fkeras.bit_space(model)
    for memory in ("quantizer", "hls4ml"):
        space = fkeras.bit_space(model, layers="!mapped", memory=memory)  # type: ignore[arg-type]
        assert [tensor.path for tensor in space.tensors] == ["d/kernel"]
        assert "mapped/kernel" in [entry.path for entry in space.uncovered]
        x, y = np.ones((6, 4), np.float32), np.zeros(6, int)
        assert fkeras.oracle(model, (x, y), metric="accuracy", space=space).values.size == len(space)


def test_files_that_are_no_model(keras: Any, hgq: Any, tmp_path: Path) -> None:
    model = small(keras, hgq)
    model.save(tmp_path / "m.h5")
    assert (
        fkeras.bit_space(fkeras.load_model(tmp_path / "m.h5")).content_digest == fkeras.bit_space(model).content_digest
    )
    model.save_weights(tmp_path / "m.weights.h5")
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)).save(tmp_path / "code.keras")
    (tmp_path / "cut.keras").write_bytes((tmp_path / "code.keras").read_bytes()[:500])
    for name, message in {
        "m.weights.h5": r"holds weights only; save the whole model with model.save\('name.keras'\)",
        "code.keras": "holds code that would run .* load it with trusted=True",
        "cut.keras": "is damaged or no model file|is no model file",
    }.items():
        with pytest.raises(ModelError, match=message):
            fkeras.load_model(tmp_path / name)
    assert fkeras.load_model(tmp_path / "code.keras", trusted=True)(np.ones((1, 4)))[0, 0] == 2  # the remedy


def test_untraced_weights_ask_for_a_trace(keras: Any, hgq: Any) -> None:
    from hgq.config import QuantizerConfig
    from hgq.utils import trace_minmax

    config = QuantizerConfig("kif", "weight", overflow_mode="WRAP", k0=0, i0=-2, f0=4)
    model = small(keras, hgq, kq_conf=config)
    with pytest.raises(UnsupportedError, match=r"run hgq.utils.trace_minmax\(model, data\) and save the model again"):
        fkeras.bit_space(model)
    trace_minmax(model, np.ones((4, 4), np.float32))  # the remedy
    space = fkeras.bit_space(model)
    assert isinstance(space.tensors[0].codec, MixedFixedPoint)


def test_elements_without_bits_store_nothing(keras: Any, hgq: Any) -> None:
    model = small(keras, hgq)
    bits = next(v for v in model.get_layer("d").variables if v.path.endswith("/b"))
    width = np.full((4, 3), 3.0)
    width[1] = 0
    bits.assign(width)
    (tensor,) = fkeras.bit_space(model).tensors
    assert tensor.layout.n_empty == 3
    assert not tensor.golden.reshape(4, 3)[1].any()


def test_tables_are_listed_and_not_covered(keras: Any, hgq: Any) -> None:
    x = inputs = keras.Input((4,))
    x = hgq.QSoftmax(name="s")(hgq.QDense(3, name="d")(x))
    space = fkeras.bit_space(keras.Model(inputs, x))
    listed = {entry.path: entry.reason for entry in space.uncovered}
    assert listed["s/s_exp_table"] == listed["s/s_inv_table"] == "lookup table"


def test_what_cannot_be_measured_says_so(keras: Any, hgq: Any, trained: Any) -> None:
    model, x, y = trained
    inputs = keras.Input((4,))
    odd = keras.Model(inputs, hgq.QDense(2, name="d")(keras.ops.sin(inputs)))
    oracle = fkeras.oracle(odd, (np.ones((5, 4), np.float32), np.zeros(5, int)), metric="accuracy", bits=range(3))
    assert oracle.engine == "framework (layer 'sin': layers of type Sin are not known)"
    other = fkeras.BitSpace(fkeras.bit_space(small(keras, hgq)).tensors)
    with pytest.raises(ModelError, match="read from other weights than model"):
        fkeras.oracle(model, (x, y), metric="accuracy", space=other)


def test_the_memory_of_hls4ml_is_chosen_and_named(trained: Any, keras3_data: Path, tmp_path: Path) -> None:
    from fkeras.models.exporting import export

    model, x, _ = trained
    space = fkeras.bit_space(model, memory="hls4ml")
    assert (space.memory, len(space)) == ("hls4ml", 5102)
    export(keras3_data / "models" / "hgq_cnn.keras", tmp_path / "m.fkn", x, memory="hls4ml")
    again = fkeras.bit_space(fkeras.load_model(tmp_path / "m.fkn"))
    assert (again.memory, again.content_digest) == ("hls4ml", space.content_digest)
    export(keras3_data / "models" / "hgq_cnn.keras", tmp_path / "own.fkn", x)
    with pytest.raises(InputError, match=r"memory='quantizer'; export the model again with --memory hls4ml"):
        fkeras.bit_space(fkeras.load_model(tmp_path / "own.fkn"), memory="hls4ml")
    with pytest.raises(InputError, match=r"memory='other'; allowed are 'quantizer', 'hls4ml'"):
        fkeras.bit_space(model, memory="other")  # type: ignore[arg-type]


def test_float_layers_are_covered_when_asked_for(keras: Any, hgq: Any) -> None:
    """Every flip of some words, exponent bits included, against Keras with the faulty number in its place."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, "relu", name="a"), keras.layers.Dense(3, "softmax", name="b")]
    model = keras.Sequential([keras.Input((6,)), *layers])
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 6)).astype(np.float32)
    y = np.asarray(model(x)).argmax(1)
    with pytest.raises(ModelError, match="has no quantized kernel"):
        fkeras.bit_space(model)
    space = fkeras.bit_space(model, biases=True, words="float32")
    assert [tensor.path for tensor in space.tensors] == ["a/kernel", "a/bias", "b/kernel", "b/bias"]
    assert len(space) == 32 * sum(variable.shape.num_elements() for variable in model.weights)
    bits = np.concatenate([np.arange(32), generator.choice(len(space), 20, replace=False)])
    values = fkeras.oracle(model, (x, y), metric="accuracy", space=space, bits=bits).values
    place = space.locate(bits)
    for number, value in enumerate(values):
        tensor, element = space.tensors[place.tensor[number]], place.element[number]
        layer, name = tensor.path.split("/")
        variable = getattr(model.get_layer(layer), name)
        before = np.asarray(variable)
        faulty = before.reshape(-1).copy()
        faulty[element] = tensor.values_of(tensor.words[element] ^ place.mask[number : number + 1], [element])[0]
        variable.assign(faulty.reshape(before.shape))
        outputs = np.asarray(model(x))
        variable.assign(before)
        is_defined = np.isfinite(outputs).all(1)
        right = is_defined & (np.nan_to_num(outputs).argmax(1) == y)
        assert value == pytest.approx(right.mean())
    order = fkeras.rank(model, (x, y), space=space)
    assert len(order) == len(space)
