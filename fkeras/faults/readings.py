"""How the words of one tensor are read through what is known of it: limits, or a table with an entry per pattern.

A pattern is what the cells of a word hold; it is the word itself unless words are recoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError
from fkeras.faults.fault_set import Bits
from fkeras.memory import Codec, Float, WordTensor
from fkeras.memory.codecs import Values
from fkeras.memory.layout import Words
from fkeras.memory.tensor import Part

Outside = Literal["undo", "zero", "clamp"]
Per = Literal["tensor", "channel"]
WIDEST_TABLE = 16
"""Wider words have more patterns than a table can hold."""


class Reading(Protocol):
    """What the decoder in front of one tensor does."""

    @property
    def patterns(self) -> Words:
        """What the cells of each word hold, (size,)."""

    @property
    def constants(self) -> Words:
        """The words that the decoder itself consists of."""

    @property
    def constant_widths(self) -> Bits:
        """Bits of each of the constants."""

    @property
    def is_plain(self) -> bool:
        """Whether it reads every pattern as the word that it would be without a decoder."""

    def decode(self, patterns: Words, elements: Bits) -> Words:
        """The words that elements read as when their cells hold `patterns`; total."""

    def encode(self, words: Words, elements: Bits) -> tuple[Words, NDArray[np.bool_]]:
        """The patterns of words of elements, and whether there is one."""

    def with_constants(self, constants: Words) -> Reading:
        """The same decoder with other constants, as upsets leave them."""


@dataclass(frozen=True, slots=True, eq=False)
class TableReading:
    """A table: entry p is the word that pattern p reads as. placed: the pattern of each word, -1 for none."""

    patterns: Words
    constants: Words
    placed: NDArray[np.int64]

    @property
    def constant_widths(self) -> Bits:
        return np.full(self.constants.size, self.constants.size.bit_length() - 1)

    @property
    def is_plain(self) -> bool:
        return bool((self.constants == np.arange(self.constants.size)).all())

    def decode(self, patterns: Words, elements: Bits) -> Words:
        return self.constants[patterns]

    def encode(self, words: Words, elements: Bits) -> tuple[Words, NDArray[np.bool_]]:
        patterns = self.placed[words]
        return np.maximum(patterns, 0).astype(np.uint32), patterns >= 0

    def with_constants(self, constants: Words) -> TableReading:
        return replace(self, constants=constants)


def channels(tensor: WordTensor, part: Part, per: Per) -> Bits:
    """The channel of each word of a part, (n,), counted among those that it has words in; 0 for all per "tensor"."""
    if per == "tensor" or not tensor.shape or not part.elements.size:
        return np.zeros(part.elements.size, np.int64)
    channel = part.elements % tensor.shape[-1]
    number: Bits = np.cumsum(np.bincount(channel) > 0)[channel] - 1
    return number


@dataclass(frozen=True, slots=True, eq=False)
class RangeReading:
    """Two limits per channel: constants are the lower ones, then the upper ones; channel: of each element, (size,)."""

    patterns: Words
    constants: Words
    channel: NDArray[np.int64]
    codec: Codec
    outside: Outside

    @property
    def constant_widths(self) -> Bits:
        return np.full(self.constants.size, self.codec.width)

    @property
    def is_plain(self) -> bool:
        low, high = self._limits
        lowest, highest = extremes(self.codec)
        return bool((low <= lowest).all() and (high >= highest).all())

    @property
    def of_elements(self) -> tuple[Values, Values]:
        """The lower and the upper limit of each element, (size,)."""
        low, high = self._limits
        return low[self.channel], high[self.channel]

    @property
    def _limits(self) -> tuple[Values, Values]:
        low, high = np.split(self.codec.decode(self.constants), 2)
        return low, high

    def decode(self, patterns: Words, elements: Bits) -> Words:
        low, high = (limits[self.channel[elements]] for limits in self._limits)
        values = self.codec.decode(patterns)
        words, open_ = patterns.copy(), ~((values >= low) & (values <= high))  # NaN is outside, too
        if self.outside == "undo":
            for place in range(self.codec.width - 1, -1, -1):
                flipped = patterns ^ np.uint32(1 << place)
                values = self.codec.decode(flipped)
                back = open_ & (values >= low) & (values <= high)
                words[back] = flipped[back]
                open_ &= ~back
        if open_.any():
            instead = np.zeros(open_.sum())
            if self.outside == "clamp":
                instead = np.where(np.isnan(values[open_]), instead, values[open_])
            if self.outside != "zero":
                instead = np.clip(instead, low[open_], np.maximum(low[open_], high[open_]))
            words[open_] = nearest(self.codec, instead)
        return words

    def encode(self, words: Words, elements: Bits) -> tuple[Words, NDArray[np.bool_]]:
        return words, np.ones(words.shape, np.bool_)

    def with_constants(self, constants: Words) -> RangeReading:
        return replace(self, constants=constants)


@dataclass(frozen=True, slots=True, eq=False)
class MixedReading:
    """A decoder for each codec of a tensor's words; parts: the elements of each, and how these are read."""

    patterns: Words
    parts: tuple[tuple[Bits, Reading], ...]

    @classmethod
    def of(cls, tensor: WordTensor, readings: Sequence[Reading]) -> MixedReading:
        """The decoder of a tensor from those of its parts; words of no bits need none."""
        parts = tuple((part.elements, each) for part, each in zip(tensor.parts, readings, strict=True))
        patterns = tensor.words.copy()
        for elements, reading in parts:
            patterns[elements] = reading.patterns
        return cls(patterns, parts)

    @property
    def constants(self) -> Words:
        return np.concatenate([np.zeros(0, np.uint32), *(reading.constants for _, reading in self.parts)])

    @property
    def constant_widths(self) -> Bits:
        return np.concatenate([np.zeros(0, np.int64), *(reading.constant_widths for _, reading in self.parts)])

    @property
    def is_plain(self) -> bool:
        return all(reading.is_plain for _, reading in self.parts)

    @property
    def of_elements(self) -> tuple[Values, Values]:
        """The lower and the upper limit of each element, (size,); 0 for words of no bits."""
        limits = np.zeros((2, self.patterns.size))
        for elements, reading in self.parts:
            assert isinstance(reading, RangeReading)
            limits[:, elements] = reading.of_elements
        return limits[0], limits[1]

    def _shared(self, elements: Bits) -> Iterator[tuple[NDArray[np.bool_], Bits, Reading]]:
        """Which of the elements each part has, their numbers within it, and how they are read."""
        for members, reading in self.parts:
            place = np.minimum(np.searchsorted(members, elements), members.size - 1)
            mine = members[place] == elements
            if mine.any():
                yield mine, place[mine], reading

    def decode(self, patterns: Words, elements: Bits) -> Words:
        words = patterns.copy()
        for mine, place, reading in self._shared(elements):
            words[mine] = reading.decode(patterns[mine], place)
        return words

    def encode(self, words: Words, elements: Bits) -> tuple[Words, NDArray[np.bool_]]:
        patterns, has_pattern = words.copy(), np.ones(words.shape, np.bool_)
        for mine, place, reading in self._shared(elements):
            patterns[mine], has_pattern[mine] = reading.encode(words[mine], place)
        return patterns, has_pattern

    def with_constants(self, constants: Words) -> MixedReading:
        parts, start = [], 0
        for elements, reading in self.parts:
            end = start + reading.constants.size
            parts.append((elements, reading.with_constants(constants[start:end])))
            start = end
        return replace(self, parts=tuple(parts))


