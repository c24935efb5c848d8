"""Models as bytes: what travels to other processes instead of TensorFlow objects."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping
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

    def save(path: Path) -> None:
        log = tensorflow().get_logger()
        level = log.level
        log.setLevel("ERROR")  # Keras warns that a model is saved without the state of its metrics
        try:
            model.save(path, include_optimizer=False, save_format="h5")
        finally:
            log.setLevel(level)

    return packed_by(save, model, "model.h5")


def packed_by(save: Callable[[Path], None], model: Any, name: str) -> PackedModel:
    """The file of that name that `save` writes of a model."""
    own = {type(layer).__name__: type(layer) for layer in model._flatten_layers() if not is_known(type(layer))}
    with tempfile.TemporaryDirectory(prefix="fkeras-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / name
        try:
            save(path)
        except Exception as error:
            raise ModelError(
                f"model '{model.name}' cannot be sent to workers: saving it fails with {type(error).__name__}: "
                f"{error}; give its own layers a get_config, or leave out ",
                Argument("executor"),
            ) from error
        return PackedModel(path.read_bytes(), own)


def unpacked(model: PackedModel) -> Any:
    """The model again."""
    return unpacked_by(load_model, model, "model.h5")


def unpacked_by(load: Callable[..., Any], model: PackedModel, name: str) -> Any:
    """What `load` reads from a file of that name; whoever packed it had it in memory, so its code is trusted."""
    with tempfile.TemporaryDirectory(prefix="fkeras-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / name
        path.write_bytes(model.content)
        return load(path, custom_objects=model.custom_objects, trusted=True)
