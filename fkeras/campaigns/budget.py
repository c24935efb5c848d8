"""Budget campaigns: many faults at once, many trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fkeras.campaigns.fault_free import FaultFree, GoldenRequirement
from fkeras.campaigns.limits import Limit, parse_limit, trial_limits
from fkeras.campaigns.shard import WHOLE, Shard
from fkeras.campaigns.verdict import Outcome, Requirement, Verdict, broken_verdict, judge
from fkeras.engine import GoldenScore, Run, Scores
from fkeras.errors import Argument, InputError, whole
from fkeras.faults import Draw, FaultModel, FaultSet, Protection, Upsets, draw_trial, never_faults, trial_upsets
from fkeras.memory import BitSpace
from fkeras.metrics.inputs import read_only
from fkeras.metrics.metric import Direction, Metric
from fkeras.progress import Progress
from fkeras.runs.stored import Entries
from fkeras.runs.stored_trials import MOST_RECALLED, DrawnTrials, StoredTrials
from fkeras.statistics import Estimate
from fkeras.statistics.means import asymptotic_mean, bounded_mean
from fkeras.statistics.proportions import clopper_pearson
from fkeras.statistics.sequential import confidence_sequence, share_decision

MAX_TRIALS, TRIALS_WITHOUT_LIMIT = 1000, 100
MOST_TRIALS = 10**8
"""More trials than this are a typing mistake: their results alone would not fit into the memory of a machine."""


@dataclass(frozen=True, slots=True)
class FixedTrials:
    """A number of trials that does not depend on their results."""

    trials: int

    def __post_init__(self) -> None:
        whole("trials", self.trials, 1, MOST_TRIALS)

    @property
    def most(self) -> int:
        """The most trials that are drawn."""
        return self.trials


@dataclass(frozen=True, slots=True)
class UntilDecided:
    """Trials until the requirement is decided, `max_trials` at most; never by wall clock."""

    requirement: Requirement
    max_trials: int = MAX_TRIALS

    def __post_init__(self) -> None:
        whole("max_trials", self.max_trials, 1, MOST_TRIALS)

    @property
    def most(self) -> int:
        """The most trials that are drawn."""
        return self.max_trials


def planned(
    trials: int | FixedTrials | UntilDecided | None, requirement: Requirement | None, max_trials: int
) -> FixedTrials | UntilDecided:
    """The trials that are asked for; unless told, those that decide a requirement, or 100 without one."""
    if isinstance(trials, FixedTrials | UntilDecided):
        return trials
    if requirement is not None and trials is None:
        return UntilDecided(requirement, max_trials)
    return FixedTrials(TRIALS_WITHOUT_LIMIT if trials is None else trials)


@dataclass(frozen=True, slots=True, eq=False)
class MetricTrials:
    """One metric over the trials of a campaign; arrays (trials,)."""

    metric: str
    better: Direction
    bounds: tuple[float, float] | None
    values: NDArray[np.float64]
    undefined: NDArray[np.int64]
    golden: GoldenScore

    def __post_init__(self) -> None:
        # A test may read them before the verdict does.
        for name in ("values", "undefined"):
            object.__setattr__(self, name, read_only(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class Setting:
    """What a campaign assumed: memory, faults, protection, seed, engine; and which share of all trials are its own.

    area: what is known of the protected memory's, for reports; "" where it is not measured.
    """

    fault_model: FaultModel
    protection: Protection
    seed: int
    engine: str
    n_samples: int
    space: BitSpace
    share: Shard = WHOLE
    area: str = ""

    @property
    def is_covered(self) -> bool:
        """Whether protection, of whatever kind, covers every bit."""
        return len(self.protection.bits) == len(self.space)

    @property
    def is_out_of_reach(self) -> bool:
        """Whether protection covers every bit, or the fault model never faults one."""
        immune = self.protection.is_perfect and self.is_covered
        return immune or never_faults(self.fault_model)

    def number(self, trial: int) -> int:
        """The number that trial `trial` of the result is drawn and stored under."""
        return self.share.trial(trial)

    def draw(self, trial: int) -> Draw:
        """The faults of one trial, before protection."""
        return draw_trial(self.space, self.fault_model, self.seed, self.number(trial), self.n_samples)

    def upsets(self, trial: int) -> Upsets:
        """What one trial does to the memory and to the cells that a protection adds."""
        return trial_upsets(self.space, self.fault_model, self.seed, self.number(trial), self.n_samples)

    def residual(self, trial: int) -> FaultSet:
        """The faults of one trial that the network computes with."""
        return self.protection.residual(self.upsets(trial))

    def drawn(self, trials: range) -> DrawnTrials:
        """Some trials, with what is stored of them."""
        numbers, upsets = zip(*((self.number(trial), self.upsets(trial)) for trial in trials), strict=True)
        residuals = [self.protection.residual(trial) for trial in upsets]
        return DrawnTrials(numbers, [trial.draw for trial in upsets], residuals)


@dataclass(frozen=True, eq=False)
class CampaignResult:
    """What many draws of faults did to one or several metrics.

    `result["emd"]` looks at one metric; with a single metric the result itself has `values` and `estimate`.

    Arguments:
        by_metric: the trials of each metric.
        setting: memory, faults, protection, seed and engine.
        plan: how the number of trials was chosen.
        hits: (trials,) upsets drawn.
        cancelled: (trials,) those of them that undid one another.
        residual: (trials,) faulty bits left after protection.
        reused: how many of the trials were not measured now but read from a store.
        fault_free: what is known of the network without faults.
    """

    by_metric: Mapping[str, MetricTrials]
    setting: Setting
    plan: FixedTrials | UntilDecided
    hits: NDArray[np.int64]
    cancelled: NDArray[np.int64]
    residual: NDArray[np.int64]
    reused: int = 0
    fault_free: FaultFree = field(default_factory=FaultFree)

    def __post_init__(self) -> None:
        for name in ("hits", "cancelled", "residual"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def __len__(self) -> int:
        return int(self.hits.size)

    def __repr__(self) -> str:
        if not len(self):
            return f"<{type(self).__name__} of no trials>"
        means = ", ".join(
            f"{name} mean {one.values.mean():.6g} (golden {one.golden.value:.6g})"
            for name, one in self.by_metric.items()
        )
        return f"<{type(self).__name__} of {len(self):,} trials: {means}>"

    def __getitem__(self, metric: str) -> Self:
        if metric not in self.by_metric:
            raise InputError(f"no metric '{metric}' in this campaign; there are {', '.join(self.by_metric)}")
        return replace(self, by_metric={metric: self.by_metric[metric]})

    def _only(self) -> MetricTrials:
        if len(self.by_metric) != 1:
            names = list(self.by_metric)
            raise InputError(f"this campaign measured {', '.join(names)}; choose one, as in result[{names[0]!r}]")
        return next(iter(self.by_metric.values()))

    @property
    def values(self) -> NDArray[np.float64]:
        """The metric in each trial, (trials,) float64."""
        return self._only().values

    @property
    def golden(self) -> GoldenScore:
        """The fault-free network's score; its standard error is the data set's own."""
        return self._only().golden

    @property
    def undefined(self) -> int:
        """Sample scores over all trials that were undefined and count as the worst."""
        return int(self._only().undefined.sum())

    @property
    def exact_because(self) -> str:
        """Why estimates and verdicts have no sampling error; "" where they have one."""
        return "no fault can reach" if self.setting.is_out_of_reach and not self.residual.any() else ""

    @property
    def is_exact(self) -> bool:
        """Whether what every possible trial gives is known."""
        return bool(self.exact_because)

    @cached_property
    def estimate(self) -> Estimate:
        """The mean over trials, given this data set, with an interval.

        Exact for a bounded metric (a betting interval, valid under early stopping too); otherwise asymptotic and
        labelled so, and empty of information below a minimum number of trials.
        """
        trials = self._only()
        if not len(self):
            why = "; ".join(self.problems()) or "it has no trials"
            raise InputError(f"there is no mean over the trials of this campaign, which was not measured: {why}")
        if self.is_exact:
            value = float(trials.values[0])
            return Estimate(value, value, value, 1.0, self.exact_because)
        if trials.bounds is not None:
            return bounded_mean(trials.values, trials.bounds, 0.95)
        return asymptotic_mean(trials.values, 0.95)

    def _limits(self, limit: float | None, keywords: Mapping[str, float]) -> tuple[Limit, ...]:
        chosen = trial_limits(keywords, self.by_metric)
        if limit is not None:
            trials = self._only()
            side = "max" if trials.better == "lower" else "min"
            chosen += (parse_limit(f"{side}_{trials.metric}", limit, self.by_metric),)
        if not chosen:
            raise InputError("name a limit: failure_rate(1.25), or failure_rate(max_emd=1.25)")
        return chosen

    def broken(self, limits: tuple[Limit, ...]) -> NDArray[np.bool_]:
        """Which trials break at least one limit, (trials,) bool."""
        broken = np.zeros(len(self), bool)
        for limit in limits:
            trials = self[limit.metric]._only()
            trials.golden.require_finite(limit.metric)
            broken |= limit.broken_by(trials.values, trials.golden.value)
        return broken

    def failure_rate(self, limit: float | None = None, *, confidence: float = 0.95, **limits: float) -> Estimate:
        """The share of trials that break a limit, with a two-sided interval, given this data set.

        limit: in the metric's own direction, when there is one metric; or keywords as in the mark, `max_emd=1.25`.
        Clopper-Pearson for a fixed number of trials, a confidence sequence when trials stopped at a decision.
        """
        failures = int(self.broken(self._limits(limit, limits)).sum())
        if self.is_exact:
            share = failures / len(self)
            return Estimate(share, share, share, 1.0, self.exact_because)
        interval = clopper_pearson if isinstance(self.plan, FixedTrials) else confidence_sequence
        return interval(failures, len(self), confidence)

    @cached_property
    def changed_nothing(self) -> bool:
        """Whether every trial gave the fault-free network's result, in every metric."""
        return not self.changed.any()

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Which trials gave another result than the fault-free network, in any metric, (trials,)."""
        changed = np.zeros(len(self), np.bool_)
        for one in self.by_metric.values():
            changed |= (one.values != one.golden.value) | (one.undefined != one.golden.undefined)
        return changed

    @property
    def is_untouched(self) -> bool:
        """Whether trials are expected to change nothing: protection left no fault, or nothing is ever hit."""
        return self.is_mended or self.setting.is_out_of_reach

    @property
    def is_mended(self) -> bool:
        """Whether protection covers every bit, and let nothing through."""
        return self.setting.is_covered and not self.residual.any()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know of these trials, in sentences."""
        said = {
            f"every bit is protected ({self.setting.protection.name})": self.is_mended,
            f"nothing was hit in any of {len(self):,} trials": not self.hits.any(),
            f"no trial of {len(self):,} changed anything": self.changed_nothing,
        }
        return tuple(text for text, holds in said.items() if holds and len(self))

    def problems(self, required: GoldenRequirement | None = None) -> tuple[str, ...]:
        """Why nothing that faults do to this network would mean anything, in sentences."""
        golden = {name: trials.golden.value for name, trials in self.by_metric.items()}
        known = replace(self.fault_free, golden={**self.fault_free.golden, **golden})
        return (required or GoldenRequirement()).problems(known)

    def verdict(self, requirement: Requirement) -> Verdict:
        """What these trials prove about a requirement. InputError for limits that could not fail, or not pass.

        INCONCLUSIVE where no trial changed anything, unless protection of every bit left no fault or nothing can be
        hit: then nothing shows that faults reach the outputs at all.
        """
        problems = self.problems(requirement.golden)
        if problems:
            return broken_verdict(requirement, int(self.broken(requirement.limits).sum()), len(self), problems)
        verdict = self.judge(requirement)
        if verdict.outcome is not Outcome.PASS or not self.changed_nothing or self.is_untouched:
            return verdict
        return replace(verdict, outcome=Outcome.INCONCLUSIVE, changed_nothing=True)

    def judge(self, requirement: Requirement) -> Verdict:
        """The verdict by counting alone, for searches that compare levels of protection."""
        require_bite(requirement.limits, self.by_metric)
        failures = int(self.broken(requirement.limits).sum())
        if not len(self):
            raise InputError("nothing was measured, so nothing can be judged; draw at least one trial")
        max_trials = self.plan.max_trials if isinstance(self.plan, UntilDecided) else None
        return judge(requirement, failures, len(self), max_trials=max_trials, exact=self.exact_because)


