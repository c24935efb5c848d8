"""Models as bytes: what travels to other processes instead of TensorFlow objects."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fkeras.errors import Argument, ModelError
from fkeras.frontends.qkeras.identity import is_known
from fkeras.frontends.qkeras.loading import load_model
from fkeras.frontends.qkeras.setup import tensorflow


@dataclass(frozen=True, slots=True)
class PackedModel:
    """A model's file, and the user's own layer classes in it by name."""

    content: bytes
    custom_objects: Mapping[str, Any]


def packed(model: Any) -> PackedModel:
    """The model as it is now. ModelError when it cannot be saved."""
    own = {type(layer).__name__: type(layer) for layer in model._flatten_layers() if not is_known(type(layer))}
    with tempfile.TemporaryDirectory(prefix="fkeras-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.h5"
        log = tensorflow().get_logger()
        level = log.level
        log.setLevel("ERROR")  # Keras warns that a model is saved without the state of its metrics
        try:
            model.save(path, include_optimizer=False, save_format="h5")
        except Exception as error:
            raise ModelError(
                f"model '{model.name}' cannot be sent to workers: saving it fails with {type(error).__name__}: "
                f"{error}; give its own layers a get_config, or leave out ",
                Argument("executor"),
            ) from error
        finally:
            log.setLevel(level)
        return PackedModel(path.read_bytes(), own)


def unpacked(model: PackedModel) -> Any:
    """The model again; whoever packed it had it in memory, so its code is trusted."""
    with tempfile.TemporaryDirectory(prefix="fkeras-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.h5"
        path.write_bytes(model.content)
        return load_model(path, custom_objects=model.custom_objects, trusted=True)
