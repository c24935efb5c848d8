"""Protection: which bits are covered, by what, and at what cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from fkeras.faults.fault_set import FaultSet
from fkeras.faults.upsets import Upsets
from fkeras.memory import BitSet, BitSpace


class Protection(Protocol):
    """Mends what upsets do to the bits that it covers, or some of it."""

    @property
    def bits(self) -> BitSet:
        """The covered bits."""

    @property
    def name(self) -> str:
        """What the field calls it."""

    @property
    def extra_bits(self) -> int:
        """Stored bits that the protection adds."""

    @property
    def is_perfect(self) -> bool:
        """Whether no upset, wherever it hits, ever makes a covered bit wrong."""

    def residual(self, upsets: Upsets) -> FaultSet:
        """The faults that the network computes with; a word's depend on hits on its own cells alone."""

    def describe(self, n_bits: int) -> str:
        """One line for reports."""


@dataclass(frozen=True, slots=True)
class AssumedImmune:
    """The paper's protection (section 4.3): covered bits never fail, whatever that costs.

    Arguments:
        bits: the covered bits, a `BitSet` or flat indices.
    """

    bits: BitSet

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", BitSet.of(self.bits))

    name: ClassVar[str] = "assumed immune"
    extra_bits: ClassVar[int] = 0
    is_perfect: ClassVar[bool] = True

    def residual(self, upsets: Upsets) -> FaultSet:
        return upsets.faults.without(self.bits)

    def describe(self, n_bits: int) -> str:
        share = len(self.bits) / n_bits if n_bits else 0.0
        covered = f"{self.bits.label or 'bits'}: {len(self.bits):,} bits ({share:.1%})"
        return f"{covered} assumed immune{self.bits.origin_text}"


class Placed(Protocol):
    """A protection that must know the words of the memory first."""

    def on(self, space: BitSpace) -> Protection:
        """The protection in this memory."""


def short(protection: Protection) -> str:
    """What is protected and by what, for a table: its own `short`; bits by themselves are assumed immune."""
    own = getattr(protection, "short", None)
    if isinstance(own, str):
        return own
    bits = protection.bits
    if not len(bits):
        return "-"
    named = bits.label or f"{len(bits):,} bits"
    return named if isinstance(protection, AssumedImmune) else f"{protection.name}({named})"


def covered_bits(protection: Protection, space: BitSpace) -> BitSet:
    """The bits that it covers, those of registers that are read through limits among them."""
    limited = np.array([getattr(array, "limits", None) is not None for array in space.arrays], np.bool_)
    return protection.bits | BitSet(np.flatnonzero(np.repeat(limited, np.diff(space.offsets))), space.layout_digest)


def by_memory(protection: Protection, space: BitSpace) -> str:
    """How many bits of each memory it covers, "" where stored words are all that there is, or one kind of register."""
    kinds = list(dict.fromkeys(space.kinds))
    if not space.registers or len(kinds) == 1:
        return ""
    covered = covered_bits(protection, space).bits
    sizes = {kind: space.part(kind)[1] for kind in kinds}
    shares = (f"{np.isin(bits, covered).sum():,} of {bits.size:,} bits of {kind}" for kind, bits in sizes.items())
    return f"covers {', '.join(shares)}"


def described(protection: Protection, space: BitSpace) -> str:
    """One line about a protection of a memory."""
    return "; ".join(filter(None, (protection.describe(len(space)), by_memory(protection, space))))


def assumed_area(protection: Protection, n_bits: int) -> str:
    """What a protection takes where nobody measured it, "" for bits that are assumed immune."""
    if protection.is_perfect:
        return ""
    return f"area {protection.extra_bits / max(1, n_bits):+.1%}, assumed to be that of the extra bits"


def statement(protection: Protection, space: BitSpace) -> str:
    """One line about what is protected, "" for nothing; a check says so itself where it finds nothing to do."""
    return "" if short(protection) == "-" else described(protection, space)


def account(protection: Protection, space: BitSpace, area: str = "") -> str:
    """What is protected and what that takes, for reports; area: what is known of it, "" where nobody measured it."""
    said = (statement(protection, space), area or assumed_area(protection, len(space)))
    return "; ".join(filter(None, said)) or "none"
