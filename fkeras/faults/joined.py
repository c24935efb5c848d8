"""Several protections of one memory: codes and copies of some cells each, and a check of what is read then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import combinations
from operator import or_

import numpy as np

from fkeras.errors import InputError
from fkeras.faults.checked_words import CheckedWords
from fkeras.faults.fault_models import Bits
from fkeras.faults.fault_set import FaultSet, SampleFlips
from fkeras.faults.protections import Protection, short
from fkeras.faults.upsets import Upsets
from fkeras.faults.word_codes import CodedWords
from fkeras.memory import BitSet


def mended_bits(protection: Protection) -> BitSet:
    """The bits that are mended in their cells, which a check's are not: it reads words differently."""
    parts = protection.parts if isinstance(protection, Joined) else (protection,)
    covered = [part.bits for part in parts if not isinstance(part, CheckedWords)]
    return reduce(or_, covered) if covered else BitSet(np.zeros(0, np.int64))


def _as_cells(part: Protection) -> Protection:
    """What a scrubber sees of a code: its cells, mended where they can be, whatever the network then computes with."""
    if isinstance(part, CodedWords):
        return replace(part, stated=replace(part.stated, on_detected="keep"))
    return part


@dataclass(frozen=True, eq=False)
class Joined:
    """Protections of the same memory; parts: those of cells, which cover none in common, and at most one check.

    Cells are mended first, and the check reads what is left. A word that a code found wrong and reads as 0 is 0
    whatever the check would make of it. A check's scrubber writes the cells that nothing else covers; one that scrubs
    from itself reads the others as they are mended then, before a scrub of theirs at the same time.
    """

    parts: tuple[Protection, ...]

    def __post_init__(self) -> None:
        if len([part for part in self.parts if isinstance(part, CheckedWords)]) > 1:
            names = " and ".join(part.name for part in self.parts if isinstance(part, CheckedWords))
            raise InputError(f"protected: {names} both say how words are read; keep one of them")
        for one, other in combinations(self._of_cells, 2):
            common = one.bits & other.bits
            if len(common):
                raise InputError(
                    f"protected: {one.name} and {other.name} both cover {len(common):,} bits, the first is bit "
                    f"{int(common.bits[0])}; take them out of one, as in other - first"
                )

    @cached_property
    def _check(self) -> CheckedWords | None:
        check = next((part for part in self.parts if isinstance(part, CheckedWords)), None)
        return None if check is None else replace(check, beside=tuple(map(_as_cells, self._of_cells)))

    @cached_property
    def _of_cells(self) -> tuple[Protection, ...]:
        return tuple(part for part in self.parts if not isinstance(part, CheckedWords))

    @cached_property
    def _mended_bits(self) -> BitSet:
        return mended_bits(self)

    @property
    def stated(self) -> tuple[object, ...]:
        """What was asked for."""
        return tuple(getattr(part, "stated", part) for part in self.parts)

    @cached_property
    def bits(self) -> BitSet:
        return reduce(or_, (part.bits for part in self.parts))

    @property
    def name(self) -> str:
        return " and ".join(part.name for part in self.parts)

    @property
    def extra_bits(self) -> int:
        return sum(part.extra_bits for part in self.parts)

    @property
    def is_perfect(self) -> bool:
        return all(part.is_perfect for part in self.parts)

    def residual(self, upsets: Upsets) -> FaultSet:
        check = self._check
        cells = upsets.faults if check is None else check.wrong_cells(upsets)
        cells, zeroed = self._mended(cells, upsets)
        if check is None:
            return replace(cells, set_to_0=np.union1d(cells.set_to_0, zeroed))
        read = check.read(cells, upsets)
        return replace(read.without(BitSet(zeroed)), set_to_0=zeroed)

    def _mended(self, cells: FaultSet, upsets: Upsets) -> tuple[FaultSet, Bits]:
        """The faults in the cells that nothing mends, and the bits of the words that codes read as 0."""
        outside = cells.without(self._mended_bits)
        flips, ones, zeros, zeroed = [outside.flips], [outside.set_to_1], [outside.set_to_0], [np.zeros(0, np.int64)]
        in_samples = [outside.in_samples]
        for part in self._of_cells:
            left, covered = part.residual(upsets), part.bits.bits
            flips.append(np.intersect1d(left.flips, covered))
            ones.append(np.intersect1d(left.set_to_1, covered))
            zeroed.append(np.setdiff1d(left.set_to_0, upsets.faults.set_to_0))
            in_samples.append(left.in_samples.where(np.isin(left.in_samples.bits, covered)))
        together = FaultSet(
            np.concatenate(flips),
            np.concatenate(ones),
            np.concatenate(zeros),
            upsets.space.layout_digest,
            SampleFlips(*(np.concatenate([getattr(p, name) for p in in_samples]) for name in ("samples", "bits"))),
        )
        words = BitSet(np.concatenate(zeroed))
        return together.without(words), words.bits

    @property
    def short(self) -> str:
        """A word for tables."""
        return ", ".join(short(part) for part in self.parts)

    def describe(self, n_bits: int) -> str:
        return "; ".join(part.describe(n_bits) for part in self.parts)
