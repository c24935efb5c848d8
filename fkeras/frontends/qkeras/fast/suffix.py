"""From faulty states of one tensor to the model's outputs: only what lies downstream, many states a call."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.frontends.qkeras.fast.channels import Ints
from fkeras.frontends.qkeras.fast.exactness import Fact, is_rounding, quantizer_fact
from fkeras.frontends.qkeras.fast.golden import Kernels, with_fixed_kernels
from fkeras.frontends.qkeras.fast.matrices import as_matrix_products
from fkeras.frontends.qkeras.graph import Call, Graph, Key
from fkeras.frontends.qkeras.setup import tensorflow, whole_float32
from fkeras.metrics.metric import Outputs

MOST_ROW_BYTES = 16 * 2**20
"""Bounds the largest activation of one call; a convolution's scratch space is some tens of times that."""
SMALLER = (64, 8, 1)
"""Calls for few states are compiled for this part of the most rows, so that they are not mostly padding."""


class Suffix:
    """The model's outputs when the tensor `end` holds something else for some samples."""

    def __init__(self, model: Any, graph: Graph, end: Key, kernels: Kernels) -> None:
        self.calls = graph.downstream([end])
        made = {end, *(key for call in self.calls for key in call.outputs)}
        read = [key for call in self.calls for key in call.inputs] + list(graph.outputs)
        self.side = tuple(dict.fromkeys(key for key in read if key not in made))
        self.end = end
        self.rows = int(np.clip(MOST_ROW_BYTES // (4 * floats_per_sample(graph, self.calls)), 16, 8192))
        self._graph = graph
        self._compile(model, kernels)

    def _compile(self, model: Any, kernels: Kernels) -> None:
        tf = tensorflow()
        products = as_matrix_products(self._graph, self.calls)
        model_of = weakref.ref(model)

        def outputs(ends: Any, side: Any) -> list[Any]:
            tensors = {self.end: ends, **dict(zip(self.side, side, strict=True))}
            with with_fixed_kernels(model_of(), kernels, self.calls):
                self._graph.run(self.calls, tensors, products)
            return [tensors[key] for key in self._graph.outputs]

        self._function = tf.function(outputs, autograph=False, jit_compile=self._may_fuse())
        self._by_rows: dict[int, Any] = {}

    def _compiled_for(self, ends: NDArray[np.float32], side: list[NDArray[Any]]) -> Any:
        """The function for this many rows; one of a few sizes, each compiled once."""
        spec = tensorflow().TensorSpec
        if len(ends) not in self._by_rows:
            given = spec(ends.shape, ends.dtype), [spec(part.shape, part.dtype) for part in side]
            self._by_rows[len(ends)] = self._function.get_concrete_function(*given)
        return self._by_rows[len(ends)]

    def _may_fuse(self) -> bool:
        """Whether a compiler may rewrite the operations: where all rounding is simple arithmetic on exact values."""
        return all(
            quantizer_fact(getattr(call.layer, "quantizer", None) or call.layer.activation, Fact(1.0, 1.0, True))
            is not None
            for call in self.calls
            if is_rounding(call)
        )

    def __call__(self, samples: Ints, ends: NDArray[np.float32], golden: Mapping[Key, Any]) -> Outputs:
        """Outputs for k states, at most `rows`: ends (k, ...) the end tensor, samples (k,) whose side inputs to use."""
        rows = next(size for part in SMALLER if (size := max(self.rows // part, 1)) >= samples.size)
        missing = rows - samples.size
        side = [np.asarray(golden[key])[np.pad(samples, (0, missing))] for key in self.side]
        padded = np.pad(ends, ((0, missing), *((0, 0),) * (ends.ndim - 1))) if missing else ends
        convert = tensorflow().convert_to_tensor
        with whole_float32():
            found = self._compiled_for(padded, side)(convert(padded), [convert(part) for part in side])
        outputs = [np.asarray(one)[: samples.size] for one in found]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)


def floats_per_sample(graph: Graph, calls: Sequence[Call]) -> int:
    """The size of the largest tensor that some calls read or write."""
    nest = tensorflow().nest
    shapes = [
        tensor.shape[1:] for call in calls for tensor in (*call.node.keras_inputs, *nest.flatten(call.node.outputs))
    ]
    return max((int(np.prod([size or 1 for size in shape])) for shape in shapes), default=1)


def downstream_is_reproducible(graph: Graph, start: Call, facts: Mapping[Key, Fact]) -> bool:
    """Whether every quantizer that `start` can reach rounds reproducible values only."""
    return all(
        facts[key].reproducible for call in graph.downstream(start.outputs) if is_rounding(call) for key in call.inputs
    )
