"""What a Keras 3 model computes: as it is, and as a pure function of its inputs and its stored values."""

from __future__ import annotations

import glob
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import LayoutError, ModelError, UnsupportedError
from fkeras.frontends.autodiff import TensorFlow
from fkeras.frontends.keras3.graph import maker_of, walk
from fkeras.frontends.keras3.inventory import inventory_of, numbers_of
from fkeras.frontends.keras3.setup import array, keras
from fkeras.frontends.keras3.slots import Slot, replaced
from fkeras.memory import BitSpace, Float, WordTensor

_SAMPLES = 512


class Expected(NamedTuple):
    """What an input takes, as in `feeding.Expected`."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


def inputs_of(model: Any) -> list[Expected]:
    """What a model takes, in order. ModelError where Keras does not know it."""
    tensors = getattr(_functional(model), "_inputs", None)
    if not tensors:
        raise ModelError(
            f"model '{model.name}' has no known inputs; use a Sequential or functional model, and build it (call it "
            "once on data)"
        )
    return [Expected(tensor.name, tuple(tensor.shape[1:]), str(tensor.dtype)) for tensor in tensors]


def output_names(model: Any) -> list[str]:
    """What data call the outputs of a model."""
    return [tensor._keras_history.operation.name for tensor in _functional(model)._outputs]


def _functional(model: Any) -> Any:
    return getattr(model, "_functional", None) or model


def _called(model: Any, inputs: Sequence[Any]) -> Any:
    """The outputs of a model in inference, for inputs in order."""
    return model(keras().tree.pack_sequence_as(_functional(model)._inputs_struct, list(inputs)), training=False)


def packed(model: Any, outputs: Sequence[Any]) -> Any:
    """Flat outputs in the structure that the model itself returns."""
    return keras().tree.pack_sequence_as(_functional(model)._outputs_struct, list(outputs))


def outputs_of(model: Any, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """The outputs of a model in inference, in order."""
    parts = []
    for start in range(0, len(inputs[0]), _SAMPLES):
        outputs = _called(model, [keras().ops.convert_to_tensor(x[start : start + _SAMPLES]) for x in inputs])
        parts.append([array(output) for output in keras().tree.flatten(outputs)])
    return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]


def slots_of(model: Any, space: BitSpace) -> list[Slot]:
    """The slots of a space's tensors. LayoutError for a tensor that the model has not."""
    layers = dict(walk(model))
    numbers = {f"{path}/{name}": variable for path, layer in layers.items() for name, variable in numbers_of(layer)}
    slots = []
    for tensor in space.tensors:
        path, _, name = tensor.path.rpartition("/")
        if isinstance(tensor.codec, Float) and tensor.path in numbers:
            slots.append(Slot(tensor.path, layers.get(path), "", numbers[tensor.path]))
        elif not isinstance(tensor.codec, Float) and hasattr(layers.get(path), _attribute(layers.get(path), name)):
            slots.append(Slot(tensor.path, layers[path], _attribute(layers[path], name)))
        else:
            raise LayoutError(f"the model has no tensor '{tensor.path}'; the space was made for another model")
    return slots


def _attribute(layer: Any, name: str) -> str:
    maker = maker_of(layer)
    attributes: dict[str, str] = {} if maker is None else maker.quantizers_of(layer)
    return attributes.get(name, name)


def words_now(model: Any, space: BitSpace) -> dict[str, WordTensor]:
    """What a model stores now where a space has words, by path."""
    slots = slots_of(model, space)
    layers = [glob.escape(slot.path.rpartition("/")[0]) for slot in slots if slot.attribute]
    read = inventory_of(model, space.memory).space(layers, biases=True).tensors if layers else ()
    stored = {tensor.path: tensor for tensor in read}
    for slot, tensor in zip(slots, space.tensors, strict=True):
        if not slot.attribute:
            values = np.array(array(slot.variable), np.float32).reshape(-1)
            stored[slot.path] = replace(tensor, words=tensor.codec.encode(values), golden=values)
    return stored


class Forward:
    """outputs = forward(inputs, values): flat inputs and one value per tensor of the space, in arrays or tensors.

    The quantizers of the space give the values, whatever they are asked, and everything else is the model's own; a
    faulty kernel variable would be clipped by its quantizer, and rescaled where a batch norm is folded in. Compiled by
    TensorFlow or JAX for each shape; all variables are read at each call, and none is written.
    """

    samples_per_call = _SAMPLES
    may_be_random = False  # it is none where the model itself is random: nothing advances

    def __init__(self, model: Any, space: BitSpace) -> None:
        inputs_of(model)
        self._model, self._slots = model, slots_of(model, space)
        self._function = _compiled(self._pure)

    def __call__(self, inputs: Sequence[Any], values: Sequence[Any]) -> list[Any]:
        """The outputs in order, flattened, as tensors."""
        convert = keras().ops.convert_to_tensor
        state = [convert(variable.value) for variable in self._model.variables]
        with _whole_float32():
            return list(self._function([*map(convert, inputs)], [*map(convert, values)], state))

    def _pure(self, inputs: Sequence[Any], values: Sequence[Any], state: Sequence[Any]) -> list[Any]:
        held = dict(zip((slot.path for slot in self._slots), values, strict=True))
        numbers = {id(slot.variable): held[slot.path] for slot in self._slots if not slot.attribute}
        variables = [
            (variable, numbers.get(id(variable), value))
            for variable, value in zip(self._model.variables, state, strict=True)
        ]
        asked: set[str] = set()

        def stored(slot: Slot) -> Callable[[Any], Any]:
            def value(x: Any) -> Any:
                asked.add(slot.path)
                return keras().ops.reshape(keras().ops.cast(held[slot.path], x.dtype), x.shape)

            return value

        # What layers assign or lose goes into the scope.
        with keras().StatelessScope(variables, collect_losses=True), replaced(self._slots, stored):
            outputs = keras().tree.flatten(_called(self._model, inputs))
        for slot in self._slots:
            if slot.attribute and slot.path not in asked:
                raise UnsupportedError(
                    f"tensor '{slot.path}' is never quantized while the model computes its outputs, so a fault there "
                    "could not be injected"
                )
        return [keras().ops.convert_to_tensor(output) for output in outputs]


def _compiled(function: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """A function of lists of tensors, as the backend compiles it; what torch gives has no way back to the variables."""
    backend = keras().backend.backend()
    if backend == "tensorflow":
        return TensorFlow(sys.modules["tensorflow"]).compiled(function)
    wrap = {"jax": lambda: sys.modules["jax"].jit, "torch": lambda: sys.modules["torch"].no_grad()}
    compiled: Callable[..., list[Any]] = wrap[backend]()(function) if backend in wrap else function
    return compiled


@contextmanager
def _whole_float32() -> Iterator[None]:
    """Within the block a GPU multiplies float32 as float32: TensorFloat-32 keeps ten bits, and sums must be exact."""
    backend = keras().backend.backend()
    if backend == "jax":
        with sys.modules["jax"].default_matmul_precision("float32"):
            yield
        return
    if backend != "tensorflow":
        yield
        return
    config = sys.modules["tensorflow"].config.experimental
    before = config.tensor_float_32_execution_enabled()
    config.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        config.enable_tensor_float_32_execution(before)
