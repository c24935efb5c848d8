"""No code from a model file, no other file opened, no more time and memory than the file's size allows."""

from __future__ import annotations

import builtins
import json
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fkeras
from fkeras.errors import InputError, ModelError

Q4 = "quantized_bits(4,0,1,alpha=1)"


@pytest.fixture(scope="module")
def folder(tf, q, tmp_path_factory):
    """One small model as m.h5, m.keras and m.json with w.h5; its layers are an input, 'd' and 'a'."""
    folder = tmp_path_factory.mktemp("models")
    inputs = tf.keras.Input((4,), name="i")
    h = q.QActivation(q.quantized_relu(4, 0), name="a")(q.QDense(3, kernel_quantizer=Q4, name="d")(inputs))
    model = tf.keras.Model(inputs, h)
    model.save(folder / "m.h5")
    model.save(folder / "m.keras")
    model.save_weights(folder / "w.h5")
    (folder / "m.json").write_text(model.to_json())
    return folder


@pytest.fixture
def opened(monkeypatch):
    """The names of all files that Python opens."""
    names = []
    usual = builtins.open

    def noted(file, *rest, **options):
        names.append(str(file))
        return usual(file, *rest, **options)

    monkeypatch.setattr(builtins, "open", noted)
    return names


KINDS = ("h5", "keras", "json")


def changed(folder: Path, kind: str, change, target: Path) -> tuple[Path, Path | None]:
    """A copy of the model with its configuration changed, and its weight file if it needs one."""
    import h5py

    file = target / f"m.{kind}"
    if kind == "json":
        config = json.loads((folder / "m.json").read_text())
        change(config)
        file.write_text(json.dumps(config))
        return file, folder / "w.h5"
    if kind == "h5":
        file.write_bytes((folder / "m.h5").read_bytes())
        with h5py.File(file, "a") as content:
            config = json.loads(content.attrs["model_config"])
            change(config)
            content.attrs["model_config"] = json.dumps(config)
        return file, None
    with zipfile.ZipFile(folder / "m.keras") as before, zipfile.ZipFile(file, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config).encode()
            after.writestr(name, content)
    return file, None


def refused(folder, kind, change, target, message):
    file, weights = changed(folder, kind, change, target)
    began = time.monotonic()
    with pytest.raises(ModelError, match=message) as error:
        fkeras.load_model(file, weights)
    assert time.monotonic() - began < 20
    assert str(file) in str(error.value)


def layer(kind, **config):
    """A layer that stands between the input and what follows."""

    def change(model):
        model["config"]["layers"][2:2] = [
            {"class_name": kind, "config": {"name": "x", **config}, "name": "x", "inbound_nodes": [[["d", 0, 0, {}]]]}
        ]

    return change


def in_dense(**config):
    return lambda model: model["config"]["layers"][1]["config"].update(config)


def marshalled(touched: str):
    import marshal
    from base64 import b64encode

    code = compile(f"lambda *a, **k: open({touched!r}, 'w').close()", "x", "eval").co_consts[0]
    return [b64encode(marshal.dumps(code)).decode(), None, None]


@pytest.mark.parametrize("kind", KINDS)
def test_a_function_in_a_wrapper_of_a_cell_does_not_run(folder, tmp_path, kind):
    mark = tmp_path / "ran"
    cell = {
        "class_name": "ResidualWrapper",
        "config": {
            "cell": {"class_name": "LSTMCell", "config": {"units": 3}},
            "residual_fn": marshalled(str(mark)),
            "residual_fn_type": "lambda",
            "residual_fn_module": "os",
        },
    }
    refused(
        folder,
        kind,
        layer("RNN", cell=cell),
        tmp_path,
        r"holds code \(ResidualWrapper with a function as 'residual_fn'\) at config.layers\[2\].config.cell.config."
        r"residual_fn that would run .*pass trusted=True",
    )
    assert not mark.exists()


