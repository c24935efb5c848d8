"""Golden activations: computed once per chunk of samples and reused for every fault."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.frontends.qkeras.graph import Call, Graph, Key
from fkeras.frontends.qkeras.setup import tensorflow, whole_float32
from fkeras.frontends.qkeras.slots import Slot
from fkeras.frontends.qkeras.tracing import input_specs, replaced

Kernels = Sequence[tuple[Slot, NDArray[np.float32]]]
"""The golden values of every quantized tensor, in Keras' shapes."""


def with_fixed_kernels(model: Any, kernels: Kernels, calls: Sequence[Call]) -> Any:
    """A context in which the layers of `calls` use their golden kernels as constants instead of quantizing them."""
    tf = tensorflow()
    inside = {id(call.layer) for call in calls}
    fixed = {slot.path: values for slot, values in kernels if id(slot.layer) in inside}
    return replaced(
        model,
        [slot for slot, _ in kernels if slot.path in fixed],
        lambda slot: lambda x: tf.constant(fixed[slot.path], x.dtype),
    )


class GoldenFunction:
    """The golden values of chosen tensors for a batch of inputs; traced once."""

    def __init__(self, model: Any, graph: Graph, kernels: Kernels, keys: Sequence[Key]) -> None:
        tf = tensorflow()
        self.keys = tuple(keys)
        calls = _upstream(graph, self.keys)
        model_of = weakref.ref(model)

        def compute(*arrays: Any) -> list[Any]:
            tensors = dict(zip(graph.inputs, arrays, strict=True))
            with with_fixed_kernels(model_of(), kernels, calls):
                graph.run(calls, tensors)
            return [tensors[key] for key in self.keys]

        self._specs = input_specs(model)
        whole = tf.function(compute, input_signature=self._specs, autograph=False)
        self._compute = whole.get_concrete_function()

    def __call__(self, inputs: Sequence[NDArray[Any]], rows: slice) -> Mapping[Key, NDArray[Any]]:
        """By key, the tensors of the samples `rows`."""
        convert = tensorflow().convert_to_tensor
        given = [convert(x[rows], spec.dtype) for x, spec in zip(inputs, self._specs, strict=True)]
        with whole_float32():
            values = self._compute(*given)
        return {key: value.numpy() for key, value in zip(self.keys, values, strict=True)}


def gathered(compute: Callable[[slice], Mapping[Any, NDArray[Any]]], rows: slice, size: int) -> dict[Any, NDArray[Any]]:
    """By key, what `compute` gives for `rows`, asked for `size` samples at a time so that its scratch stays small."""
    whole: dict[Any, NDArray[Any]] = {}
    for start in range(rows.start, rows.stop, size):
        part = slice(start, min(start + size, rows.stop))
        for key, values in compute(part).items():
            if key not in whole:
                whole[key] = np.empty((rows.stop - rows.start, *values.shape[1:]), values.dtype)
            whole[key][part.start - rows.start : part.stop - rows.start] = values
    return whole


def _upstream(graph: Graph, keys: Sequence[Key]) -> list[Call]:
    wanted, needed = set(keys), []
    for call in reversed(graph.calls):
        if wanted.intersection(call.outputs):
            wanted.update(call.inputs)
            needed.append(call)
    return needed[::-1]
