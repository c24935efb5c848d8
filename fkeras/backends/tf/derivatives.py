"""Derivatives of a model in its stored values, by automatic differentiation through the bypassed quantizers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.backends.tf.forward import forward_of, golden_values
from fkeras.backends.tf.losses import Loss
from fkeras.backends.tf.setup import tensorflow
from fkeras.errors import InputError
from fkeras.faults import RandomStream
from fkeras.memory import BitSpace

CHUNK = 512
"""Samples per call: bounds the memory of the activations and their derivatives."""
PROBE_SAMPLES = 8
"""Samples that share one random probe of the outputs; fewer mean less variance and more calls."""


class TensorFlowDerivatives:
    """Means over samples of the derivatives of a loss and of the outputs in theta.

    inputs: arrays in the order of the model's inputs; loss: None when only the outputs are differentiated.
    Every chunk is computed in float32, the sums over chunks in float64; each function is compiled once.
    """

    def __init__(self, model: Any, space: BitSpace, inputs: Sequence[NDArray[Any]], loss: Loss | None) -> None:
        self.space = space
        self.n_samples = int(inputs[0].shape[0])
        self.loss = "" if loss is None else loss.name
        self._inputs = inputs
        self._loss = loss
        self._forward = forward_of(model, space)
        self._shapes = [tensor.shape for tensor in space.tensors]
        self._theta = [tensorflow().constant(values) for values in golden_values(space)]

    def gradient(self) -> NDArray[np.float64]:
        """dL/dtheta, (n_words,) (paper, eq. 1)."""
        return self._mean(self._loss_gradient, [])

    def hessian_vector_product(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """H v, (n_words,) (paper, eq. 2). InputError for a vector of another length."""
        direction = np.asarray(vector)
        n_words = sum(tensor.size for tensor in self.space.tensors)
        if direction.shape != (n_words,):
            raise InputError(f"a vector of shape {direction.shape}; allowed is ({n_words},), one number per stored word")
        parts = np.split(direction.astype(np.float32), np.cumsum([tensor.size for tensor in self.space.tensors])[:-1])
        return self._mean(self._loss_curvature, [part.reshape(shape)
                                                 for part, shape in zip(parts, self._shapes, strict=True)])

    def squared_jacobian_diagonal(self, stream: RandomStream) -> NDArray[np.float64]:
        """The diagonal of the mean over samples of J^T J, (n_words,); J: all outputs' derivatives in theta.

        Random signs r on the outputs of a few samples at a time: the square of the derivative of r . outputs has the
        sum over these samples as its mean. Unbiased; relative standard deviation about sqrt(2 x 8 / n_samples).
        """
        shapes = [output.shape[1:] for output in self._forward([array[:1] for array in self._inputs], self._theta)]
        total = np.zeros(sum(tensor.size for tensor in self.space.tensors))
        for start in range(0, self.n_samples, PROBE_SAMPLES):
            inputs = [array[start:start + PROBE_SAMPLES] for array in self._inputs]
            signs = [_signs(stream, (inputs[0].shape[0], *shape)) for shape in shapes]
            total += np.square(_flat(self._signed_gradient(inputs, self._theta, signs)))
        return total / self.n_samples

    def _mean(self, function: Callable[..., Any], extra: Sequence[Any]) -> NDArray[np.float64]:
        if self._loss is None:
            raise InputError("these derivatives have no loss; pass data=(x, y), and loss= if y does not suggest one")
        total = np.zeros(sum(tensor.size for tensor in self.space.tensors))
        for start in range(0, self.n_samples, CHUNK):
            rows = slice(start, start + CHUNK)
            targets = self._loss.targets
            batch = tuple(part[rows] for part in targets) if isinstance(targets, tuple) else targets[rows]
            total += _flat(function([array[rows] for array in self._inputs], batch, self._theta, *([extra] if extra
                                                                                                    else [])))
        return total / self.n_samples

    def _total_loss(self, inputs: Any, targets: Any, values: Any) -> Any:
        assert self._loss is not None
        outputs = self._forward(inputs, values)
        return tensorflow().reduce_sum(self._loss.per_sample(targets, outputs[0] if len(outputs) == 1 else outputs))

    @cached_property
    def _loss_gradient(self) -> Any:
        tf = tensorflow()

        def gradient(inputs: Any, targets: Any, values: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(values)
                loss = self._total_loss(inputs, targets, values)
            return tape.gradient(loss, values, unconnected_gradients="zero")

        return tf.function(gradient, autograph=False, reduce_retracing=True)

    @cached_property
    def _loss_curvature(self) -> Any:
        tf = tensorflow()

        def product(inputs: Any, targets: Any, values: Any, vector: Any) -> Any:
            with tf.GradientTape() as outer:
                outer.watch(values)
                with tf.GradientTape() as inner:
                    inner.watch(values)
                    loss = self._total_loss(inputs, targets, values)
                slope = inner.gradient(loss, values, unconnected_gradients="zero")
                along = tf.add_n([tf.reduce_sum(part * tf.cast(direction, part.dtype))
                                  for part, direction in zip(slope, vector, strict=True)])
            return outer.gradient(along, values, unconnected_gradients="zero")

        return tf.function(product, autograph=False, reduce_retracing=True)

    @cached_property
    def _signed_gradient(self) -> Any:
        tf = tensorflow()

        def gradient(inputs: Any, values: Any, signs: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(values)
                outputs = self._forward(inputs, values)
                along = tf.add_n([tf.reduce_sum(output * tf.cast(sign, output.dtype))
                                  for output, sign in zip(outputs, signs, strict=True)])
            return tape.gradient(along, values, unconnected_gradients="zero")

        return tf.function(gradient, autograph=False, reduce_retracing=True)


def _signs(stream: RandomStream, shape: Sequence[int]) -> NDArray[np.float32]:
    """Independent signs, each -1 or 1."""
    size = prod(shape)
    bits = np.unpackbits(stream.raw(-(-size // 64)).astype("<u8").view(np.uint8))[:size]
    return (1 - 2 * bits.astype(np.float32)).reshape(shape)


def _flat(parts: Sequence[Any]) -> NDArray[np.float64]:
    return np.concatenate([part.numpy().astype(np.float64).reshape(-1) for part in parts])
