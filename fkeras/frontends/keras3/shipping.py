"""Keras 3 models as bytes: what travels to other processes."""

from __future__ import annotations

from typing import Any

from fkeras.frontends.keras3.loading import load_model
from fkeras.frontends.qkeras.shipping import PackedModel, packed_by, unpacked_by

FILE = "model.keras"


def packed(model: Any) -> PackedModel:
    """The model as it is now, as a `.keras` file. ModelError when it cannot be saved."""
    return packed_by(model.save, model, FILE)


def unpacked(model: PackedModel) -> Any:
    """The model again."""
    return unpacked_by(load_model, model, FILE)