def test_one_file_of_two_formats_is_the_one_that_it_begins_with(folder, tmp_path):
    mark = tmp_path / "ran"
    code = {"function": marshalled(str(mark)), "function_type": "lambda", "arguments": {}, "module": "os"}
    evil, _ = changed(folder, "h5", layer("Lambda", **code), tmp_path)
    clean = (folder / "m.keras").read_bytes()
    for name in ("both.h5", "both.keras", "both.json"):
        (tmp_path / name).write_bytes(evil.read_bytes() + clean)
        with pytest.raises(ModelError, match=r"holds code \(Lambda layer 'x'\) at config.layers\[2\]"):
            fkeras.load_model(tmp_path / name)
    assert not mark.exists()
    (tmp_path / "prefixed.keras").write_bytes(b"#!/bin/sh\n" + clean)
    with pytest.raises(ModelError, match="is no model file"):
        fkeras.load_model(tmp_path / "prefixed.keras")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (layer("InstanceMethod", attr_name="numpy"), r"holds code \(InstanceMethod layer 'x'\) at config.layers\[2\]"),
        (layer("InstanceProperty", attr_name="shape"), r"holds code \(InstanceProperty layer 'x'\)"),
        (layer("DenseFeatures", feature_columns=[]), r"holds code \(DenseFeatures layer 'x'\)"),
        (layer("RNN", cell={"class_name": "DeviceWrapper", "config": {}}), r"holds code .* at .*config.cell "),
        (in_dense(activation={"class_name": "function", "config": "system", "module": "os"}), "the function 'system'"),
        (in_dense(activation={"class_name": "function", "config": "exec", "module": "builtins"}), "function 'exec'"),
        (layer("Dense", units=1, activation={"class_name": "__lambda__", "config": {"value": "x"}}), "a lambda"),
        (layer("Dense", units=1, kernel_initializer="Lambda"), "'Lambda' is no initializer that is known"),
        (layer("Masking", dtype={"class_name": "TypeSpec", "type_spec": "x", "serialized": []}), "class 'TypeSpec'"),
        (layer("Masking", mask_value={"class_name": "CompositeTensor", "spec": {}, "tensors": []}), "CompositeTensor"),
        (layer("Masking", mask_value={"class_name": "__typespec__", "config": {}}), "class '__typespec__'"),
        (layer("Masking", mask_value={"class_name": "__numpy__", "config": {"value": 1, "dtype": "S99"}}), "'S99'"),
        (layer("TFOpLambda", function="nn.fixed_unigram_candidate_sampler"), "calls tf.nn.fixed_unigram"),
        (layer("TFOpLambda", function="nn.RNNCellResidualWrapper"), "calls tf.nn.RNNCell"),
        (in_dense(kernel_quantizer="safe_eval(4)"), r"\[1\].config.kernel_quantizer: 'safe_eval\(4\)' is no"),
        (in_dense(kernel_quantizer="quantized_bits(set_internal_sigmoid('real'))"), "is no quantizer that is known"),
        (in_dense(activation="deserialize_keras_object"), "is no activation that is known"),
        (lambda model: model["config"]["layers"][1]["config"]["bias_initializer"].update(class_name="os.system"),
         "needs the class 'os.system', which is none of Keras' or QKeras'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_only_data_is_taken_from_a_file(folder, tmp_path, kind, change, message):
    refused(folder, kind, change, tmp_path, message)


def test_a_name_means_what_was_checked(folder, tmp_path, tf):
    """A registered name or a module of the file's choice does not change which class is built."""

    @tf.keras.utils.register_keras_serializable("hostile")
    class Evil(tf.keras.layers.Layer):
        def __init__(self, *args, **kwargs):
            raise AssertionError("was built")

    def change(model):
        for entry in model["config"]["layers"]:
            entry["registered_name"] = "hostile>Evil"

    file, _ = changed(folder, "keras", change, tmp_path)
    assert [type(layer).__name__ for layer in fkeras.load_model(file).layers] == ["InputLayer", "QDense", "QActivation"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer_class", ["StringLookup", "IntegerLookup", "TextVectorization"])
def test_files_that_a_model_names_are_not_opened(folder, tmp_path, kind, layer_class, opened):
    (tmp_path / "words.txt").write_text("1\n2\n")
    vocabulary = str(tmp_path / "words.txt")
    refused(folder, kind, layer(layer_class, vocabulary=vocabulary), tmp_path, r"config.layers\[2\].config.vocabulary")
    assert vocabulary not in opened


def with_content(folder, tmp_path, change):
    import h5py

    (tmp_path / "m.h5").write_bytes((folder / "m.h5").read_bytes())
    with h5py.File(tmp_path / "m.h5", "a") as content:
        change(content["model_weights/d/d"], h5py)
    return tmp_path / "m.h5"


def external(group, h5py):
    del group["kernel:0"]
    group["kernel:0"] = h5py.ExternalLink("/tmp/other.h5", "/x")


def soft(group, h5py):
    del group["kernel:0"]
    group["kernel:0"] = h5py.SoftLink("/model_weights/d/d/bias:0")


def stored_outside(group, h5py):
    del group["kernel:0"]
    group.create_dataset("kernel:0", (4, 3), "f4", external=[("/etc/passwd", 0, 48)])


def virtual(group, h5py):
    del group["kernel:0"]
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (4, 3))
    group.create_virtual_dataset("kernel:0", layout)


def twice(group, h5py):
    group["again"] = group["kernel:0"]


def circle(group, h5py):
    group["again"] = group


def text(group, h5py):
    del group["kernel:0"]
    group["kernel:0"] = ["text"] * 12


def huge(group, h5py):
    del group["kernel:0"]
    group.create_dataset("kernel:0", (10**6, 10**6), "f4", chunks=(1000, 1000))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (external, "'model_weights/d/d/kernel:0' is a link to elsewhere, which is not followed"),
        (soft, "is a link to elsewhere"),
        (stored_outside, "lies in other files, which are not opened"),
        (virtual, "lies in other files, which are not opened"),
        (twice, "is in the file twice"),
        (circle, "is in the file twice"),
        (text, "holds no numbers"),
        (huge, r"takes 4,000,000,000,000 bytes, which a file of this size cannot hold"),
    ],
)
def test_numbers_lie_in_the_file_itself(folder, tmp_path, change, message):
    file = with_content(folder, tmp_path, change)
    for path, weights in ((file, None), (folder / "m.json", file)):
        with pytest.raises(ModelError, match=f"{file}: .*{message}"):
            fkeras.load_model(path, weights)


