"""Keras 3, and the quantizing packages on it, or an error that says what to install."""

from __future__ import annotations

import importlib.util
import os
import warnings
from importlib import metadata
from typing import Any

from fkeras.errors import EnvironmentSetupError

INSTALL_HGQ2 = "pip install 'HGQ2>=0.2,<0.3' tensorflow"
INSTALL_QKERAS = "pip install 'qkeras-v3>=1.2'"
INSTALL_KERAS = "pip install 'keras>=3.14' tensorflow"
_APART = "in an environment of its own, as every QKeras and HGQ2 bring a package of the same name, qkeras"


def keras() -> Any:
    """The module of Keras 3. EnvironmentSetupError where it is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import keras as module
    except ImportError as error:
        raise EnvironmentSetupError(
            f"the model needs Keras 3, and it cannot be imported ({error}): {INSTALL_KERAS}"
        ) from error
    if not str(module.__version__).startswith("3."):
        raise EnvironmentSetupError(
            f"the model needs Keras 3; Keras {module.__version__} is installed: {INSTALL_KERAS}"
        )
    return module


def hgq() -> Any:
    """The module `hgq.layers` of HGQ2. EnvironmentSetupError where it is not installed."""
    if importlib.util.find_spec("hgq") is None:
        raise EnvironmentSetupError(f"the model needs HGQ2, which is not installed: {INSTALL_HGQ2}, {_APART}")
    keras()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from hgq import layers
    return layers


def qkeras() -> Any:
    """The module `qkeras` of QKeras for Keras 3. EnvironmentSetupError where another one has its place, or none."""
    owners = sorted(set(metadata.packages_distributions().get("qkeras", ())))
    if owners != ["qkeras-v3"]:
        there = f"the package qkeras is that of {' and '.join(owners)}" if owners else "it is not installed"
        raise EnvironmentSetupError(f"the model needs QKeras for Keras 3, and {there}: {INSTALL_QKERAS}, {_APART}")
    keras()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import qkeras as module
    return module


def array(value: Any) -> Any:
    """A variable or a tensor of any backend as an array."""
    return keras().ops.convert_to_numpy(value)
