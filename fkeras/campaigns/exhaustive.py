"""The exhaustive single-bit campaign: trial i flips bit i, alone. Its results are exact, given the data set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np

from fkeras.campaigns.budget import CampaignResult, FixedTrials, MetricTrials, Setting
from fkeras.engine import Run
from fkeras.errors import InputError
from fkeras.faults import Draw, FaultSet, Protection, RandomStream, Upsets
from fkeras.faults.fault_models import Keyed
from fkeras.memory import BitSpace
from fkeras.progress import Progress
from fkeras.runs.stored import Entries, single_flips
from fkeras.statistics import Estimate


@dataclass(frozen=True, slots=True)
class EachBitAlone(Keyed):
    """The fault model of an exhaustive campaign, for reports; nothing is drawn."""

    def draw(self, n_bits: int, stream: RandomStream) -> Draw:
        raise InputError("an exhaustive campaign draws nothing: trial i flips bit i")

    def short(self, n_bits: int) -> str:
        """A word for tables."""
        return "each"

    def describe(self, n_bits: int) -> str:
        return f"each of {n_bits:,} bits flipped alone"


@dataclass(frozen=True, slots=True)
class ExhaustiveSetting(Setting):
    """What an exhaustive campaign assumed."""

    def draw(self, trial: int) -> Draw:
        """The flip of bit number `trial`."""
        return Draw(FaultSet(np.array([trial])), 1)

    def upsets(self, trial: int) -> Upsets:
        """That flip and nothing else."""
        return Upsets.alone(self.space, self.draw(trial).faults)


@dataclass(frozen=True, eq=False)
class ExhaustiveResult(CampaignResult):
    """One trial per bit of the memory; estimates and verdicts have no sampling error."""

    @property
    def exact_because(self) -> str:
        return "every single flip measured"

    @cached_property
    def estimate(self) -> Estimate:
        """The mean over all single flips, exact given this data set."""
        mean = float(np.mean(self._only().values))
        return Estimate(mean, mean, mean, 1.0, self.exact_because)


def exhaustive_setting(run: Run, protection: Protection, seed: int = 0) -> ExhaustiveSetting:
    """What flipping every bit alone assumes; nothing is drawn from the seed, but rankings may have been."""
    return ExhaustiveSetting(EachBitAlone(), protection, seed, run.engine, run.n_samples, run.space)


def run_exhaustive(
    run: Run, protection: Protection, progress: Progress, entries: Entries = MappingProxyType({}), seed: int = 0
) -> ExhaustiveResult:
    """Flip every bit alone; covered bits give the golden result and cost nothing.

    entries: where the single flips of each metric are stored, the oracle's; seed: the session's, for reports.
    """
    n_bits = len(run.space)
    if n_bits == 0:
        raise InputError("the space has no bits to flip")
    exposed = np.setdiff1d(np.arange(n_bits), protection.bits.bits)
    values = {name: np.full(n_bits, golden.value) for name, golden in run.golden.items()}
    undefined = {name: np.full(n_bits, golden.undefined, np.int64) for name, golden in run.golden.items()}
    with progress(exposed.size, "bit", EachBitAlone().describe(n_bits)) as advance:
        measured, reused = single_flips(run, list(run.metrics), exposed, entries, advance)
    for name, scores in measured.items():
        values[name][exposed], undefined[name][exposed] = scores.values, scores.undefined
    residual = np.isin(np.arange(n_bits), exposed).astype(np.int64)
    unmended = _unmended(run.space, protection)
    left = list(unmended)
    for start in range(0, len(left), run.batch_size):
        batch = left[start : start + run.batch_size]
        for name, scores in run.fault_sets(batch).items():
            for faults, value, n_undefined in zip(batch, scores.values, scores.undefined, strict=True):
                values[name][unmended[faults]], undefined[name][unmended[faults]] = value, n_undefined
    for faults, bits in unmended.items():
        residual[bits] = len(faults)
    setting = exhaustive_setting(run, protection, seed)
    by_metric = {
        name: MetricTrials(name, metric.better, metric.bounds, values[name], undefined[name], run.golden[name])
        for name, metric in run.metrics.items()
    }
    return ExhaustiveResult(
        by_metric, setting, FixedTrials(n_bits), np.ones(n_bits, np.int64), np.zeros(n_bits, np.int64), residual, reused
    )


def _unmended(space: BitSpace, protection: Protection) -> dict[FaultSet, list[int]]:
    """The covered bits whose flip the protection does not mend, by what the network computes with instead."""
    bits_by_faults: dict[FaultSet, list[int]] = {}
    for bit in [] if protection.is_perfect else protection.bits:
        left = protection.residual(Upsets.alone(space, FaultSet(np.array([bit]))))
        if len(left):
            bits_by_faults.setdefault(left, []).append(bit)
    return bits_by_faults
