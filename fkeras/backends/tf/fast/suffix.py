"""From faulty states of one tensor to the model's outputs: only what lies downstream, many states a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.backends.tf.fast.exactness import Fact, is_rounding, quantizer_fact
from fkeras.backends.tf.fast.golden import Kernels, with_fixed_kernels
from fkeras.backends.tf.fast.graph import Call, Graph, Key
from fkeras.backends.tf.fast.matrices import as_matrix_products
from fkeras.backends.tf.setup import tensorflow
from fkeras.metrics.metric import Outputs

MOST_ROW_BYTES = 32 * 2**20
"""Bounds the activations of one call."""


class Suffix:
    """outputs(samples, channel values, channel): the model's outputs when one channel of `end` holds other values."""

    def __init__(self, model: Any, graph: Graph, end: Key, kernels: Kernels, floats_per_sample: int) -> None:
        self.calls = graph.downstream([end])
        made = {end, *(key for call in self.calls for key in call.outputs)}
        read = [key for call in self.calls for key in call.inputs] + list(graph.outputs)
        self.side = tuple(dict.fromkeys(key for key in read if key not in made))
        self.end = end
        self.rows = int(np.clip(MOST_ROW_BYTES // (4 * floats_per_sample), 16, 8192))
        self._graph = graph
        self._function = self._compile(model, kernels)

    def _compile(self, model: Any, kernels: Kernels) -> Callable[..., Any]:
        tf = tensorflow()
        products = as_matrix_products(self._graph, self.calls)

        def outputs(samples: Any, values: Any, channel: Any, golden: Any, side: Any) -> list[Any]:
            base = tf.gather(golden, samples)
            values = tf.reshape(values, [*base.shape[:-1], 1])
            tensors = {key: tf.gather(one, samples) for key, one in zip(self.side, side, strict=True)}
            tensors[self.end] = tf.where(tf.range(base.shape[-1]) == channel, values, base)
            with with_fixed_kernels(model, kernels, self.calls):
                self._graph.run(self.calls, tensors, products)
            return [tensors[key] for key in self._graph.outputs]

        compiled: Callable[..., Any] = tf.function(outputs, autograph=False, jit_compile=self._may_fuse())
        return compiled

    def _may_fuse(self) -> bool:
        """Whether a compiler may rewrite the operations: where all rounding is simple arithmetic on exact values."""
        return all(quantizer_fact(getattr(call.layer, "quantizer", None) or call.layer.activation,
                                  Fact(1.0, 1.0, True)) is not None for call in self.calls if is_rounding(call))

    def __call__(self, samples: NDArray[np.int32], values: NDArray[np.float32], channel: int,
                 golden: Mapping[Key, Any]) -> Outputs:
        """Outputs of at most `rows` states: samples (k,) of this chunk, values (k, positions) of the channel."""
        k = samples.size
        padded = np.zeros(self.rows, np.int32)
        padded[:k] = samples
        spread = np.zeros((self.rows, values.shape[1]), np.float32)
        spread[:k] = values
        outputs = [np.asarray(one)[:k] for one in self._function(
            padded, spread, np.int32(channel), golden[self.end], [golden[key] for key in self.side])]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)


def downstream_is_reproducible(graph: Graph, start: Call, facts: Mapping[Key, Fact]) -> bool:
    """Whether every quantizer that `start` can reach rounds reproducible values only."""
    return all(facts[key].reproducible for call in graph.downstream(start.outputs) if is_rounding(call)
               for key in call.inputs)
