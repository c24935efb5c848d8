"""The model as a pure function of its inputs and its stored values."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import LayoutError
from fkeras.faults import Patch
from fkeras.frontends.qkeras.randomness import refuse_randomness
from fkeras.frontends.qkeras.registers import mask_specs, masks_of, read_through, through_inputs, through_outputs
from fkeras.frontends.qkeras.setup import tensorflow, whole_float32
from fkeras.frontends.qkeras.slots import Slot, slots_of_layers
from fkeras.frontends.qkeras.tracing import PureFunction, call_flat, input_specs, pure_function, replaced
from fkeras.memory import BitSpace

MOST_FLOATS, MOST_SAMPLES = 2**23, 1024
"""Bounds the largest activation of a call; a quantizer's intermediate values need some ten times that."""


class Forward:
    """outputs = forward(inputs, values, masks): flat inputs, one value tensor per stored tensor of the space, and three
    masks per register, all zero unless given.

    Traced once, differentiable in the values; quantizers of the space are bypassed, scales frozen. All other weights
    are read from the model at each call, and nothing is written to it. UnsupportedError for a layer that is random.
    may_be_random: whether only calls can tell; samples_per_call: so many bound the memory.
    """

    def __init__(self, model: Any, space: BitSpace) -> None:
        self._model = model  # its variables live as long as this function can be called
        traced = _traced(model, space)
        self._function, self.may_be_random, self._parts = traced.function, traced.may_be_random, traced.parts
        self._n_inputs = len(input_specs(model))
        self._no_masks = masks_of(space, (), slice(0, 1))
        self.samples_per_call = int(np.clip(MOST_FLOATS // _floats_per_sample(model), 1, MOST_SAMPLES))

    def __call__(
        self, inputs: Sequence[Any], values: Sequence[Any], masks: Sequence[Any] | None = None
    ) -> tuple[Any, ...]:
        """Outputs of `inputs`, flattened; `values` in the order and shapes of the space's tensors."""
        with whole_float32():
            return self._function(*inputs, *values, *(self._no_masks if masks is None else masks))

    def behind(self, tensor: int) -> Behind | None:
        """The part that depends on the values of one tensor of the space; None where the graph cannot be taken apart.

        Taken apart once per trace.
        """
        if tensor not in self._parts:
            self._parts[tensor] = self._function.split(self._n_inputs + tensor)
        parts = self._parts[tensor]
        return None if parts is None else Behind(*parts)


@dataclass(frozen=True, slots=True)
class Behind:
    """A model in two parts: what does not depend on one stored tensor, and what does."""

    _before: PureFunction
    _after: PureFunction

    def golden(self, inputs: Sequence[Any], values: Sequence[Any]) -> tuple[Any, ...]:
        """What the second part reads of the first, as `Forward` computes it."""
        with whole_float32():
            return self._before(*inputs, *values)

    def __call__(self, value: Any, golden: Sequence[Any]) -> tuple[Any, ...]:
        """The outputs when the tensor holds `value`."""
        with whole_float32():
            return self._after(value, *golden)


def _floats_per_sample(model: Any) -> int:
    """The size of the largest output of a layer, as far as Keras knows shapes."""
    shapes = (getattr(layer, "output_shape", None) for layer in model._flatten_layers(include_self=False))
    return max((prod(size or 1 for size in shape[1:]) for shape in shapes if isinstance(shape, tuple)), default=1)


def _trace(model: Any, space: BitSpace) -> tuple[PureFunction, bool]:
    tf = tensorflow()
    slots = slots_of_space(model, space)
    specs = input_specs(model)

    def outputs(*arguments: Any) -> Sequence[Any]:
        inputs, stored_values = arguments[: len(specs)], arguments[len(specs) : len(specs) + len(slots)]
        values = dict(zip((slot.path for slot in slots), stored_values, strict=True))
        flat = arguments[len(specs) + len(slots) :]
        masks = {register.path: flat[3 * n : 3 * n + 3] for n, register in enumerate(space.registers)}

        def stored(slot: Slot) -> Callable[[Any], Any]:
            return lambda x: tf.reshape(tf.cast(values[slot.path], x.dtype), x.shape)

        target = model_of()
        read = through_inputs(target, space, inputs, masks)
        with replaced(target, slots, stored), read_through(target, space, masks):
            results = call_flat(target, read)
        return through_outputs(target, space, results, masks)

    model_of = weakref.ref(model)  # a cached function must not keep its model alive
    value_specs = [tf.TensorSpec(tensor.shape, tf.float32) for tensor in space.tensors]
    open_questions: list[bool] = []

    def inspect(graph: Any) -> None:
        open_questions.append(refuse_randomness(graph, model_of()))

    return pure_function(outputs, [*specs, *value_specs, *mask_specs(space)], inspect), any(open_questions)


@dataclass(frozen=True, slots=True)
class _Entry:
    layers: tuple[weakref.ref[Any], ...]
    function: PureFunction
    may_be_random: bool
    parts: dict[int, tuple[PureFunction, PureFunction] | None] = field(default_factory=dict)

    def is_of(self, layers: Sequence[Any]) -> bool:
        return len(layers) == len(self.layers) and all(
            ref() is layer for ref, layer in zip(self.layers, layers, strict=True)
        )


_cache: weakref.WeakKeyDictionary[Any, dict[str, _Entry]] = weakref.WeakKeyDictionary()


def _traced(model: Any, space: BitSpace) -> _Entry:
    """The traced function of a model and a layout, kept as long as the model consists of the same layers."""
    layers = list(model._flatten_layers(include_self=False))
    cached = _cache.setdefault(model, {})
    key = space.layout_digest + "".join(register.text for register in space.registers)
    entry = cached.get(key)
    if entry is None or not entry.is_of(layers):
        entry = cached[key] = _Entry(tuple(map(weakref.ref, layers)), *_trace(model, space))
    return entry


def slots_of_space(model: Any, space: BitSpace) -> list[Slot]:
    """The model's slots behind the tensors of a space. LayoutError when the model has no such tensor."""
    layers = {tensor.path.rsplit("/", 1)[0] for tensor in space.tensors}
    slots = {slot.path: slot for slot in slots_of_layers(model, layers)}
    for tensor in space.tensors:
        if tensor.path not in slots:
            raise LayoutError(
                f"the model has no quantized tensor '{tensor.path}'; the space was made for another model"
            )
        shape = slots[tensor.path].shape
        if shape is not None and shape != tensor.shape:
            raise LayoutError(
                f"tensor '{tensor.path}' has shape {shape} in the model and {tensor.shape} in the space; "
                "the space was made for another model"
            )
    return [slots[tensor.path] for tensor in space.tensors]


def golden_values(space: BitSpace) -> list[NDArray[np.float32]]:
    """The fault-free values of every tensor, in Keras' shapes."""
    return [tensor.golden.reshape(tensor.shape) for tensor in space.tensors]


def patched_values(space: BitSpace, golden: Sequence[Any], patches: Iterable[Patch]) -> list[Any]:
    """`golden` with the patched tensors replaced."""
    values = list(golden)
    for patch in patches:
        values[patch.tensor] = patch.applied(space)
    return values
