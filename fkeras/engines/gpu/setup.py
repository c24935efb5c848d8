"""JAX, or one message that says what to install; and whether a GPU is there, asked without loading it in vain."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from fkeras.errors import Argument, EnvironmentSetupError, MissingExtraError

_DEVICE_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""What the drivers of NVIDIA, AMD and WSL put there."""
INSTALL = "pip install 'pytest-fkeras[gpu]' 'jax[cuda12]'"


def jax() -> Any:
    """The jax module. MissingExtraError where it is not installed."""
    if "jax" not in sys.modules:
        # Taking most of the card's memory at once leaves none for other processes.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        import jax as module
    except ImportError as error:
        raise MissingExtraError(
            f"the GPU engine needs JAX ({error}); install it with: {INSTALL} (jax[cuda13] for newer drivers, jax "
            "alone without a GPU), or use ", Argument("engine", "auto")
        ) from error  # fmt: skip
    return module


@cache
def sees_gpu() -> bool:
    """Whether JAX is installed and computes on a GPU; it is not imported where no driver is."""
    if not any(Path(file).exists() for file in _DEVICE_FILES):
        return False
    try:
        return bool(jax().default_backend() == "gpu")
    except (ImportError, RuntimeError):  # not installed, or told of a platform that it cannot start
        return False


def require_device() -> None:
    """EnvironmentSetupError where JAX has no GPU, unless it was told to compute on the CPU."""
    module = jax()
    backend = module.default_backend()
    if backend != "gpu" and str(module.config.jax_platforms or "").split(",")[0] != "cpu":
        raise EnvironmentSetupError(
            f"JAX {module.__version__} sees no GPU here (it computes on: {backend}), so ", Argument("engine", "gpu"),
            " would be slower than the CPU engine; install JAX for this GPU (jax[cuda12]) or use ",
            Argument("engine", "auto"), "; JAX_PLATFORMS=cpu in the environment tries the GPU engine on the processor",
        )  # fmt: skip
