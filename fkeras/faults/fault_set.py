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
from fkeras.faults.register_patch import RegisterPatch
from fkeras.memory import BitSet, BitSpace
from fkeras.memory.bitset import common_layout

Bits = NDArray[np.int64]

_SEPARATOR = re.compile(r"[\s;]+|,(?![^\[]*\])")
_IN_A_SAMPLE = re.compile(r"(.*[\d])@(\d+)")


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

    def applied(self, space: BitSpace) -> NDArray[np.float32]:
        """The whole tensor with these values, in its shape; elements without a fault keep their own float32."""
        tensor = space.tensors[self.tensor]
        changed = tensor.golden.copy()
        changed[self.elements] = self.values
        return changed.reshape(tensor.shape)


def _distinct(bits: ArrayLike, what: str) -> Bits:
    indices = np.atleast_1d(np.asarray(bits))
    distinct = BitSet(indices).bits
    if distinct.size != indices.size:
        repeated = np.unique(indices, return_counts=True)
        first = int(repeated[0][repeated[1] > 1][0])
        raise InputError(f"{what}: bit {first} is named twice; name each bit once (two flips of one bit cancel)")
    return distinct


@dataclass(frozen=True, slots=True, eq=False)
class SampleFlips:
    """Bits that flip in the inference of one sample each, and are right in the next.

    Arguments:
        samples: (n,) the number of the sample within the data, from 0 up.
        bits: (n,) the flat index of the bit, one of a register. As attributes (n,) int64, ordered by sample, then bit.
    """

    samples: Bits = ()  # type: ignore[assignment]
    bits: Bits = ()  # type: ignore[assignment]

    def __post_init__(self) -> None:
        parts = [np.atleast_1d(np.asarray(getattr(self, name))) for name in ("samples", "bits")]
        for name, part in zip(("samples", "bits"), parts, strict=True):
            if part.size and (part.dtype.kind not in "iu" or part.ndim != 1 or part.min() < 0):
                raise InputError(f"{name} of flips in samples are whole numbers from 0 up, (n,); got {part!r}")
        samples, bits = (part.astype(np.int64) for part in parts)
        if samples.shape != bits.shape:
            raise InputError(f"{samples.size} samples and {bits.size} bits: each flip is of one bit in one sample")
        order = np.lexsort((bits, samples))
        samples, bits = samples[order], bits[order]
        twice = (np.diff(samples) == 0) & (np.diff(bits) == 0)
        if twice.any():
            first = int(np.flatnonzero(twice)[0])
            raise InputError(f"bit {bits[first]} flips twice in sample {samples[first]}; name each once")
        for name, part in (("samples", samples), ("bits", bits)):
            part.flags.writeable = False
            object.__setattr__(self, name, part)

    def __len__(self) -> int:
        return int(self.bits.size)

    def where(self, chosen: NDArray[np.bool_]) -> SampleFlips:
        """Some of them."""
        return SampleFlips(self.samples[chosen], self.bits[chosen])

    def __repr__(self) -> str:
        return f"fkeras.SampleFlips({self.samples.tolist()}, {self.bits.tolist()})"


