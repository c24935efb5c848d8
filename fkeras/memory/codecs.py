"""Codecs: what the bits of one stored word mean.

A word is an unsigned integer of `width` bits, kept as uint32; bit 0 is the most significant bit. `decode` is
total: every one of the 2**width words has a value, also those that the quantizer never emits, because a fault
can reach them. `encode` is exact: a value off the grid is an error, never rounded.
Values are in units of the codec; a separate scale (QKeras' alpha) is a constant applied afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import InputError

Words = NDArray[np.uint32]
Values = NDArray[np.float64]

MAX_WIDTH = 32


class Codec(Protocol):
    """The meaning of one word."""

    @property
    def width(self) -> int:
        """Bits per word."""
        ...

    @property
    def step(self) -> float:
        """The grid that every value is a multiple of: a power of two."""
        ...

    @property
    def largest(self) -> float:
        """The largest magnitude that any word decodes to."""
        ...

    def decode(self, words: Words) -> Values:
        """The value of each word; total. Same shape, float64, exact."""
        ...

    def encode(self, values: ArrayLike) -> Words:
        """The word of each value. InputError for values that no word has."""
        ...


def _width_in_range(width: int, kind: str) -> None:
    if not 1 <= width <= MAX_WIDTH:
        raise InputError(f"{kind}: a word of {width} bits; allowed are 1 to {MAX_WIDTH}")


def _check_range(codes: Values, low: float, high: float, codec: Codec) -> None:
    wrong = ~((codes == np.rint(codes)) & (codes >= low) & (codes <= high))
    if wrong.any():
        first = float(codes[wrong].flat[0]) * codec.step
        raise InputError(
            f"{codec}: {int(wrong.sum())} value(s) have no word, the first is {first!r}; allowed are "
            f"multiples of {codec.step:g} from {low * codec.step:.12g} to {high * codec.step:.12g}"
        )


def _mask(width: int) -> int:
    return (1 << width) - 1


def _signed(words: NDArray[np.unsignedinteger[Any]], width: int) -> NDArray[np.int64]:
    wide = words.astype(np.int64)
    return wide - ((wide >> (width - 1)) << width)


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """Fixed point: two's complement when `signed`, plain binary otherwise.

    `integer` bits left of the point, the sign bit excluded, as in QKeras' `quantized_bits(width, integer)`;
    hls4ml calls the same signed word `fixed<width, integer + 1>`. The step is 2**(integer + signed - width).

    >>> FixedPoint(6, 0).decode(np.array([0b100000, 0b011111], dtype=np.uint32)).tolist()
    [-1.0, 0.96875]
    """

    width: int
    integer: int
    signed: bool = True

    def __post_init__(self) -> None:
        _width_in_range(self.width, "fixed point")

    @property
    def step(self) -> float:
        return float(2.0 ** (self.integer + self.signed - self.width))

    @property
    def largest(self) -> float:
        return self.step * (1 << (self.width - 1) if self.signed else _mask(self.width))

    def decode(self, words: Words) -> Values:
        codes = _signed(words, self.width) if self.signed else words.astype(np.int64)
        return np.multiply(codes, self.step, dtype=np.float64)

    def encode(self, values: ArrayLike) -> Words:
        codes = np.asarray(values, np.float64) / self.step
        low, high = (-(1 << (self.width - 1)), _mask(self.width - 1)) if self.signed else (0, _mask(self.width))
        _check_range(codes, low, high, self)
        return (codes.astype(np.int64) & _mask(self.width)).astype(np.uint32)


@dataclass(frozen=True, slots=True)
class Binary:
    """One bit: 1 is +1, 0 is -1."""

    @property
    def width(self) -> int:
        return 1

    @property
    def step(self) -> float:
        return 1.0

    @property
    def largest(self) -> float:
        return 1.0

    def decode(self, words: Words) -> Values:
        return np.where(words == 1, 1.0, -1.0)

    def encode(self, values: ArrayLike) -> Words:
        exact = np.asarray(values, np.float64)
        if not np.isin(exact, (-1.0, 1.0)).all():
            raise InputError("binary: a value has no word; allowed are -1 and +1")
        return (exact > 0).astype(np.uint32)


@dataclass(frozen=True, slots=True)
class Ternary:
    """Two bits, two's complement: 00 is 0, 01 is +1, 11 is -1; the fourth word, 10, reads +1 as in hls4ml."""

    @property
    def width(self) -> int:
        return 2

    @property
    def step(self) -> float:
        return 1.0

    @property
    def largest(self) -> float:
        return 1.0

    def decode(self, words: Words) -> Values:
        return np.array([0.0, 1.0, 1.0, -1.0])[words]

    def encode(self, values: ArrayLike) -> Words:
        codes = np.asarray(values, np.float64)
        _check_range(codes, -1, 1, self)
        return (codes.astype(np.int64) & 0b11).astype(np.uint32)


