"""The words of QKeras' layers on Keras 3: what their quantizers emit when the layers themselves are called."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fkeras.frontends.keras3.setup import array, keras, kind_in, qkeras
from fkeras.frontends.keras3.slots import Slot, replaced
from fkeras.frontends.qkeras.quantizers import codec_of, words_of
from fkeras.frontends.qkeras.slots import BIAS, FOLDING, KERNEL, PASS_THROUGH
from fkeras.frontends.qkeras.slots import COVERED as COVERED_ON_KERAS_2
from fkeras.memory import WordTensor
from fkeras.memory.refusals import Refusal, Refused
from fkeras.memory.space import Memory
from fkeras.network.operation import Floats

__all__ = ["COMPOSITE", "COVERED", "FOLDING", "PASS_THROUGH", "folded", "kind_of", "stored_tensors"]

RECURRENT = ("recurrent_kernel", "recurrent_quantizer_internal")
CELLS = ("QSimpleRNNCell", "QLSTMCell", "QGRUCell")
COVERED = {**COVERED_ON_KERAS_2, "QConv2DTranspose": (KERNEL,), **dict.fromkeys(CELLS, (KERNEL, RECURRENT))}
COMPOSITE = ("QSimpleRNN", "QLSTM", "QGRU", "QBidirectional")
"""Layers whose words are those of the layers within them."""


def kind_of(layer: Any) -> str | None:
    """The class of QKeras that a layer is, or that one with faults of its own derives from, None for the layers of
    others; "" for any other class derived from one."""
    kind = kind_in("qkeras", lambda: (qkeras(),), layer)
    is_faulty = kind == "" and type(layer).__module__ == "fkeras.frontends.layers"
    return next(base.__name__ for base in type(layer).__mro__ if base.__name__ in COVERED) if is_faulty else kind


def quantizers_of(layer: Any) -> dict[str, str]:
    """The attributes of a covered layer that hold its quantizers, by what they quantize."""
    return {
        name: attribute
        for name, attribute in (*COVERED[kind_of(layer) or ""], BIAS)
        if getattr(layer, attribute, None) is not None
        and (name != BIAS[0] or layer.use_bias or kind_of(layer) in FOLDING)
    }


def stored_tensors(path: str, layer: Any, memory: Memory) -> dict[str, WordTensor]:
    """The kernels, and the bias, of a covered layer that have a quantizer, by name. Refused where words are unknown."""
    slots = quantizers_of(layer)
    codecs = {name: codec_of(getattr(layer, attribute), path, qkeras(), memory) for name, attribute in slots.items()}
    read = _emitted(layer, slots)
    tensors = {}
    for name, codec in codecs.items():
        if name not in read:
            reason = " is never quantized while its layer computes, so a fault there could not be injected"
            raise Refused(Refusal(path, reason, tensor=f"{path}/{name}"))
        golden, scale = read[name]
        variable = getattr(layer, name, None)
        shape = golden.shape if variable is None else tuple(variable.shape)
        flat = golden.reshape(-1).copy()
        flat_scale = np.broadcast_to(scale, golden.shape).reshape(-1).copy()
        words = words_of(codec, flat, flat_scale, f"{path}/{name}")
        tensors[name] = WordTensor(f"{path}/{name}", shape, codec, words, flat_scale, flat)
    return tensors


def folded(layer: Any) -> tuple[Any, Any]:
    """The kernel and the bias that a layer makes of its own and its batch norm, before it quantizes them."""
    kernel, bias = layer.get_folded_weights()
    seen: dict[str, Any] = {}

    def recording(_: Slot) -> Callable[[Any], Any]:
        def keep(x: Any) -> Any:
            seen["bias"] = array(x)
            return x

        return keep

    _call(layer, [Slot(BIAS[0], layer, BIAS[1])], recording)
    return array(kernel), seen.get("bias", array(bias))


def _emitted(layer: Any, slots: Mapping[str, str]) -> dict[str, tuple[Floats, Floats]]:
    """What the quantizers of a layer emit, and their scales, when it is called."""
    seen: dict[str, tuple[Floats, Floats]] = {}

    def recording(slot: Slot) -> Callable[[Any], Any]:
        quantizer = copy.copy(getattr(layer, slot.attribute))

        def quantize(x: Any) -> Any:
            values = quantizer(x)
            scale = getattr(quantizer, "scale", None)
            scale = np.float32(1) if scale is None else array(scale)
            seen.setdefault(slot.path, (np.asarray(array(values), np.float32), np.asarray(scale, np.float32)))
            return values

        return quantize

    _call(layer, [Slot(name, layer, attribute) for name, attribute in slots.items()], recording)
    return seen


def _call(layer: Any, slots: Sequence[Slot], replacement: Callable[[Slot], Callable[[Any], Any]]) -> None:
    """Call a layer on one sample of zeros, in inference, with other quantizers; whatever it assigns is forgotten."""
    shape = next(iter(layer._build_shapes_dict.values()))
    x = keras().ops.zeros([1, *(size or 32 for size in shape[1:])])
    with keras().StatelessScope(), replaced(slots, replacement):
        if type(layer).__name__ in CELLS:
            layer.call(x, [keras().ops.zeros([1, size]) for size in np.atleast_1d(layer.state_size)])
        else:
            layer.call(x)
