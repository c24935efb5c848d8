"""Where no framework is installed everything imports but what is made of one, and that says what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fkeras
from fkeras import network as fn
from fkeras.memory import FixedPoint, WordTensor
from fkeras.memory.inventory import Inventory, LayerMemory
from fkeras.network.file import write_network

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

ON_WORKERS = """
import sys
import distributed, fkeras, numpy
from fkeras.executors.opened import LocalPool

def main():
    model, data = fkeras.load_model("small.fkn"), tuple(map(numpy.load("data.npz").get, "xy"))

    def oracle(**where):
        return fkeras.oracle(model, data, metric="mean_squared_error", **where).values.tolist()

    here = oracle()
    with LocalPool(2) as workers:
        print("processes", oracle(executor=workers) == here)
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0")
    with cluster, distributed.Client(cluster) as client:
        print("dask", oracle(executor=client) == here)
    for share in ("1/2", "2/2"):
        oracle(store=f"part{share[0]}", shard=share)
    fkeras.merge(["part1", "part2"], into="whole")
    merged = fkeras.oracle(model, data, metric="mean_squared_error", store="whole")
    print("shards", merged.reused == len(here) and merged.values.tolist() == here)
    print("frameworks", [name for name in ("tensorflow", "keras", "qkeras", "h5py") if name in sys.modules])

if __name__ == "__main__":
    main()
"""


def write_small_network(folder):
    """small.fkn, a dense layer and a quantizer, and data.npz."""
    rng, codec = np.random.default_rng(0), FixedPoint(4, 0)
    words = rng.integers(0, 16, 12).astype(np.uint32)
    kernel = WordTensor(
        "d/kernel", (4, 3), codec, words, np.ones(12, np.float32), codec.decode(words).astype(np.float32)
    )
    nodes = fn.Node("d/sum", fn.Dense("d/kernel"), ("x",)), fn.Node("q", fn.Quantize(1 / 8, -16.0, 15.0), ("d/sum",))
    memory = Inventory("small", (LayerMemory("d", (kernel,)),))
    inputs = (fn.Input("x", (4,)),)
    write_network(fn.Network("small", inputs, nodes, ("q",), ("y",), memory, {}), folder / "small.fkn")
    x = rng.integers(-8, 8, (30, 4)).astype(np.float32) / 8
    np.savez(folder / "data.npz", x=x, y=rng.normal(size=(30, 3)))


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
    made_of_one = ("fkeras.frontends.", "fkeras.engines.gpu.", "fkeras.layers")
    assert [name for name in refused if not name.startswith(made_of_one)] == []
    assert refused["fkeras.layers"] == f"MissingExtraError {MESSAGE}"


def test_the_test_above_can_fail(run):
    assert run("-c", "import tensorflow")[0] == 1
    assert run("-c", "import qkeras.quantizers")[0] == 1


@pytest.mark.parametrize("command", ["inspect", "rank"])
def test_a_command_that_needs_a_model(run, command):
    assert run("-m", "fkeras", command, "model.h5") == (2, f"fkeras: {MESSAGE}\n")


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


def test_a_network_file_needs_none_here_on_workers_in_shards_or_under_the_plugin(run, tmp_path):
    write_small_network(tmp_path)
    (tmp_path / "on_workers.py").write_text(ON_WORKERS)
    code, said = run("on_workers.py")
    assert code == 0, said
    assert said.splitlines()[-4:] == ["processes True", "dask True", "shards True", "frameworks []"]
    ini = "[pytest]\nfkeras_seed = 1\nfkeras_model = small.fkn\nfkeras_data = data.npz\nfkeras_allow_chance = true\n"
    (tmp_path / "pytest.ini").write_text(ini)
    (tmp_path / "test_budget.py").write_text(
        "from pytest_fkeras import fault_budget, ranking\n\n"
        "@fault_budget(bits=3, protected=ranking[:8], max_mean_squared_error=9)\ndef test_budget():\n    pass\n"
    )
    for option in ("--fkeras-executor=processes:2", "-q"):
        code, said = run("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", option)
        assert code == 0, said
        assert "1 passed" in said
