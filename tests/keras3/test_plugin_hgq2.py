"""From an HGQ2 model in a file to a gated pull request, as docs/keras3.md tells it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

INI = """[pytest]
fkeras_seed = 1
fkeras_model = tagger.keras
fkeras_data = validation.npz
fkeras_golden = min_golden_accuracy=0.9
"""
BUDGETS = """
from pytest_fkeras import fault_budget, ranking

@fault_budget(bits=2, min_accuracy=0.05, trials=60)
def test_holds(): pass

@fault_budget(bits=3, min_accuracy=0.05, trials=60, memory="hls4ml", protected=ranking("msb")[:40])
def test_hls4ml(): pass

@fault_budget(bits=40, min_accuracy=0.95, max_trials=200)
def test_breaks(): pass

def test_view(fault_injector, resilience):
    x, _ = resilience.data
    with fault_injector("d/kernel[0,0]:0") as faulty:
        assert faulty.predict(x).shape == (len(x), 3)
"""
GATE = ("--fkeras-baseline=baselines", "--fkeras-compare-fail=accuracy:0.01", "-p", "no:cacheprovider")


@pytest.fixture
def project(pytester: Any, keras: Any, hgq: Any, monkeypatch: Any) -> Any:
    """A project with a small model that knows its data, and the budgets."""
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)
    model = keras.Sequential([keras.Input((4,)), hgq.QDense(6, activation="relu", name="d"), hgq.QDense(3, name="e")])
    generator = np.random.default_rng(0)
    for layer in model.layers:
        layer.kernel.assign(generator.normal(0, 0.5, layer.kernel.shape))
    x = generator.normal(0, 1, (120, 4)).astype(np.float32)
    y = np.asarray(model(x)).argmax(1)
    assert len(set(y.tolist())) > 1
    model.save(pytester.path / "tagger.keras")
    np.savez(pytester.path / "validation.npz", x=x, y=y)
    pytester.makeini(INI)
    pytester.makepyfile(BUDGETS)
    return pytester


def report_of(project: Any, *arguments: str) -> tuple[Any, dict[str, Any]]:
    result = project.runpytest_inprocess(*GATE, "--fkeras-json=report.json", *arguments)
    report = json.loads((project.path / "report.json").read_text())
    return result, {test["nodeid"].rpartition("test_")[2]: test for test in report["tests"]}


def test_marks_gate_and_cache(project: Any, keras: Any) -> None:
    first, new = report_of(project, "--fkeras-baseline-update")
    first.assert_outcomes(passed=3, failed=1)
    assert {name: budget["verdict"] for name, budget in new.items()} == {
        "holds": "PASS",
        "hls4ml": "PASS",
        "breaks": "FAIL",
    }
    assert {name: budget["assumptions"]["memory"] for name, budget in new.items()} == {
        "holds": "quantizer",
        "hls4ml": "hls4ml",
        "breaks": "quantizer",
    }
    assert {budget["assumptions"]["engine"] for budget in new.values()} == {"cpu"}
    assert [new[name]["assumptions"]["n_bits"] for name in ("holds", "hls4ml")] == [42 * 9, 318]

    again, same = report_of(project)
    again.assert_outcomes(passed=3, failed=1)
    again.stdout.fnmatch_lines(["*cached: *"])
    for name, budget in same.items():
        assert budget["metrics"] == new[name]["metrics"]

    model = keras.models.load_model(project.path / "tagger.keras", compile=False)
    kernel = np.asarray(model.get_layer("e").kernel)
    model.get_layer("e").kernel.assign(np.roll(kernel, 1, axis=1))
    model.save(project.path / "tagger.keras")
    changed, _ = report_of(project)
    assert changed.parseoutcomes()["failed"] >= 3  # the network itself is no longer what the golden limit asks
