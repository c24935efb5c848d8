"""What protection costs: the bits to triplicate until the rest does little."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.figures import DesignPoint
from benchmarks.paper.measure import Measured
from fkeras.faults import TMR
from fkeras.memory import BitSet
from fkeras.sensitivity.quality import damage_curve


@dataclass(frozen=True)
class Design:
    """One network at one level of resilience; bits of a sampled network are scaled up to its memory.

    known: bits under TMR when the oracle says which, ranked: when our ranking does.
    """

    name: str
    n_bits: int
    golden: float
    metric: str
    sensitive_share: float
    known: int
    ranked: int

    def overhead(self, bits: int) -> float:
        """Extra bits as a share of the memory."""
        return TMR(BitSet(np.arange(bits))).overhead(self.n_bits)

    @property
    def point(self) -> DesignPoint:
        """Its place in the design space, protected as our ranking says."""
        return DesignPoint(self.name, self.n_bits, self.n_bits + 2 * self.ranked, self.golden, self.metric)


def design(found: Measured, resilience: float) -> Design:
    """resilience: the share of all single-flip damage that the protected bits absorb."""
    case, damage = found.case, found.damage
    scale = len(case.space) / damage.size
    order = np.argsort(found.discoveries[case.default].met_after, kind="stable")
    return Design(
        case.title,
        len(case.space),
        found.oracle.golden if np.isnan(case.golden_error) else case.golden_error,
        case.golden_metric,
        float(found.oracle.sensitive.mean()),
        round(scale * _bits_for(np.sort(damage)[::-1], resilience)),
        round(scale * _bits_for(damage[order], resilience)),
    )


def _bits_for(damage_in_order: NDArray[np.float64], share: float) -> int:
    return int(np.argmax(damage_curve(damage_in_order) >= share - 1e-12))
