"""Derivatives of a loss and of the outputs in the stored values, of whatever can be traced forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError, Name
from fkeras.faults import RandomStream
from fkeras.memory import BitSpace
from fkeras.metrics.inputs import take
from fkeras.network.derivatives import RegisterRead
from fkeras.sensitivity.losses import Arrays, Loss

CHUNK = 512
"""Samples per call: bounds the memory of the activations and their derivatives."""
MOST_SLOPES = 2**23
"""Slopes in registers that are held at once."""
PROBE_SAMPLES = 8
"""Samples that share one random probe of the outputs; fewer mean less variance and more calls."""

SlopesOf = Callable[[Arrays], Sequence[Arrays]]
"""outputs -> some sets of slopes in them."""
SlopesAlong = Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]
"""(outputs, their change) -> the slopes of a number in them, and the slopes' change."""
Measure = Callable[[RegisterRead], NDArray[np.float64]]
"""Numbers of a register's words or bits, summed over the samples that read it."""


class Differentiable(Protocol):
    """A model as a function of the stored values of a space, fault-free; roundings are passed straight through."""

    def outputs(self, inputs: Sequence[NDArray[Any]]) -> Arrays:
        """The outputs of some samples."""

    def pulled(self, inputs: Sequence[NDArray[Any]], slopes_of: SlopesOf) -> list[NDArray[np.float64]]:
        """J^T slopes for each set of slopes, (n_words,) each, summed over the samples."""

    def curved(
        self, inputs: Sequence[NDArray[Any]], direction: NDArray[np.float64], slopes_along: SlopesAlong
    ) -> NDArray[np.float64]:
        """The change of J^T slopes along a direction of the stored values, (n_words,), summed over the samples."""

    def reads(self, inputs: Sequence[NDArray[Any]], slopes_of: SlopesOf) -> Iterator[RegisterRead]:
        """Every register as a few of the samples read it, again and again until all have."""


