"""A model without its framework: every command gives what it gives of the model file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest

import fkeras as library
from fkeras.errors import InputError, ModelError, UnsupportedError
from fkeras.frontends.qkeras.setup import qkeras, tensorflow
from tests.cli.conftest import Q4, small_model


@pytest.fixture
def exported(folder, fkeras):
    """small.fkn in a folder of its own, and grid.npz: data on which float32 is exact."""
    rng = np.random.default_rng(4)
    x = (rng.integers(-32, 32, (24, 4)) / 16).astype(np.float32)
    np.savez(folder / "grid.npz", x=x, y=rng.integers(0, 2, 24))
    (folder / "away").mkdir()
    done = fkeras("export", "small.h5", "--output", "away/small.fkn", "--data", "grid.npz")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("away/small.fkn: 4 operations, 18 stored words (biases included), digest ")
    return folder


DATA = ("--data", "grid.npz", "--metric", "mispredictions")
LINES = [
    ("inspect", "MODEL", "--data", "grid.npz", "--metric", "accuracy"),
    ("rank", "MODEL", "--method", "msb"),
    ("rank", "MODEL", *DATA, "--method", "adaptive"),
    ("oracle", "MODEL", *DATA),
    ("oracle", "MODEL", *DATA, "--engine", "cpu"),
    ("campaign", "MODEL", *DATA, "--faults", "3", "--trials", "9"),
    ("endurance", "MODEL", *DATA, "--looks", "1,4", "--trials", "5"),
]


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_a_network_gives_what_its_model_gives(line, exported, fkeras):
    results = []
    for model in ("small.h5", "away/small.fkn"):
        done = fkeras(*(model if word == "MODEL" else word for word in line), "--json", "out.json")
        assert done.code == 0, done.err
        content = json.loads((exported / "out.json").read_text())
        content = {key: value for key, value in content.items() if key not in ("model", "engine")}
        (exported / "out.json").unlink()
        results.append((content, done.out.replace(model, "MODEL")))
    assert results[0] == results[1]


def test_the_functions_take_a_network(exported):
    with np.load("grid.npz") as file:
        data = file["x"], file["y"]
    network, model = library.load_model("away/small.fkn"), library.load_model("small.h5")
    assert (
        library.bit_space(network, biases=True).content_digest == library.bit_space(model, biases=True).content_digest
    )
    mine, theirs = (library.sensitive_bits(one, data) for one in (network, model))
    assert np.array_equal(mine, theirs)
    assert np.array_equal(
        library.rank(network, data, metric="accuracy").order, library.rank(model, data, metric="accuracy").order
    )
    for method in ("gradient", "hessian", "displacement"):
        assert len(library.rank(network, data, method=method)) == 72
    study = library.Study(network, data, "accuracy", store="s")
    assert study.model is network
    study.campaign(faults=2, trials=4)
    assert study.campaign(faults=2, trials=4).reused == 4


def test_what_needs_keras_is_refused_by_name(exported, fkeras):
    done = fkeras("oracle", "away/small.fkn", *DATA, "--engine", "framework")
    assert done.code == 2
    assert "there is no --engine" in done.err
    assert "or the model file itself" in done.err
    network = library.load_model("away/small.fkn")
    with pytest.raises(UnsupportedError, match="is no Keras model, so there is no view of it to call"):
        library.injected(network, library.FaultSet([1]))
    with np.load("data.npz") as file, pytest.raises(ModelError, match="rounds sums that are not exact in float32"):
        library.oracle(network, (file["x"], file["y"]), metric="accuracy")
    with pytest.raises(InputError, match="has its weights and no code; leave out weights=, custom_objects= and"):
        library.load_model("away/small.fkn", trusted=True)
    with pytest.raises(
        UnsupportedError, match="network 'small' is no Keras model, which is needed here; load the model f"
    ):
        library.hls4ml.config(network, np.zeros((3, 4), np.float32), space=library.bit_space(network))
    assert "is a network file already" in fkeras("export", "away/small.fkn", "--output", "b.fkn").err


def test_a_model_that_has_changed_since_is_refused_where_both_are_known(exported, fkeras):
    assert fkeras("export", "small.h5", "--output", "small.fkn").code == 0
    assert fkeras("inspect", "small.fkn").code == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small_model(seed=9).save("small.h5")
    done = fkeras("inspect", "small.fkn")
    assert done.code == 2
    assert "made of another small.h5 than stands beside it" in done.err
    assert "fkeras export small.h5 --output small.fkn" in done.err
    assert fkeras("export", "small.h5", "--output", "small.fkn").code == 0  # the remedy
    assert fkeras("inspect", "small.fkn").code == 0


def test_nothing_else_is_replaced(exported, fkeras):
    before = (exported / "data.npz").read_bytes()
    done = fkeras("export", "small.h5", "--output", "data.npz")
    assert done.code == 2
    assert "data.npz is no network that fkeras wrote" in done.err
    assert "small.h5 is the MODEL that is read" in fkeras("export", "small.h5", "--output", "small.h5", "--force").err
    assert (exported / "data.npz").read_bytes() == before
    assert fkeras("export", "small.h5", "--output", "data.npz", "--force").code == 0
    assert "there is no folder none" in fkeras("export", "small.h5", "--output", "none/a.fkn").err
    assert fkeras("export", "small.h5", "--output", "a.fkn", "--samples", "3").code == 2


def test_what_no_network_describes_is_refused_with_the_layer(folder, fkeras):
    tf, q = tensorflow(), qkeras()
    inputs = tf.keras.Input((4,))
    hidden = tf.keras.layers.LayerNormalization(name="norm")(inputs)
    model = tf.keras.Model(inputs, q.QDense(2, kernel_quantizer=Q4, name="out")(hidden), name="m")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save("norm.h5")
    done = fkeras("export", "norm.h5", "--output", "norm.fkn")
    assert done.code == 2
    assert "layer 'norm': " in done.err
    assert "; measure the model file itself" in done.err
    assert not (folder / "norm.fkn").exists()


def test_a_line_with_a_store_does_not_open_a_file_that_it_knows(exported, fkeras, monkeypatch):
    line = ("campaign", "small.h5", *DATA, "--faults", "3", "--trials", "9", "--store", "s", "--json", "out.json")
    assert fkeras(*line).code == 0
    first = (exported / "out.json").read_bytes()
    shutil.rmtree(exported / "s" / "campaign")

    def opened(*_, **__):
        raise AssertionError("the model file was opened")

    monkeypatch.setattr("fkeras.models.file.loaded", opened)
    done = fkeras(*line)
    assert (done.code, done.err) == (0, "")
    assert (exported / "out.json").read_bytes() == first
    np.savez("grid.npz", x=np.full((3, 4), 0.5, np.float32), y=[0, 1, 0])  # never seen
    assert "the model file was opened" in fkeras(*line).err


def test_a_network_is_measured_without_tensorflow(exported):
    program = (
        "import sys; from fkeras.cli import main; "
        f"code = main({['oracle', 'away/small.fkn', *DATA]!r}); "
        "print(code, [name for name in ('tensorflow', 'tf_keras', 'qkeras', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
