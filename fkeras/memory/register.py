"""One register file: words that are written anew for every sample, such as a layer's activations or accumulators."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.memory.codecs import Codec, FixedPoint, MixedFixedPoint
from fkeras.memory.layout import Bits, Words
from fkeras.memory.tensor import WordArray

Registers = Literal["activations", "inputs", "outputs", "accumulators"]
REGISTERS: tuple[Registers, ...] = get_args(Registers)
_ON_GRID = 2.0**-8
"""So far from a step, in steps, a value may lie: float32 arrives at some quantized values by a rounding."""


@dataclass(frozen=True, eq=False)
class Limits:
    """Between which numbers words are read as they are; low, high: (size,), in units of the codec.

    outside: what others read as, "clamp" the nearer limit, "zero" 0.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    outside: Literal["clamp", "zero"]

    @cached_property
    def text(self) -> str:
        """What tells them from others."""
        digest = hashlib.sha256(np.stack([self.low, self.high]).astype("<f8").tobytes())
        return f"{self.outside} {digest.hexdigest()}"


@dataclass(frozen=True, eq=False)
class Register(WordArray):
    """The words in which one tensor of a network is held.

    path: unique name, `layer/activation`; shape: of one sample; codec: what a word means; memory: which of a chip's
    memories it belongs to; tensor: the network's tensor; scale: what a decoded word is multiplied with; quantizer: the
    node that makes the words of what stands there, "" where they stand there already; limits: those of a range check
    that all words are read through.
    """

    memory: Registers
    tensor: str
    scale: float = 1.0
    quantizer: str = ""
    limits: Limits | None = None

    @property
    def text(self) -> str:
        """What tells it from others of its layout."""
        codec = self.codec.digest if isinstance(self.codec, MixedFixedPoint) else repr(self.codec)
        limits = "" if self.limits is None else f"|{self.limits.text}"
        return f"{codec}|{self.scale!r}|{self.tensor}|{self.memory}|{self.quantizer}{limits}\n"

    @property
    def step(self) -> float:
        """The grid of everything that its words decode to."""
        return self.codec.step * self.scale

    @property
    def largest(self) -> float:
        """The largest magnitude that any word decodes to."""
        return self.codec.largest * self.scale

    def encode(self, values: NDArray[np.float32]) -> Words:
        """The words of one sample, (size,), whose values have words."""
        exact = values.astype(np.float64) / self.scale
        if isinstance(self.codec, FixedPoint | MixedFixedPoint):
            return _fixed_words(exact, self.codec)[0]
        return _level_words(exact, self.codec)

    @property
    def tolerance(self) -> float:
        """So far beyond a limit, in units of the codec, a number still is the limit."""
        return _ON_GRID * self.codec.step

    def checked(self, values: NDArray[np.float32], words: NDArray[np.float32]) -> NDArray[np.float32]:
        """What is read in place of `values` through the limits, (n, size) each; words: what the words mean."""
        if self.limits is None:
            return values
        exact, low, high = words.astype(np.float64) / self.scale, self.limits.low, self.limits.high
        inside = (exact >= low - self.tolerance) & (exact <= high + self.tolerance)
        if inside.all():
            return values
        instead = np.clip(exact, low, high) if self.limits.outside == "clamp" else np.zeros_like(exact)
        return np.where(inside, values, np.asarray(instead * self.scale, np.float32))

    def faulty(
        self, values: NDArray[np.float32], elements: Bits, flips: Words, ones: Words, zeros: Words
    ) -> NDArray[np.float32]:
        """What is read in place of `values` when bits of their words flip or are stuck; (n,) each.

        elements: their places; flips, ones, zeros: words whose bits say which. InputError for values that have no word.
        Only an accumulator may hold a sum beyond its words, under other faults: its upper part stays as it is.
        """
        exact = values.astype(np.float64) / self.scale
        codec = self.codec[elements] if isinstance(self.codec, MixedFixedPoint) else self.codec
        if not isinstance(codec, FixedPoint | MixedFixedPoint):
            words = _level_words(exact, codec)
            return np.asarray(codec.decode((words ^ flips | ones) & ~zeros) * self.scale, np.float32)
        words, codes, steps = _fixed_words(exact, codec)
        held = codec.decode(words)
        off = np.abs(exact / steps - codes) > _ON_GRID
        if self.memory != "accumulators":
            off |= held != codes * steps
        if off.any():
            raise InputError(
                f"register '{self.path}' holds words of {codec!r}, and {int(off.sum())} value(s) have none, the first "
                f"is {float(values[off][0])!r}; quantize the data to this format, or name another one by input_format"
            )
        read = codec.decode((words ^ flips | ones) & ~zeros)
        return np.asarray((codes * steps + (read - held)) * self.scale, np.float32)


def _level_words(exact: NDArray[np.float64], codec: Codec) -> Words:
    """The words of levels, which float32 may have missed by a rounding."""
    return codec.encode(np.where(np.abs(exact - np.rint(exact)) < _ON_GRID, np.rint(exact), exact))


def _fixed_words(
    exact: NDArray[np.float64], codec: FixedPoint | MixedFixedPoint
) -> tuple[Words, NDArray[np.float64], NDArray[np.float64]]:
    """The words of numbers, the steps that each number counts, and how large a step is."""
    width = np.asarray(codec.width, np.int64)
    steps = np.ldexp(1.0, np.asarray(codec.integer) + np.asarray(codec.signed) - width)
    codes: NDArray[np.float64] = np.rint(exact / steps)
    words: Words = (codes.astype(np.int64) & ((np.int64(1) << width) - 1)).astype(np.uint32)
    return words, codes, steps
