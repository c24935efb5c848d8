"""Which bits did the damage: named by the trial that they broke alone, else by an association over many trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.campaigns.budget import CampaignResult, MetricTrials
from fkeras.memory import BitAddress, BitSpace
from fkeras.statistics.association import chance_of_together

RISK = 0.05
"""How often bits are named, at most, in a campaign where no bit goes with failing."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """A bit and what speaks against it."""

    bit: int
    address: BitAddress
    evidence: str
    is_sign: bool

    @classmethod
    def of(cls, bit: int, space: BitSpace, evidence: str) -> Culprit:
        """A bit of a memory."""
        address = space.address(bit)
        return cls(bit, address, evidence, space.is_sign(address))

    def __str__(self) -> str:
        return f"{self.address}{' (sign)' * self.is_sign} {self.evidence}"


def most_damaging(result: CampaignResult, broken: NDArray[np.bool_], n: int = 3) -> list[Culprit]:
    """The n bits most to blame for the failing trials, worst first; empty when the trials cannot tell.

    Where a single fault got through in every failing trial it is to blame for certain, and the trials with the
    largest damage to the first metric name the bits. Otherwise bits are named that were wrong in more failing trials
    than chance explains (Fisher's exact test, one-sided, `RISK` shared out over all bits that were wrong in any trial):
    an association, not a proof. Ties by flat index. The fault sets are drawn again from the seed.
    """
    trials = next(iter(result.by_metric.values()))
    failing = np.flatnonzero(broken & (result.residual > 0))
    if failing.size and (result.residual[failing] == 1).all():
        damage = trials.values if trials.better == "lower" else -trials.values
        return _each_alone(result, trials, failing[np.argsort(-damage[failing], kind="stable")], n)
    return _associated(result, broken, n) if failing.size else []


def _each_alone(result: CampaignResult, trials: MetricTrials, worst_first: NDArray[np.int64], n: int) -> list[Culprit]:
    named: dict[int, Culprit] = {}
    for trial in worst_first.tolist():
        bit = int(_bits(result, trial)[0])
        value = f"alone: {trials.metric} {trials.values[trial]:.4g}"
        named.setdefault(bit, Culprit.of(bit, result.setting.space, value))
        if len(named) == n:
            break
    return list(named.values())


def _associated(result: CampaignResult, broken: NDArray[np.bool_], n: int) -> list[Culprit]:
    space = result.setting.space
    times, failing = np.zeros((2, len(space)), np.int64)
    for trial in range(len(result)):
        bits = _bits(result, trial)
        times[bits] += 1
        failing[bits] += broken[trial]
    hit = np.flatnonzero(times)
    # Few pairs of counts are different, however many bits there are.
    pairs, which = np.unique(np.stack([failing[hit], times[hit]], axis=1), axis=0, return_inverse=True)
    n_failing = int(broken.sum())
    chances = [chance_of_together(together, n_times, n_failing, len(result)) for together, n_times in pairs.tolist()]
    p = np.array(chances)[which.ravel()]
    chosen = hit[np.lexsort((hit, p))][: min(n, int((p <= RISK / hit.size).sum()))]
    return [Culprit.of(bit, space, f"in {failing[bit]} of {n_failing} failing trials") for bit in chosen.tolist()]


def _bits(result: CampaignResult, trial: int) -> NDArray[np.int64]:
    residual = result.setting.residual(trial)
    return np.unique(np.concatenate([residual.flips, residual.set_to_1, residual.set_to_0, residual.in_samples.bits]))
