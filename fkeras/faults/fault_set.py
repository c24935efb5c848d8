"""Fault sets: which stored bits are wrong, and how."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import InputError
from fkeras.memory import BitSet, BitSpace
from fkeras.memory.bitset import common_layout

Bits = NDArray[np.int64]

_SEPARATOR = re.compile(r"[\s;]+|,(?![^\[]*\])")


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The words of one tensor that a fault set changes.

    tensor: its number in the space; elements: (m,) int64, ascending; words: (m,) uint32, the faulty words;
    values: (m,) float32, what the network computes with instead.
    """

    tensor: int
    elements: Bits
    words: NDArray[np.uint32]
    values: NDArray[np.float32]


def _distinct(bits: ArrayLike, what: str) -> Bits:
    indices = np.atleast_1d(np.asarray(bits))
    distinct = BitSet(indices).bits
    if distinct.size != indices.size:
        repeated = np.unique(indices, return_counts=True)
        first = int(repeated[0][repeated[1] > 1][0])
        raise InputError(f"{what}: bit {first} is named twice; name each bit once (two flips of one bit cancel)")
    return distinct


@dataclass(frozen=True, slots=True, eq=False)
class FaultSet:
    """Stored bits that flip, or that are stuck and read 1 or 0 whatever was stored.

    Flat indices, (n,) int64 each, sorted, distinct. A stuck bit wins over a flip of the same bit.

    Arguments:
        flips: bits that read the opposite of what was stored.
        set_to_1: bits that read 1.
        set_to_0: bits that read 0; a bit in both is refused.
        layout_digest: the layout they belong to, None: unknown.

    >>> FaultSet([12, 977]) ^ FaultSet([977, 3])
    FaultSet([3, 12])
    """

    flips: Bits = ()  # type: ignore[assignment]
    set_to_1: Bits = ()  # type: ignore[assignment]
    set_to_0: Bits = ()  # type: ignore[assignment]
    layout_digest: str | None = None

    EMPTY: ClassVar[FaultSet]

    def __post_init__(self) -> None:
        for name in ("flips", "set_to_1", "set_to_0"):
            bits = getattr(self, name)
            if isinstance(bits, BitSet):
                object.__setattr__(self, "layout_digest", common_layout(self.layout_digest, bits.layout_digest))
            object.__setattr__(self, name, _distinct(bits, name))
        both = np.intersect1d(self.set_to_1, self.set_to_0)
        if both.size:
            raise InputError(f"bit {int(both[0])} cannot be set to 1 and to 0; keep one of them")

    def __len__(self) -> int:
        """Number of bits that are wrong or stuck."""
        if not self.n_stuck:
            return int(self.flips.size)
        return int(np.union1d(np.union1d(self.flips, self.set_to_1), self.set_to_0).size)

    def _key(self) -> tuple[bytes, bytes, bytes]:
        return self.flips.tobytes(), self.set_to_1.tobytes(), self.set_to_0.tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FaultSet) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    @property
    def digest(self) -> str:
        """SHA-256 of the bits: the same for equal fault sets on every machine."""
        content = "|".join(",".join(map(str, part.tolist())) for part in (self.flips, self.set_to_1, self.set_to_0))
        return hashlib.sha256(content.encode()).hexdigest()

    def __repr__(self) -> str:
        stuck = "".join(
            f", {name}={bits.tolist()}"
            for name, bits in (("set_to_1", self.set_to_1), ("set_to_0", self.set_to_0))
            if bits.size
        )
        return f"FaultSet({self.flips.tolist()}{stuck})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        # IPython's protocol: hypothesis would print a dataclass field by field otherwise, which cannot be pasted.
        printer.text(repr(self))

    def __xor__(self, other: FaultSet) -> FaultSet:
        """Flips of one, then of the other: a bit flipped by both is right again."""
        if not isinstance(other, FaultSet):
            return NotImplemented
        if self.n_stuck or other.n_stuck:
            raise InputError("^ composes flips; these sets have stuck bits: build one FaultSet with both instead")
        return FaultSet(
            np.setxor1d(self.flips, other.flips), layout_digest=common_layout(self.layout_digest, other.layout_digest)
        )

    @property
    def n_stuck(self) -> int:
        """Number of stuck bits."""
        return int(self.set_to_1.size + self.set_to_0.size)

    def without(self, bits: BitSet) -> FaultSet:
        """The faults that remain when `bits` are protected."""
        covered = bits.bits
        flips, set_to_1, set_to_0 = (
            np.setdiff1d(part, covered, assume_unique=True) for part in (self.flips, self.set_to_1, self.set_to_0)
        )
        return FaultSet(flips, set_to_1, set_to_0, self.layout_digest)

    def text(self, space: BitSpace) -> str:
        """One line that `parse` reads: `address` flips, `address=1` and `address=0` are stuck."""
        space.require_layout(self.layout_digest, "this fault set")
        return " ".join(
            f"{space.address(bit)}{suffix}"
            for bits, suffix in ((self.flips, ""), (self.set_to_1, "=1"), (self.set_to_0, "=0"))
            for bit in bits.tolist()
        )

    @classmethod
    def parse(cls, text: str, space: BitSpace) -> FaultSet:
        """Read `address`, `address=1`, `address=0`, separated by blanks, commas or semicolons.

        A flat index may stand for an address. InputError names the entry that cannot be read.
        """
        if not isinstance(text, str):
            raise InputError(f"{text!r} is no text; FaultSet([12, 977]) makes a set of flat indices")
        parts: dict[str, list[int]] = {"": [], "1": [], "0": []}
        for entry in filter(None, _SEPARATOR.split(text)):
            address, _, value = entry.partition("=")
            if value not in parts or (entry.endswith("=")):
                raise InputError(f"{entry!r} is not a fault; write an address to flip it, address=1 or address=0")
            parts[value].append(int(space.check(int(address))[0]) if address.isdecimal() else space.index(address))
        return cls(
            np.array(parts[""], np.int64),
            np.array(parts["1"], np.int64),
            np.array(parts["0"], np.int64),
            layout_digest=space.layout_digest,
        )

    def patches(self, space: BitSpace) -> Iterator[Patch]:
        """The changed words, tensor by tensor; words that a stuck bit leaves as they are do not appear."""
        space.require_layout(self.layout_digest, "this fault set")
        places = [space.locate(bits) for bits in (self.flips, self.set_to_1, self.set_to_0)]
        bits = [place.mask for place in places]
        for number in np.unique(np.concatenate([place.tensor for place in places])).tolist():
            tensor = space.tensors[number]
            here = [place.tensor == number for place in places]
            elements = np.unique(np.concatenate([p.element[h] for p, h in zip(places, here, strict=True)]))
            masks = np.zeros((3, elements.size), np.uint32)
            for mask, place, bit, within in zip(masks, places, bits, here, strict=True):
                np.bitwise_or.at(mask, np.searchsorted(elements, place.element[within]), bit[within])
            stored = tensor.words[elements]
            words = ((stored ^ masks[0]) | masks[1]) & ~masks[2]
            changed = words != stored
            if changed.any():
                elements, words = elements[changed], words[changed]
                yield Patch(number, elements, words, tensor.values_of(words, elements))


FaultSet.EMPTY = FaultSet()
