"""A project that uses the plugin on a numpy model: no TensorFlow, and a session takes a fraction of a second."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from execnet import gateway_io

from fkeras.frontends.qkeras.setup import qkeras

PROJECT = '''
from types import SimpleNamespace

import numpy as np
import pytest

import fkeras
from fkeras.memory import BitSpace, FixedPoint, Uncovered, WordTensor
from fkeras.scoring import Scorecard, scores_of
from fkeras.sensitivity.methods import make_ranking

CODEC = FixedPoint(4, 0)
CALLS = []


class Linear:
    """Outputs are x @ kernel, the kernel stored in 4-bit words: 2 tensors, 8 words, 32 bits."""

    def __init__(self, name="linear", kernel=(0.5, -0.5, 0.25, 0.125, -0.25, 0.375, 0.5, -0.125)):
        self.name = name
        self.kernel = np.array(kernel, np.float32)


class NumpyRun:
    engine, batch_size = "numpy", 4

    def __init__(self, space, x, y, metrics):
        CALLS.append(sorted(metrics))
        self.space, self.x, self.metrics, self.n_samples = space, np.asarray(x), metrics, len(x)
        self.card = Scorecard(metrics, y, self.outputs(fkeras.FaultSet.EMPTY))
        self.golden = self.card.golden

    def outputs(self, faults):
        values = [tensor.golden.copy() for tensor in self.space.tensors]
        for patch in faults.patches(self.space):
            values[patch.tensor][patch.elements] = patch.values
        return self.x @ np.concatenate(values).reshape(4, 2)

    def fault_sets(self, faults):
        results = []
        for one in faults:
            tally = self.card.tally()
            tally.add(self.outputs(one), slice(0, self.n_samples))
            results.append(tally.result())
        return scores_of(results, list(self.metrics))

    def batches(self, bits):
        return iter(np.array_split(np.arange(len(bits)), max(1, len(bits) // 8)))

    def flips(self, bits):
        return self.fault_sets([fkeras.FaultSet([bit]) for bit in bits])


def pytest_fkeras_bit_space(model, layers, biases):
    if isinstance(model, Linear):
        tensors = []
        for name, part in (("first", model.kernel[:4]), ("second", model.kernel[4:])):
            words = CODEC.encode(part)
            tensors.append(WordTensor(f"{name}/kernel", (2, 2), CODEC, words, np.ones(4, np.float32), part))
        return BitSpace(tuple(tensors), (Uncovered("second/bias", 2, "no bias"),))


def pytest_fkeras_rank(model, method, seed, space):
    if isinstance(model, Linear):
        CALLS.append(f"rank {method}")
        return make_ranking(method, SimpleNamespace(space=space, seed=seed, n_samples=0, metric=None))


def pytest_fkeras_start_run(model, data, metrics, space, engine):
    if isinstance(model, Linear):
        return NumpyRun(space, *data, metrics)


@pytest.fixture(scope="session")
def fkeras_model():
    return Linear()


@pytest.fixture(scope="session")
def fkeras_data():
    x = np.random.default_rng(1).normal(size=(64, 4))
    return x, x @ Linear().kernel.reshape(4, 2)


@pytest.fixture(scope="session")
def fkeras_metrics():
    return {"mse": fkeras.metrics.mean_squared_error()}
'''

HEAD = """
import pytest
import fkeras
from pytest_fkeras import fault_budget, ranking
"""


def fork_sessions(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, processes: Any) -> None:
    """What the test starts as a process is forked from one that has done the imports."""

    def popen(args: list[str], stdin: Any, stdout: Any, stderr: Any, **_: Any) -> Any:
        return processes().popen(args, subprocess.DEVNULL, stdout, stderr)

    monkeypatch.setattr(pytester, "popen", popen)


@pytest.fixture
def project(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> pytest.Pytester:
    """A project with a numpy model, 32 bits, golden mean squared error 0; write tests with `make_test`.

    Its sessions in processes of their own, and the workers of sessions in this process, are forked.
    """

    def processes() -> Any:
        return request.getfixturevalue("numpy_processes")

    def start_worker(self: Any, args: list[str], execmodel: Any) -> None:
        self.popen = processes().popen(args, subprocess.PIPE, subprocess.PIPE)
        gateway_io.Popen2IO.__init__(self, self.popen.stdin, self.popen.stdout, execmodel)

    fork_sessions(pytester, monkeypatch, processes)
    monkeypatch.setattr(gateway_io.Popen2IOMaster, "__init__", start_worker)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:randomly")
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    for name in ("CI", "BUILD_NUMBER"):  # there pytest prints messages twice, and baselines are stricter
        monkeypatch.delenv(name, raising=False)
    pytester.makeconftest(PROJECT)
    return pytester


@pytest.fixture
def tensorflow_sessions() -> Iterator[None]:
    """Sessions in this process find TensorFlow and QKeras imported, and may warn as they do where nobody forbids it."""
    qkeras()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield


@pytest.fixture
def write_test(project: pytest.Pytester):
    """Write a test module with the usual imports: write_test("name", source)."""

    def write(source: str, name: str = "test_budgets") -> None:
        import textwrap

        project.makepyfile(**{name: HEAD + textwrap.dedent(source)})

    return write
