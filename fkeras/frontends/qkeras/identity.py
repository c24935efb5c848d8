"""The identity of a Keras model: all that its outputs depend on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fkeras.errors import IdentityError
from fkeras.frontends.qkeras.freshness import all_weights, weights_digest
from fkeras.frontends.qkeras.reading import require_model
from fkeras.frontends.qkeras.setup import qkeras, tensorflow
from fkeras.runs.identity import OWN_CODE, declared
from fkeras.store import digest_of

_LIBRARIES = (
    "builtins", "fkeras", "hgq", "keras", "qkeras", "quantizers", "tensorflow", "tensorflow_model_optimization",
    "tf_keras",
)  # fmt: skip
_MARK = "use_legacy_config"


def is_model(model: Any) -> bool:
    """Whether this is a Keras 2 model."""
    return isinstance(model, tensorflow().keras.Model)


def model_identity(model: Any) -> dict[str, str]:
    """Digests of the architecture and of all weights, those outside the memory too, and versions of what computes.

    IdentityError for code that no digest covers: classes and functions of the user's own without `fkeras_identity`,
    Lambda layers, models without a configuration.
    """
    require_model(model)
    return {
        "architecture": architecture_digest(model),
        "weights": digest_of(tuple(all_weights(model))),
        OWN_CODE: own_code(model),
        "tensorflow": str(tensorflow().__version__),
        "qkeras": str(qkeras().__version__),
    }


def model_state(model: Any) -> str | None:
    """A digest of the weights, and of the architecture where it has one; None for what is no model, or not built
    yet."""
    if not is_model(model) or not model.built:
        return None
    try:
        architecture = architecture_digest(model)
    except IdentityError:
        architecture = ""
    return f"{architecture} {weights_digest(model)}"


@contextmanager
def _as_if_never_saved(model: Any) -> Iterator[None]:
    """Keras marks the models inside one that it saved as .h5, and writes their configurations otherwise since."""
    marked = [layer for layer in model._flatten_layers() if vars(layer).pop(_MARK, False)]
    try:
        yield
    finally:
        for layer in marked:
            vars(layer)[_MARK] = True


def architecture_digest(model: Any) -> str:
    """A digest of a model's configuration. IdentityError where it has none."""
    try:
        with warnings.catch_warnings(), _as_if_never_saved(model):
            warnings.simplefilter("ignore")  # QKeras' constraints are no Keras constraints
            return digest_of([model.to_json()])
    except (NotImplementedError, TypeError, ValueError) as error:
        raise IdentityError(
            f"model '{model.name}' has no configuration ({type(error).__name__}), so what it computes has no digest; "
            "build it from layers with the functional API, or leave the store out"
        ) from error


def own_code(model: Any) -> str:
    """The identities of all code of the user's own in a model."""
    return "; ".join(sorted({text for layer in model._flatten_layers() for text in _own_code(layer)}))


def _own_code(layer: Any) -> list[str]:
    """The identities of the user's own code in a layer: its class, and functions and quantizers that it holds."""
    digests = []
    if not is_known(type(layer)):
        digests.append(declared(type(layer), f"layer '{layer.name}' of class"))
    if type(layer).__name__ == "Lambda":
        digests.append(declared(layer, f"layer '{layer.name}',"))
    for name, value in vars(layer).items():
        if not name.startswith("_") and callable(value):
            code = value if hasattr(value, "__qualname__") else type(value)
            if not is_known(code):
                digests.append(declared(code, f"layer '{layer.name}', {name}="))
    return digests


def is_known(code: Any) -> bool:
    """Whether a class or function is of a library whose version tells what it does."""
    return str(getattr(code, "__module__", "")).split(".")[0] in _LIBRARIES
