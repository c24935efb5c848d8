"""The part of a model that goes onto a chip, and Keras' computation around it.

Users hand the chip one nested model (an encoder, say) and keep the rest in float on a computer. The part is the
innermost nested model that holds all stored words; where there is none it is the whole model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import UnsupportedError
from fkeras.frontends.qkeras.forward import slots_of_space
from fkeras.frontends.qkeras.reading import bit_space, require_model
from fkeras.frontends.qkeras.setup import tensorflow
from fkeras.frontends.qkeras.tracing import call_flat, input_specs, pure_function, replaced
from fkeras.memory import BitSpace

Arrays = Sequence[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class ChipPart:
    """The nested model on the chip; prefix: what its tensors' paths begin with, "" when it is the whole model; space:
    what faults hit, with all that is stored where these are registers alone."""

    whole: Any
    model: Any
    prefix: str
    space: BitSpace

    @property
    def is_whole(self) -> bool:
        """Whether there is nothing around it."""
        return self.model is self.whole

    def is_alone_on(self, name: str) -> bool:
        """Whether an input of the whole model goes into the part as it is, and nowhere else."""
        readers = [node.outbound_layer for node in self.whole.get_layer(name).outbound_nodes]
        return self.is_whole or readers == [self.model]


def chip_part(model: Any, space: BitSpace) -> ChipPart:
    """The innermost nested model of `model` that holds every tensor of the space; of registers alone, all that the
    model stores."""
    require_model(model)
    keras = tensorflow().keras
    part, prefix = model, ""
    space = space if space.tensors else bit_space(model) + space
    while True:
        inner = [
            layer
            for layer in part.layers
            if isinstance(layer, keras.Model)
            and all(tensor.path.startswith(f"{prefix}{layer.name}/") for tensor in space.tensors)
        ]
        if not inner:
            return ChipPart(model, part, prefix, space)
        part, prefix = inner[0], f"{prefix}{inner[0].name}/"


class Around:
    """What Keras computes before and after the chip part.

    softmax: for each output of the part, whether the chip leaves a softmax at its end to Keras.
    """

    def __init__(self, part: ChipPart, softmax: Sequence[bool]) -> None:
        self.part = part
        self._softmax = tuple(softmax)
        self._before = None if part.is_whole else _before(part)
        self._after = None if part.is_whole and not any(softmax) else _after(part, self._softmax)

    @property
    def is_identity_after(self) -> bool:
        """Whether the chip's outputs are the model's."""
        return self._after is None

    def before(self, inputs: Arrays) -> list[NDArray[Any]]:
        """The chip part's inputs for the model's."""
        return list(inputs) if self._before is None else [tensor.numpy() for tensor in self._before(*inputs)]

    def after(self, inputs: Arrays, outputs: Arrays) -> list[NDArray[Any]]:
        """The model's outputs for its inputs and the chip part's outputs."""
        return list(outputs) if self._after is None else [tensor.numpy() for tensor in self._after(*inputs, *outputs)]


def layer_outputs(part: ChipPart, space: BitSpace, bare: str = "") -> tuple[list[str], Callable[..., tuple[Any, ...]]]:
    """The names of the part's layers, and a function (inputs of the part, values of the space) -> their outputs.

    bare: a layer that leaves out the activation inside it.
    """
    tf = tensorflow()
    slots = slots_of_space(part.whole, space)
    layers = [layer for layer in part.model.layers if not isinstance(layer, tf.keras.layers.InputLayer)]
    taps = tf.keras.Model(part.model.inputs, [layer.output for layer in layers])
    specs = input_specs(part.model)

    def outputs(*arguments: Any) -> tuple[Any, ...]:
        values = dict(zip((slot.path for slot in slots), arguments[len(specs) :], strict=True))
        with (
            replaced(
                part.whole, slots, lambda slot: lambda x: tf.reshape(tf.cast(values[slot.path], x.dtype), x.shape)
            ),
            _without_activation([layer for layer in layers if layer.name == bare]),
        ):
            return call_flat(taps, arguments[: len(specs)])

    value_specs = [tf.TensorSpec(tensor.shape, tf.float32) for tensor in space.tensors]
    return [layer.name for layer in layers], pure_function(outputs, [*specs, *value_specs])


@contextmanager
def _without_activation(layers: Sequence[Any]) -> Iterator[None]:
    originals = [(layer, layer.activation) for layer in layers]
    try:
        for layer in layers:
            object.__setattr__(layer, "activation", None)
        yield
    finally:
        for layer, activation in originals:
            object.__setattr__(layer, "activation", activation)


def _before(part: ChipPart) -> Callable[..., tuple[Any, ...]]:
    tf = tensorflow()
    seen: list[Any] = []

    def inputs_of_part(*inputs: Any) -> Any:
        original = part.model.call

        def capture(inputs: Any, *more: Any, **keywords: Any) -> Any:
            seen.append(tf.nest.flatten(inputs))
            return original(inputs, *more, **keywords)

        with _called_instead(part, capture):
            call_flat(part.whole, inputs)
        return seen[-1]

    return pure_function(inputs_of_part, input_specs(part.whole))


def _after(part: ChipPart, softmax: Sequence[bool]) -> Callable[..., tuple[Any, ...]]:
    tf = tensorflow()
    specs = input_specs(part.whole)
    outputs = tf.nest.flatten(part.model.outputs)

    def from_chip(*arguments: Any) -> Any:
        values = [
            tf.nn.softmax(value) if soft else value
            for value, soft in zip(arguments[len(specs) :], softmax, strict=True)
        ]
        if part.is_whole:
            return values
        packed = tf.nest.pack_sequence_as(part.model.output, values)
        with _called_instead(part, lambda *given, **keywords: packed):
            return call_flat(part.whole, arguments[: len(specs)])

    return pure_function(from_chip, [*specs, *(tf.TensorSpec(one.shape, one.dtype) for one in outputs)])


@contextmanager
def _called_instead(part: ChipPart, function: Callable[..., Any]) -> Iterator[None]:
    """Within the block the nested model computes `function`. UnsupportedError unless it is called exactly once."""
    calls = 0

    def counted(*given: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        return function(*given, **keywords)

    own = vars(part.model).get("call")
    object.__setattr__(part.model, "call", counted)
    try:
        yield
    finally:
        if own is None:
            object.__delattr__(part.model, "call")
        else:
            object.__setattr__(part.model, "call", own)
    if calls != 1:
        raise UnsupportedError(
            f"the nested model '{part.model.name}' is called {calls} times in '{part.whole.name}'; the hls4ml engine "
            "puts one call onto the chip: give it a model in which it is called once"
        )


def outputs_of(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32] | tuple[NDArray[np.float32], ...]:
    """Flat outputs as metrics take them: one array, or a tuple."""
    return parts[0] if len(parts) == 1 else tuple(parts)
