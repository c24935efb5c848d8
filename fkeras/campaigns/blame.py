"""Which bits did the damage: an association over the trials of a campaign."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.campaigns.budget import CampaignResult
from fkeras.memory import BitAddress


@dataclass(frozen=True, slots=True)
class Culprit:
    """A bit and how many of the failing trials it was wrong in."""

    bit: int
    address: BitAddress
    in_failing: int
    failing: int
    in_passing: int
    passing: int

    def __str__(self) -> str:
        sign = " (sign)" if self.address.bit == 0 else ""
        return f"{self.address}{sign} in {self.in_failing} of {self.failing} failing trials"


def most_damaging(result: CampaignResult, broken: NDArray[np.bool_], n: int = 3) -> list[Culprit]:
    """The bits whose faults go with the largest excess of the metric, a z-score over trials.

    With few trials this is an association, not a proof; ties by flat index. Only bits that were wrong in a failing
    trial are named. The fault sets are drawn again from the seed.
    """
    worst_first = next(iter(result.by_metric.values()))
    values = worst_first.values if worst_first.better == "lower" else -worst_first.values
    finite = np.where(np.isfinite(values), values, np.nanmax(values[np.isfinite(values)], initial=0.0))
    centred = finite - finite.mean()
    n_bits = len(result.setting.space)
    times, failing, excess = np.zeros(n_bits), np.zeros(n_bits), np.zeros(n_bits)
    for trial in range(len(result)):
        residual = result.setting.residual(trial)
        bits = np.union1d(residual.flips, np.union1d(residual.set_to_1, residual.set_to_0))
        times[bits] += 1
        failing[bits] += broken[trial]
        excess[bits] += centred[trial]
    candidates = np.flatnonzero(failing > 0)
    score = excess[candidates] / np.sqrt(times[candidates])
    chosen = candidates[np.lexsort((candidates, -score))][:n]
    return [
        Culprit(
            int(bit),
            result.setting.space.address(int(bit)),
            int(failing[bit]),
            int(broken.sum()),
            int(times[bit] - failing[bit]),
            int((~broken).sum()),
        )
        for bit in chosen
    ]
