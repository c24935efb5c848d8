"""A model as a differentiable function of its stored values, by TensorFlow, through the bypassed quantizers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, UnsupportedError
from fkeras.frontends.qkeras.forward import forward_of, golden_values
from fkeras.frontends.qkeras.setup import tensorflow
from fkeras.memory import BitSpace
from fkeras.network.derivatives import RegisterRead
from fkeras.sensitivity.derivatives import SlopesAlong, SlopesOf
from fkeras.sensitivity.losses import Arrays


class TensorFlowDerivatives:
    """Every call is computed in float32; each function is compiled once."""

    def __init__(self, model: Any, space: BitSpace) -> None:
        self._forward = forward_of(model, space)
        self._space = space
        self._theta = [tensorflow().constant(values) for values in golden_values(space)]

    def outputs(self, inputs: Sequence[NDArray[Any]]) -> Arrays:
        """The outputs of some samples."""
        return tuple(part.numpy() for part in self._forward(inputs, self._theta))

    def pulled(self, inputs: Sequence[NDArray[Any]], slopes_of: SlopesOf) -> list[NDArray[np.float64]]:
        """J^T slopes for each set of slopes in the outputs, summed over the samples."""
        return [_flat(self._pull(inputs, self._theta, _cast(parts))) for parts in slopes_of(self.outputs(inputs))]

    def reads(self, inputs: Sequence[NDArray[Any]], slopes_of: SlopesOf) -> Iterator[RegisterRead]:
        """UnsupportedError: only a network knows what its registers hold."""
        raise UnsupportedError(
            "registers are ranked by the derivatives of the model's network, which does not compute on these data what "
            "the model computes; rank by ", Argument("method", "msb"), " or ", Argument("method", "random"),
        )  # fmt: skip

    def curved(
        self, inputs: Sequence[NDArray[Any]], direction: NDArray[np.float64], slopes_along: SlopesAlong
    ) -> NDArray[np.float64]:
        """The change of J^T slopes along a direction of the stored values, summed over the samples."""
        sizes = np.cumsum([tensor.size for tensor in self._space.tensors])[:-1]
        vector = [
            part.reshape(tensor.shape)
            for part, tensor in zip(np.split(direction.astype(np.float32), sizes), self._space.tensors, strict=True)
        ]
        outputs = self.outputs(inputs)
        change = tuple(part.numpy() for part in self._pushed(inputs, self._theta, vector))
        slopes, their_change = slopes_along(outputs, change)
        of_outputs = self._bent(inputs, self._theta, vector, _cast(slopes))
        return _flat(of_outputs) + _flat(self._pull(inputs, self._theta, _cast(their_change)))

    @cached_property
    def _pull(self) -> Any:
        tf = tensorflow()

        def pull(inputs: Any, values: Any, slopes: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(values)
                outputs = self._forward(inputs, values)
            return tape.gradient(outputs, values, output_gradients=list(slopes), unconnected_gradients="zero")

        return tf.function(pull, autograph=False, reduce_retracing=True)

    @cached_property
    def _pushed(self) -> Any:
        """J vector: the transpose of the transpose."""
        tf = tensorflow()

        def push(inputs: Any, values: Any, vector: Any) -> Any:
            outputs = self._forward(inputs, values)
            some = [tf.zeros_like(part) for part in outputs]
            with tf.GradientTape() as outer:
                outer.watch(some)
                along = _along(self._pull(inputs, values, some), vector)
            return outer.gradient(along, some, unconnected_gradients="zero")

        return tf.function(push, autograph=False, reduce_retracing=True)

    @cached_property
    def _bent(self) -> Any:
        """The change of J^T slopes along the vector, at constant slopes."""
        tf = tensorflow()

        def bend(inputs: Any, values: Any, vector: Any, slopes: Any) -> Any:
            with tf.GradientTape() as outer:
                outer.watch(values)
                along = _along(self._pull(inputs, values, slopes), vector)
            return outer.gradient(along, values, unconnected_gradients="zero")

        return tf.function(bend, autograph=False, reduce_retracing=True)


def _along(parts: Any, vector: Any) -> Any:
    tf = tensorflow()
    return tf.add_n(
        [tf.reduce_sum(part * tf.cast(direction, part.dtype)) for part, direction in zip(parts, vector, strict=True)]
    )


def _cast(slopes: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
    return [np.asarray(part, np.float32) for part in slopes]


def _flat(parts: Sequence[Any]) -> NDArray[np.float64]:
    return np.concatenate([part.numpy().astype(np.float64).reshape(-1) for part in parts])
