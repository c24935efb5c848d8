"""Keras 3 models as bytes: what travels to other processes."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

from fkeras.errors import Argument, ModelError
from fkeras.frontends.keras3.loading import load_model
from fkeras.frontends.qkeras.identity import is_known
from fkeras.frontends.qkeras.shipping import PackedModel


def packed(model: Any) -> PackedModel:
    """The model as it is now, as a `.keras` file. ModelError when it cannot be saved."""
    own = {type(layer).__name__: type(layer) for layer in model._flatten_layers() if not is_known(type(layer))}
    with tempfile.TemporaryDirectory(prefix="fkeras-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
        except Exception as error:
            raise ModelError(
                f"model '{model.name}' cannot be sent to workers: saving it fails with {type(error).__name__}: "
                f"{error}; give its own layers a get_config, or leave out ",
                Argument("executor"),
            ) from error
        return PackedModel(path.read_bytes(), own)


def unpacked(model: PackedModel) -> Any:
    """The model again; whoever packed it had it in memory, so its code is trusted."""
    with tempfile.TemporaryDirectory(prefix="fkeras-") as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(model.content)
        return load_model(path, custom_objects=model.custom_objects, trusted=True)
