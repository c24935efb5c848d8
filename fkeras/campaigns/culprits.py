"""Which bits did the damage: named by the trial that they broke alone, else by an association over many trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.campaigns.budget import CampaignResult, MetricTrials
from fkeras.memory import BitAddress

LEAST_FAILING = 10
"""In fewer failing trials than this, which bits were wrong is mostly chance: of hundreds, some are in all of them."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """A bit and what speaks against it."""

    bit: int
    address: BitAddress
    evidence: str

    def __str__(self) -> str:
        sign = " (sign)" if self.address.bit == 0 else ""
        return f"{self.address}{sign} {self.evidence}"


def most_damaging(result: CampaignResult, broken: NDArray[np.bool_], n: int = 3) -> list[Culprit]:
    """The n bits most to blame for the failing trials, worst first; empty when too few trials fail to tell.

    Where a single fault got through in every failing trial it is to blame for certain, and the trials with the
    largest damage to the first metric name the bits. Otherwise at least `LEAST_FAILING` trials must fail, and bits
    are named by how their faults go with an excess of the metric, a z-score: an association, not a proof. Only bits
    that were wrong in a failing trial are named; ties by flat index. The fault sets are drawn again from the seed.
    """
    trials = next(iter(result.by_metric.values()))
    damage = trials.values if trials.better == "lower" else -trials.values
    failing = np.flatnonzero(broken & (result.residual > 0))
    if failing.size and (result.residual[failing] == 1).all():
        return _each_alone(result, trials, failing[np.argsort(-damage[failing], kind="stable")], n)
    return _associated(result, damage, broken, n) if failing.size >= LEAST_FAILING else []


def _each_alone(result: CampaignResult, trials: MetricTrials, worst_first: NDArray[np.int64], n: int) -> list[Culprit]:
    named: dict[int, Culprit] = {}
    for trial in worst_first.tolist():
        bit = int(_bits(result, trial)[0])
        value = f"alone: {trials.metric} {trials.values[trial]:.4g}"
        named.setdefault(bit, Culprit(bit, result.setting.space.address(bit), value))
        if len(named) == n:
            break
    return list(named.values())


def _associated(
    result: CampaignResult, damage: NDArray[np.float64], broken: NDArray[np.bool_], n: int
) -> list[Culprit]:
    finite = np.where(np.isfinite(damage), damage, np.max(damage[np.isfinite(damage)], initial=0.0))
    centred = finite - finite.mean()
    n_bits = len(result.setting.space)
    times, failing, excess = np.zeros(n_bits), np.zeros(n_bits, np.int64), np.zeros(n_bits)
    for trial in range(len(result)):
        bits = _bits(result, trial)
        times[bits] += 1
        failing[bits] += broken[trial]
        excess[bits] += centred[trial]
    candidates = np.flatnonzero(failing)
    score = excess[candidates] / np.sqrt(times[candidates])
    chosen = candidates[np.lexsort((candidates, -score))][:n]
    return [
        Culprit(int(bit), result.setting.space.address(int(bit)), f"in {failing[bit]} of {broken.sum()} failing trials")
        for bit in chosen
    ]


def _bits(result: CampaignResult, trial: int) -> NDArray[np.int64]:
    residual = result.setting.residual(trial)
    return np.union1d(residual.flips, np.union1d(residual.set_to_1, residual.set_to_0))
