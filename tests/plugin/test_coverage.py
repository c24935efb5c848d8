"""Whose words are measured: the mark says it, or the ini file, and reports and baselines tell them apart."""

from __future__ import annotations

import json

import pytest

CONFTEST = """
import fkeras
import numpy as np
import pytest


@pytest.fixture(scope="session")
def fkeras_model(tmp_path_factory):
    import tensorflow as tf
    from qkeras import QDense, quantized_po2
    layers = tf.keras.layers
    model = tf.keras.Sequential([
        layers.Input((4,)),
        QDense(3, kernel_quantizer=quantized_po2(4, 2), use_bias=False, name="own"),
        layers.Dense(2, use_bias=False, name="float"),
    ])
    rng = np.random.default_rng(0)
    model.set_weights([rng.choice([-1, -0.5, 0.25, 1], array.shape).astype("f4") for array in model.get_weights()])
    path = tmp_path_factory.mktemp("model") / "two.h5"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def fkeras_data():
    x = np.random.default_rng(1).integers(-8, 8, (50, 4)).astype(np.float32) / 4
    return x, np.arange(50) % 2
"""
BUDGETS = """
from pytest_fkeras import fault_budget

@fault_budget(bits=2, trials=5, min_accuracy=0.0001)
def test_ini(): pass

@fault_budget(bits=2, trials=5, min_accuracy=0.0001, memory="quantizer")
def test_quantizer(): pass

@fault_budget(bits=2, trials=5, min_accuracy=0.0001, memory="hls4ml")
def test_hls4ml(): pass

@fault_budget(bits=2, trials=5, min_accuracy=0.0001, words="float16")
def test_float16(): pass
"""


@pytest.mark.parametrize(
    ("ini", "sizes"),
    [
        ("", {"ini": 48, "quantizer": 48, "hls4ml": 60, "float16": 48 + 96}),
        ("fkeras_memory = hls4ml\n", {"ini": 60, "quantizer": 48, "hls4ml": 60, "float16": 60 + 96}),
        ("fkeras_words = float32\n", {"ini": 48 + 192, "quantizer": 48 + 192, "hls4ml": 60 + 192, "float16": 48 + 96}),
    ],
)
def test_the_mark_wins_over_the_ini_file(pytester, tensorflow_sessions, monkeypatch, ini, sizes):
    for name in ("CI", "BUILD_NUMBER"):  # there baselines are not updated
        monkeypatch.delenv(name, raising=False)
    pytester.makeini("[pytest]\nfkeras_golden = min_golden_accuracy=0.0001\nfkeras_allow_chance = true\n" + ini)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(BUDGETS)
    gate = ("--fkeras-baseline=baselines", "--fkeras-baseline-update", "--fkeras-json=report.json")
    pytester.runpytest_inprocess("-p", "no:cacheprovider", *gate)
    report = json.loads((pytester.path / "report.json").read_text())
    assumed = {test["nodeid"].rpartition("test_")[2]: test["assumptions"] for test in report["tests"]}
    assert {name: told["n_bits"] for name, told in assumed.items()} == sizes
    assert {name: told["memory"] for name, told in assumed.items()} == {
        name: "hls4ml" if size in (60, 60 + 96, 60 + 192) else "quantizer" for name, size in sizes.items()
    }
    assert len(list((pytester.path / "baselines").iterdir())) == len(set(sizes.values()))


def test_words_that_a_projects_own_model_does_not_give_are_refused(write_test, project):
    write_test('@fault_budget(bits=2, trials=5, max_mse=9, memory="hls4ml")\ndef test_own(): pass\n')
    result = project.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*memory='hls4ml': this model gives the words of 'quantizer' only*"])


def test_a_memory_that_does_not_exist(write_test, project):
    project.makeini("[pytest]\nfkeras_memory = chip\n")
    write_test("def test_own(): pass\n")
    result = project.runpytest_inprocess("-p", "no:cacheprovider")
    result.stderr.fnmatch_lines(["*the ini option fkeras_memory is 'chip'; allowed are quantizer and hls4ml*"])
