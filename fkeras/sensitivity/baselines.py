"""What earlier fault injectors would flip, and what they would then know: BinFI and StatFI on weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.faults import RandomStream
from fkeras.memory import BitSpace, TensorLayout
from fkeras.statistics import leveugle

Bits = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class BinFI:
    """One binary search per word for the bit below which flips do no harm.

    probes: (n_probes,) the bits flipped, in order; probe_ends: (n_words,) how many probes were spent when each word
    was done; predicted: (n_bits,) sensitive by a probe or, above the boundary, implied.
    """

    probes: Bits
    probe_ends: Bits
    predicted: Flags

    def false_negatives(self, sensitive: Flags) -> Bits:
        """Sensitive bits that the search calls harmless: words whose bits are not monotone; flat indices."""
        return np.flatnonzero(sensitive & ~self.predicted)

    def false_positives(self, sensitive: Flags) -> Bits:
        """Harmless bits that lie above a word's boundary; flat indices."""
        return np.flatnonzero(self.predicted & ~sensitive)

    def implied_steps(self, space: BitSpace) -> Iterator[tuple[int, Bits]]:
        """(flips spent, bits known to be sensitive or flipped so far in this word), word by word."""
        start = 0
        for (first, width), end in zip(_words(space), self.probe_ends.tolist(), strict=True):
            known = first + np.flatnonzero(self.predicted[first : first + width])
            yield end, np.union1d(known, self.probes[start:end])
            start = end


def binfi(space: BitSpace, sensitive: Flags) -> BinFI:
    """BinFI (Chen et al., SC 2019) applied to weights as in the paper's section 4.2.3.

    sensitive: (n_bits,) bool, what a flip of each bit would show; words are searched in the order of the space.
    A word of b bits costs at most log2(b + 1) probes, rounded up.
    """
    _require(space, sensitive)
    space.require_stored("BinFI")
    probes: list[int] = []
    ends: list[int] = []
    predicted = np.zeros(len(space), np.bool_)
    for first, width in _words(space):
        low, high = 0, width - 1
        while low <= high:
            middle = (low + high) // 2
            probes.append(first + middle)
            if sensitive[first + middle]:
                low = middle + 1
            else:
                high = middle - 1
        predicted[first : first + low] = True
        ends.append(len(probes))
    return BinFI(np.array(probes, np.int64), np.array(ends, np.int64), predicted)


@dataclass(frozen=True, slots=True, eq=False)
class StatFI:
    """Bits drawn per tensor and bit position. sampled: (n,) flat indices, top bits first."""

    sampled: Bits
    n_bits: int

    @property
    def unseen_fraction(self) -> float:
        """Share of the bits that are never flipped."""
        return 1 - self.sampled.size / self.n_bits

    def false_negatives(self, sensitive: Flags) -> Bits:
        """Sensitive bits that were never flipped; flat indices."""
        missed = sensitive.copy()
        missed[self.sampled] = False
        return np.flatnonzero(missed)


def statfi(
    space: BitSpace, *, data_aware: bool = False, margin: float = 0.01, t: float = 2.58, seed: int = 0
) -> StatFI:
    """StatFI (Ruospo et al., DATE 2023): Leveugle's sample size for every tensor, width of words and bit position.

    Drawn without replacement and listed from the top bit down, tensor by tensor. p = 0.5, or with `data_aware`
    p = 0.5 (2^i - 1) / (2^(b - 1) - 1) for the i-th bit from the bottom (i = 0: the LSB, never drawn) of b; a
    one-bit word has p = 0.5.
    """
    space.require_stored("StatFI")
    positions = space.bit_positions
    samples = [np.zeros(0, np.int64)]
    strata = [
        (number, width, bits)
        for number, tensor in enumerate(space.tensors)
        for width, bits in _by_width(tensor.layout, space.offsets[number])
    ]
    for position in range(max((width for _, width, _ in strata), default=0)):
        for number, width, bits in strata:
            if position >= width:
                continue
            candidates = bits[positions[bits] == position]
            place = width - 1 - position
            p = 0.5 * (2**place - 1) / (2 ** (width - 1) - 1) if data_aware and width > 1 else 0.5
            n = min(leveugle(candidates.size, margin, t=t, p=p), candidates.size) if p else 0
            widths = () if isinstance(space.tensors[number].layout.width, int) else (width,)
            stream = RandomStream("fkeras-statfi/1", seed, space.layout_digest, number, position, *widths)
            drawn = candidates[stream.distinct(n, candidates.size)]
            samples.append(drawn[np.argsort(stream.raw(n), kind="stable")])
    return StatFI(np.concatenate(samples), len(space))


def _words(space: BitSpace) -> Iterator[tuple[int, int]]:
    """(first flat bit, width) of every word that has bits."""
    for offset, tensor in zip(space.offsets.tolist(), space.tensors, strict=False):
        widths, elements = tensor.layout.widths, np.arange(tensor.size)
        for first, width in zip(tensor.layout.first(elements).tolist(), widths.tolist(), strict=True):
            if width:
                yield offset + first, width


def _by_width(layout: TensorLayout, offset: int) -> Iterator[tuple[int, Bits]]:
    """Each width of a tensor's words, and the flat bits of these words."""
    widths = layout.widths[layout.elements]
    for width in np.unique(widths).tolist():
        yield width, offset + np.flatnonzero(widths == width)


def _require(space: BitSpace, sensitive: Flags) -> None:
    if sensitive.shape != (len(space),) or sensitive.dtype != np.bool_:
        raise InputError(
            f"sensitive is {sensitive.dtype} of shape {sensitive.shape}; BinFI needs one bool for each of "
            f"the {len(space)} bits: measure an oracle over all of them"
        )
