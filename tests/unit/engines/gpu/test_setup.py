"""Without JAX, or without a GPU, the message says what to install, and `auto` is the CPU engine."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import fkeras
from fkeras.engines.gpu import setup
from tests.unit.engines.cpu.test_run import Builder


@pytest.fixture
def study():
    """Asks a network for its engine."""
    b = Builder(0, (3,))
    network = b.network(b.quantize(b.weighted(b.quantize("x", 5, 1, signed=True), "Dense", 2)))
    data = np.ones((2, 3), np.float32), np.zeros((2, 2))
    return lambda engine: fkeras.Study(network, data, metric="mean_squared_error", engine=engine).run()


def test_without_jax_the_message_says_how_to_install_it(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(fkeras.MissingExtraError) as error:
        study("gpu")
    assert setup.INSTALL == "pip install 'pytest-fkeras[gpu]' 'jax[cuda12]'"
    assert setup.INSTALL in str(error.value)
    assert str(error.value).endswith("or use engine='auto'")


@pytest.mark.parametrize("driver", ["/dev/no_such_device", __file__])
def test_auto_is_the_cpu_engine_without_a_driver_or_without_jax(study, monkeypatch, driver):
    setup.sees_gpu.cache_clear()
    monkeypatch.setattr(setup, "_DEVICE_FILES", (driver,))
    monkeypatch.setitem(sys.modules, "jax", None)
    assert study("auto").engine == "cpu"
    setup.sees_gpu.cache_clear()


def test_auto_is_the_gpu_engine_where_jax_sees_a_gpu(study, monkeypatch, jax):
    monkeypatch.setattr(setup, "sees_gpu", lambda: True)
    assert (study("auto").engine, study("cpu").engine) == ("gpu", "cpu")


@pytest.mark.parametrize("platforms", [None, "cuda,cpu"])
def test_a_jax_without_a_gpu_is_no_gpu(study, monkeypatch, jax, platforms):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    monkeypatch.setattr(type(jax.config), "jax_platforms", platforms, raising=False)
    with pytest.raises(fkeras.EnvironmentSetupError, match=r"sees no GPU here .*engine='gpu'.*JAX_PLATFORMS=cpu"):
        study("gpu")
