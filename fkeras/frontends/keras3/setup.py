"""Keras 3, and the quantizing packages on it, or an error that says what to install."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from fkeras.errors import EnvironmentSetupError, MissingExtraError
from fkeras.frontends.qkeras.setup import without_greetings

_HGQ2, _KERAS_3 = "pip install 'pytest-fkeras[hgq2]'", "pip install 'pytest-fkeras[keras3]'"
_APART = "in an environment of its own, as HGQ2 and every QKeras bring a package of one name, qkeras"


def keras() -> Any:
    """The module of Keras 3. MissingExtraError without one."""
    try:
        with warnings.catch_warnings(), without_greetings():
            warnings.simplefilter("ignore")
            import keras as module
    except ImportError as error:
        raise MissingExtraError(
            f"Keras 3 cannot be imported ({error}): {_KERAS_3}, or {_HGQ2} for models of HGQ2"
        ) from error
    if not str(module.__version__).startswith("3."):
        raise EnvironmentSetupError(f"this needs Keras 3, and Keras {module.__version__} is installed: {_KERAS_3}")
    return module


def hgq() -> Any:
    """The module `hgq.layers` of HGQ2. MissingExtraError without it."""
    if importlib.util.find_spec("hgq") is None:
        raise MissingExtraError(f"models of HGQ2 need it, and it is not installed: {_HGQ2}, {_APART}")
    keras()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from hgq import layers
    return layers


def qkeras() -> Any:
    """The module `qkeras` of QKeras for Keras 3. MissingExtraError without it, EnvironmentSetupError where another
    package has its place."""
    owners = sorted(set(metadata.packages_distributions().get("qkeras", ())))
    if not owners:
        raise MissingExtraError(f"this needs QKeras for Keras 3, and it is not installed: {_KERAS_3}, {_APART}")
    if owners != ["qkeras-v3"]:
        raise EnvironmentSetupError(
            f"this needs QKeras for Keras 3, and the package qkeras here is that of {' and '.join(owners)}: "
            f"{_KERAS_3}, {_APART}"
        )
    keras()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import qkeras as module
    return module


def tensorflow() -> Any:
    """TensorFlow, on which Keras 3 computes. EnvironmentSetupError where it computes on something else."""
    backend = keras().backend.backend()
    if backend != "tensorflow":
        raise EnvironmentSetupError(
            f"layers with faults of their own need TensorFlow, and the backend of Keras is {backend}: set "
            "KERAS_BACKEND=tensorflow in the environment before the process starts"
        )
    return sys.modules["tensorflow"]


def kind_in(package: str, modules: Callable[[], Sequence[Any]], layer: Any) -> str | None:
    """The class of a package that a layer is, None for the layers of others; "" for a class derived from one, and for
    one that is not to be found in its modules."""
    if type(layer).__module__.partition(".")[0] == package:
        kind = type(layer).__name__
        return kind if any(type(layer) is getattr(module, kind, None) for module in modules()) else ""
    return "" if any(base.__module__.partition(".")[0] == package for base in type(layer).__mro__) else None


def array(value: Any) -> Any:
    """A variable or a tensor of any backend as an array."""
    module = keras()
    if module.backend.backend() == "torch":
        return module.ops.convert_to_numpy(value)
    return np.asarray(module.ops.convert_to_tensor(value))  # Keras' own way asks TensorFlow for a copy, which warns
