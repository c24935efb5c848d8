"""All that the layers of a Keras 3 model hold: their words, and what is never covered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, Literal

from fkeras.errors import Argument, InputError, ModelError, said
from fkeras.frontends.keras3.graph import walk
from fkeras.frontends.keras3.setup import hgq, keras
from fkeras.frontends.keras3.words import as_hls4ml, format_of, unknown_quantizer, words_of
from fkeras.frontends.refusals import Refusal, Refused
from fkeras.memory import Uncovered, WordTensor
from fkeras.memory.inventory import Inventory, LayerMemory

Memory = Literal["quantizer", "hls4ml"]
MEMORIES = ("quantizer", "hls4ml")
Why = tuple[str | Argument, ...]

COVERED = ("QDense", "QConv1D", "QConv2D", "QConv3D", "QEinsumDense", "QBatchNormDense", "QEinsumDenseBatchnorm")
TABLES = ("QSoftmax", "QUnaryFunctionLUT", "QAffinedUnaryFunctionLUT")
"""Layers that are lookup tables on the chip."""
FOLDING = ("QBatchNormDense", "QEinsumDenseBatchnorm")
PASS_THROUGH = (
    "QBatchNormalization",
    "Quantizer",
    *TABLES,
    *("QAdd", "QAveragePow2", "QMaximum", "QMinimum", "QMultiply", "QSubtract", "QDot", "QEinsum", "QSum", "QMeanPow2"),
    *(f"Q{kind}Pooling{rank}D" for kind in ("Max", "Average", "GlobalMax", "GlobalAverage") for rank in (1, 2, 3)),
)
NOT_CHOSEN: Why = ("not chosen by ", Argument("layers"))
BIAS: Why = ("bias; ", Argument("biases", True), " covers it")


def inventory_of(model: Any, memory: Memory = "quantizer") -> Inventory:
    """The layers of a model with their words, biases included. UnsupportedError where words are not known.

    memory: "quantizer", in which every element has the width that its quantizer gives it, or "hls4ml", in which all
    words of a tensor have the format that holds every one of its values.
    """
    if memory not in MEMORIES:
        raise InputError(Argument("memory", memory), f"; allowed are {', '.join(map(repr, MEMORIES))}")
    if not isinstance(model, keras().Model):
        raise InputError(f"model is {type(model).__module__}.{type(model).__name__}; allowed are models of Keras 3")
    layers, refusals = [], list[Refusal]()
    for path, layer in walk(model):
        try:
            layers.append(_layer_memory(path, layer, memory))
        except Refused as refused:
            refusals += refused.refusals
    if refusals:
        raise Refused(*refusals)
    return Inventory(model.name, tuple(layers))


def kind_of(layer: Any) -> str | None:
    """The class of HGQ2 that a layer is, None for the layers of others."""
    kind = type(layer).__name__
    if not type(layer).__module__.startswith("hgq."):
        return None
    return kind if type(layer) is getattr(hgq(), kind, None) else ""


def _layer_memory(path: str, layer: Any, memory: Memory) -> LayerMemory:
    kind = kind_of(layer)
    if kind is None:
        return _without_words(path, layer, ("not a quantized layer",))
    if kind in PASS_THROUGH:
        return _without_words(path, layer, ("lookup table",) if kind in TABLES else ("not a kernel",))
    if kind not in COVERED:
        raise Refused(Refusal(path, f" ({type(layer).__name__}) is not supported"))
    if not layer.built:
        raise ModelError(f"layer '{path}' has no weights yet; build the model or call it once on data")
    emitted = {"kernel": (layer.kq, layer.qkernel), "bias": (layer.bq, layer.qbias)}
    stored = {
        name: words_of(f"{path}/{name}", quantizer, values)
        for name, (quantizer, values) in emitted.items()
        if quantizer is not None and values is not None and not _is_absent(quantizer)
    }
    if memory == "hls4ml":
        stored = {name: as_hls4ml(tensor) for name, tensor in stored.items()}
    kernels = tuple(tensor for name, tensor in stored.items() if name == "kernel")
    biases = tuple(tensor for name, tensor in stored.items() if name == "bias")
    held = dict(_weights(layer))
    if kind in FOLDING:
        held = {name: held[name] for name in ("kernel", "bias")}
    return LayerMemory(
        path,
        kernels,
        biases,
        not_chosen=tuple(_uncovered(path, name, n, NOT_CHOSEN) for name, n in dict(_weights(layer)).items()),
        without_biases=tuple(_left_out(path, held, stored, ("kernel",))),
        with_biases=tuple(_left_out(path, held, stored, ("kernel", "bias"))),
    )


def _is_absent(quantizer: Any) -> bool:
    return type(quantizer.quantizer).__name__ == "DummyQuantizer"


def _left_out(
    path: str, held: Mapping[str, int], stored: Mapping[str, WordTensor], chosen: Sequence[str]
) -> Iterator[Uncovered]:
    for name, n_values in held.items():
        if name not in stored or name not in chosen:
            yield _uncovered(path, name, n_values, BIAS if name in stored else ("no quantizer",))


def _without_words(path: str, layer: Any, why: Why) -> LayerMemory:
    weights = dict(_tables(layer)) | dict(_weights(layer))
    not_chosen = tuple(_uncovered(path, name, n, NOT_CHOSEN) for name, n in weights.items())
    uncovered = tuple(_uncovered(path, name, n, why) for name, n in weights.items())
    return LayerMemory(path, not_chosen=not_chosen, without_biases=uncovered, with_biases=uncovered)


def _uncovered(path: str, name: str, n_values: int, why: Why) -> Uncovered:
    return Uncovered(f"{path}/{name}", n_values, said(why), why, path)


def _weights(layer: Any) -> Iterator[tuple[str, int]]:
    """The numbers that a layer computes with, by name, and how many there are; widths and prices of bits are none."""
    is_hgq = kind_of(layer) is not None
    quantizers = [part for part in layer._flatten_layers() if is_hgq and isinstance(part, hgq().Quantizer)]
    widths = {id(variable) for part in quantizers for variable in part.weights}
    for variable in layer.weights:
        name = variable.path.rpartition(f"{layer.name}/")[2]
        if id(variable) in widths or not keras().backend.is_float_dtype(variable.dtype):
            continue
        if not (is_hgq and name.rpartition("/")[2] in ("beta", "ebops")):
            yield name, prod(variable.shape)


def _tables(layer: Any) -> Iterator[tuple[str, int]]:
    """The lookup tables that a layer becomes, and how many words each of them has."""
    for part in layer._flatten_layers():
        is_table = type(part).__name__ in TABLES and hasattr(part, "activation") and part.enable_iq
        if is_table and not unknown_quantizer(part.iq):
            yield "table" if part is layer else part.name, 1 << int(format_of(part.iq).width.max(initial=0))
