"""Where no framework is installed everything imports but what is made of one, and that says what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fkeras

FRAMEWORKS = (
    "h5py",
    "hgq",
    "hls4ml",
    "jax",
    "keras",
    "qkeras",
    "tensorflow",
    "tensorflow_model_optimization",
    "tf_keras",
)
NOT_THERE = f"""
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {FRAMEWORKS}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, NotInstalled())
"""
IMPORT_ALL = """
import importlib, pkgutil, fkeras, pytest_fkeras

for package in (fkeras, pytest_fkeras):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ImportError as error:
                print(module.name, type(error).__name__, error)
"""
MESSAGE = "models need TensorFlow and QKeras, and TensorFlow is not installed: pip install 'pytest-fkeras[qkeras]'"


@pytest.fixture
def run(tmp_path):
    """run(*arguments): what Python says in a folder with a file model.h5, in a process that finds no framework."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(NOT_THERE)
    (tmp_path / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    ours = [str(tmp_path / "site"), str(Path(fkeras.__file__).parents[1])]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "CI"))}
    environment["PYTHONPATH"] = os.pathsep.join([*ours, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)

    def run(*arguments):
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def test_only_modules_of_frameworks_need_one(run):
    code, said = run("-c", IMPORT_ALL)
    assert code == 0, said
    refused = {line.split()[0]: line.split(maxsplit=1)[1] for line in said.splitlines()}
    assert [name for name in refused if not name.startswith(("fkeras.frontends.", "fkeras.layers"))] == []
    assert refused["fkeras.layers"] == f"MissingExtraError {MESSAGE}"


def test_the_test_above_can_fail(run):
    assert run("-c", "import tensorflow")[0] == 1
    assert run("-c", "import qkeras.quantizers")[0] == 1


@pytest.mark.parametrize("command", ["inspect", "rank"])
def test_a_command_that_needs_a_model(run, command):
    assert run("-m", "fkeras.cli", command, "model.h5") == (2, f"fkeras: {MESSAGE}\n")


def test_budgets_and_tests_that_need_a_model(run, tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nfkeras_seed = 1\nfkeras_model = model.h5\nfkeras_data = data.npz\n")
    (tmp_path / "conftest.py").write_text(
        "import numpy as np, pytest\n@pytest.fixture\ndef fkeras_data():\n    return np.zeros((4, 2)), np.zeros(4)\n"
    )
    (tmp_path / "test_model.py").write_text(
        "import fkeras\nfrom pytest_fkeras import fault_budget\n\n"
        "@fault_budget(bits=3, max_accuracy_drop=0.1)\ndef test_budget():\n    pass\n\n"
        "def test_load():\n    fkeras.load_model('model.h5')\n\n"
        "def test_other():\n    assert fkeras.metrics.mean_squared_error()\n"
    )
    code, said = run("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly")
    assert code == 1
    assert said.count(MESSAGE) >= 2
    assert "mistake in fkeras" not in said
    assert "def require_qkeras" not in said  # no traceback through fkeras
    assert "1 failed, 1 passed, 1 error" in said
