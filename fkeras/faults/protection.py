"""Protection: which bits are covered, by what, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.faults.fault_set import FaultSet
from fkeras.memory import BitSet, BitSpace


class Protection(Protocol):
    """Absorbs the faults on the bits that it covers."""

    @property
    def bits(self) -> BitSet:
        """The covered bits."""
        ...

    @property
    def extra_bits(self) -> int:
        """Stored bits that the protection adds."""
        ...

    def residual(self, faults: FaultSet) -> FaultSet:
        """The faults that get through: a subset of `faults`."""
        ...

    def describe(self, n_bits: int) -> str:
        """One line for reports."""
        ...


@dataclass(frozen=True, slots=True)
class AssumedImmune:
    """The paper's protection (section 4.3): covered bits never fail, whatever that costs."""

    bits: BitSet

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", BitSet.of(self.bits))

    @property
    def extra_bits(self) -> int:
        return 0

    def residual(self, faults: FaultSet) -> FaultSet:
        return faults.without(self.bits)

    def describe(self, n_bits: int) -> str:
        share = len(self.bits) / n_bits if n_bits else 0.0
        return f"{self.bits.label or 'bits'}: {len(self.bits):,} bits ({share:.1%}) assumed immune"


@dataclass(frozen=True, slots=True)
class TMR:
    """Triple modular redundancy: three copies of each covered bit and a majority vote.

    A fault in a fault set is one wrong copy, which the vote repairs. That the two further copies are hit too, and
    that two hits may meet in one triple, is not modelled; `describe` says so.
    """

    bits: BitSet

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", BitSet.of(self.bits))

    @property
    def extra_bits(self) -> int:
        return 2 * len(self.bits)

    def overhead(self, n_bits: int) -> float:
        """Extra bits as a share of the unprotected memory: 2.0 (the 200 %) when every bit is covered."""
        return self.extra_bits / n_bits if n_bits else 0.0

    def residual(self, faults: FaultSet) -> FaultSet:
        return faults.without(self.bits)

    def describe(self, n_bits: int) -> str:
        return (
            f"{self.bits.label or 'bits'}: {len(self.bits):,} bits under TMR, {self.extra_bits:,} extra bits "
            f"(overhead {self.overhead(n_bits):.1%}), hits on the copies not modelled"
        )


Protectable = BitSet | Sequence[int] | NDArray[np.integer[Any]] | Protection | None


def protection(protected: Protectable, space: BitSpace) -> Protection:
    """Bare bits are assumed immune; None protects nothing. Bits of another layout are refused."""
    if protected is None:
        return AssumedImmune(BitSet(np.zeros(0, np.int64), label="nothing"))
    if isinstance(protected, BitSet | Sequence | np.ndarray):
        chosen: Protection = AssumedImmune(BitSet.of(protected))
    elif callable(getattr(protected, "residual", None)) and isinstance(getattr(protected, "bits", None), BitSet):
        chosen = protected
    else:
        raise InputError(
            f"protected={protected!r}: allowed are bits (ranking[:k], flat indices) or a protection "
            "such as fkeras.TMR(ranking[:k])"
        )
    space.require_layout(chosen.bits.layout_digest, "the protected set")
    space.check(chosen.bits.bits)
    return chosen
