"""The chip's arithmetic in budgets, and a test that asks whether the chip computes what QKeras computes."""

from __future__ import annotations

import json
import re

import pytest

CONFTEST = """
import fkeras                      # before TensorFlow
import numpy as np
import pytest
import warnings


@pytest.fixture(scope="session")
def fkeras_model():
    import tensorflow as tf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from qkeras import QActivation, QDense
        words = "quantized_bits(6,1,alpha=1)"
        model = tf.keras.Sequential([
            tf.keras.layers.Input((4,), name="x"),
            QActivation("quantized_bits(8,1,alpha=1)", name="qin"),
            QDense(3, kernel_quantizer=words, bias_quantizer=words, name="scores"),
        ], name="tiny")
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(-1, 1, array.shape).astype(np.float32) for array in model.get_weights()])
    return model


@pytest.fixture(scope="session")
def fkeras_data(fkeras_model):
    x = np.random.default_rng(1).normal(size=(100, 4)).astype(np.float32)
    return x, fkeras_model.predict(x, verbose=0).argmax(axis=1)
"""

BUDGETS = """
from pytest_fkeras import fault_budget, ranking


def test_the_chip(fkeras_hls4ml_agrees):
    assert fkeras_hls4ml_agrees.n_samples == 100


@fault_budget(bits=2, protected=ranking("msb")[:36], min_accuracy=0.2, trials=20, max_failure_rate=0.3, engine="hls4ml")
def test_survives(fkeras_hls4ml_agrees):
    pass
"""

CONFIG = """
HLSConfig:
  Model: {Precision: 'fixed<24,10>', ReuseFactor: 1, Strategy: Latency}
  LayerName:
    x: {Precision: {result: 'INPUT'}}
    qin: {Precision: {result: 'fixed<8,2,RND_CONV,SAT>'}}
"""


@pytest.fixture
def project(pytester, chip_emulation, tensorflow_sessions):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(BUDGETS)
    texts = {"precise": "fixed<35,3,TRN,SAT>", "coarse": "fixed<6,3>"}
    pytester.makefile(".yml", **{name: CONFIG.replace("INPUT", text) for name, text in texts.items()})
    return pytester


def test_a_chip_that_agrees_and_a_budget_in_its_arithmetic(project):
    project.makeini("[pytest]\nfkeras_seed = 1\n")
    result = project.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*engine hls4ml*"])


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_every_verdict_on_a_chip_that_differs_is_an_error(project, workers):
    project.makeini("[pytest]\nfkeras_hls4ml = coarse.yml\n")
    result = project.runpytest_inprocess("-p", "no:cacheprovider", *workers)
    result.assert_outcomes(errors=2, warnings=None)
    result.stdout.fnmatch_lines(
        [
            "*the chip does not compute what the model computes*",
            "*DIFFERS from QKeras*",
            "*they part at layer 'qin': input precision: hls4ml reads 'x' as fixed<6,3>*",
        ]
    )


def test_the_command_line_chooses_the_engine_and_words_that_are_not_stored_are_said(project):
    project.makeini("[pytest]\nfkeras_hls4ml = precise.yml\n")
    project.makepyfile(
        "from pytest_fkeras import fault_budget\n"
        "@fault_budget(bits=1, min_accuracy=0.1, trials=5, max_failure_rate=0.9)\n"
        "def test_anything():\n"
        "    pass\n"
    )
    result = project.runpytest_inprocess("-p", "no:cacheprovider", "--fkeras-engine=hls4ml")
    result.assert_outcomes(passed=1, warnings=1)
    shown = " ".join(line.strip() for line in result.outlines)
    assert re.search(r"engine hls4ml \(\S*precise.yml, [0-9a-f]{8}, NOT STORED: 72 of 72 bits\)", shown)
    result.stdout.fnmatch_lines(
        ["*ConstantWeights: *precise.yml: NOT STORED: 72 of 72 bits (scores/kernel: constants*"]
    )


ANYTHING = """
from pytest_fkeras import fault_budget

@fault_budget(bits=1, min_accuracy=0.1, trials=5, max_failure_rate=0.9)
def test_anything():
    pass
"""


@pytest.mark.parametrize("engine", ["auto", "framework"])
def test_words_that_the_project_does_not_store_are_said_on_every_engine(project, engine):
    project.makeini("[pytest]\nfkeras_hls4ml = precise.yml\n")
    project.makepyfile(ANYTHING)
    result = project.runpytest_inprocess("-p", "no:cacheprovider", f"--fkeras-engine={engine}", "--fkeras-json=r.json")
    result.assert_outcomes(passed=1)
    text = "precise.yml: NOT STORED: 72 of 72 bits (scores/kernel: constants: strategy latency)"
    assert f"notice: {text}" in " ".join(line.strip() for line in result.outlines)
    (record,) = json.loads((project.path / "r.json").read_text())["tests"]
    assert record["notices"] == [text]


def test_what_a_project_stores_is_not_known_without_hls4ml(project):
    project.makeini("[pytest]\nfkeras_hls4ml = precise.yml\n")
    project.makepyfile(ANYTHING)
    project.makeconftest(f"import sys\nsys.modules['hls4ml'] = None\n{CONFTEST}")
    result = project.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    shown = " ".join(line.strip() for line in result.outlines)
    assert "notice: what precise.yml stores is not known: the hls4ml engine needs hls4ml" in shown


@pytest.mark.parametrize(("text", "n_samples"), [("", 100), ("fkeras_hls4ml_samples = 30\n", 30)])
def test_how_many_samples_are_compared(project, text, n_samples):
    project.makeini(f"[pytest]\n{text}")
    project.makepyfile(
        "def test_the_chip(fkeras_hls4ml_agrees):\n"
        f"    assert fkeras_hls4ml_agrees.n_samples == {n_samples}\n"
        "    assert len(fkeras_hls4ml_agrees.faulty) == 20\n"
    )
    project.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_a_number_of_samples_that_is_none(project):
    project.makeini("[pytest]\nfkeras_hls4ml_samples = few\n")
    result = project.runpytest_inprocess("-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*the ini option fkeras_hls4ml_samples is 'few'; allowed are whole numbers from 1 up*"]
    )


def test_a_project_that_is_not_there(project):
    project.makeini("[pytest]\nfkeras_hls4ml = nowhere.yml\n")
    result = project.runpytest_inprocess("-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the ini option fkeras_hls4ml names *nowhere.yml, which does not exist*"])
