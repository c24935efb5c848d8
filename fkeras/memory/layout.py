"""Where the bits of one tensor lie: its words one after the other, all of one width or each of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError, is_whole

Bits = NDArray[np.int64]
Words = NDArray[np.uint32]

MAX_WIDTH = 32
_WIDTHS = {str(width) for width in range(MAX_WIDTH + 1)}


@dataclass(frozen=True, eq=False)
class TensorLayout:
    """The path, the shape and the word widths of a tensor.

    width: bits of every word, or (size,) of each word in flatten order; one number again where these are all equal.
    A word of width 0 stores nothing.
    """

    path: str
    shape: tuple[int, ...]
    width: int | Bits

    def __post_init__(self) -> None:
        if isinstance(self.width, int):
            return
        widths = np.asarray(self.width, np.int64)
        if widths.shape != (self.size,):
            raise InputError(f"tensor '{self.path}': widths of shape {widths.shape}, expected ({self.size},)")
        if ((widths < 0) | (widths > MAX_WIDTH)).any():
            wrong = int(widths[(widths < 0) | (widths > MAX_WIDTH)][0])
            raise InputError(f"tensor '{self.path}': a word of {wrong} bits; allowed are 0 to {MAX_WIDTH}")
        is_uniform = bool((widths == widths[:1]).all())
        object.__setattr__(self, "width", int(widths.max(initial=0)) if is_uniform else widths)

    def _key(self) -> tuple[str, tuple[int, ...], int | bytes]:
        width = self.width
        return self.path, self.shape, width if isinstance(width, int) else width.tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorLayout) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        return f"'{self.path}' {self.shape} of {self.words_text}"

    @property
    def words_text(self) -> str:
        """How wide its words are, for messages."""
        if isinstance(self.width, int):
            return f"{self.width}-bit words"
        return f"words of {int(self.width.min())} to {self.widest} bits"

    @property
    def word_bits(self) -> int | str:
        """The width as a plain value, which `widths_of` reads: one number, or those of all words as a text."""
        return self.width if isinstance(self.width, int) else " ".join(map(str, self.width.tolist()))

    @property
    def size(self) -> int:
        """Number of words."""
        return prod(self.shape)

    @cached_property
    def n_bits(self) -> int:
        """Number of stored bits."""
        return self.size * self.width if isinstance(self.width, int) else int(self.width.sum())

    @cached_property
    def n_empty(self) -> int:
        """Words of width 0, which store nothing."""
        if isinstance(self.width, int):
            return 0 if self.width else self.size
        return int(np.count_nonzero(self.width == 0))

    @property
    def widest(self) -> int:
        """Bits of the widest word."""
        return self.width if isinstance(self.width, int) else int(self.width.max())

    @cached_property
    def widths(self) -> Bits:
        """Bits of each word, (size,)."""
        return np.broadcast_to(np.int64(self.width), self.size) if isinstance(self.width, int) else self.width

    @cached_property
    def _ends(self) -> Bits:
        """The bit after each word, (size,)."""
        return np.cumsum(self.widths)

    def first(self, elements: Any) -> Any:
        """The first bit of words, within the tensor; for an array one of each."""
        if isinstance(self.width, int):
            return elements * self.width
        return self._ends[elements] - self.width[elements]

    def locate(self, bits: Bits) -> tuple[Bits, Bits]:
        """The element, and the bit within its word, of each bit of the tensor."""
        if isinstance(self.width, int):
            element, bit = np.divmod(bits, max(1, self.width))
            return element, bit
        element = np.searchsorted(self._ends, bits, side="right").astype(np.int64)
        return element, bits - self.first(element)

    @property
    def elements(self) -> Bits:
        """The element that each bit belongs to, (n_bits,)."""
        return np.repeat(np.arange(self.size), self.width)

    @property
    def positions(self) -> Bits:
        """Each bit's place within its word, (n_bits,), 0 is the most significant."""
        if isinstance(self.width, int):
            return np.tile(np.arange(self.width), self.size)
        positions: Bits = np.arange(self.n_bits) - self.first(self.elements)
        return positions

    @property
    def masks(self) -> Words:
        """Each bit alone as a word, (n_bits,): a 1 in its place."""
        if isinstance(self.width, int):
            return np.tile(self._places(self.width), self.size)
        return np.uint32(1) << (self.width[self.elements] - 1 - self.positions).astype(np.uint32)

    @staticmethod
    def _places(width: int) -> Words:
        """Each bit of a word alone, the most significant first."""
        return np.uint32(1) << np.arange(width - 1, -1, -1, dtype=np.uint32)

    def words(self, flags: NDArray[np.bool_]) -> Words:
        """The words, (size,), whose bits are `flags`, (n_bits,)."""
        if isinstance(self.width, int):
            bits = flags.reshape(self.size, self.width) * self._places(self.width)
            words: Words = np.bitwise_or.reduce(bits, axis=1)
        else:
            words = np.bincount(self.elements, self.masks * flags, self.size).astype(np.uint32)
        return words

    def flags(self, words: Words) -> NDArray[np.bool_]:
        """Whether each bit of words, (size,), is 1; (n_bits,)."""
        if isinstance(self.width, int):
            flags: NDArray[np.bool_] = ((words[:, None] & self._places(self.width)) != 0).reshape(-1)
        else:
            flags = (words[self.elements] & self.masks) != 0
        return flags


def widths_of(word_bits: Any, size: int) -> int | Bits | None:
    """The width, or the widths, of so many words from a file; None for what is no `word_bits` of them."""
    if is_whole(word_bits, 0, MAX_WIDTH):
        return int(word_bits)
    texts = word_bits.split(" ") if isinstance(word_bits, str) else []
    if not texts or len(texts) != size or not set(texts) <= _WIDTHS:
        return None
    return np.array(texts, np.int64)


def layout_digest(tensors: Iterable[TensorLayout]) -> str:
    """SHA-256 of the path, shape and word widths in bits of each tensor."""
    digest = hashlib.sha256(b"fkeras-layout/1")
    for tensor in tensors:
        width = tensor.width
        width_text = str(width) if isinstance(width, int) else ",".join(map(str, width.tolist()))
        digest.update(f"{tensor.path}|{tensor.shape}|{width_text}\n".encode())
    return digest.hexdigest()
