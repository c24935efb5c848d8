"""Reading a model's stored words: the bit space."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fkeras.errors import InputError, ModelError, UnsupportedError
from fkeras.frontends.qkeras.freshness import note_fresh
from fkeras.frontends.qkeras.quantizers import codec_of, uncomputable, words_of
from fkeras.frontends.qkeras.setup import qkeras, tensorflow
from fkeras.frontends.qkeras.slots import Slot, quantizers_in_use, take_inventory, walk
from fkeras.frontends.qkeras.tracing import call_flat, input_specs, pure_function, replaced
from fkeras.memory import BitSpace, Codec, WordTensor
from fkeras.memory.refusals import Refusal, Refused
from fkeras.memory.space import Memory
from fkeras.network import Network


def require_model(model: Any) -> None:
    """InputError unless `model` is a Keras 2 model."""
    if isinstance(model, Network):
        raise UnsupportedError(
            f"network '{model.name}' is no Keras model, which is needed here; load the model file that it was made of"
        )
    if not isinstance(model, tensorflow().keras.Model):
        raise InputError(
            f"model is {type(model).__module__}.{type(model).__name__}; allowed are Keras 2 models, as "
            "fkeras.load_model returns them (Keras 3 models must be saved as .h5 and loaded again)"
        )


def require_name(model: Any) -> None:
    """ModelError for a name under which TensorFlow cannot compute, so that Keras' own predict fails too."""
    if not re.fullmatch(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*|", model.name):
        raise ModelError(
            f"the model is called {model.name!r}, and TensorFlow computes no model of such a name; allowed are letters "
            "A-Z, digits, and _ . - / > after the first; save it under another one: keras.Model(model.inputs, "
            "model.outputs, name='renamed').save('renamed.h5'), with keras of tensorflow"
        )


def bit_space(
    model: Any, layers: str | Sequence[str] = "*", biases: bool = False, memory: Memory = "quantizer"
) -> BitSpace:
    """The stored bits of a model: quantized kernels, with `biases` also quantized biases, of the chosen layers.

    The words are what the quantizers emit in the model's own computation, batch-norm folding included, and the
    scale is what they used. ModelError when nothing is quantized.
    """
    require_model(model)
    require_name(model)
    require_computable(model)
    inventory = take_inventory(model, layers, biases)
    if not inventory.slots and not inventory.refusals:
        held = ", ".join(str(entry) for entry in inventory.uncovered[:5]) or "no weights at all"
        raise ModelError(
            f"model '{model.name}' has no quantized kernel among the chosen layers; it has {held}; "
            "quantize it with QKeras (QDense, QConv2D, ...), or choose other layers"
        )
    tensors, unknown = tensors_of(model, inventory.slots, memory, refuses=bool(inventory.refusals))
    refusals = (*inventory.refusals, *(refusal for refused in unknown.values() for refusal in refused))
    if refusals:
        raise Refused(*refusals)
    space = BitSpace(tuple(tensors.values()), inventory.uncovered, memory)
    note_fresh(model, space)
    return space


def require_computable(model: Any) -> None:
    """UnsupportedError for quantizers that QKeras itself cannot compute, whichever layers are chosen."""
    reasons = [
        f"layer '{path}' {reason}"
        for path, layer in walk(model)
        for reason in dict.fromkeys(map(uncomputable, quantizers_in_use(layer)))
        if reason
    ]
    if reasons:
        raise UnsupportedError("; ".join(reasons))


def tensors_of(
    model: Any, slots: Sequence[Slot], memory: Memory = "quantizer", *, refuses: bool = False
) -> tuple[dict[str, WordTensor], dict[str, tuple[Refusal, ...]]]:
    """The words of the slots by path, and why those of others cannot be told.

    refuses: whether others are refused already. What cannot be computed then may be for these.
    """
    codecs: dict[str, Codec] = {}
    refused: dict[str, tuple[Refusal, ...]] = {}
    for slot in slots:
        with _noted(refused, slot):
            codecs[slot.path] = codec_of(slot.quantizer, slot.layer_path, qkeras(), memory)
    known = [slot for slot in slots if slot.path in codecs]
    tensors: dict[str, WordTensor] = {}
    try:
        read = emitted(model, known)
    except Refused as error:
        for refusal in error.refusals:
            of_it = [
                slot for slot in known if refusal.tensor in ("", slot.path) and refusal.layer_path == slot.layer_path
            ]
            refused |= {slot.path: (refusal,) if slot is of_it[0] else () for slot in of_it}
        return tensors, refused
    except Exception:
        if not (refused or refuses):
            raise
        return tensors, refused
    for slot, (golden, scale) in zip(known, read, strict=True):
        shape = golden.shape if slot.shape is None else slot.shape
        flat, flat_scale = golden.reshape(-1), np.broadcast_to(scale, golden.shape).reshape(-1).copy()
        with _noted(refused, slot):
            words = words_of(codecs[slot.path], flat, flat_scale, slot.path)
            tensors[slot.path] = WordTensor(slot.path, shape, codecs[slot.path], words, flat_scale, flat)
    return tensors, refused


@contextmanager
def _noted(refused: dict[str, tuple[Refusal, ...]], slot: Slot) -> Iterator[None]:
    try:
        yield
    except Refused as error:
        refused[slot.path] = error.refusals


def emitted(model: Any, slots: Sequence[Slot]) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """What each slot's quantizer emits in the model's own graph, and its scale; float32 each."""
    tf = tensorflow()
    records: dict[str, tuple[Any, Any]] = {}
    doubles: list[str] = []

    def recording(slot: Slot) -> Callable[[Any], Any]:
        quantizer = copy.copy(slot.quantizer)

        def quantize(x: Any) -> Any:
            values = quantizer(x)
            if values.dtype == tf.float64:
                doubles.append(slot.layer_path)
            scale = getattr(quantizer, "scale", None)
            records.setdefault(
                slot.path, (tf.cast(values, tf.float32), tf.cast(1.0 if scale is None else scale, tf.float32))
            )
            return values

        return quantize

    def read(*inputs: Any) -> Any:
        with replaced(model, slots, recording):
            call_flat(model, inputs)
        return [records[slot.path] for slot in slots]

    specs = input_specs(model)
    one_sample = [tf.zeros([1 if size is None else size for size in spec.shape], spec.dtype) for spec in specs]
    function = pure_function(read, specs)
    if doubles:
        raise Refused(
            *(
                Refusal(path, " computes in float64; stored words are read in float32 or less", "use dtype='float32'")
                for path in dict.fromkeys(doubles)
            )
        )
    arrays = [tensor.numpy() for tensor in function(*one_sample)]
    return list(zip(arrays[::2], arrays[1::2], strict=True))
