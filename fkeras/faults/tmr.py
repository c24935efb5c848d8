"""Triple modular redundancy: three copies of each covered bit, all of them hit, and a majority vote."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fkeras.faults.fault_models import BitErrorRate, Bits, Exposure, FaultModel, FlipCount, odd_ones
from fkeras.faults.fault_set import FaultSet, SampleFlips
from fkeras.faults.scrubbing import Scrubbing, ScrubFrom
from fkeras.faults.upsets import Hits, Upsets
from fkeras.memory import BitSet


@dataclass(frozen=True, slots=True)
class TMR:
    """Three copies of each covered bit and a majority vote.

    The two further copies are hit at the same rate per cell as the memory. A bit is wrong when two of its copies are
    wrong at once; two hits on one copy undo one another. The state judged is that at the end of the exposure, just
    before a scrub.

    Arguments:
        bits: the covered bits, a `BitSet` or flat indices.
        scrub_interval_seconds: how often the copies are written anew, None: never.
        scrub_from: "good copy", or "itself", the vote, which keeps a wrong majority for good.

    The paper's 960 hits in four hours on 12,720 bits leave 66 of 4,040 wrong, or 0.0012 when scrubbed every minute:
    >>> hits = FlipCount(960, exposure_seconds=4 * 3600)
    >>> round(TMR(range(4040)).expected_wrong_bits(hits, 12_720), 1)
    65.6
    >>> round(TMR(range(4040), 60).expected_wrong_bits(hits, 12_720), 4)
    0.0012
    """

    bits: BitSet
    scrub_interval_seconds: float | None = None
    scrub_from: ScrubFrom = "good copy"

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", BitSet.of(self.bits))
        object.__setattr__(self, "scrub_interval_seconds", self.scrubbing.seconds)

    @property
    def name(self) -> str:
        return "TMR"

    @property
    def scrubbing(self) -> Scrubbing:
        """How often the copies are written anew, and from what."""
        return Scrubbing(self.scrub_interval_seconds, self.scrub_from)

    @property
    def extra_bits(self) -> int:
        return 2 * len(self.bits)

    @property
    def is_perfect(self) -> bool:
        return not len(self.bits)

    def overhead(self, n_bits: int) -> float:
        """Extra bits as a share of the unprotected memory: 2.0 (the 200 %) when every bit is covered."""
        return self.extra_bits / n_bits if n_bits else 0.0

    def residual(self, upsets: Upsets) -> FaultSet:
        outside = upsets.faults.without(self.bits)
        hits = upsets.hits_on(self.bits.bits, 3)
        wrong = self._outvoted(hits, upsets.intervals(hits.bit, hits.plane, hits.event, self.scrubbing))
        in_samples = self._outvoted_in_samples(upsets, outside.in_samples)
        return replace(outside, flips=np.union1d(outside.flips, wrong), in_samples=in_samples)

    def _outvoted_in_samples(self, upsets: Upsets, outside: SampleFlips) -> SampleFlips:
        """The flips in samples that at least two of three copies have, and those of other bits."""
        if len(outside) == len(upsets.faults.in_samples):
            return outside
        copies = [upsets.plane(number).faults.in_samples for number in range(3)]
        pairs = np.concatenate([np.stack([copy.samples, copy.bits], axis=1) for copy in copies])
        pairs, n_wrong = np.unique(pairs[np.isin(pairs[:, 1], self.bits.bits)], axis=0, return_counts=True)
        samples, bits = pairs[n_wrong >= 2].T
        return SampleFlips(np.concatenate([outside.samples, samples]), np.concatenate([outside.bits, bits]))

    def _outvoted(self, hits: Hits, interval: Bits) -> Bits:
        """The bits whose vote is wrong in the end."""
        bit, copy = hits.bit, hits.copy
        if not self.scrubbing.keeps_errors:
            bit, copy, interval = bit[interval == 0], copy[interval == 0], interval[interval == 0]
        covered = self.bits.bits
        place = np.searchsorted(covered, bit)
        wrong_copies = odd_ones((interval * covered.size + place) * 3 + copy)
        votes, n_wrong = np.unique(wrong_copies // 3, return_counts=True)
        # A wrong vote that is written back turns the bit over for all copies, so a second one turns it back.
        return covered[odd_ones(votes[n_wrong >= 2] % max(1, covered.size))]

    def expected_wrong_bits(self, model: FaultModel, n_bits: int) -> float | None:
        """How many covered bits are wrong at the end, on average: exact, or None for a model without a formula."""
        each = self._wrong_probability(model, n_bits)
        return None if each is None else len(self.bits) * each

    def any_wrong_probability(self, model: FaultModel, n_bits: int) -> float | None:
        """How probably any covered bit is wrong at the end; None where bits are not independent of one another."""
        each = self._wrong_probability(model, n_bits)
        if each is None or not isinstance(model, BitErrorRate | Exposure):
            return None
        return float(-np.expm1(len(self.bits) * np.log1p(-each)))

    def _wrong_probability(self, model: FaultModel, n_bits: int) -> float | None:
        if not isinstance(model, FlipCount | BitErrorRate | Exposure):
            return None
        share, n_whole, rest = self.scrubbing.shares(model.exposure_seconds)
        whole, first = (_majority(model.flip_probability(n_bits, part)) for part in (share, rest))
        if not self.scrubbing.keeps_errors:
            return whole
        if isinstance(model, Exposure):
            # Intervals are independent: the vote is wrong where an odd number of them turned it over.
            return float((1 - (1 - 2 * whole) ** n_whole * (1 - 2 * first)) / 2)
        # A cell flips once at most, so at most one interval has two wrong copies.
        return n_whole * whole + first

    def describe(self, n_bits: int) -> str:
        return (
            f"{self.bits.label or 'bits'}: {len(self.bits):,} bits under TMR, {self.extra_bits:,} extra bits "
            f"(overhead {self.overhead(n_bits):.1%}), hit like the others, {self.scrubbing}{self.bits.origin_text}"
        )


def _majority(p: float) -> float:
    """How probably at least two of three are wrong, each with probability p."""
    return 3 * p**2 - 2 * p**3
