"""A folder with a small model and its data, and a way to run command lines in this process."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fkeras.cli import main
from fkeras.frontends.qkeras.setup import qkeras, tensorflow
from fkeras.models.file import loaded

Q4 = "quantized_bits(4,0,1,alpha=1)"
N_BITS = 4 * 3 * 4 + 3 * 2 * 4


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


def small_model(seed: int = 0, units: int = 3):
    """4 inputs, a hidden layer of 4-bit weights, 2 outputs."""
    tf, q = tensorflow(), qkeras()
    inputs = tf.keras.Input((4,))
    hidden = q.QDense(units, kernel_quantizer=Q4, use_bias=False, name="hidden")(inputs)
    outputs = q.QDense(2, kernel_quantizer=Q4, name="out")(q.QActivation("quantized_relu(6,2)")(hidden))
    model = tf.keras.Model(inputs, outputs, name="small")
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.4, weight.shape) for weight in model.get_weights()])
    return model


def four_inputs():
    """Inputs a, b, c and d of different widths, added up behind a layer each, so that their order counts."""
    tf, q = tensorflow(), qkeras()
    inputs = [tf.keras.Input((width,), name=name) for width, name in enumerate("dbac", start=2)]
    heads = [q.QDense(2, kernel_quantizer=Q4, use_bias=False, name=f"q_{one.name}")(one) for one in inputs]
    model = tf.keras.Model(inputs, tf.keras.layers.Add()(heads))
    rng = np.random.default_rng(5)
    model.set_weights([rng.normal(0, 0.4, weight.shape) for weight in model.get_weights()])
    return model


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """small.h5 (72 bits), other.h5 (same layout, other weights), wide.h5 (another layout), four.h5; data.npz, ..."""
    folder = tmp_path_factory.mktemp("made")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small_model().save(folder / "small.h5")
        small_model(seed=1).save(folder / "other.h5")
        small_model(units=5).save(folder / "wide.h5")
        four_inputs().save(folder / "four.h5")
    rng = np.random.default_rng(2)
    x = rng.normal(size=(24, 4)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=rng.integers(0, 2, 24))
    np.savez(folder / "charges.npz", x=x, y=rng.integers(1, 9, (24, 2)))
    np.savez(folder / "geometry.npz", coordinates=np.array([[0.0, 0.0], [3.0, 4.0]]), cell_of_output=np.array([1, 0]))
    return folder


@pytest.fixture(scope="session")
def loaded_once(made) -> Callable[..., Any]:
    """Loads what is in a model file; what is in one of `made` is loaded once, as nothing here may change a model."""
    known: dict[bytes, Any] = {path.read_bytes(): None for path in made.glob("*.h5")}

    def load(path, weights=None, custom_objects=None, trusted=False):
        content = b"" if weights or custom_objects or not Path(path).is_file() else Path(path).read_bytes()
        if content not in known:
            return loaded(path, weights, custom_objects, trusted)
        known[content] = known[content] or loaded(path)
        return known[content]

    return load


@pytest.fixture
def folder(made, loaded_once, tmp_path, monkeypatch) -> Path:
    """A copy of those files, and the current directory."""
    for path in made.iterdir():
        shutil.copy(path, tmp_path / path.name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fkeras.models.file.loaded", loaded_once)
    return tmp_path


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def fkeras(capfd) -> Callable[..., Done]:
    """Run `fkeras ARGUMENTS` in this process."""

    def run(*argv: object) -> Done:
        capfd.readouterr()
        code = main([str(word) for word in argv])
        return Done(code, *capfd.readouterr())

    return run
