"""Golden activations: computed once per chunk of samples and reused for every fault."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.backends.tf.fast.graph import Call, Graph, Key
from fkeras.backends.tf.setup import tensorflow
from fkeras.backends.tf.slots import Slot
from fkeras.backends.tf.tracing import input_specs, replaced

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

        self.compute = tf.function(compute, input_signature=input_specs(model), autograph=False)


class GoldenTensors:
    """The golden values of chosen tensors for chunks of a data set."""

    def __init__(self, function: GoldenFunction, inputs: Sequence[NDArray[Any]], chunk: int) -> None:
        self._function, self._inputs, self._chunk = function, inputs, chunk

    def __call__(self, rows: slice) -> Mapping[Key, Any]:
        """By key, tensors of exactly `chunk` samples; those past the end of `rows` are padding."""
        missing = self._chunk - (rows.stop - rows.start)
        parts = [np.pad(array[rows], ((0, missing), *((0, 0),) * (array.ndim - 1))) for array in self._inputs]
        return dict(zip(self._function.keys, self._function.compute(*parts), strict=True))


def _upstream(graph: Graph, keys: Sequence[Key]) -> list[Call]:
    wanted, needed = set(keys), []
    for call in reversed(graph.calls):
        if wanted.intersection(call.outputs):
            wanted.update(call.inputs)
            needed.append(call)
    return needed[::-1]
