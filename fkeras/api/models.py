"""Models, the words in them, and a view of one with wrong bits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from fkeras.faults import FaultSet
from fkeras.memory import BitSpace


def load_model(
    path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    trusted: bool = False,
) -> Any:
    """The (uncompiled) tf-keras model in a file, QKeras' own classes known, pruning wrappers stripped.

    path: `.h5`, `.keras`, or an architecture JSON together with `weights`; custom_objects: own classes by name;
    trusted: allow layers that bring code along (Lambda). InputError for a missing file, ModelError for one that is
    no model or cannot be loaded.
    """
    from fkeras.backends.tf.loading import load_model as load

    return load(path, weights, custom_objects, trusted)


def bit_space(model: Any, layers: str | Sequence[str] = "*", biases: bool = False) -> BitSpace:
    """The stored bits of a model: quantized kernels, with `biases` also quantized biases, of the chosen layers.

    layers: globs on the layer's path or last name, `!` excludes. UnsupportedError names a layer whose words are not
    known; `.uncovered` lists the weights that the space leaves out.
    """
    from fkeras.backends.tf.reading import bit_space as read

    return read(model, layers, biases)


def injected(model: Any, faults: FaultSet, space: BitSpace | None = None) -> AbstractContextManager[Any]:
    """A read-only view of `model` (call, predict, evaluate) that computes with `faults`; the model is not touched.

    space: what the flat indices refer to, `bit_space(model)` unless given.
    """
    from fkeras.backends.tf.injection import injected as inject

    return inject(model, faults, space)
