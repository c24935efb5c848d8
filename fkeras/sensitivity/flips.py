"""What each flip changes, to first and second order: a stored word by one step in all samples, a register by what its
word is in each sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from fkeras.faults import RandomStream
from fkeras.network.derivatives import RegisterRead
from fkeras.sensitivity.derivatives import LossDerivatives
from fkeras.sensitivity.positional import flip_steps, word_numbers

Values = NDArray[np.float64]


def loss_changes(derivatives: LossDerivatives, rows: NDArray[np.int64] | None = None) -> Values:
    """The mean over the samples `rows` (all unless given) of slope x step; (n_bits,)."""
    stored = _stored(derivatives, lambda: derivatives.gradient(rows), 1)
    return np.concatenate([stored, _of_registers(derivatives, lambda m: derivatives.loss_at_registers(m, rows))])


def displacements(derivatives: LossDerivatives, stream: RandomStream) -> Values:
    """The mean over samples of step^2 x the sum of the outputs' squared slopes; (n_bits,)."""
    stored = _stored(derivatives, lambda: derivatives.squared_jacobian_diagonal(stream), 2)
    probed = _of_registers(derivatives, lambda m: derivatives.probes_at_registers(m, stream, curved=False))
    return np.concatenate([stored, probed])


def curvatures(derivatives: LossDerivatives, stream: RandomStream) -> Values:
    """The mean over samples of step^2 x the diagonal of the Gauss-Newton matrix; (n_bits,)."""
    stored = _stored(derivatives, lambda: derivatives.gauss_newton_diagonal(stream), 2)
    probed = _of_registers(derivatives, lambda m: derivatives.probes_at_registers(m, stream, curved=True))
    return np.concatenate([stored, probed])


def word_slopes(derivatives: LossDerivatives) -> Values:
    """|dL/dtheta| of each word; of a register's, whose flips have another sign in each sample, the mean of |dL/dtheta|
    over the samples; (n_words,)."""
    stored = np.abs(derivatives.gradient()) if derivatives.space.tensors else np.zeros(0)
    return _with_words_of_registers(derivatives, stored, lambda read: np.abs(read.slopes[0], dtype=np.float64).sum(0))


def removals(derivatives: LossDerivatives, theta: Values) -> Values:
    """The change of the loss to first order when each word is 0, in all samples; (n_words,).

    theta: what the stored words are.
    """
    stored = derivatives.gradient() * theta if theta.size else np.zeros(0)
    return _with_words_of_registers(
        derivatives, stored, lambda read: (read.slopes[0] * read.change(np.zeros_like(read.values))).sum(0, np.float64)
    )


def _with_words_of_registers(
    derivatives: LossDerivatives, stored: Values, measure: Callable[[RegisterRead], Values]
) -> Values:
    if not derivatives.space.registers:
        return stored
    return np.concatenate([stored, derivatives.loss_at_registers(measure)])


def _stored(derivatives: LossDerivatives, of_words: Callable[[], Values], power: int) -> Values:
    space = derivatives.space
    steps = flip_steps(space)
    if not steps.size:
        return steps
    scores: Values = of_words()[word_numbers(space)[: steps.size]] * steps**power
    return scores


def _of_registers(derivatives: LossDerivatives, means: Callable[[Callable[[RegisterRead], Values]], Values]) -> Values:
    return means(_products) if derivatives.space.registers else np.zeros(0)


def _products(read: RegisterRead) -> Values:
    """The product of slope x step over the sets of slopes, summed over the samples; (n_bits,) of the register."""
    layout = read.register.layout
    sums = np.zeros(layout.n_bits)
    for elements, bits, change in _flips(read):
        product = np.ones_like(change)
        for slopes in read.slopes:
            product *= slopes * change
        sums[bits] = product.sum(axis=0)[elements]
    return sums


def _flips(read: RegisterRead) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Values]]:
    """For each bit position, the words that have it, their bits in the register, and what the flips of them all change,
    (n, size)."""
    register, (n, _) = read.register, read.values.shape
    widths = register.layout.widths
    for position in range(int(widths.max(initial=0))):
        elements = np.flatnonzero(widths > position)
        masks = np.left_shift(np.uint32(1), (widths[elements] - 1 - position).astype(np.uint32))
        none = np.zeros(n * elements.size, np.uint32)
        values = read.values.copy()
        held = values[:, elements].reshape(-1)
        faulty = register.faulty(held, np.tile(elements, n), np.tile(masks, n), none, none)
        values[:, elements] = faulty.reshape(n, -1)
        yield elements, register.layout.first(elements) + position, read.change(values).astype(np.float64)
