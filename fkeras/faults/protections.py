"""Protection: which bits are covered, by what, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError
from fkeras.faults.fault_set import FaultSet
from fkeras.faults.upsets import Upsets
from fkeras.memory import BitSet, BitSpace


class Protection(Protocol):
    """Mends what upsets do to the bits that it covers, or some of it."""

    @property
    def bits(self) -> BitSet:
        """The covered bits."""
        ...

    @property
    def name(self) -> str:
        """What the field calls it."""
        ...

    @property
    def extra_bits(self) -> int:
        """Stored bits that the protection adds."""
        ...

    @property
    def is_perfect(self) -> bool:
        """Whether no upset, wherever it hits, ever makes a covered bit wrong."""
        ...

    def residual(self, upsets: Upsets) -> FaultSet:
        """The faults that the network computes with."""
        ...

    def describe(self, n_bits: int) -> str:
        """One line for reports."""
        ...


@dataclass(frozen=True, slots=True)
class AssumedImmune:
    """The paper's protection (section 4.3): covered bits never fail, whatever that costs.

    Arguments:
        bits: the covered bits, a `BitSet` or flat indices.
    """

    bits: BitSet

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", BitSet.of(self.bits))

    @property
    def name(self) -> str:
        return "assumed immune"

    @property
    def extra_bits(self) -> int:
        return 0

    @property
    def is_perfect(self) -> bool:
        return True

    def residual(self, upsets: Upsets) -> FaultSet:
        return upsets.faults.without(self.bits)

    def describe(self, n_bits: int) -> str:
        share = len(self.bits) / n_bits if n_bits else 0.0
        covered = f"{self.bits.label or 'bits'}: {len(self.bits):,} bits ({share:.1%})"
        return f"{covered} assumed immune{self.bits.origin_text}"


class Placed(Protocol):
    """A protection that must know the words of the memory first."""

    @property
    def bits(self) -> BitSet:
        """The covered bits."""
        ...

    def on(self, space: BitSpace) -> Protection:
        """The protection in this memory."""
        ...


Protectable = BitSet | Sequence[int] | NDArray[np.integer[Any]] | Protection | Placed | None


def protection(protected: Protectable, space: BitSpace) -> Protection:
    """Bare bits are assumed immune; None protects nothing. Bits of another layout are refused."""
    stated = covering(protected)
    space.require_layout(stated.bits.layout_digest, "the protected set")
    space.check(stated.bits.bits)
    placed: Protection = stated.on(space) if callable(getattr(stated, "on", None)) else stated
    return placed


def covering(protected: Any) -> Any:
    """What `protected` means before the memory is known. InputError where it is no bits and no protection."""
    if protected is None:
        return AssumedImmune(BitSet(np.zeros(0, np.int64), label="nothing"))
    if isinstance(protected, BitSet | Sequence | np.ndarray) and not isinstance(protected, str):
        try:
            return AssumedImmune(BitSet.of(protected))
        except TypeError as error:  # what numpy makes no number of
            raise InputError(Argument("protected", protected), f": {error}") from None
    covers = callable(getattr(protected, "residual", None)) or callable(getattr(protected, "on", None))
    if covers and isinstance(getattr(protected, "bits", None), BitSet):
        return protected
    raise InputError(
        Argument("protected", protected),
        ": allowed are bits (ranking[:k], flat indices) or a protection such as fkeras.TMR(ranking[:k])",
    )