def plain_reading(tensor: WordTensor) -> RangeReading:
    """The decoder that is none: no word is outside."""
    codec = tensor.sole_codec
    return RangeReading(
        tensor.words, nearest(codec, np.array(extremes(codec))), np.zeros(tensor.size, np.int64), codec, "undo"
    )


def require_table(tensor: WordTensor, what: str) -> None:
    """InputError for words that are too wide for a table of all their patterns, and for floats."""
    width = tensor.layout.widest
    if isinstance(tensor.codec, Float):
        why = f"has words of {tensor.codec.name}, some of which are no numbers; allowed are other words of up to"
    elif width > WIDEST_TABLE:
        why = f"has {width}-bit words, whose table would have 2**{width} entries; allowed are words of up to"
    else:
        return
    raise InputError(
        f"{what}: tensor '{tensor.path}' {why} {WIDEST_TABLE} bits: use fkeras.RangeCheck, or leave the tensor out by ",
        Argument("layers"), " or ", Argument("biases")
    )  # fmt: skip


def extremes(codec: Codec) -> tuple[float, float]:
    """The least and the greatest value of a codec."""
    if isinstance(codec, Float):
        return -codec.largest, codec.largest
    if codec.width <= WIDEST_TABLE:
        values = codec.decode(np.arange(1 << codec.width, dtype=np.uint32))
        return float(values.min()), float(values.max())
    # Only fixed point is that wide: its ends are 100..0 and 011..1, or 0 and 11..1.
    top = 1 << (codec.width - 1)
    ends = codec.decode(np.array([top, top - 1, 0, 2 * top - 1], np.uint32))
    return float(ends.min()), float(ends.max())


def nearest(codec: Codec, values: Values) -> Words:
    """The word whose value is nearest to each of `values`, the lower one of two; words of equal value: the first.

    Floats have words for all values that are asked for.
    """
    if isinstance(codec, Float):
        return codec.encode(values)
    if codec.width > WIDEST_TABLE:
        low, high = extremes(codec)
        return codec.encode(np.clip(np.ceil(values / codec.step - 0.5) * codec.step, low, high))
    levels, words = np.unique(codec.decode(np.arange(1 << codec.width, dtype=np.uint32)), return_index=True)
    above = np.clip(np.searchsorted(levels, values), 1, levels.size - 1)
    is_above = levels[above] - values < values - levels[above - 1]
    return words[np.where(is_above, above, above - 1)].astype(np.uint32)


def steps_away(codec: Codec, words: Words, steps: int) -> Words:
    """The word so many values above (or below) each of `words`, the last one where there are not so many."""
    if isinstance(codec, Float):
        return _floats_away(codec, words, steps)
    values = codec.decode(words)
    if codec.width > WIDEST_TABLE:
        return nearest(codec, values + steps * codec.step)
    levels, first = np.unique(codec.decode(np.arange(1 << codec.width, dtype=np.uint32)), return_index=True)
    place = np.clip(np.searchsorted(levels, values) + steps, 0, levels.size - 1)
    return first[place].astype(np.uint32)


def _floats_away(codec: Float, words: Words, steps: int) -> Words:
    """Words of floats are in order but for the sign: magnitudes count up from 0 to infinity."""
    sign = np.int64(1) << (codec.width - 1)
    infinity = int(codec.encode(np.inf))
    wide = words.astype(np.int64)
    place = np.clip(np.where(wide & sign, -(wide & ~sign), wide) + steps, -infinity, infinity)
    shifted: Words = np.where(place < 0, sign - place, place).astype(np.uint32)
    return shifted
