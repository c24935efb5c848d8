"""The words of HGQ2's layers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from fkeras.frontends.keras3.setup import hgq, kind_in
from fkeras.frontends.keras3.slots import ONE_AT_A_TIME
from fkeras.frontends.keras3.words import as_hls4ml, format_of, unknown_quantizer, words_of
from fkeras.memory import WordTensor
from fkeras.memory.space import Memory

COVERED = (
    *("QDense", "QConv1D", "QConv2D", "QConv3D", "QEinsumDense", "QBatchNormDense", "QEinsumDenseBatchnorm"),
    *("QSimpleRNNCell", "QGRUCell"),
)
FOLDING = ("QBatchNormDense", "QEinsumDenseBatchnorm")
TABLES = ("QSoftmax", "QUnaryFunctionLUT", "QAffinedUnaryFunctionLUT")
"""Layers that are lookup tables on the chip."""
COMPOSITE = ("QMultiHeadAttention", "QLinformerAttention", "QSALTAttention", "QSimpleRNN", "QGRU")
"""Layers whose words are those of the layers within them."""
PASS_THROUGH = (
    "QBatchNormalization",
    "Quantizer",
    *TABLES,
    *("QAdd", "QAveragePow2", "QMaximum", "QMinimum", "QMultiply", "QSubtract", "QDot", "QEinsum", "QSum", "QMeanPow2"),
    *(f"Q{kind}Pooling{rank}D" for kind in ("Max", "Average", "GlobalMax", "GlobalAverage") for rank in (1, 2, 3)),
)


def kind_of(layer: Any) -> str | None:
    """The class of HGQ2 that a layer is, None for the layers of others; "" for a class derived from one."""
    return kind_in("hgq", lambda: (hgq(), *(sys.modules.get(f"hgq.layers.{name}") for name in ("rnn", "attn"))), layer)


def quantizers_of(layer: Any) -> dict[str, str]:
    """The attributes of a covered layer that hold its quantizers, by what they quantize."""
    attributes = {"kernel": "_kq", "recurrent_kernel": "_rkq", "bias": "_bq"}
    return {name: attribute for name, attribute in attributes.items() if getattr(layer, attribute, None) is not None}


def stored_tensors(path: str, layer: Any, memory: Memory) -> dict[str, WordTensor]:
    """The kernels, and the bias, of a covered layer that have a quantizer, by name. Refused where words are unknown."""
    with ONE_AT_A_TIME:
        emitted = {
            name: (getattr(layer, attribute), getattr(layer, f"q{name}", None))
            for name, attribute in quantizers_of(layer).items()
        }
    tensors = {
        name: words_of(f"{path}/{name}", quantizer, values)
        for name, (quantizer, values) in emitted.items()
        if values is not None and type(quantizer.quantizer).__name__ != "DummyQuantizer"
    }
    return {name: as_hls4ml(tensor) if memory == "hls4ml" else tensor for name, tensor in tensors.items()}


def tables(layer: Any) -> Iterator[tuple[str, int]]:
    """The lookup tables that a layer becomes, and how many words each of them has."""
    for part in layer._flatten_layers():
        is_table = type(part).__name__ in TABLES and hasattr(part, "activation") and part.enable_iq
        if is_table and not unknown_quantizer(part.iq):
            yield "table" if part is layer else part.name, 1 << int(format_of(part.iq).width.max(initial=0))
