"""The exhaustive single-bit campaign: trial i flips bit i, alone. Its results are exact, given the data set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fkeras.campaigns.budget import CampaignResult, FixedTrials, MetricTrials, Setting
from fkeras.campaigns.progress import Progress
from fkeras.campaigns.verdict import Outcome, Requirement, Verdict
from fkeras.engine import Run, Scores
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
        failures = int(self.broken(requirement.limits).sum())
        share = failures / len(self)
        outcome = Outcome.PASS if share <= requirement.max_failure_rate else Outcome.FAIL
        return Verdict(outcome, requirement, failures, len(self), Estimate(share, share, share, 1.0, METHOD),
                       exact=True)


def run_exhaustive(run: Run, protection: Protection, progress: Progress) -> ExhaustiveResult:
    """Flip every bit alone; covered bits give the golden result and cost nothing."""
    n_bits = len(run.space)
    if n_bits == 0:
        raise InputError("the space has no bits to flip")
    exposed = np.setdiff1d(np.arange(n_bits), protection.bits.bits)
    parts: dict[str, list[Scores]] = {name: [] for name in run.metrics}
    with progress(exposed.size, "bit", EachBitAlone().describe(n_bits)) as advance:
        for start in range(0, exposed.size, run.batch_size):
            batch = exposed[start:start + run.batch_size]
            for name, scores in run.flips(batch).items():
                parts[name].append(scores)
            advance(batch.size)
    setting = ExhaustiveSetting(EachBitAlone(), protection, 0, run.engine, run.n_samples, run.space)
    by_metric = {name: _trials(name, run, exposed, parts[name]) for name in run.metrics}
    residual = np.isin(np.arange(n_bits), exposed).astype(np.int64)
    return ExhaustiveResult(by_metric, setting, FixedTrials(n_bits), np.ones(n_bits, np.int64),
                            np.zeros(n_bits, np.int64), residual)


def _trials(name: str, run: Run, exposed: np.ndarray[tuple[int], np.dtype[np.int64]], parts: list[Scores]
            ) -> MetricTrials:
    golden, metric, scores = run.golden[name], run.metrics[name], Scores.concatenate(parts)
    values = np.full(len(run.space), golden.value)
    undefined = np.full(len(run.space), golden.undefined, np.int64)
    values[exposed], undefined[exposed] = scores.values, scores.undefined
    return MetricTrials(name, metric.better, metric.bounds, values, undefined, golden)
