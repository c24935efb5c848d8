"""The identity of a Keras 3 model that no network describes."""

from __future__ import annotations

from contextlib import suppress
from importlib import metadata
from typing import Any

from fkeras.frontends.keras3.recent import model_state
from fkeras.frontends.qkeras.identity import architecture_digest, own_code

_PACKAGES = ("keras", "qkeras-v3", "HGQ2", "tensorflow", "jax", "torch")


def model_identity(model: Any) -> dict[str, str]:
    """Digests of architecture and variables, and versions of what computes. IdentityError for code of the user's own
    without `fkeras_identity`, and for models without a configuration."""
    versions = {}
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    architecture = architecture_digest(model)
    return {"architecture": architecture, "model": model_state(model), "own_code": own_code(model), **versions}
