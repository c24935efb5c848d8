"""Every way a model comes in, and every file that is none."""

from __future__ import annotations

import json
import re
import shutil
import warnings
import zipfile

import numpy as np
import pytest

import fkeras
from fkeras.errors import EnvironmentSetupError, InputError, ModelError
from fkeras.frontends.qkeras.loading import PruningStripped

Q4 = "quantized_bits(4,0,1,alpha=1)"


@pytest.fixture(scope="module")
def saved(tf, q, kit, tmp_path_factory):
    """One model in every format: (model, data, golden outputs, folder)."""
    folder = tmp_path_factory.mktemp("models")
    inputs = tf.keras.Input((4,))
    h = q.QActivation("quantized_relu(6,2)")(q.QDense(3, kernel_quantizer=Q4, name="d")(inputs))
    model = kit.randomize(tf.keras.Model(inputs, tf.keras.layers.Dense(2)(h)))
    model.compile("adam", "mse")
    model.save(folder / "m.h5")
    model.save(folder / "m.keras")
    model.save_weights(folder / "weights.h5")
    (folder / "m.json").write_text(model.to_json())
    x = kit.data_for(model)
    return model, x, model.predict(x, verbose=0), folder


def test_what_newer_releases_of_keras_2_write_beside_is_read(saved, kit, tmp_path):
    _, x, golden, folder = saved
    architecture = json.loads((folder / "m.json").read_text())
    architecture["config"]["layers"][0]["config"]["optional"] = False  # since 2.16; Keras 2.14 knows no such argument
    (tmp_path / "m.json").write_text(json.dumps(architecture))
    loaded = fkeras.load_model(tmp_path / "m.json", folder / "weights.h5")
    assert kit.same(loaded.predict(x, verbose=0), golden)


@pytest.mark.parametrize(
    ("name", "weights"), [("m.h5", None), ("m.keras", None), ("m.json", "weights.h5"), ("m.h5", "weights.h5")]
)
def test_every_format_gives_the_same_model(saved, kit, name, weights):
    model, x, golden, folder = saved
    loaded = fkeras.load_model(folder / name, weights and str(folder / weights))
    assert kit.same(loaded.predict(x, verbose=0), golden)
    assert loaded.optimizer is None
    assert fkeras.bit_space(loaded).content_digest == fkeras.bit_space(model).content_digest


def test_files_that_are_no_model(saved, tmp_path):
    *_, folder = saved
    (tmp_path / "m.txt").write_text("hello")
    (tmp_path / "m.json").write_text("{broken")
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "empty.h5").write_bytes(b"")
    (tmp_path / "cut.h5").write_bytes((folder / "m.h5").read_bytes()[:3000])
    (tmp_path / "cut.keras").write_bytes((folder / "m.keras").read_bytes()[:500])
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("readme", "nothing")
    for name, error, message in (
        ("missing.h5", InputError, "model file .*missing.h5 does not exist"),
        (".", InputError, "is a directory; allowed are"),
        ("m.txt", ModelError, "is no model file; allowed are a .h5 or .keras model"),
        ("m.json", ModelError, "is damaged or no model file"),
        ("empty.h5", ModelError, "is no model file"),
        ("cut.h5", ModelError, "is damaged: .*save the model again"),
        ("cut.keras", ModelError, "is no model file|is damaged"),
        ("other.keras", ModelError, "is damaged or no model file"),
    ):
        with pytest.raises(error, match=message):
            fkeras.load_model(tmp_path / name)
    for name in ("m.json", "list.json"):
        with pytest.raises(ModelError, match=r"is damaged or no model file|its configuration describes no model"):
            fkeras.load_model(tmp_path / name, folder / "weights.h5")


def test_weights_alone_ask_for_their_architecture(saved):
    *_, folder = saved
    with pytest.raises(ModelError, match="holds weights only; pass the architecture JSON as path and this file as"):
        fkeras.load_model(folder / "weights.h5")
    with pytest.raises(InputError, match=r"m.json: an architecture has no weights; pass weights='file.h5'"):
        fkeras.load_model(folder / "m.json")
    with pytest.raises(InputError, match=r"weight file .*nowhere.h5 does not exist"):
        fkeras.load_model(folder / "m.json", folder / "nowhere.h5")


def test_weights_of_another_model_are_named(saved, tf, tmp_path):
    *_, folder = saved
    inputs = tf.keras.Input((2,))
    tf.keras.Model(inputs, tf.keras.layers.Dense(1)(inputs)).save_weights(tmp_path / "other.h5")
    with pytest.raises(ModelError, match=r"other.h5: its weights do not fit the architecture in .*m.json"):
        fkeras.load_model(folder / "m.json", tmp_path / "other.h5")


