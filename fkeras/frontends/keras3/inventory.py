"""All that the layers of a Keras 3 model hold: their words, and what is never covered."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from fkeras.errors import Argument, InputError, ModelError, said
from fkeras.frontends.keras3 import hgq2, qkeras
from fkeras.frontends.keras3.graph import maker_of, walk, within
from fkeras.frontends.keras3.setup import array, hgq, keras
from fkeras.memory import Uncovered, WordTensor
from fkeras.memory.codecs import FloatName
from fkeras.memory.inventory import Inventory, LayerMemory
from fkeras.memory.refusals import Refusal, Refused
from fkeras.memory.space import Memory, require_memory

Why = tuple[str | Argument, ...]

NOT_CHOSEN: Why = ("not chosen by ", Argument("layers"))
_FLOATS = ("kernel", "bias", "embeddings")
"""How the names of numbers end that are stored."""
BIAS: Why = ("bias; ", Argument("biases", True), " covers it")


def inventory_of(model: Any, memory: Memory = "quantizer") -> Inventory:
    """The layers of a model with their words, biases included, and why those of others are not known.

    memory: "quantizer", in which every element has the width that its quantizer gives it, or "hls4ml", in which all
    words of a tensor have the format that holds every one of its values.
    """
    require_memory(memory)
    if not isinstance(model, keras().Model):
        raise InputError(f"model is {type(model).__module__}.{type(model).__name__}; allowed are models of Keras 3")
    layers = []
    for path, layer in walk(model):
        try:
            layers.append(_layer_memory(path, layer, memory))
        except Refused as refused:
            layers.append(replace(_without_words(path, layer, NOT_CHOSEN), refusals=refused.refusals))
    return Inventory(model.name, tuple(layers), memory)


def with_floats(model: Any, inventory: Inventory, name: FloatName) -> Inventory:
    """The inventory of a model with its kernels and biases without a quantizer as words of IEEE floats."""
    stored = {tensor.path for tensor in inventory.tensors}
    folding = (*hgq2.FOLDING, *qkeras.FOLDING)
    return inventory.with_floats(
        {
            path: {
                f"{path}/{number}": np.asarray(array(variable), np.float32)
                for number, variable in numbers_of(layer)
                if number.endswith(_FLOATS) and f"{path}/{number}" not in stored
            }
            for (path, layer), memory in zip(walk(model), inventory.layers, strict=True)
            if not memory.refusals and type(layer).__name__ not in folding
        },
        name,
    )


def _layer_memory(path: str, layer: Any, memory: Memory) -> LayerMemory:
    maker = maker_of(layer)
    if maker is None:
        return _without_words(path, layer, ("not a quantized layer",))
    kind = maker.kind_of(layer)
    if kind in (*maker.PASS_THROUGH, *maker.COMPOSITE):
        return _without_words(path, layer, ("not a kernel",))
    if kind not in maker.COVERED:
        raise Refused(Refusal(path, f" ({type(layer).__name__}) is not supported"))
    if not layer.built:
        raise ModelError(f"layer '{path}' has no weights yet; build the model or call it once on data")
    stored = maker.stored_tensors(path, layer, memory)
    kernels = tuple(tensor for name, tensor in stored.items() if name != "bias")
    biases = tuple(tensor for name, tensor in stored.items() if name == "bias")
    held = {name: prod(variable.shape) for name, variable in numbers_of(layer)}
    counted = _folded(held, kernels[0]) if kind in maker.FOLDING and kernels else held
    return LayerMemory(
        path,
        kernels,
        biases,
        not_chosen=tuple(_uncovered(path, name, n, NOT_CHOSEN) for name, n in held.items()),
        without_biases=tuple(_left_out(path, counted, stored, {tensor.path for tensor in kernels})),
        with_biases=tuple(_left_out(path, counted, stored, {tensor.path for tensor in stored.values()})),
    )


def _folded(held: Mapping[str, int], kernel: WordTensor) -> dict[str, int]:
    """What is left of the numbers of a layer once its batch norm is in its kernel and its bias."""
    channels = prod(kernel.shape[-2:]) if kernel.path.endswith("/depthwise_kernel") else kernel.shape[-1]
    name = kernel.path.rpartition("/")[2]
    return {name: held[name], "bias": channels}


def _left_out(
    path: str, held: Mapping[str, int], stored: Mapping[str, WordTensor], chosen: Collection[str]
) -> Iterator[Uncovered]:
    for name, n_values in held.items():
        if f"{path}/{name}" not in chosen:
            unquantized = "bias without a quantizer" if name == "bias" and stored else "no quantizer"
            yield _uncovered(path, name, n_values, BIAS if name in stored else (unquantized,))


def _without_words(path: str, layer: Any, why: Why) -> LayerMemory:
    weights = {name: prod(variable.shape) for name, variable in numbers_of(layer)}
    not_chosen = tuple(_uncovered(path, name, n, NOT_CHOSEN) for name, n in weights.items())
    uncovered = tuple(_uncovered(path, name, n, why) for name, n in weights.items())
    if hgq2.kind_of(layer):
        uncovered += tuple(_uncovered(path, name, n, ("lookup table",)) for name, n in hgq2.tables(layer))
    return LayerMemory(path, not_chosen=not_chosen, without_biases=uncovered, with_biases=uncovered)


def _uncovered(path: str, name: str, n_values: int, why: Why) -> Uncovered:
    return Uncovered(f"{path}/{name}", n_values, said(why), why, path)


def numbers_of(layer: Any) -> Iterator[tuple[str, Any]]:
    """The variables that a layer computes with, by name; widths, prices of bits and those of layers within are none."""
    is_hgq = hgq2.kind_of(layer) is not None
    quantizers = [part for part in layer._flatten_layers() if is_hgq and isinstance(part, hgq().Quantizer)]
    parts = [*quantizers, *(part for _, part in within(layer, "", set()))]
    elsewhere = {id(variable) for part in parts for variable in part.weights}
    for variable in layer.weights:
        parts = variable.path.split("/")
        name = "/".join(parts[len(parts) - parts[::-1].index(layer.name) :]) if layer.name in parts else variable.path
        if id(variable) in elsewhere or not keras().backend.is_float_dtype(variable.dtype):
            continue
        if not (is_hgq and name.rpartition("/")[2] in ("beta", "ebops")):
            yield name, variable
