"""How many bits a protection leaves wrong, by simulation and, where there is one, by formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import whole
from fkeras.faults import TMR, FaultModel, FaultSet, fault_model, protection, trial_upsets, whole_seed
from fkeras.faults.protected import Protectable
from fkeras.memory import BitSet, BitSpace
from fkeras.statistics import Estimate
from fkeras.statistics.means import bounded_mean
from fkeras.statistics.proportions import clopper_pearson


@dataclass(frozen=True, eq=False)
class WrongBits:
    """Covered bits that read wrongly at the end of the exposure, in so many trials.

    counts: (trials,); mean: of them, with an exact interval; any_wrong: the share of trials with at least one, with
    an exact interval; expected, expected_any: the same two by formula, None where there is none.
    """

    description: str
    counts: NDArray[np.int64]
    mean: Estimate
    any_wrong: Estimate
    expected: float | None
    expected_any: float | None

    def __str__(self) -> str:
        formula = "" if self.expected is None else f", {self.expected:.4g} by formula"
        return (
            f"{self.description}: {self.mean.best:.4g} wrong bits on average [{self.mean.low:.4g}, "
            f"{self.mean.high:.4g}] in {self.counts.size:,} trials{formula}"
        )


def wrong_bits(
    space: BitSpace,
    faults: int | FaultModel,
    protected: Protectable,
    *,
    trials: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> WrongBits:
    """Draw trials as a campaign does, and count the covered bits that the network would read wrongly.

    No network is evaluated. A word that reads 0 because it was found wrong counts with those of its covered bits that
    are 1.

    Arguments:
        space: the memory, of stored words.
        faults: a number of distinct flips of it, or a fault model.
        protected: as in a campaign.
        trials: how many to draw, from 1 up.
        seed: of the draws; those of a campaign of the same seed.
        confidence: of the intervals, between 0 and 1.
    """
    whole("trials", trials, 1)
    space.require_stored("counting wrong bits without a network")
    model, guard, start = fault_model(faults), protection(protected, space), whole_seed(seed)
    stored = _stored_ones(space)
    left = (guard.residual(trial_upsets(space, model, start, trial)) for trial in range(trials))
    counts = np.array([_count(residual, guard.bits, stored) for residual in left], np.int64)
    n_covered = len(guard.bits)
    expected = expected_any = None
    if isinstance(guard, TMR):
        expected = guard.expected_wrong_bits(model, len(space))
        expected_any = guard.any_wrong_probability(model, len(space))
    return WrongBits(
        guard.describe(len(space)),
        counts,
        bounded_mean(counts.astype(np.float64), (0.0, float(max(1, n_covered))), confidence),
        clopper_pearson(int((counts > 0).sum()), trials, confidence),
        expected,
        expected_any,
    )


def _count(faults: FaultSet, covered: BitSet, stored: NDArray[np.bool_]) -> int:
    wrong = np.concatenate(
        [faults.flips, faults.set_to_1[~stored[faults.set_to_1]], faults.set_to_0[stored[faults.set_to_0]]]
    )
    return int(np.intersect1d(wrong, covered.bits).size)


def _stored_ones(space: BitSpace) -> NDArray[np.bool_]:
    """Whether each bit is stored as 1, (n_bits,)."""
    parts = [np.zeros(0, np.bool_)]
    for tensor in space.tensors:
        parts.append(tensor.layout.flags(tensor.words))
    return np.concatenate(parts)
