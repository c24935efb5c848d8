"""Whether a Keras 3 model is another one now, and the identity of one that no network describes."""

from __future__ import annotations

from contextlib import suppress
from importlib import metadata
from typing import Any

from fkeras.errors import IdentityError
from fkeras.frontends.keras3.setup import array
from fkeras.frontends.qkeras.identity import architecture_digest, own_code
from fkeras.store import digest_of

_PACKAGES = ("keras", "qkeras-v3", "HGQ2", "tensorflow", "jax", "torch")


def model_state(model: Any) -> str:
    """A digest of a model's architecture, where it has one, and of all its variables."""
    try:
        architecture = architecture_digest(model)
    except IdentityError:
        architecture = ""
    return digest_of((architecture, *(array(variable) for variable in model.variables)))


def model_identity(model: Any) -> dict[str, str]:
    """Digests of architecture and variables, and versions of what computes. IdentityError for code of the user's own
    without `fkeras_identity`, and for models without a configuration."""
    versions = {}
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    architecture = architecture_digest(model)
    return {"architecture": architecture, "model": model_state(model), "own_code": own_code(model), **versions}
