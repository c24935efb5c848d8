"""Prior work that adds no bit either, for fixed-point words: `free_protection --study prior` measures it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.faults import FaultSet
from fkeras.faults.checked_words import CheckedWords
from fkeras.faults.codes import count_ones
from fkeras.faults.readings import Reading, TableReading, plain_reading
from fkeras.faults.upsets import Upsets
from fkeras.faults.word_checks import WordCheck
from fkeras.memory import BitSpace, WordTensor

BLOCK = 8
"""Words of a codeword of in-place ECC."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SignMagnitude(WordCheck):
    """Words are stored as sign and magnitude; nothing is checked. Minus zero reads as the lowest word."""

    name = "sign and magnitude"
    rule = "words stored as sign and magnitude, without a check"

    def readings(self, space: BitSpace, sources: tuple[BitSpace, ...]) -> tuple[Reading, ...]:
        return tuple(
            _sign_magnitude(tensor) if is_signed(tensor) else plain_reading(tensor) for tensor in space.tensors
        )


def _sign_magnitude(tensor: WordTensor) -> Reading:
    sign = 1 << (tensor.codec.width - 1)
    words = np.arange(2 * sign)
    placed = np.where(words > sign, 3 * sign - words, words)  # an involution: minus m is 2**b - m
    return TableReading(placed[tensor.words].astype(np.uint32), placed.astype(np.uint32), placed)


def is_signed(tensor: WordTensor) -> bool:
    """Whether words are two's complement."""
    n = 1 << tensor.codec.width
    words = np.arange(n)
    values = tensor.codec.decode(words.astype(np.uint32))
    signed = np.where(words >= n // 2, words - n, words)
    return n > 2 and bool(np.array_equal(values * signed[1], signed * values[1]))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class EmbeddedParity(SignMagnitude):
    """The last bit of a word is the parity of the others; it reads as 0, and so does a word whose parity is wrong.

    Golden outputs change: the damage counts what the last bits were worth.
    """

    def on(self, space: BitSpace) -> CheckedWords:
        return _ParityCells(self, space, tuple(map(plain_reading, space.tensors)))


class _ParityCells(CheckedWords):
    def residual(self, upsets: Upsets) -> FaultSet:
        flipped = {patch.tensor: patch for patch in upsets.faults.patches(self.space)}
        wrong = []
        for number, tensor in enumerate(self.space.tensors):
            upper = tensor.words >> 1 << 1
            cells = upper | _parity(upper)
            if number in flipped:
                patch = flipped[number]
                cells[patch.elements] ^= patch.words ^ tensor.words[patch.elements]
            read = np.where(_parity(cells) == 0, cells >> 1 << 1, 0).astype(np.uint32)
            wrong.append(self.bits_of(number, np.arange(tensor.size), read ^ tensor.words))
        return FaultSet(np.concatenate(wrong), layout_digest=self.space.layout_digest)


def _parity(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return (count_ones(words) & 1).astype(np.uint32)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class InPlaceECC(SignMagnitude):
    """SECDED over eight words, its seven check bits in place of bits that small words do not need.

    A word is small where its two highest bits are alike: the second one is then read from the first. Blocks whose first
    seven words are not all small, and what is left over of a tensor, have no code.
    """

    def on(self, space: BitSpace) -> CheckedWords:
        return _InPlaceCells(self, space, tuple(map(plain_reading, space.tensors)))


class _InPlaceCells(CheckedWords):
    def residual(self, upsets: Upsets) -> FaultSet:
        flipped = {patch.tensor: patch for patch in upsets.faults.patches(self.space)}
        wrong = [np.zeros(0, np.int64)]
        for number, patch in flipped.items():
            tensor = self.space.tensors[number]
            flips = np.zeros(tensor.size, np.uint32)
            flips[patch.elements] = patch.words ^ tensor.words[patch.elements]
            coded = _coded(tensor)
            blocks = flips[: coded.size * BLOCK].reshape(-1, BLOCK)
            blocks[coded] = _decoded(blocks[coded], tensor.codec.width)
            wrong.append(self.bits_of(number, np.arange(tensor.size), flips))
        return FaultSet(np.concatenate(wrong), layout_digest=self.space.layout_digest)


def _coded(tensor: WordTensor) -> NDArray[np.bool_]:
    """Which blocks of a tensor have room for a code."""
    top = tensor.words >> np.uint32(max(0, tensor.codec.width - 2))
    small = (top == 0) | (top == 3) if is_signed(tensor) else np.zeros(tensor.size, np.bool_)
    return small[: tensor.size // BLOCK * BLOCK].reshape(-1, BLOCK)[:, :-1].all(axis=1)


def _decoded(flips: NDArray[np.uint32], width: int) -> NDArray[np.uint32]:
    """The bits of each word that are read wrongly, (n_blocks, 8), where those of `flips` are wrong in the cells."""
    places = np.arange(width - 1, -1, -1, dtype=np.uint32)
    cells = ((flips[..., None] >> places) & 1).astype(np.int64)
    odd = sorted((n for n in range(1, 128) if n.bit_count() % 2), key=int.bit_count)
    columns = np.zeros((BLOCK, width), np.int64)
    columns[:-1, 1] = odd[: BLOCK - 1]
    columns[columns == 0] = odd[BLOCK - 1 : BLOCK * width]
    syndrome = np.bitwise_xor.reduce(np.where(cells, columns, 0).reshape(-1, BLOCK * width), axis=1)
    cells ^= columns == syndrome[:, None, None]  # of none: two wrong cells, left as they are
    cells[:, :-1, 1] = cells[:, :-1, 0]
    read: NDArray[np.uint32] = (cells.astype(np.uint32) << places).sum(axis=-1, dtype=np.uint32)
    return read


def in_place_blocks(space: BitSpace) -> tuple[int, int]:
    """How many blocks have room for the code of in-place ECC, and how many there are."""
    coded = np.concatenate([_coded(tensor) for tensor in space.tensors])
    return int(coded.sum()), coded.size