class LossDerivatives:
    """Means over samples of the derivatives of a loss and of the outputs in theta.

    inputs: arrays in the order of the model's inputs; loss: None when only the outputs are differentiated.
    Every chunk is computed in float32, the sums over chunks in float64.
    """

    def __init__(
        self, model: Differentiable, space: BitSpace, inputs: Sequence[NDArray[Any]], loss: Loss | None
    ) -> None:
        self.space = space
        self.n_samples = int(inputs[0].shape[0])
        self.loss = "" if loss is None else loss.name
        self._model, self._inputs, self._loss = model, inputs, loss
        self._n_words = sum(tensor.size for tensor in space.tensors)

    def gradient(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """dL/dtheta, (n_words,) (paper, eq. 1), of the mean over the samples `rows` (all unless given)."""
        loss = self._required_loss()
        return self._mean(
            lambda inputs, targets: self._model.pulled(inputs, lambda outputs: [loss.slope(targets, outputs)])[0], rows
        )

    def hessian_vector_product(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """H v, (n_words,) (paper, eq. 2). InputError for a vector of another length."""
        direction, loss = np.asarray(vector, np.float64), self._required_loss()
        if direction.shape != (self._n_words,):
            raise InputError(
                f"a vector of shape {direction.shape}; allowed is ({self._n_words},), one number per stored word"
            )

        def product(inputs: Any, targets: Any) -> NDArray[np.float64]:
            return self._model.curved(
                inputs,
                direction,
                lambda outputs, change: (
                    loss.slope(targets, outputs),
                    loss.slope_along(targets, outputs, change),
                ),
            )

        return self._mean(product, None)

    def gauss_newton_diagonal(self, stream: RandomStream) -> NDArray[np.float64]:
        """The diagonal of the mean over samples of J^T C J, (n_words,); C: the loss's second derivatives in the
        outputs, taken as logits for a cross-entropy and as shares of mass for an EMD's surrogate.

        With random signs r on the outputs, (J^T r) x (J^T C r) has this diagonal as its mean. Unbiased; error as
        for `squared_jacobian_diagonal`.
        """
        loss = self._required_loss()

        def one_probe(inputs: Any, rows: slice, signs: Arrays) -> NDArray[np.float64]:
            targets = take(loss.targets, rows)

            def slopes(outputs: Arrays) -> Sequence[Arrays]:
                curved = loss.curvature(targets, outputs, signs)
                return [loss.unlinked(outputs, signs), loss.unlinked(outputs, curved)]

            along, curved = self._model.pulled(inputs, slopes)
            return along * curved

        return self._probed(stream, one_probe, loss.linked)

    def squared_jacobian_diagonal(self, stream: RandomStream) -> NDArray[np.float64]:
        """The diagonal of the mean over samples of J^T J, (n_words,); J: all outputs' derivatives in theta.

        Random signs r on the outputs of a few samples at a time: the square of the derivative of r . outputs has the
        sum over these samples as its mean. Unbiased; relative standard deviation about sqrt(2 x 8 / n_samples).
        """

        def one_probe(inputs: Any, rows: slice, signs: Arrays) -> NDArray[np.float64]:
            return np.square(self._model.pulled(inputs, lambda outputs: [signs])[0])

        return self._probed(stream, one_probe, lambda outputs: outputs)

    def loss_at_registers(self, measure: Measure, rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """The mean of a measure of each register and the loss's slopes in it, over the samples `rows` (all unless
        given); register by register."""
        loss = self._required_loss()
        return self._at_registers(measure, lambda targets, outputs: [loss.slope(targets, outputs)], rows)

    def probes_at_registers(self, measure: Measure, stream: RandomStream, curved: bool) -> NDArray[np.float64]:
        """The same with J^T r twice, r random signs on the outputs of each sample, or with J^T r and J^T C r."""

        def of_outputs(targets: Any, outputs: Arrays) -> Sequence[Arrays]:
            signs = tuple(_signs(stream, part.shape) for part in outputs)
            return [signs, signs]

        def of_loss(targets: Any, outputs: Arrays) -> Sequence[Arrays]:
            loss = self._required_loss()
            signs = tuple(_signs(stream, part.shape) for part in loss.linked(outputs))
            bent = loss.curvature(targets, outputs, signs)
            return [loss.unlinked(outputs, signs), loss.unlinked(outputs, bent)]

        return self._at_registers(measure, of_loss if curved else of_outputs, None)

    def _at_registers(
        self,
        measure: Measure,
        slopes_of: Callable[[Any, Arrays], Sequence[Arrays]],
        rows: NDArray[np.int64] | None,
    ) -> NDArray[np.float64]:
        sums: dict[str, NDArray[np.float64]] = {}
        n = self.n_samples if rows is None else len(rows)
        size = min(CHUNK, 1 + MOST_SLOPES // max(1, sum(register.size for register in self.space.registers)))
        for start in range(0, n, size):
            part = slice(start, min(start + size, n)) if rows is None else rows[start : start + size]
            targets = None if self._loss is None else take(self._loss.targets, part)
            inputs = [array[part] for array in self._inputs]
            for read in self._model.reads(inputs, partial(slopes_of, targets)):
                path = read.register.path
                sums[path] = sums.get(path, 0.0) + measure(read)
        return np.concatenate([np.zeros(0), *(sums[register.path] / n for register in self.space.registers)])

    def _probed(
        self,
        stream: RandomStream,
        one_probe: Callable[[Any, slice, Arrays], NDArray[np.float64]],
        link: Callable[[Arrays], Arrays],
    ) -> NDArray[np.float64]:
        """The mean over samples of what one probe of a few samples gives."""
        one_sample = link(self._model.outputs([array[:1] for array in self._inputs]))
        shapes = [output.shape[1:] for output in one_sample]
        total = np.zeros(self._n_words)
        for start in range(0, self.n_samples, PROBE_SAMPLES):
            rows = slice(start, start + PROBE_SAMPLES)
            inputs = [array[rows] for array in self._inputs]
            signs = tuple(_signs(stream, (inputs[0].shape[0], *shape)) for shape in shapes)
            total += one_probe(inputs, rows, signs)
        return total / self.n_samples

    def _mean(
        self, function: Callable[[Any, Any], NDArray[np.float64]], rows: NDArray[np.int64] | None
    ) -> NDArray[np.float64]:
        targets = self._required_loss().targets
        n = self.n_samples if rows is None else len(rows)
        total = np.zeros(self._n_words)
        for start in range(0, n, CHUNK):
            part = slice(start, start + CHUNK) if rows is None else rows[start : start + CHUNK]
            total += function([array[part] for array in self._inputs], take(targets, part))
        return total / n

    def _required_loss(self) -> Loss:
        if self._loss is None:
            data = Argument("data", Name("(x, y)"))
            raise InputError("these derivatives have no loss; pass ", data, ", and loss= if y does not suggest one")
        return self._loss


def _signs(stream: RandomStream, shape: Sequence[int]) -> NDArray[np.float32]:
    """Independent signs, each -1 or 1."""
    size = prod(shape)
    bits = np.unpackbits(stream.raw(-(-size // 64)).astype("<u8").view(np.uint8))[:size]
    return (1 - 2 * bits.astype(np.float32)).reshape(shape)