def require_bite(limits: tuple[Limit, ...], by_metric: Mapping[str, MetricTrials]) -> None:
    """InputError for limits that no outcome could break, or that every outcome breaks."""
    for limit in limits:
        if limit.metric in by_metric:
            trials = by_metric[limit.metric]
            trials.golden.require_finite(limit.metric)
            limit.require_bite(trials.better, trials.bounds, trials.golden.value)


def shared_out(setting: Setting, plan: FixedTrials | UntilDecided, share: Shard) -> tuple[Setting, FixedTrials]:
    """One share of a campaign. InputError unless the number of trials is fixed, and enough for each share."""
    if not isinstance(plan, FixedTrials):
        raise InputError(
            Argument("shard", str(share)), ": a campaign that ends when it is decided cannot be shared out; give ",
            Argument("trials"), ", measure all shares, and judge them by the same call without ", Argument("shard")
        )  # fmt: skip
    n_trials = share.of_trials(plan.trials).size
    if not n_trials:
        empty = f" of {plan.trials} trials is empty; there are {plan.trials} shares at most"
        raise InputError(Argument("shard", str(share)), empty)
    return replace(setting, share=share), FixedTrials(n_trials)


def run_campaign(
    run: Run,
    setting: Setting,
    plan: FixedTrials | UntilDecided,
    progress: Progress,
    entries: Entries = MappingProxyType({}),
    who: str = "",
) -> CampaignResult:
    """Draw trial after trial and measure; a trial without residual faults is golden and costs nothing.

    entries: where the trials of each metric are stored, whatever the plan; those there are read, whatever plan they
    were measured for. who: as in `measure_oracle`.
    """
    setting.upsets(0)  # a fault model that does not fit the memory is refused before anything starts
    trials = _Trials(run, setting, plan)
    describe = setting.fault_model.describe(len(setting.space))
    with StoredTrials(list(run.metrics), entries, who) as stored, progress(plan.most, "trial", describe) as advance:
        while not trials.are_enough:
            start = len(trials)
            if setting.number(start) not in stored:
                stored.claim()  # and read it again: others may have measured this trial meanwhile
            is_stored = setting.number(start) in stored
            stop = min(start + (MOST_RECALLED if is_stored else run.batch_size), plan.most)
            others = (trial for trial in range(start, stop) if (setting.number(trial) in stored) is not is_stored)
            batch = setting.drawn(range(start, next(others, stop)))
            scores = stored.recall(batch) if is_stored else _scores(run, batch.residuals)
            if scores is None:
                continue  # other faults are stored than those drawn now; these trials count as not stored
            if not is_stored:
                stored.add(batch, scores)
            advance(trials.take(batch, scores, is_reused=is_stored), is_new=not is_stored)
    return trials.result()


