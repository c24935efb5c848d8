"""Whatever is damaged in a model file, it loads or is refused with a message, in little time and memory."""

from __future__ import annotations

import io
import json
import random
import resource
import time
import zipfile

import pytest

import fkeras
from fkeras.errors import FkerasError

FILES = 200
SECONDS, BYTES = 60, 2**30
VALUES = (
    *(None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1e308, float("nan"), float("inf"), "", "x", "../x", "\x00", "d", "i"),
    *([], {}, [[]], [None], {"class_name": "Dense"}, {"class_name": "Lambda", "config": {}}, {"class_name": 3}),
    *({"class_name": "function", "config": "print", "module": "builtins"}, [10**9] * 3, "quantized_bits(99,1e9)"),
)


@pytest.fixture(scope="module")
def originals(tf, q, tmp_path_factory):
    """The bytes of one small model by kind, and its weight file."""
    folder = tmp_path_factory.mktemp("models")
    inputs = tf.keras.Input((4,), name="i")
    h = q.QDense(3, kernel_quantizer="quantized_bits(4,0,1,alpha=1)", name="d")(inputs)
    h = q.QActivation(q.quantized_relu(4, 0), name="a")(h[:, :2] + 1.0)
    model = tf.keras.Model(inputs, tf.keras.layers.BatchNormalization(name="b")(h))
    for name in ("m.h5", "m.keras"):
        model.save(folder / name)
    model.save_weights(folder / "w.h5")
    (folder / "m.json").write_text(model.to_json())
    return {kind: (folder / f"m.{kind}").read_bytes() for kind in ("h5", "keras", "json")}, folder / "w.h5"


def places(value, here=()):
    """Where something could be changed in a JSON structure."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*here, key)
        yield from places(item, (*here, key))


def mutated(config, rng):
    """A JSON structure with one to three things removed, replaced, swapped, repeated or renamed."""
    for _ in range(rng.randint(1, 3)):
        *path, last = rng.choice(list(places(config)))
        holder = config
        for key in path:
            holder = holder[key]
        action = rng.choice(("remove", "replace", "swap", "wrap", "rename"))
        if action == "remove":
            del holder[last]
        elif action == "swap" and len(holder) > 1:
            other = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
            holder[last], holder[other] = holder[other], holder[last]
        elif action == "wrap":
            holder[last] = rng.choice(([holder[last]] * 2, {"config": holder[last]}))
        elif action == "rename" and isinstance(holder, dict):
            holder[rng.choice(("class_name", "config", "module", "name", "layers"))] = holder.pop(last)
        else:
            holder[last] = rng.choice(VALUES)
        if not list(places(config)):
            break
    return config


def damaged(content, rng):
    """Bytes with some changed, cut off, or doubled."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 4, 32))):
        data[rng.randrange(len(data))] = rng.choice((0, 255, rng.randrange(256)))
    start = rng.randrange(len(data))
    return bytes(rng.choice((data, data, data[:start], data[:start] + data[start // 2 :])))


def other_attributes(content, rng):
    """An HDF5 file with an attribute of one of its groups removed or of another value."""
    import h5py

    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        groups = [file]
        file.visititems(lambda _, item: groups.append(item) if len(item.attrs) else None)
        group = rng.choice(groups)
        name = rng.choice(list(group.attrs))
        value = rng.choice(("remove", 5, "x", b"\xff", [b"d"] * 9, [b"../d"], [1.5] * 3, "[]", "{}", h5py.Empty("f4")))
        del group.attrs[name]
        if not (isinstance(value, str) and value == "remove"):
            group.attrs[name] = value
    return buffer.getvalue()


def with_config(kind, content, change):
    """A model file with its configuration changed."""
    import h5py

    if kind == "json":
        return json.dumps(change(json.loads(content))).encode()
    if kind == "h5":
        buffer = io.BytesIO(content)
        with h5py.File(buffer, "r+") as file:
            file.attrs["model_config"] = json.dumps(change(json.loads(file.attrs["model_config"])))
        return buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(buffer, "w") as after:
        for name in before.namelist():
            data = before.read(name)
            after.writestr(name, json.dumps(change(json.loads(data))) if name == "config.json" else data)
    return buffer.getvalue()


def fuzzed(kind, content, rng):
    way = rng.choice(("bytes", "structure", "structure", "attributes"))
    if way == "structure":
        return with_config(kind, content, lambda config: mutated(config, rng))
    return other_attributes(content, rng) if way == "attributes" and kind == "h5" else damaged(content, rng)


@pytest.mark.parametrize("kind", ["h5", "keras", "json"])
def test_a_damaged_model_loads_or_is_refused(originals, tmp_path, kind):
    contents, weights = originals
    rng = random.Random(f"fkeras {kind}")
    outcomes = {"loaded": 0, "refused": 0}
    for number in range(FILES // 3 + 1):
        file = tmp_path / f"{number}.{kind}"
        file.write_bytes(fuzzed(kind, contents[kind], rng))
        began, memory = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            fkeras.load_model(file, weights if kind == "json" else None)
            outcomes["loaded"] += 1
        except FkerasError as error:
            outcomes["refused"] += str(file) in str(error) or str(weights) in str(error)
        assert time.monotonic() - began < SECONDS, file
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) * 1024 < BYTES, file
    assert sum(outcomes.values()) == FILES // 3 + 1
    assert outcomes["refused"] > FILES // 12, outcomes