@dataclass(frozen=True, slots=True, eq=False)
class FaultSet:
    """Bits that flip, or that are stuck and read 1 or 0 whatever was stored; and bits that flip for one sample only.

    Flat indices, (n,) int64 each, sorted, distinct. A stuck bit wins over a flip of the same bit. Those of registers
    are wrong in every sample.

    Arguments:
        flips: bits that read the opposite of what was stored.
        set_to_1: bits that read 1.
        set_to_0: bits that read 0; a bit in both is refused.
        layout_digest: the layout they belong to, None: unknown.
        in_samples: flips of register bits in the inference of one sample each.

    >>> FaultSet([12, 977]) ^ FaultSet([977, 3])
    FaultSet([3, 12])
    """

    flips: Bits = ()  # type: ignore[assignment]
    set_to_1: Bits = ()  # type: ignore[assignment]
    set_to_0: Bits = ()  # type: ignore[assignment]
    layout_digest: str | None = None
    in_samples: SampleFlips = SampleFlips()

    EMPTY: ClassVar[FaultSet]

    def __post_init__(self) -> None:
        for name in ("flips", "set_to_1", "set_to_0"):
            bits = getattr(self, name)
            if isinstance(bits, BitSet):
                object.__setattr__(self, "layout_digest", common_layout(self.layout_digest, bits.layout_digest))
            object.__setattr__(self, name, _distinct(bits, name))
        both = np.isin(self.set_to_1, self.set_to_0)
        if both.any():
            raise InputError(f"bit {int(self.set_to_1[both][0])} cannot be set to 1 and to 0; keep one of them")

    def __len__(self) -> int:
        """Number of bits that are wrong or stuck; one that flips for a sample counts once for each."""
        if not self.n_stuck:
            return int(self.flips.size) + len(self.in_samples)
        return int(np.union1d(np.union1d(self.flips, self.set_to_1), self.set_to_0).size) + len(self.in_samples)

    def _key(self) -> tuple[bytes, ...]:
        parts = (self.flips, self.set_to_1, self.set_to_0, self.in_samples.samples, self.in_samples.bits)
        return tuple(part.tobytes() for part in parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FaultSet) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    @property
    def digest(self) -> str:
        """SHA-256 of the bits: the same for equal fault sets on every machine."""
        content = "|".join(",".join(map(str, part.tolist())) for part in (self.flips, self.set_to_1, self.set_to_0))
        digest = hashlib.sha256(content.encode())
        if len(self.in_samples):
            for part in (self.in_samples.samples, self.in_samples.bits):
                digest.update(part.astype("<i8").tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        stuck = "".join(
            f", {name}={bits.tolist()}"
            for name, bits in (("set_to_1", self.set_to_1), ("set_to_0", self.set_to_0))
            if bits.size
        )
        samples = f", in_samples={self.in_samples!r}" if len(self.in_samples) else ""
        return f"FaultSet({self.flips.tolist()}{stuck}{samples})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        # IPython's protocol: hypothesis would print a dataclass field by field otherwise, which cannot be pasted.
        printer.text(repr(self))

    def __xor__(self, other: FaultSet) -> FaultSet:
        """Flips of one, then of the other: a bit flipped by both is right again."""
        if not isinstance(other, FaultSet):
            return NotImplemented
        if self.n_stuck or other.n_stuck or len(self.in_samples) or len(other.in_samples):
            raise InputError(
                "^ composes flips; these sets have stuck bits, or flips in samples: build one FaultSet of both instead"
            )
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
        in_samples = self.in_samples
        if len(in_samples):
            in_samples = in_samples.where(~np.isin(in_samples.bits, covered))
        return FaultSet(flips, set_to_1, set_to_0, self.layout_digest, in_samples)

    def text(self, space: BitSpace) -> str:
        """One line that `parse` reads: `address` flips, `address=1` and `address=0` are stuck, `address@17` flips in
        sample 17."""
        space.require_layout(self.layout_digest, "this fault set")
        suffixes = ((self.flips, ""), (self.set_to_1, "=1"), (self.set_to_0, "=0"))
        entries = [f"{space.address(bit)}{suffix}" for bits, suffix in suffixes for bit in bits.tolist()]
        pairs = zip(self.in_samples.bits.tolist(), self.in_samples.samples.tolist(), strict=True)
        return " ".join([*entries, *(f"{space.address(bit)}@{sample}" for bit, sample in pairs)])

    @classmethod
    def parse(cls, text: str, space: BitSpace) -> FaultSet:
        """Read `address`, `address=1`, `address=0`, `address@17`, separated by blanks, commas or semicolons.

        A flat index may stand for an address. InputError names the entry that cannot be read.
        """
        if not isinstance(text, str):
            raise InputError(f"{text!r} is no text; FaultSet([12, 977]) makes a set of flat indices")
        parts: dict[str, list[int]] = {"": [], "1": [], "0": []}
        pairs: list[tuple[int, int]] = []

        def bit_of(address: str) -> int:
            return int(space.check(int(address))[0]) if address.isdecimal() else space.index(address)

        for entry in filter(None, _SEPARATOR.split(text)):
            if in_a_sample := _IN_A_SAMPLE.fullmatch(entry):
                pairs.append((int(in_a_sample[2]), bit_of(in_a_sample[1])))
                continue
            address, _, value = entry.partition("=")
            if value not in parts or (entry.endswith("=")):
                raise InputError(
                    f"{entry!r} is not a fault; write an address to flip it, address=1 or address=0, or address@17 to "
                    "flip it in sample 17"
                )
            parts[value].append(bit_of(address))
        return cls(
            np.array(parts[""], np.int64),
            np.array(parts["1"], np.int64),
            np.array(parts["0"], np.int64),
            space.layout_digest,
            SampleFlips(*np.array(pairs, np.int64).reshape(-1, 2).T),
        )

    def patches(self, space: BitSpace) -> Iterator[Patch]:
        """The changed words, tensor by tensor; words that a stuck bit leaves as they are do not appear."""
        for number, elements, masks in self._masks(space):
            if number >= len(space.tensors):
                continue
            tensor = space.tensors[number]
            stored = tensor.words[elements]
            words = ((stored ^ masks[0]) | masks[1]) & ~masks[2]
            changed = words != stored
            if changed.any():
                elements, words = elements[changed], words[changed]
                yield Patch(number, elements, words, tensor.values_of(words, elements))

    def register_patches(self, space: BitSpace) -> Iterator[RegisterPatch]:
        """The words of registers that are changed, register by register, and registers that have limits."""
        place = space.locate(self.in_samples.bits)
        if (place.tensor < len(space.tensors)).any():
            bit = space.address(int(self.in_samples.bits[place.tensor < len(space.tensors)][0]))
            raise InputError(
                f"{bit} is stored, and a stored bit that flips stays wrong in all samples until it is written anew; "
                "only bits of registers flip for one sample"
            )
        if not space.registers:
            return
        in_every = {number: (elements, masks) for number, elements, masks in self._masks(space)}
        none = np.zeros(0, np.int64), np.zeros((3, 0), np.uint32)
        for number, register in enumerate(space.registers, len(space.tensors)):
            here = np.flatnonzero(place.tensor == number)
            if number not in in_every and not here.size and register.limits is None:
                continue
            words = self.in_samples.samples[here] * register.size + place.element[here]
            distinct, which = np.unique(words, return_inverse=True)
            flips = np.zeros(distinct.size, np.uint32)
            np.bitwise_xor.at(flips, which, place.mask[here])
            samples, elements = np.divmod(distinct, register.size)
            always, masks = in_every.get(number, none)
            yield RegisterPatch(register, always, masks[0], masks[1], masks[2], samples, elements, flips)

    def _masks(self, space: BitSpace) -> Iterator[tuple[int, Bits, NDArray[np.uint32]]]:
        """By number of an array, the words that are wrong in all samples, (m,), and which of their bits flip, read 1
        and read 0, (3, m)."""
        space.require_layout(self.layout_digest, "this fault set")
        kinds = self.flips, self.set_to_1, self.set_to_0
        place, kind = space.locate(np.concatenate(kinds)), np.repeat(np.arange(3), [bits.size for bits in kinds])
        mask_of = place.mask
        for number in np.flatnonzero(np.bincount(place.tensor)).tolist():  # np.unique takes ten times as long
            here = place.tensor == number
            elements = np.sort(place.element[here])
            elements = elements[np.diff(elements, prepend=-1) > 0]
            masks, which = np.zeros((3, elements.size), np.uint32), np.searchsorted(elements, place.element[here])
            np.bitwise_or.at(masks.reshape(-1), kind[here] * elements.size + which, mask_of[here])
            yield number, elements, masks


FaultSet.EMPTY = FaultSet()