def test_special_files_are_refused_before_they_are_read(folder, tmp_path):
    os.mkfifo(tmp_path / "m.h5")
    for path, weights in (
        (tmp_path / "m.h5", None),
        (folder / "m.json", tmp_path / "m.h5"),
        ("/dev/zero", None),
        (folder / "m.json", tmp_path),
    ):
        with pytest.raises(InputError, match=r"is no regular file|is a directory"):
            fkeras.load_model(path, weights)


def calls(nodes):
    return lambda model: model["config"]["layers"][1].update(inbound_nodes=nodes)


def nested(model):
    """A model in a model in a model ..., each called twice: 2 to the 40th calls."""
    inner = {"class_name": "Functional", "config": model["config"], "name": "n", "inbound_nodes": []}
    for _ in range(40):
        inner = {
            "class_name": "Functional",
            "config": {"name": "n", "layers": [inner], "input_layers": [], "output_layers": []},
            "name": "n",
            "inbound_nodes": [[["i", 0, 0, {}]], [["i", 0, 0, {}]]],
        }
    model["config"] = inner["config"]


def deep(model):
    for _ in range(300):
        model["config"] = {"config": model["config"]}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (calls([[["a", 0, 0, {}]]]), "its layers wait for each other"),
        (calls([[["i", 0, 0, {}]], [["d", 7, 0, {}]]]), "its layers wait for each other"),
        (in_dense(units=10**9), r"asks for weights of shape \(4, 1000000000\), more than the 15 numbers"),
        (layer("Embedding", input_dim=10**9, output_dim=10**9), "asks for weights of shape"),
        (nested, "its layers are called .* times"),
        (deep, "nested more than 200 deep"),
        (in_dense(kernel_quantizer="quantized_bits(1000000000000,0,1)"), "allowed are up to 99999 bits"),
        (in_dense(kernel_quantizer={"class_name": "quantized_bits", "config": {"bits": 10**12}}), "is 1000000000000;"),
    ],
)
def test_what_a_file_asks_for_is_bounded_by_what_it_holds(folder, tmp_path, kind, change, message):
    refused(folder, kind, change, tmp_path, message)


