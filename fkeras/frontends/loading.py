"""Which front end reads a model file: what the file holds decides, and which of them is installed."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from fkeras.frontends.qkeras.model_file import open_model_file


def load_model(
    path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    trusted: bool = False,
) -> Any:
    """The (uncompiled) model in a file, as the front end that reads it loads it; arguments as of both of them."""
    if weights is None and _needs_keras_3(path):
        from fkeras.frontends.keras3.loading import load_model as load

        return load(path, custom_objects, trusted)
    from fkeras.frontends.qkeras.loading import load_model as load_by_qkeras

    return load_by_qkeras(path, weights, custom_objects, trusted)


def _needs_keras_3(path: str | os.PathLike[str]) -> bool:
    """Whether a file was written by Keras 3, or by Keras 2 where there is no QKeras for it, but one for Keras 3."""
    from fkeras.frontends.keras3.loading import is_of_keras_3

    if not Path(path).is_file() or (not zipfile.is_zipfile(path) and not _has_h5py()):
        return False  # whoever reads such files says what is wrong; of a pipe even a look would wait for ever
    with ExitStack() as stack:
        source = open_model_file(path, "model", stack)
        if source.config is None:
            return PathFinder.find_spec("qkeras") is not None and not _is_installed("QKeras")
        return is_of_keras_3(source) or _is_qkeras_for_keras_3()


def quantizing_keras() -> tuple[Any, Any, Any]:
    """TensorFlow, Keras and QKeras: those of Keras 3 where the installed QKeras is the one for it, else of Keras 2."""
    if _is_qkeras_for_keras_3():
        from fkeras.frontends.keras3.setup import keras, qkeras, tensorflow

        return tensorflow(), keras(), qkeras()
    from fkeras.frontends.qkeras import setup

    return setup.tensorflow(), setup.tensorflow().keras, setup.qkeras()


def _is_qkeras_for_keras_3() -> bool:
    """Whether the package qkeras is that of qkeras-v3; the two others bring one of that name, too."""
    return _is_installed("qkeras-v3") and not (_is_installed("QKeras") or _is_installed("HGQ2"))


def _is_installed(distribution: str) -> bool:
    # Not who owns a package called qkeras: to tell, all files of all distributions are read, which takes a while.
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _has_h5py() -> bool:
    try:
        import h5py  # noqa: F401
    except ImportError:
        return False
    return True