def test_lambda_layers_need_trust(tf, q, kit, tmp_path):
    inputs = tf.keras.Input((4,))
    h = tf.keras.layers.Lambda(lambda t: t * 2.0, name="twice")(q.QDense(3, kernel_quantizer=Q4, name="d")(inputs))
    model = kit.randomize(tf.keras.Model(inputs, h))
    x = kit.data_for(model)
    model.save(tmp_path / "m.h5")
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "w.h5")
    (tmp_path / "m.json").write_text(model.to_json())
    for name, weights in (("m.h5", None), ("m.keras", None), ("m.json", tmp_path / "w.h5")):
        with pytest.raises(ModelError, match=r"holds code \(Lambda layer 'twice'\).*pass trusted=True"):
            fkeras.load_model(tmp_path / name, weights)
        assert kit.same(
            fkeras.load_model(tmp_path / name, weights, trusted=True).predict(x, verbose=0), model.predict(x, verbose=0)
        )


@pytest.fixture
def with_calls(tf, q, kit, tmp_path):
    """The JSON and the weights of a model that calls functions of TensorFlow."""
    inputs = tf.keras.Input((4,))
    h = q.QDense(4, kernel_quantizer=Q4, name="d")(inputs)
    h = tf.reshape(tf.nn.relu(h[:, :2]) + 1.0, (-1, 2), name="shaped")
    model = kit.randomize(tf.keras.Model(inputs, tf.transpose(tf.concat([h, h], 1), (0, 1))))
    model.save_weights(tmp_path / "w.h5")
    return model, tmp_path / "w.h5"


def test_functions_that_compute_are_no_code(with_calls, kit, tmp_path):
    model, weights = with_calls
    (tmp_path / "m.json").write_text(model.to_json())
    x = kit.data_for(model)
    assert kit.same(fkeras.load_model(tmp_path / "m.json", weights).predict(x, verbose=0), model.predict(x, verbose=0))


def refused(with_calls, folder, old, new, message):
    """Whether the model's JSON with something replaced is refused with a message."""
    model, weights = with_calls
    text = model.to_json()
    assert old in text
    (folder / "m.json").write_text(text.replace(old, new, 1))
    with pytest.raises(ModelError, match=rf"holds code \({message}.*pass trusted=True"):
        fkeras.load_model(folder / "m.json", weights)


@pytest.mark.parametrize(
    "symbol", ["io.write_file", "io.gfile.rmtree", "compat.v1.load_op_library", "raw_ops.WriteFile", "print"]
)
def test_functions_that_do_more_need_trust(with_calls, tmp_path, symbol):
    message = f"TFOpLambda layer '.*' that calls tf.{symbol}"
    refused(with_calls, tmp_path, '"function": "reshape"', f'"function": "{symbol}"', message)


@pytest.mark.parametrize("kind", ["ClassMethod", "TensorFlowOpLayer"])
def test_layers_that_call_anything_need_trust(with_calls, tmp_path, kind):
    refused(with_calls, tmp_path, '"class_name": "TFOpLambda"', f'"class_name": "{kind}"', f"{kind} layer '")


def rewritten(source, target, old, new):
    """A copy of a .keras file with its configuration changed."""
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name == "config.json":
                text = content.decode()
                assert old in text
                content = text.replace(old, new).encode()
            after.writestr(name, content)


def test_a_file_cannot_import_modules_of_its_choice(saved, tmp_path):
    *_, folder = saved
    rewritten(
        folder / "m.keras",
        tmp_path / "m.keras",
        '"module": "qkeras.qlayers", "class_name": "QDense"',
        '"module": "this", "class_name": "QDense"',
    )
    with pytest.raises(ModelError, match="asks for 'QDense' of module 'this'; pass it in custom_objects"):
        fkeras.load_model(tmp_path / "m.keras")
    rewritten(
        folder / "m.keras", tmp_path / "n.keras", '"class_name": "Functional"', '"class_name": "lambda_layer.Lambda"'
    )
    with pytest.raises(ModelError, match="holds code"):
        fkeras.load_model(tmp_path / "n.keras")


