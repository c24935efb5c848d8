"""Endurance: how the metric fares as faults accumulate, and how many flips (or seconds) a network survives.

A trial is one history of a memory: bits flip one after another, or upsets arrive in time, and the metric is measured
at several looks. A trial has *failed by* a look when a limit was broken there or at an earlier look. That share cannot
fall from one look to the next, which makes one exact bound per look enough: if the share is above the allowed one
from some look on, a wrong claim about any later look needs a wrong bound at that one look. So the largest look that is
claimed holds at the stated confidence, without a correction for having searched. It covers every earlier look too,
and nothing between the looks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.campaigns.accumulation import Accumulation, Looks
from fkeras.campaigns.limits import Limit
from fkeras.campaigns.verdict import Outcome, Requirement
from fkeras.engine import GoldenScore
from fkeras.errors import InputError
from fkeras.faults import Protection
from fkeras.faults.protections import account
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Direction
from fkeras.plain import plain
from fkeras.statistics import Estimate
from fkeras.statistics.means import asymptotic_mean, bounded_mean, spread
from fkeras.statistics.proportions import clopper_pearson, lower_bound, upper_bound


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """The trials of an endurance campaign.

    looks: (looks,) ascending; values: (trials, looks) the metric; undefined: (trials, looks) samples without a score;
    residual: (trials, looks) faulty bits left after protection; broken: (trials, looks) whether a limit is broken.
    """

    looks: Looks
    values: NDArray[np.float64]
    undefined: NDArray[np.int64]
    residual: NDArray[np.int64]
    broken: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def failed_by(self) -> NDArray[np.int64]:
        """Trials that broke a limit at this look or at an earlier one, (looks,)."""
        failed: NDArray[np.int64] = np.logical_or.accumulate(self.broken, axis=1).sum(axis=0)
        return failed

    @property
    def recovered(self) -> int:
        """Trials that broke a limit at some look and keep it at a later one."""
        return int((np.logical_or.accumulate(self.broken, axis=1) & ~self.broken).any(axis=1).sum())


@dataclass(frozen=True, slots=True)
class IntervalRecord:
    """A best value with its interval."""

    best: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class EndurancePoint:
    """One look: the metric's mean with its 95 % interval, and the trials that broke a limit by then with theirs.

    low, median, high: of the trials themselves, see `spread`, None where they were not kept; is_survey: of a first,
    coarse survey, whose trials are others than those at closer looks.
    """

    look: float
    trials: int
    mean: float
    mean_low: float
    mean_high: float
    failed: int
    share_low: float
    share_high: float
    low: float | None = None
    median: float | None = None
    high: float | None = None
    is_survey: bool = False


@dataclass(frozen=True, slots=True)
class EnduranceRecord:
    """The metric as faults accumulate; unit: what looks are counted in, "flips" or "seconds"."""

    metric: str
    unit: str
    golden: float
    text: str
    curve: tuple[EndurancePoint, ...]
    limits: tuple[Limit, ...] = ()
    max_failure_rate: float | None = None
    confidence: float | None = None
    largest: float | None = None
    exceeded_at: float | None = None
    time_average: IntervalRecord | None = None
    faults: str = ""
    protection: str = ""
    seed: int = 0
    recovered: int = 0

    @property
    def parts(self) -> list[tuple[EndurancePoint, ...]]:
        """The curve's points by the trials that they were measured on, those that the claim rests on first."""
        return trials_apart(self.curve)


def trials_apart(curve: Sequence[EndurancePoint]) -> list[tuple[EndurancePoint, ...]]:
    """Points by the trials that they were measured on, those of a first survey last."""
    parts: dict[tuple[bool, int], list[EndurancePoint]] = {}
    for point in curve:
        parts.setdefault((point.is_survey, -point.trials), []).append(point)
    return [tuple(parts[key]) for key in sorted(parts)]


