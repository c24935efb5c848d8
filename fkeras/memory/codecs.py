"""Codecs: what the bits of one stored word mean.

A word is an unsigned integer of `width` bits, kept as uint32; bit 0 is the most significant bit. `decode` is
total: every one of the 2**width words has a value, also those that the quantizer never emits, because a fault
can reach them. `encode` is exact: a value off the grid is an error, never rounded.
Values are in units of the codec; a separate scale (QKeras' alpha) is a constant applied afterwards.
The words of one tensor have one codec, or are fixed point, each of its own format: `MixedFixedPoint`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import InputError, one_of
from fkeras.memory.layout import MAX_WIDTH, Bits, Words

Values = NDArray[np.float64]

_LARGEST = float(np.finfo(np.float32).max)


class Codec(Protocol):
    """The meaning of one word."""

    @property
    def width(self) -> int:
        """Bits per word."""

    @property
    def step(self) -> float:
        """The grid that every value is a multiple of: a power of two."""

    @property
    def largest(self) -> float:
        """The largest magnitude that any word decodes to."""

    def decode(self, words: Words) -> Values:
        """The value of each word; total. Same shape, float64, exact."""

    def encode(self, values: ArrayLike) -> Words:
        """The word of each value. InputError for values that no word has."""


def bounded(values: Values) -> Values:
    """Infinities and NaN, which words of floats may mean, as the largest float32."""
    return np.nan_to_num(values, nan=_LARGEST, posinf=_LARGEST, neginf=-_LARGEST)


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

    width: ClassVar[int] = 1
    step: ClassVar[float] = 1.0
    largest: ClassVar[float] = 1.0

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

    width: ClassVar[int] = 2
    step: ClassVar[float] = 1.0
    largest: ClassVar[float] = 1.0

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


FloatName = Literal["float32", "float16", "bfloat16"]
_FLOATS: dict[str, tuple[Any, Any, int]] = {
    "float32": (np.uint32, np.float32, 0),
    "float16": (np.uint16, np.float16, 0),
    "bfloat16": (np.uint32, np.float32, 16),
}
"""The words and numbers of numpy that hold each, and how many low bits of these it lacks."""


@dataclass(frozen=True, slots=True)
class Float:
    """IEEE 754 words: a sign bit, then the exponent, then the mantissa; bfloat16 is the upper half of a float32.

    Words of infinity and NaN decode to these.

    >>> Float("float16").decode(np.array([0x3C00, 0xBC00, 0x7C00, 0x7E00], dtype=np.uint32)).tolist()
    [1.0, -1.0, inf, nan]
    """

    name: FloatName

    def __post_init__(self) -> None:
        one_of("name", self.name, get_args(FloatName))

    @property
    def width(self) -> int:
        return 32 if self.name == "float32" else 16

    @property
    def step(self) -> float:
        return float(self.decode(np.ones(1, np.uint32))[0])

    @property
    def largest(self) -> float:
        return float("inf")

    def decode(self, words: Words) -> Values:
        held, number, missing = _FLOATS[self.name]
        with np.errstate(invalid="ignore"):  # of a signalling NaN
            values: Values = (words << missing).astype(held).view(number).astype(np.float64)
        return values

    def encode(self, values: ArrayLike) -> Words:
        held, number, missing = _FLOATS[self.name]
        exact = np.asarray(values, np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            words: Words = exact.astype(number).view(held).astype(np.uint32) >> missing
            wrong = ~np.isnan(exact) & (self.decode(words) != exact)
        if wrong.any():
            raise InputError(
                f"{self}: {int(wrong.sum())} value(s) have no word, the first is {float(exact[wrong].flat[0])!r}; "
                f"round them to {self.name} first"
            )
        return words


@dataclass(frozen=True, eq=False, repr=False)
class MixedFixedPoint:
    """Fixed point where each word of a tensor has a format of its own, as HGQ2 trains them.

    width, integer, signed: as of `FixedPoint`, an array each with an entry per word in flatten order. A word of width 0
    stores nothing and means 0.

    >>> mixed = MixedFixedPoint(width=[3, 0, 2], integer=[0, 0, 2], signed=[True, False, False])
    >>> mixed.encode([-0.75, 0.0, 3.0]).tolist(), mixed
    ([5, 0, 3], <fixed point of 2 formats, 0 to 3 bits, sha aa0e0227>)
    """

    width: Bits
    integer: Bits
    signed: NDArray[np.bool_]

    def __post_init__(self) -> None:
        parts = np.broadcast_arrays(self.width, self.integer, self.signed)
        for name, part in zip(("width", "integer", "signed"), parts, strict=True):
            if part.dtype.kind not in "biuf" or not (part == np.rint(part)).all():
                raise InputError(f"fixed point: {name} holds what is no whole number; round what was trained first")
        width, integer, signed = (np.array(part, np.int64).reshape(-1) for part in parts)
        wrong = (width < 0) | (width > MAX_WIDTH)
        if wrong.any():
            raise InputError(f"fixed point: a word of {int(width[wrong][0])} bits; allowed are 0 to {MAX_WIDTH}")
        integer[width == 0] = signed[width == 0] = 0
        for name, array in (("width", width), ("integer", integer), ("signed", signed != 0)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __reduce__(self) -> tuple[type[MixedFixedPoint], tuple[object, ...]]:
        return MixedFixedPoint, (self.width, self.integer, self.signed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MixedFixedPoint) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    @cached_property
    def _content(self) -> bytes:
        return b"".join(array.astype("<i8").tobytes() for array in (self.width, self.integer, self.signed))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the format of every word."""
        return hashlib.sha256(self._content).hexdigest()

    def __repr__(self) -> str:
        return f"<fixed point of {len(self.formats)} formats, {self.text}, sha {self.digest[:8]}>"

    @property
    def text(self) -> str:
        """How wide its words are."""
        return f"{int(self.width.min(initial=MAX_WIDTH))} to {int(self.width.max(initial=0))} bits"

    def __len__(self) -> int:
        """Number of words."""
        return int(self.width.size)

    def __getitem__(self, elements: Bits) -> MixedFixedPoint:
        return MixedFixedPoint(self.width[elements], self.integer[elements], self.signed[elements])

    @cached_property
    def formats(self) -> tuple[tuple[FixedPoint, Bits], ...]:
        """Each format that has bits, narrow ones first, with the elements that have it, ascending."""
        rows, number = np.unique(np.stack([self.width, self.integer, self.signed]), axis=1, return_inverse=True)
        by_format = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
        return tuple(
            (FixedPoint(width, integer, bool(signed)), elements)
            for (width, integer, signed), elements in zip(rows.T.tolist(), by_format, strict=True)
            if width
        )

    @cached_property
    def _steps(self) -> Values:
        """The grid of each word, (n,)."""
        steps: Values = np.ldexp(1.0, self.integer + self.signed - self.width)
        return steps

    @cached_property
    def step(self) -> float:
        """The grid that the values of all words are multiples of."""
        return float(self._steps[self.width > 0].min(initial=1.0))

    @cached_property
    def largest(self) -> float:
        return max((codec.largest for codec, _ in self.formats), default=0.0)

    def decode(self, words: Words) -> Values:
        """The value of each word, (n,)."""
        wide = words.astype(np.int64)
        codes = np.where(self.signed & (wide >> np.maximum(self.width - 1, 0) == 1), wide - (1 << self.width), wide)
        values: Values = codes * self._steps
        return values

    def encode(self, values: ArrayLike) -> Words:
        """The word of each value, (n,). InputError for values that no word of their own format has."""
        exact = np.asarray(values, np.float64).reshape(-1)
        codes, top = exact / self._steps, np.ldexp(1.0, self.width - self.signed)
        wrong = ~((codes == np.rint(codes)) & (codes >= np.where(self.signed, -top, 0)) & (codes < top))
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            low, high = (-top[first] if self.signed[first] else 0.0), top[first] - 1
            allowed = (
                f"multiples of {self._steps[first]:g} from {low * self._steps[first]:.12g} to "
                f"{high * self._steps[first]:.12g}"
                if self.width[first]
                else "0, as its width is 0"
            )
            raise InputError(
                f"{self!r}: {int(wrong.sum())} value(s) have no word, the first is {float(exact[first])!r}, element "
                f"{first}; allowed there are {allowed}"
            )
        return (codes.astype(np.int64) & ((1 << self.width) - 1)).astype(np.uint32)


_KINDS = (Binary, FixedPoint, Float, MixedFixedPoint, PowerOfTwo, Ternary)
CODECS = MappingProxyType({kind.__name__: kind for kind in _KINDS})
"""Every codec, by the name that files give it."""
