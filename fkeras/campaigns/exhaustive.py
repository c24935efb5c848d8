"""The exhaustive single-bit campaign: trial i flips bit i, alone. Its results are exact, given the data set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fkeras.campaigns.budget import CampaignResult, FixedTrials, MetricTrials, Setting, require_bite
from fkeras.campaigns.progress import Progress
from fkeras.campaigns.verdict import Outcome, Requirement, Verdict
from fkeras.engine import Run
from fkeras.errors import InputError
from fkeras.faults import Draw, FaultSet, Protection, RandomStream
from fkeras.statistics import Estimate

METHOD = "every single flip measured"


@dataclass(frozen=True, slots=True)
class EachBitAlone:
    """The fault model of an exhaustive campaign, for reports; nothing is drawn."""

    def draw(self, n_bits: int, stream: RandomStream) -> Draw:
        raise InputError("an exhaustive campaign draws nothing: trial i flips bit i")

    def describe(self, n_bits: int) -> str:
        return f"each of {n_bits:,} bits flipped alone"


@dataclass(frozen=True, slots=True)
class ExhaustiveSetting(Setting):
    """What an exhaustive campaign assumed."""

    def draw(self, trial: int) -> Draw:
        """The flip of bit number `trial`."""
        return Draw(FaultSet(np.array([trial])), 1)


@dataclass(frozen=True, eq=False)
class ExhaustiveResult(CampaignResult):
    """One trial per bit of the memory; estimates and verdicts have no sampling error."""

    @cached_property
    def is_exact(self) -> bool:
        return True

    @cached_property
    def estimate(self) -> Estimate:
        """The mean over all single flips, exact given this data set."""
        mean = float(np.mean(self._only().values))
        return Estimate(mean, mean, mean, 1.0, METHOD)

    def __getitem__(self, metric: str) -> ExhaustiveResult:
        one = CampaignResult.__getitem__(self, metric)
        return ExhaustiveResult(one.by_metric, self.setting, self.plan, self.hits, self.cancelled, self.residual)

    def failure_rate(self, limit: float | None = None, *, confidence: float = 0.95, **limits: float) -> Estimate:
        """The share of single flips that break a limit, exact given this data set."""
        share = float(self.broken(self._limits(limit, limits)).mean())
        return Estimate(share, share, share, 1.0, METHOD)

    def verdict(self, requirement: Requirement) -> Verdict:
        """Whether the share of single flips that break a limit is within the requirement."""
        require_bite(requirement.limits, self.by_metric)
        failures = int(self.broken(requirement.limits).sum())
        share = failures / len(self)
        outcome = Outcome.PASS if share <= requirement.max_failure_rate else Outcome.FAIL
        return Verdict(
            outcome, requirement, failures, len(self), Estimate(share, share, share, 1.0, METHOD), exact=True
        )


def run_exhaustive(run: Run, protection: Protection, progress: Progress) -> ExhaustiveResult:
    """Flip every bit alone; covered bits give the golden result and cost nothing."""
    n_bits = len(run.space)
    if n_bits == 0:
        raise InputError("the space has no bits to flip")
    exposed = np.setdiff1d(np.arange(n_bits), protection.bits.bits)
    values = {name: np.full(n_bits, golden.value) for name, golden in run.golden.items()}
    undefined = {name: np.full(n_bits, golden.undefined, np.int64) for name, golden in run.golden.items()}
    with progress(exposed.size, "bit", EachBitAlone().describe(n_bits)) as advance:
        for positions in run.batches(exposed):
            bits = exposed[positions]
            for name, scores in run.flips(bits).items():
                values[name][bits], undefined[name][bits] = scores.values, scores.undefined
            advance(len(bits))
    setting = ExhaustiveSetting(EachBitAlone(), protection, 0, run.engine, run.n_samples, run.space)
    by_metric = {
        name: MetricTrials(name, metric.better, metric.bounds, values[name], undefined[name], run.golden[name])
        for name, metric in run.metrics.items()
    }
    residual = np.isin(np.arange(n_bits), exposed).astype(np.int64)
    return ExhaustiveResult(
        by_metric, setting, FixedTrials(n_bits), np.ones(n_bits, np.int64), np.zeros(n_bits, np.int64), residual
    )
