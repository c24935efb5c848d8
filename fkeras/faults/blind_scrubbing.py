"""Blind scrubbing: bits written anew from a good copy, wrong or not; nothing checks them, and no bit is added."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fkeras.errors import Argument, InputError
from fkeras.faults.fault_models import odd_ones
from fkeras.faults.fault_set import FaultSet
from fkeras.faults.scrubbing import Scrubbing
from fkeras.faults.upsets import Upsets
from fkeras.memory import BitSet


@dataclass(frozen=True, slots=True)
class BlindScrubbing:
    """The covered bits are written anew from a good copy at an interval, wrong or not, and read as they are.

    Hits of the last interval are left. The state judged is that at the end of the exposure, just before a scrub.

    Arguments:
        bits: the covered bits, a `BitSet` or flat indices.
        scrub_interval_seconds: how often, above 0.
    """

    bits: BitSet
    scrub_interval_seconds: float | None = None
    name: ClassVar[str] = "blind scrubbing"
    extra_bits: ClassVar[int] = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", BitSet.of(self.bits))
        object.__setattr__(self, "scrub_interval_seconds", self.scrubbing.seconds)
        if self.scrub_interval_seconds is None:
            raise InputError(
                "blind scrubbing is nothing but an interval: say how often bits are written anew, as in ",
                Argument("scrub_interval_seconds", 60),
            )

    @property
    def scrubbing(self) -> Scrubbing:
        """How often the bits are written anew, from a good copy."""
        return Scrubbing(self.scrub_interval_seconds)

    @property
    def is_perfect(self) -> bool:
        return not len(self.bits)

    def residual(self, upsets: Upsets) -> FaultSet:
        hits = upsets.hits_on(self.bits.bits, 1)
        is_left = upsets.intervals(hits.bit, hits.plane, hits.event, self.scrubbing) == 0
        others = np.setdiff1d(upsets.faults.flips, self.bits.bits)
        return replace(upsets.faults, flips=np.union1d(others, odd_ones(hits.bit[is_left])))

    def describe(self, n_bits: int) -> str:
        covered = f"{self.bits.label or 'bits'}: {len(self.bits):,} bits under blind scrubbing, no extra bit"
        return f"{covered}, {self.scrubbing}{self.bits.origin_text}"