def test_a_file_of_keras_3_says_what_to_do(saved, tmp_path):
    import h5py

    *_, folder = saved
    with zipfile.ZipFile(folder / "m.keras") as before, zipfile.ZipFile(tmp_path / "m.keras", "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name == "metadata.json":
                content = json.dumps({**json.loads(content), "keras_version": "3.5.0"}).encode()
            after.writestr(name, content)
    shutil.copy(folder / "m.h5", tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as content:
        content.attrs["keras_version"] = "3.5.0"
    for name in ("m.keras", "m.h5"):
        with pytest.raises(
            EnvironmentSetupError, match=r"was saved by Keras 3\.5\.0 and holds layers of QKeras; this needs"
        ):
            fkeras.load_model(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "whence"),
    [
        ("HDense", r"It comes from HGQ \(hgq.layers\)"),
        ("HGQ>HActivation", "It comes from HGQ"),
        ("VitisQuantize", "It comes from Vitis AI's quantizer"),
        ("QuantConv2D", "It comes from larq"),
        ("BinaryDense", r"It comes from the BinaryNet scripts \(binary_layers.py"),
        ("Addons>GELU", "It comes from tensorflow_addons"),
        ("KerasLayer", "It comes from tensorflow_hub"),
        ("QuantizeWrapperV2", "It comes from tensorflow_model_optimization's own quantization"),
        ("Mine", "pass it in custom_objects={'Mine': ...}$"),
    ],
)
def test_a_missing_class_is_named_and_where_it_comes_from(tf, saved, kit, tmp_path, name, whence):
    class Stand(tf.keras.layers.Layer):
        def call(self, inputs):
            return inputs

    _, x, golden, folder = saved
    config = json.loads((folder / "m.json").read_text())
    config["config"]["layers"].insert(
        2, {"class_name": name, "config": {"name": "s"}, "name": "s", "inbound_nodes": [[["d", 0, 0, {}]]]}
    )
    config["config"]["layers"][3]["inbound_nodes"] = [[["s", 0, 0, {}]]]
    (tmp_path / "m.json").write_text(json.dumps(config))
    missing = rf"config.layers\[2\] needs the class '{name}', which is none of Keras' or QKeras'; pass it in"
    with pytest.raises(ModelError, match=missing) as refusal:
        fkeras.load_model(tmp_path / "m.json", folder / "weights.h5")
    assert re.search(whence, str(refusal.value))
    assert "Keras 3" not in str(refusal.value)
    loaded = fkeras.load_model(tmp_path / "m.json", folder / "weights.h5", {name: Stand})  # the remedy
    assert kit.same(loaded.predict(x, verbose=0), golden)


def test_a_layer_that_qkeras_cannot_build_says_so(saved, tmp_path):
    *_, folder = saved
    config = json.loads((folder / "m.json").read_text())
    layers = config["config"]["layers"]
    layers[1:] = [
        {"class_name": "Reshape", "config": {"name": "r", "target_shape": [2, 2]}, "name": "r",
         "inbound_nodes": [[[layers[0]["name"], 0, 0, {}]]]},
        {"class_name": "QGRU", "config": {"name": "g", "units": 3}, "name": "g", "inbound_nodes": [[["r", 0, 0, {}]]]},
    ]  # fmt: skip
    config["config"]["output_layers"] = [["g", 0, 0]]
    (tmp_path / "m.json").write_text(json.dumps(config))
    with pytest.raises(
        ModelError, match=r"holds a QGRU \(QKeras 0.9 cannot build it on current TensorFlow\): .*without"
    ):
        fkeras.load_model(tmp_path / "m.json", folder / "weights.h5")


@pytest.mark.parametrize(
    ("name", "layers", "needed"),
    [
        (
            "q3_mlp",
            "QKeras",
            "this needs QKeras for Keras 3, .*pip install 'pytest-fkeras\\[keras3\\]', in an environment",
        ),
        ("hgq_cnn", "HGQ2", "models of HGQ2 need it, .*: pip install 'pytest-fkeras\\[hgq2\\]', in an environment"),
    ],
)
def test_models_of_keras_3_say_what_they_need(shared_data, name, layers, needed):
    path = shared_data / "keras3" / "models" / f"{name}.keras"
    with pytest.raises(fkeras.FkerasError, match=needed) as refusal:
        fkeras.load_model(path)
    assert str(refusal.value).startswith(f"{path}: was saved by Keras 3.15.1 and holds layers of {layers}; ")


def test_an_architecture_of_keras_3_is_known_by_its_modules(saved, tmp_path):
    *_, folder = saved
    config = {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {"layers": [{"module": "keras.layers", "class_name": "InputLayer", "config": {}}]},
    }
    (tmp_path / "m.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="was saved by Keras 3; QKeras needs Keras 2"):
        fkeras.load_model(tmp_path / "m.json", folder / "weights.h5")


def test_custom_layers_come_in_custom_objects(tf, q, kit, tmp_path):
    class Twice(tf.keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    inputs = tf.keras.Input((4,))
    model = kit.randomize(tf.keras.Model(inputs, Twice()(q.QDense(3, kernel_quantizer=Q4, name="d")(inputs))))
    x = kit.data_for(model)
    for name in ("m.h5", "m.keras"):
        model.save(tmp_path / name)
        with pytest.raises(ModelError, match="custom_objects"):
            fkeras.load_model(tmp_path / name)
        loaded = fkeras.load_model(tmp_path / name, custom_objects={"Twice": Twice})
        assert kit.same(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_pruning_wrappers_are_stripped_and_said_so(tf, q, kit, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorflow_model_optimization.sparsity import keras as sparsity

        inputs = tf.keras.Input((4,))
        layer = sparsity.prune_low_magnitude(q.QDense(3, kernel_quantizer=Q4, use_bias=False, name="d"))
        model = tf.keras.Model(inputs, layer(inputs))
        layer.layer.kernel.assign(np.random.default_rng(0).normal(0, 0.4, (4, 3)))
        model.save(tmp_path / "m.h5")
    with pytest.warns(PruningStripped, match="m.h5: pruning wrappers stripped"):
        loaded = fkeras.load_model(tmp_path / "m.h5")
    x = kit.data_for(model)
    assert kit.same(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert fkeras.bit_space(loaded).content_digest == fkeras.bit_space(model).content_digest