@dataclass(frozen=True, slots=True, repr=False)
class PowerOfTwo:
    """A sign bit (1 is negative), then width - 1 bits for the exponent: (-1)**sign * 2**exponent.

    largest_exponent: the code counts down from it (exponent = largest_exponent - spacing * code); None: the exponent is
    spacing times a two's-complement number. spacing: the distance of neighbouring exponents.

    >>> PowerOfTwo(3, largest_exponent=0).decode(np.array([0b000, 0b011, 0b101], dtype=np.uint32)).tolist()
    [1.0, 0.125, -0.5]
    """

    width: int
    largest_exponent: int | None = None
    spacing: int = 1

    def __post_init__(self) -> None:
        if not 2 <= self.width <= 8:
            raise InputError(f"power of two: a word of {self.width} bits; allowed are 2 to 8 (sign and exponent)")

    def __repr__(self) -> str:
        # Part of content digests: those of plain words stay what they were before there were others.
        top = "" if self.largest_exponent is None else f", largest_exponent={self.largest_exponent}"
        return f"PowerOfTwo(width={self.width}{top}{'' if self.spacing == 1 else f', spacing={self.spacing}'})"

    @property
    def _exponents(self) -> NDArray[np.int64]:
        """The exponent of every code; (2**(width - 1),)."""
        codes = np.arange(1 << (self.width - 1), dtype=np.uint32)
        if self.largest_exponent is None:
            return self.spacing * _signed(codes, self.width - 1)
        return self.largest_exponent - self.spacing * codes.astype(np.int64)

    @property
    def step(self) -> float:
        return float(2.0 ** self._exponents.min())

    @property
    def largest(self) -> float:
        return float(2.0 ** self._exponents.max())

    def decode(self, words: Words) -> Values:
        exponents = self._exponents[words & np.uint32(_mask(self.width - 1))]
        values: Values = np.where(words >> (self.width - 1) == 1, -1.0, 1.0) * np.exp2(exponents)
        return values

    def encode(self, values: ArrayLike) -> Words:
        exact = np.asarray(values, np.float64)
        mantissas, exponents = np.frexp(np.abs(exact))
        exponents = exponents.astype(np.int64) - 1
        known = self._exponents
        wrong = (mantissas != 0.5) | ~np.isin(exponents, known)
        if wrong.any():
            raise InputError(
                f"{self}: {int(wrong.sum())} value(s) have no word, the first is "
                f"{float(exact[wrong].flat[0])!r}; allowed are +-2**e with e from {known.min()} to {known.max()}"
                f"{'' if self.spacing == 1 else f' in steps of {self.spacing}'}"
            )
        order = np.argsort(known)
        codes = order[np.searchsorted(known[order], exponents)]
        return ((exact < 0).astype(np.int64) << (self.width - 1) | codes).astype(np.uint32)


CODECS = MappingProxyType({kind.__name__: kind for kind in (Binary, FixedPoint, PowerOfTwo, Ternary)})
"""Every codec, by the name that files give it."""