def unmeasured(run: Run, setting: Setting, plan: FixedTrials | UntilDecided) -> CampaignResult:
    """A campaign that was not begun: no trials."""
    return _Trials(run, setting, plan).result()


class _Trials:
    """The trials of a campaign as they are measured; a few numbers are kept of each, and no fault."""

    def __init__(self, run: Run, setting: Setting, plan: FixedTrials | UntilDecided) -> None:
        self._run, self._setting, self._plan = run, setting, plan
        self._counts: list[NDArray[np.int64]] = []
        self._scores: dict[str, list[Scores]] = {name: [] for name in run.metrics}
        self._n = self._reused = self._failures = 0
        self._is_decided = False
        if isinstance(plan, UntilDecided):
            require_bite(plan.requirement.limits, self.result().by_metric)

    def __len__(self) -> int:
        return self._n

    @property
    def are_enough(self) -> bool:
        """Whether more are not drawn, or would not change what the campaign is asked."""
        return self._is_decided or self._n == self._plan.most

    def take(self, batch: DrawnTrials, scores: Mapping[str, Scores], *, is_reused: bool) -> int:
        """Take the next trials, up to the one that decides; returns how many were taken."""
        counts = batch.counts
        if isinstance(self._plan, UntilDecided):
            counts = counts[: self._decided_after(self._plan.requirement, scores)]
            self._is_decided |= self._setting.is_out_of_reach and not counts[:, 2].any()
        self._counts.append(counts)
        for name, part in scores.items():
            self._scores[name].append(part[: len(counts)])
        self._n += len(counts)
        self._reused += len(counts) if is_reused else 0
        return len(counts)

    def _decided_after(self, requirement: Requirement, scores: Mapping[str, Scores]) -> int | None:
        """The first trial after which the requirement is decided, so that results do not depend on the batch size;
        None when these trials leave it open."""
        golden = {name: score.value for name, score in self._run.golden.items()}
        broken = [limit.broken_by(scores[limit.metric].values, golden[limit.metric]) for limit in requirement.limits]
        failures = self._failures + np.cumsum(np.any(broken, axis=0))
        self._failures = int(failures[-1])
        for i, count in enumerate(failures.tolist(), start=1):
            if share_decision(count, self._n + i, requirement.max_failure_rate, requirement.confidence):
                self._is_decided = True
                return i
        return None

    def result(self) -> CampaignResult:
        """The campaign so far."""
        by_metric = {}
        for name, metric in self._run.metrics.items():
            scores = Scores.concatenate(self._scores[name])
            by_metric[name] = MetricTrials(
                name, metric.better, metric.bounds, scores.values, scores.undefined, self._run.golden[name]
            )
        hits, cancelled, residual = np.concatenate([np.zeros((0, 3), np.int64), *self._counts]).T
        return CampaignResult(by_metric, self._setting, self._plan, hits, cancelled, residual, self._reused)


def _scores(run: Run, faults: Sequence[FaultSet]) -> dict[str, Scores]:
    evaluated = [i for i, one in enumerate(faults) if len(one)]
    measured = run.fault_sets([faults[i] for i in evaluated]) if evaluated else {}
    scores = {}
    for name, golden in run.golden.items():
        filled = Scores(
            np.full(len(faults), golden.value),
            np.full(len(faults), golden.undefined, np.int64),
            np.zeros(len(faults), np.int64),
        )
        if evaluated:
            filled.fill(np.array(evaluated), measured[name])
        scores[name] = filled
    return scores


def named_metrics(metric: Metric | Mapping[str, Metric]) -> dict[str, Metric]:
    """One metric under its own name, or several under the user's."""
    return dict(metric) if isinstance(metric, Mapping) else {metric.name: metric}