@dataclass(frozen=True, eq=False)
class Endurance:
    """What accumulating faults do to one metric, and how many of them the network survives.

    Arguments:
        metric, better, bounds: the metric's name, its direction, and what its values lie between, None: not known.
        golden: the fault-free network's score.
        requirement: the limits with the share of trials that may have broken them, None without limits.
        survey: trials over the whole range.
        proof: other trials, at closer looks where the survey saw the first failures; the same as `survey` where the
            looks were given, None without limits.
        accumulation, protection, seed, space: what was assumed.
        engine: what measured.
        n_samples: over how many samples.
    """

    metric: str
    better: Direction
    bounds: tuple[float, float] | None
    golden: GoldenScore
    requirement: Requirement | None
    survey: Histories
    proof: Histories | None
    accumulation: Accumulation
    protection: Protection
    seed: int
    space: BitSpace
    engine: str
    n_samples: int

    def __repr__(self) -> str:
        return f"<Endurance of {self.metric}: {self}>"

    def __str__(self) -> str:
        if self.requirement is None or self.proof is None:
            return f"{self.metric} at {len(self.survey.looks)} looks up to {self.text_of(self.survey.looks[-1])}"
        limits = ", ".join(str(limit) for limit in self.requirement.limits)
        share, confidence = self.requirement.max_failure_rate, self.requirement.confidence
        broken = "" if self.exceeded_at is None else self.text_of(self.exceeded_at)
        if self.largest is not None:
            end = "at least " if self.largest == self.proof.looks[-1] else ""
            claim = f"survives {end}{self.text_of(self.largest)}" + (f", not {broken}" if broken else "")
        elif broken:
            claim = f"does not survive {broken}, and nothing less is shown to be survived"
        else:
            claim = f"not even {self.text_of(self.proof.looks[0])}, the first look, is shown to be survived"
        return (
            f"{claim} ({limits}, broken by then in at most {100 * share:.4g} % of trials, {len(self.proof)} trials, "
            f"each at {confidence:.4g} confidence)"
        )

    def text_of(self, look: float) -> str:
        """A look with its unit."""
        unit = self.accumulation.unit
        return f"{look_text(look)} {unit.removesuffix('s') if look == 1 else unit}"

    @cached_property
    def largest(self) -> float | None:
        """The last look by which at most the allowed share of trials has failed, at the stated confidence.

        A whole number of flips, or seconds; it covers the looks before it. None where not even the first is shown,
        or without limits. Exact (Clopper-Pearson, one-sided), no correction needed for the search: see the module.
        """
        return self._look(self._first_above(upper_bound) - 1)

    @cached_property
    def exceeded_at(self) -> float | None:
        """The first look by which more than the allowed share of trials has failed, at the stated confidence."""
        return self._look(self._first_above(lower_bound))

    def outcome(self, least: float) -> Outcome:
        """Whether `least` flips (seconds) are shown to be survived, or shown not to be."""
        if self.largest is not None and self.largest >= least:
            return Outcome.PASS
        return Outcome.FAIL if self.exceeded_at is not None and self.exceeded_at <= least else Outcome.INCONCLUSIVE

    def failed_by(self, look: float) -> int | None:
        """How many of the proof's trials had failed by a look; None where it did not look, or without limits."""
        if self.proof is None or look not in self.proof.looks:
            return None
        return int(self.proof.failed_by[np.searchsorted(self.proof.looks, look)])

    def _first_above(self, bound: Callable[[int, int, float], float]) -> int:
        """At which of the proof's looks a bound on the share of failed trials is above the allowed one for the first
        time; how many there are where it never is."""
        required, proof = self.requirement, self.proof
        if required is None or proof is None:
            return 0
        bounds = [bound(failed, len(proof), required.confidence) for failed in proof.failed_by.tolist()]
        return next((i for i, share in enumerate(bounds) if share > required.max_failure_rate), len(bounds))

    def _look(self, number: int) -> float | None:
        if self.requirement is None or self.proof is None or not 0 <= number < len(self.proof.looks):
            return None
        look = float(self.proof.looks[number])
        return int(look) if self.accumulation.unit == "flips" else look

    @cached_property
    def time_average(self) -> Estimate:
        """The metric's average from the beginning to the survey's last look, faults coming at a constant rate.

        Per trial by the trapezoidal rule over the looks, beginning with the golden value, or, where transients or stuck
        bits are there from the beginning, with that of the first look; the interval is that of the
        mean over trials, given this data set. Choose `looks`, or the end of the range, as the exposure in question.
        """
        looks = np.concatenate([[0.0], self.survey.looks])
        first = np.full((len(self.survey), 1), self.golden.value)
        if not self.accumulation.begins_without_faults:
            first = self.survey.values[:, :1]
        values = np.concatenate([first, self.survey.values], axis=1)
        areas = (np.diff(looks) * (values[:, 1:] + values[:, :-1]) / 2).sum(axis=1)
        return self._mean(areas / looks[-1])

    def _mean(self, values: NDArray[np.float64]) -> Estimate:
        if self.bounds is not None:
            return bounded_mean(np.clip(values, *self.bounds), self.bounds)
        return asymptotic_mean(values)

    def curve(self) -> list[EndurancePoint]:
        """A point per look, ascending: the proof's where it looked, else the survey's.

        Intervals are at 95 %, those of the share Clopper-Pearson, each look by itself.
        """
        points = []
        closer = [] if self.proof is None or self.proof is self.survey else self.proof.looks.tolist()
        for table in [self.survey, self.proof] if closer else [self.survey]:
            assert table is not None
            for i, (look, failed) in enumerate(zip(table.looks.tolist(), table.failed_by.tolist(), strict=True)):
                if table is self.survey and look in closer:
                    continue
                mean, share = self._mean(table.values[:, i]), clopper_pearson(failed, len(table))
                means = mean.best, mean.low, mean.high
                shares, is_survey = (failed, share.low, share.high), bool(closer) and table is self.survey
                points.append(EndurancePoint(look, len(table), *means, *shares, *spread(table.values[:, i]), is_survey))
        return sorted(points, key=lambda point: point.look)

    @property
    def record(self) -> EnduranceRecord:
        """What reports say."""
        required, average, covered = self.requirement, self.time_average, self.protection
        return EnduranceRecord(
            self.metric,
            self.accumulation.unit,
            float(self.golden.value),
            str(self),
            tuple(self.curve()),
            () if required is None else required.limits,
            None if required is None else required.max_failure_rate,
            None if required is None else required.confidence,
            self.largest,
            self.exceeded_at,
            IntervalRecord(average.best, average.low, average.high),
            self.accumulation.describe(),
            account(covered, self.space),
            self.seed,
            (self.survey if self.proof is None else self.proof).recovered,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values: those of the record, `better` and `n_bits`."""
        return {"better": self.better, "n_bits": len(self.space), **plain(self.record)}


def look_text(look: float) -> str:
    """A number of flips or seconds, for people."""
    return f"{look:,.0f}" if look == int(look) or look >= 1000 else f"{look:.4g}"


def least_trials(max_failure_rate: float, confidence: float) -> int:
    """The fewest trials that show a share below `max_failure_rate` when none of them fails (Wilks).

    >>> least_trials(0.05, 0.95), least_trials(0.01, 0.95)
    (59, 299)
    """
    if not 0 < max_failure_rate < 1:
        raise InputError(
            f"max_failure_rate is {max_failure_rate!r}; allowed are shares above 0 and below 1: no number of random "
            "trials shows that none ever fails"
        )
    return math.ceil(math.log1p(-confidence) / math.log1p(-max_failure_rate))