def test_a_call_on_constants_alone_is_not_made(folder, tmp_path):
    def change(model):
        layer("TFOpLambda", function="zeros")(model)
        model["config"]["layers"][2]["inbound_nodes"] = [["_CONSTANT_VALUE", -1, [10**5, 10**5], {}]]

    refused(folder, "h5", change, tmp_path, "layer 'x' calls tf.zeros on constants alone")


def test_a_file_that_describes_a_layer_is_no_model(folder, tmp_path):
    refused(
        folder,
        "keras",
        lambda model: model.update(model["config"]["layers"][1]),
        tmp_path,
        "its configuration describes a QDense, which is no model",
    )


def test_a_loop_is_not_unrolled_a_million_times(folder, tmp_path):
    def change(model):
        layer("LSTM", units=3, unroll=True)(model)
        layer("RepeatVector", n=10**6)(model)

    refused(folder, "h5", change, tmp_path, "it unrolls a loop in a model with 1,000,000 steps; allowed are 1,000")


@pytest.mark.parametrize("member", ["config.json", "metadata.json", "model.weights.h5"])
def test_members_that_unpack_to_gigabytes_are_not_unpacked(folder, tmp_path, member):
    with (
        zipfile.ZipFile(folder / "m.keras") as before,
        zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            with after.open(name, "w") as target:
                if name == member:
                    for _ in range(100):
                        target.write(b" " * 2**20)
                target.write(before.read(name))
    with pytest.raises(ModelError, match=rf"its {member} takes 10\d,\d+,\d+ bytes once unpacked; allowed are"):
        fkeras.load_model(tmp_path / "m.keras")


def test_blanks_do_not_fill_the_memory(tmp_path):
    with open(tmp_path / "m.json", "wb") as file:
        file.write(b"{" + b" " * 2**24)
    with pytest.raises(ModelError, match="its configuration takes more than 8,388,608 bytes"):
        fkeras.load_model(tmp_path / "m.json", tmp_path / "m.json")


def test_damaged_attributes_are_a_message(folder, tmp_path):
    import h5py

    for name, value in (
        ("model_config", 5),
        ("model_config", np.arange(3)),
        ("model_config", b"\xff\xfe"),
        ("model_config", h5py.Empty("f4")),
        ("keras_version", 2.0),
    ):
        (tmp_path / "m.h5").write_bytes((folder / "m.h5").read_bytes())
        with h5py.File(tmp_path / "m.h5", "a") as content:
            del content.attrs[name]
            content.attrs[name] = value
        with pytest.raises(ModelError, match=r"m.h5: is damaged"):
            fkeras.load_model(tmp_path / "m.h5")


@pytest.mark.parametrize("length", [0, 8, 2**64 - 16])
def test_texts_in_which_hdf5_would_go_round_for_ever(folder, tmp_path, length):
    """The last piece of a heap, which is free, says how far it is to the next one; HDF5 1.14 and 2.0 believe it."""
    data = bytearray((folder / "m.h5").read_bytes())
    heap = data.index(b"GCOL")
    piece = heap + 16
    while data[piece] or data[piece + 1]:
        piece += 16 + -(-int.from_bytes(data[piece + 8 : piece + 16], "little") // 8) * 8
    assert piece < heap + int.from_bytes(data[heap + 8 : heap + 16], "little")
    data[piece + 8 : piece + 16] = length.to_bytes(8, "little")
    (tmp_path / "m.h5").write_bytes(data)
    with pytest.raises(
        ModelError, match=r"m.h5: is damaged: its texts do not lie one behind the other; save the model"
    ):
        fkeras.load_model(tmp_path / "m.h5")


def test_assets_are_not_unpacked(folder, tmp_path, monkeypatch):
    import tempfile

    (tmp_path / "m.keras").write_bytes((folder / "m.keras").read_bytes())
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as archive:
        archive.writestr("assets/words.txt", "x")
    monkeypatch.setattr(tempfile, "mkdtemp", lambda *a, **k: pytest.fail("a folder was made"))
    assert len(fkeras.bit_space(fkeras.load_model(tmp_path / "m.keras"))) == 48
