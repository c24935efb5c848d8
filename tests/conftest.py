"""What all tests share."""

from __future__ import annotations

import importlib.util
import os
import runpy
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.pytester import SysModulesSnapshot

pytest_plugins = ["pytester"]

ForkServer = runpy.run_path(str(Path(__file__).with_name("forking.py")))["ForkServer"]
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True, scope="session")
def _modules_stay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Sessions in this process forget the modules of their project, and no others: compiled ones cannot be imported
    twice, and the rest takes long."""
    projects = str(tmp_path_factory.getbasetemp())

    def stays(name: str) -> bool:
        file = getattr(sys.modules[name], "__dict__", {}).get("__file__")
        return file is not None and not file.startswith(projects)

    class Snapshot(SysModulesSnapshot):
        def __init__(self, preserve: object = None) -> None:
            super().__init__(stays)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("_pytest.pytester.SysModulesSnapshot", Snapshot)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real models and data beside the project; tests that need it skip without it."""
    if not SHARED.is_dir():
        if os.environ.get("FKERAS_REQUIRE_SHARED_DATA"):
            pytest.fail(f"{SHARED} is missing, and FKERAS_REQUIRE_SHARED_DATA says that it must be there")
        pytest.skip(f"{SHARED} is absent")
    return SHARED


@pytest.fixture(scope="session")
def jax() -> Any:
    """JAX on a GPU, or else on the processor; tests that need it skip without."""
    module = pytest.importorskip("jax", reason="needs JAX (the extra gpu); `nox --session gpu` installs it")
    if module.default_backend() != "gpu":
        module.config.update("jax_platforms", "cpu")
    return module


@pytest.fixture(scope="session")
def chip_emulation(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """hls4ml and a C++ compiler; tests that need them skip without.

    Compiled chips are kept in pytest's cache: for all workers, for the next run, and for other environments.
    """
    missing = [] if importlib.util.find_spec("hls4ml") else ["hls4ml (pip install 'pytest-fkeras[hls4ml]')"]
    missing += [] if shutil.which("g++") else ["g++"]
    if missing and os.environ.get("FKERAS_REQUIRE_SHARED_DATA"):
        pytest.fail(f"FKERAS_REQUIRE_SHARED_DATA says that all tests must run, which need {' and '.join(missing)}")
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}")
    cache = getattr(pytestconfig, "cache", None)  # none with `-p no:cacheprovider`
    folder = tmp_path_factory.getbasetemp() if cache is None else cache.mkdir("hls4ml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield


def _require_tools(*tools: str) -> None:
    from fkeras.rtl.tools import missing

    absent = missing(*tools)
    if absent and os.environ.get("FKERAS_REQUIRE_SHARED_DATA"):
        pytest.fail(f"FKERAS_REQUIRE_SHARED_DATA says that all tests must run, which need {' and '.join(absent)}")
    if absent:
        pytest.skip(f"needs {' and '.join(absent)}")


@pytest.fixture(scope="session")
def simulator() -> None:
    """Icarus Verilog and cocotb; tests that need them skip without."""
    _require_tools("iverilog", "cocotb")


@pytest.fixture(scope="session")
def synthesis() -> None:
    """Yosys; tests that need it skip without."""
    _require_tools("yosys")


IMPORTS = "import hypothesis, fkeras.api, fkeras.campaigns, fkeras.scoring, fkeras.sensitivity, scipy.special"


CONVERSIONS = """
import fkeras.engines.cpu.run, fkeras.layers
from qkeras import QActivation, QConv2D, QDense, quantized_bits, quantized_relu, quantizers
from tensorflow.python.autograph.core.converter import ConversionOptions, ProgramContext
from tensorflow.python.autograph.impl.api import _TRANSPILER

calls = [QActivation.call, QConv2D.call, QDense.call, quantized_bits.__call__, quantized_relu.__call__]
for function in (*calls, quantizers.BaseQuantizer.build, quantizers._round_through):
    _TRANSPILER.transform_function(function, ProgramContext(ConversionOptions(recursive=True, optional_features=())))
"""
"""What AutoGraph would spend half of a process's time on."""


@pytest.fixture(scope="session")
def numpy_processes() -> Iterator[Any]:
    """Its `popen` starts Python programs that find imported what sessions without TensorFlow import."""
    with ForkServer(IMPORTS) as server:
        yield server


@pytest.fixture(scope="session")
def tensorflow_processes() -> Iterator[Any]:
    """Its `popen` starts Python programs that find TensorFlow and QKeras imported, too."""
    with ForkServer(IMPORTS + CONVERSIONS) as server:
        yield server
