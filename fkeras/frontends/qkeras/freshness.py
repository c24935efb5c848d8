"""Whether a space still holds a model's words: weights may have been set since it was read."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from fkeras.errors import InputError
from fkeras.memory import BitSpace

Words = list[np.ndarray[Any, Any]]

_seen: weakref.WeakKeyDictionary[Any, tuple[str, set[str]]] = weakref.WeakKeyDictionary()
"""By model: a digest of its weights, and the content digests of the spaces that hold their words."""


def all_weights(model: Any) -> list[Any]:
    """All weights of a model, and the scales that a QAdaptiveActivation keeps beside them and sets in every call."""
    scales = [
        getattr(getattr(layer, "quantizer", None), "integer", None)
        for layer in model._flatten_layers()
        if type(layer).__name__ == "QAdaptiveActivation"
    ]
    return [*model.get_weights(), *(np.asarray(scale) for scale in scales if scale is not None)]


def weights_digest(model: Any) -> str:
    """A digest of all weights of a model."""
    digest = hashlib.sha256()
    for array in all_weights(model):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def note_fresh(model: Any, space: BitSpace) -> None:
    """Remember that a space was just read from a model."""
    _spaces_of(model).add(space.content_digest)


def require_fresh(model: Any, space: BitSpace, words_now: Callable[[], Words]) -> None:
    """InputError when the model's words are not those of the space.

    words_now: reads what the quantizers of the space's tensors emit now; asked only where it is not known.
    """
    if space.content_digest in _spaces_of(model):
        return
    for tensor, values in zip(space.tensors, words_now(), strict=True):
        if not np.array_equal(tensor.golden, values.reshape(-1)):
            raise InputError(
                f"the space was read from other weights than the model has now (tensor '{tensor.path}' differs); "
                "read it again with fkeras.bit_space(model)"
            )
    note_fresh(model, space)


def _spaces_of(model: Any) -> set[str]:
    digest = weights_digest(model)
    if _seen.get(model, ("", set()))[0] != digest:
        _seen[model] = digest, set()
    return _seen[model][1]
