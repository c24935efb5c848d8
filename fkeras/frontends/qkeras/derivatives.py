"""Derivatives of a model in its stored values, by automatic differentiation through the bypassed quantizers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError, Name
from fkeras.faults import RandomStream
from fkeras.frontends.qkeras.forward import forward_of, golden_values
from fkeras.frontends.qkeras.losses import Loss, Targets
from fkeras.frontends.qkeras.setup import tensorflow
from fkeras.memory import BitSpace
from fkeras.metrics.inputs import take

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
        self._n_words = sum(tensor.size for tensor in space.tensors)
        self._shapes = [tensor.shape for tensor in space.tensors]
        self._theta = [tensorflow().constant(values) for values in golden_values(space)]

    def gradient(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """dL/dtheta, (n_words,) (paper, eq. 1), of the mean over the samples `rows` (all unless given)."""
        return self._mean(self._loss_gradient, rows)

    def hessian_vector_product(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """H v, (n_words,) (paper, eq. 2). InputError for a vector of another length."""
        direction = np.asarray(vector)
        if direction.shape != (self._n_words,):
            raise InputError(
                f"a vector of shape {direction.shape}; allowed is ({self._n_words},), one number per stored word"
            )
        parts = np.split(direction.astype(np.float32), np.cumsum([tensor.size for tensor in self.space.tensors])[:-1])
        return self._mean(
            self._loss_curvature, None, [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]
        )

    def gauss_newton_diagonal(self, stream: RandomStream) -> NDArray[np.float64]:
        """The diagonal of the mean over samples of J^T C J, (n_words,); C: the loss's second derivatives in the
        outputs, taken as logits for a cross-entropy and as shares of mass for an EMD's surrogate.

        With random signs r on the outputs, (J^T r) x (J^T C r) has this diagonal as its mean. Unbiased; error as
        for `squared_jacobian_diagonal`.
        """
        loss = self._required_loss()

        def one_probe(inputs: Any, targets: Any, signs: Any) -> NDArray[np.float64]:
            along, curved = self._signed_products(inputs, targets, self._theta, signs)
            return _flat(along) * _flat(curved)

        return self._probed(stream, one_probe, loss.targets, lambda outputs: _linked(loss, outputs))

    def squared_jacobian_diagonal(self, stream: RandomStream) -> NDArray[np.float64]:
        """The diagonal of the mean over samples of J^T J, (n_words,); J: all outputs' derivatives in theta.

        Random signs r on the outputs of a few samples at a time: the square of the derivative of r . outputs has the
        sum over these samples as its mean. Unbiased; relative standard deviation about sqrt(2 x 8 / n_samples).
        """

        def one_probe(inputs: Any, targets: Any, signs: Any) -> NDArray[np.float64]:
            return np.square(_flat(self._signed_gradient(inputs, self._theta, signs)))

        return self._probed(stream, one_probe, self._inputs[0], lambda outputs: outputs)

    def _probed(
        self,
        stream: RandomStream,
        one_probe: Callable[..., NDArray[np.float64]],
        targets: Targets,
        link: Callable[[Any], Any],
    ) -> NDArray[np.float64]:
        """The mean over samples of what one probe of a few samples gives."""
        one_sample = link(self._forward([array[:1] for array in self._inputs], self._theta))
        shapes = [output.shape[1:] for output in one_sample]
        total = np.zeros(self._n_words)
        for start in range(0, self.n_samples, PROBE_SAMPLES):
            rows = slice(start, start + PROBE_SAMPLES)
            inputs = [array[rows] for array in self._inputs]
            signs = [_signs(stream, (inputs[0].shape[0], *shape)) for shape in shapes]
            total += one_probe(inputs, take(targets, rows), signs)
        return total / self.n_samples

    def _mean(
        self, function: Callable[..., Any], rows: NDArray[np.int64] | None, *extra: Sequence[Any]
    ) -> NDArray[np.float64]:
        targets = self._required_loss().targets
        n = self.n_samples if rows is None else len(rows)
        total = np.zeros(self._n_words)
        for start in range(0, n, CHUNK):
            part = slice(start, start + CHUNK) if rows is None else rows[start : start + CHUNK]
            total += _flat(function([array[part] for array in self._inputs], take(targets, part), self._theta, *extra))
        return total / n

    def _required_loss(self) -> Loss:
        if self._loss is None:
            data = Argument("data", Name("(x, y)"))
            raise InputError("these derivatives have no loss; pass ", data, ", and loss= if y does not suggest one")
        return self._loss

    def _total_loss(self, inputs: Any, targets: Any, values: Any) -> Any:
        outputs = self._forward(inputs, values)
        return tensorflow().reduce_sum(self._required_loss()(targets, outputs[0] if len(outputs) == 1 else outputs))

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
                along = tf.add_n(
                    [
                        tf.reduce_sum(part * tf.cast(direction, part.dtype))
                        for part, direction in zip(slope, vector, strict=True)
                    ]
                )
            return outer.gradient(along, values, unconnected_gradients="zero")

        return tf.function(product, autograph=False, reduce_retracing=True)

    @cached_property
    def _signed_gradient(self) -> Any:
        tf = tensorflow()

        def gradient(inputs: Any, values: Any, signs: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(values)
                outputs = self._forward(inputs, values)
                along = tf.add_n(
                    [
                        tf.reduce_sum(output * tf.cast(sign, output.dtype))
                        for output, sign in zip(outputs, signs, strict=True)
                    ]
                )
            return tape.gradient(along, values, unconnected_gradients="zero")

        return tf.function(gradient, autograph=False, reduce_retracing=True)

    @cached_property
    def _signed_products(self) -> Any:
        tf, loss = tensorflow(), self._required_loss()

        def products(inputs: Any, targets: Any, values: Any, signs: Any) -> Any:
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(values)
                outputs = _linked(loss, self._forward(inputs, values))
            with tf.GradientTape() as outer:
                outer.watch(outputs)
                with tf.GradientTape() as inner:
                    inner.watch(outputs)
                    given = outputs[0] if len(outputs) == 1 else outputs
                    total = tf.reduce_sum(loss.per_sample(targets, given))
                slope = inner.gradient(total, outputs, unconnected_gradients="zero")
                along = tf.add_n([tf.reduce_sum(part * sign) for part, sign in zip(slope, signs, strict=True)])
            curved = outer.gradient(along, outputs, unconnected_gradients="zero")
            return (
                tape.gradient(outputs, values, output_gradients=signs, unconnected_gradients="zero"),
                tape.gradient(outputs, values, output_gradients=curved, unconnected_gradients="zero"),
            )

        return tf.function(products, autograph=False, reduce_retracing=True)


def _linked(loss: Loss, outputs: tuple[Any, ...]) -> tuple[Any, ...]:
    linked = loss.link(outputs[0] if len(outputs) == 1 else outputs)
    return linked if isinstance(linked, tuple) else (linked,)


def _signs(stream: RandomStream, shape: Sequence[int]) -> NDArray[np.float32]:
    """Independent signs, each -1 or 1."""
    size = prod(shape)
    bits = np.unpackbits(stream.raw(-(-size // 64)).astype("<u8").view(np.uint8))[:size]
    return (1 - 2 * bits.astype(np.float32)).reshape(shape)


def _flat(parts: Sequence[Any]) -> NDArray[np.float64]:
    return np.concatenate([part.numpy().astype(np.float64).reshape(-1) for part in parts])
