"""A budget on a model file that nobody changed runs, judges and reports without the framework."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import small_model
from tests.plugin.conftest import fork_sessions

CONFTEST = """
import os
import sys

if os.environ.get("NO_FRAMEWORK"):
    for name in ("tensorflow", "keras", "tf_keras", "qkeras"):
        sys.modules[name] = None  # an import of it fails
"""
BUDGETS = """
from pytest_fkeras import fault_budget, ranking

@fault_budget(bits=3, protected=ranking("msb")[:20], max_accuracy_drop=0.6)
def test_budget():
    pass

@fault_budget(bits=30, trials=8)
def test_numbers(fkeras_campaign):
    print("numbers", fkeras_campaign["accuracy"].values.tolist())
"""
ALONE = {"NO_FRAMEWORK": "1"}


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small.h5, and data.npz, on which the model is right and float32 exact."""
    folder = tmp_path_factory.mktemp("small")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = small_model()
        model.save(folder / "small.h5")
    x = (np.random.default_rng(4).integers(-32, 32, (40, 4)) / 16).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=model.predict(x, verbose=0).argmax(axis=1))
    return folder


@pytest.fixture
def session(
    small: Path,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    tensorflow_sessions: None,
    numpy_processes: Any,
) -> Callable[..., Any]:
    """session(*arguments) runs two budgets on small.h5 in this process, session(*arguments, NO_FRAMEWORK="1") in one
    that finds no framework; the report comes back with the result."""
    shutil.copytree(small, pytester.path, dirs_exist_ok=True)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(BUDGETS)
    pytester.makeini("[pytest]\nfkeras_model = small.h5\nfkeras_data = data.npz\nfkeras_allow_chance = true\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:randomly -rP")

    def run(*arguments: str, **variables: str) -> tuple[Any, dict[str, Any]]:
        with monkeypatch.context() as patch:
            fork_sessions(pytester, patch, lambda: numpy_processes)
            for name, value in variables.items():
                patch.setenv(name, value)
            run_pytest = pytester.runpytest_subprocess if variables else pytester.runpytest_inprocess
            result = run_pytest("--fkeras-json=report.json", *arguments)
        return result, json.loads((pytester.path / "report.json").read_text())

    return run


def numbers(result: Any) -> str:
    return next(line for line in result.outlines if line.startswith("numbers"))


def without_times(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in test.items() if key != "cached"} for test in report["tests"]]


def test_an_unchanged_file_is_measured_judged_and_reported_without_its_framework(
    session: Callable[..., Any], pytester: pytest.Pytester
) -> None:
    first, report = session()
    first.assert_outcomes(passed=2)
    second, again = session(**ALONE)
    second.assert_outcomes(passed=2)
    assert numbers(second) == numbers(first)
    assert without_times(again) == without_times(report)
    shutil.rmtree(pytester.path / ".fkeras_cache" / "campaign")
    third, anew = session(**ALONE)
    third.assert_outcomes(passed=2)
    assert numbers(third) == numbers(first)
    assert without_times(anew) == without_times(report)
    two, _ = session("--fkeras-executor=processes:1", **ALONE)
    two.assert_outcomes(passed=2)


def test_a_file_that_only_the_framework_serves_is_judged_from_the_store_without_it(
    session: Callable[..., Any], pytester: pytest.Pytester
) -> None:
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)  # on no grid, and a quantizer follows
    np.savez(pytester.path / "data.npz", x=x, y=np.random.default_rng(1).normal(size=(40, 2)))
    # A metric that every flip moves: where stored flips leave a tensor looking dead, the framework is asked about it.
    budgets = BUDGETS.replace("max_accuracy_drop=0.6", "max_mean_squared_error=9")
    pytester.makepyfile(budgets.replace('"accuracy"', '"mean_squared_error"'))
    first, report = session()
    first.assert_outcomes(passed=2)
    assert "framework (" in json.dumps(report)
    second, again = session(**ALONE)
    second.assert_outcomes(passed=2)
    assert numbers(second) == numbers(first)
    assert without_times(again) == without_times(report)
    shutil.rmtree(pytester.path / ".fkeras_cache" / "campaign")
    third, _ = session(**ALONE)
    assert third.ret != 0
    third.stdout.fnmatch_lines(["*TensorFlow is not installed*"])


def test_a_changed_file_is_loaded_again(session: Callable[..., Any], pytester: pytest.Pytester) -> None:
    session()
    model = pytester.path / "small.h5"
    model.write_bytes(model.read_bytes() + b"\0")  # the same model in other bytes
    result, _ = session(**ALONE)
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*TensorFlow is not installed*"])
    session()[0].assert_outcomes(passed=2)
    session(**ALONE)[0].assert_outcomes(passed=2)


def test_a_test_that_takes_the_model_gets_a_keras_model(session: Callable[..., Any], pytester: pytest.Pytester) -> None:
    session()
    pytester.makepyfile(
        test_own="""
        def test_own(resilience, fkeras_model, fault_injector):
            import fkeras
            assert fkeras_model.name == "small.h5"
            assert resilience.model.predict is not None
            with fault_injector([1, 2]) as faulty:
                assert len(faulty.predict(resilience.data[0], verbose=0)) == 40
        """
    )
    result, _ = session()
    result.assert_outcomes(passed=3)


def test_a_network_file_is_a_model_in_the_ini(session: Callable[..., Any], pytester: pytest.Pytester) -> None:
    from fkeras.models.exporting import export

    first, _ = session()
    export(pytester.path / "small.h5", pytester.path / "away.fkn")
    pytester.makeini("[pytest]\nfkeras_model = away.fkn\nfkeras_data = data.npz\nfkeras_allow_chance = true\n")
    for _ in range(2):
        result, _ = session(**ALONE)
        result.assert_outcomes(passed=2)
        assert numbers(result) == numbers(first)
    result.stdout.fnmatch_lines(["cached: *"])
