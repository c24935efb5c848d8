"""The campaign of one test: what its budget asks for, on the model under test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from numpy.typing import NDArray

from fkeras.campaigns import CampaignResult, FixedTrials, Limit, Requirement, UntilDecided, Verdict, parse_limit
from fkeras.campaigns.bit_map import BitMap, map_of_exhaustive, map_of_protection
from fkeras.campaigns.fault_free import FaultFree, GoldenRequirement
from fkeras.campaigns.limits import GoldenLimit
from fkeras.campaigns.oracle import CHANGE_TOLERANCE
from fkeras.campaigns.verdict import MAX_FAILURE_RATE, apart
from fkeras.engine import GoldenScore
from fkeras.errors import IdentityError
from fkeras.faults import FaultModel, FlipCount, Protection
from fkeras.faults.fault_models import key_of
from fkeras.faults.protected import word_check
from fkeras.memory import BitSpace
from fkeras.metrics.named import NAMED
from fkeras.progress import silent
from fkeras.report.failure import Explanation
from fkeras.sensitivity import Ranking
from fkeras.statistics import Estimate, leveugle
from fkeras.study import Study
from pytest_fkeras.collection import NAME
from pytest_fkeras.marks import THE_ONLY_METRIC, Budget
from pytest_fkeras.options import Options
from pytest_fkeras.resilience import Source
from pytest_fkeras.selection import resolved


class FaultCampaign:
    """The `fkeras_campaign` fixture: the result of the test's fault budget.

    Metrics that limits name are measured before the test's body runs, all others when they are first read, on the
    same fault sets. `campaign["emd"]` is one metric's result; `campaign.failure_rate(max_emd=1.25)` an estimate of
    the share of trials over a limit; `.values` and `.estimate` read the metric in question if there is only one.
    """

    def __init__(self, resilience: Study, budget: Budget, options: Options) -> None:
        self.budget, self._options = budget, options
        self.was_read = False
        self.notices: tuple[str, ...] = ()
        """What reports should say about this budget's memory."""
        self._problems: tuple[str, ...] = ()
        self._result: CampaignResult | None = None
        self._longer: CampaignResult | None = None
        engine, seed = options.engine(budget.engine), options.seed(budget.seed)
        golden = options.golden_limits(resilience.metric_names)
        # Rankings have the session's seed, whatever a budget's own is.
        self._ranked = resilience.but(**budget.coverage)
        self.study = self._ranked.but(engine=engine, seed=seed)
        """What is measured."""
        self.requirement, self.golden_requirement = self._bound(budget, golden)
        names = self._limited
        self._main = names[0] if len(names) == 1 else None if names else resilience.sole_metric
        source = self._source()
        protected = resolved(budget.protected, source)
        self.study, self.protection = self.study.protected_by(protected)
        self.space: BitSpace = self.study.space
        self._rankings = source.used

    @property
    def _limited(self) -> list[str]:
        """The metrics that limits name."""
        limits = () if self.requirement is None else self.requirement.limits
        return list(dict.fromkeys(limit.metric for limit in limits))

    def _source(self) -> Source:
        """What a selection such as `ranking[:k]` is resolved against."""
        return Source(self._ranked, self.budget.method, self._limited[0] if self._limited else None)

    def prepare(self) -> None:
        """Measure what the limits name, or else the only metric there is, if the network without faults is sound."""
        names = self._limited or ([self._main] if self._main is not None else [])
        required = self.golden_requirement
        self.study.require_bite(required.limits)
        asked = names or sorted({limit.metric for limit in required.limits})
        known = self.study.fault_free(asked, required.limits) if asked else FaultFree()
        self._problems = required.problems(known)
        doubt: tuple[str, ...] = ()
        if names and self._problems:
            self._result = self.study.unmeasured(names, self.budget.faults, self.protection, known)
        elif names:
            self._measure(names)
            assert self._result is not None
            self._result, doubt = self._with_dead(replace(self._result, fault_free=known))
            known = self._result.fault_free
        self.notices = (*self._own_metrics(names), *(() if known.is_all_dead else map(str, known.dead)), *doubt)
        project = self._options.hls4ml_project
        # An engine with a project says it by itself.
        if project is not None and not self.study.engine.startswith("hls4ml:"):
            hooks: Any = self.study.hooks
            absent = hooks.not_stored(self.study, project)
            self.notices += (absent,) if absent else ()

    def _with_dead(self, result: CampaignResult) -> tuple[CampaignResult, tuple[str, ...]]:
        """The result with the tensors that cannot hurt; its verdict stands without, and then it is said why."""
        try:
            known = result.fault_free.with_dead(self.study.dead_tensors(result), self.space)
        except Exception as error:
            return result, (f"whether every tensor can hurt is not known: {type(error).__name__}: {error}",)
        return replace(result, fault_free=known), ()

    @property
    def cached(self) -> tuple[str, ...]:
        """What was not computed in this run but read from the cache, for reports."""
        rankings = dict.fromkeys(f"ranking '{one.method}'" for one in self._rankings if one.reused)
        found = self._result
        trials = () if found is None or not found.reused else (f"{found.reused:,} of {len(found):,} trials",)
        return (*rankings, *trials)

    @property
    def ranking(self) -> Ranking:
        """The bits of this budget's memory, most sensitive first, as its bare `ranking` ranks them."""
        return self._source().behind(word_check(getattr(self.protection, "stated", None))).ranking(None)

    @property
    def result(self) -> CampaignResult:
        """Everything measured so far."""
        self.was_read = True
        if self._result is None:
            raise pytest.UsageError(
                "nothing was measured: no limit names a metric; choose one, as in fkeras_campaign['accuracy']"
            )
        return self._result

    def __getitem__(self, metric: str) -> CampaignResult:
        self._measure([metric])
        return self.result[metric]

    def __len__(self) -> int:
        return len(self.result)

    @property
    def values(self) -> NDArray[Any]:
        """The metric in each trial, (trials,) float64."""
        return self[self._sole()].values

    @property
    def estimate(self) -> Estimate:
        """The mean over trials, given this data set, with an interval."""
        return self[self._sole()].estimate

    @property
    def golden(self) -> GoldenScore:
        """The fault-free network's score; its standard error is the data set's own."""
        return self[self._sole()].golden

    def failure_rate(self, limit: float | None = None, *, confidence: float = 0.95, **limits: float) -> Estimate:
        """The share of trials that break a limit, with a two-sided interval, given this data set.

        limit: in the metric's own direction, when there is one metric; or keywords as in the mark, `max_emd=1.25`.
        """
        if limit is not None:
            return self[self._sole()].failure_rate(limit, confidence=confidence, **limits)
        metrics = self.study.metric_names
        self._measure([parse_limit(keyword, value, metrics).metric for keyword, value in limits.items()])
        return self.result.failure_rate(confidence=confidence, **limits)

    @property
    def verdict(self) -> Verdict | None:
        """What the trials prove about the budget's limits; None without limits."""
        return None if self.requirement is None else self.result.verdict(self.requirement)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why nothing that faults do to this network would mean anything, in sentences; of all metrics read so far."""
        return self._problems if self._result is None else self._result.problems(self.golden_requirement)

    @property
    def measured(self) -> CampaignResult | None:
        """The result, without being read; None where no metric was measured."""
        return self._result

    @property
    def faults_text(self) -> str:
        """The fault model as it enters the trials' seeds, and how long it takes where only scrubbing needs to know."""
        model = self.budget.faults
        seconds = getattr(model, "exposure_seconds", None)
        timed = seconds is not None and "exposure_seconds" not in key_of(model)
        return key_of(model) + (f" over {seconds:g} s" if timed else "")

    def identities(self, result: CampaignResult) -> tuple[dict[str, str], tuple[str, ...]]:
        """What the trials of each metric depend on, as a digest, and why that is not known of the others."""
        digests, problems = {}, []
        for name in result.by_metric:
            try:
                digests[name] = self.study.trials_identity(name, result.setting).digest
            except IdentityError as error:
                problems.append(str(error))
        return digests, tuple(dict.fromkeys(problems))

    @property
    def max_failure_rate(self) -> float:
        """The share of draws that may be worse than is wanted."""
        return MAX_FAILURE_RATE if self.requirement is None else self.requirement.max_failure_rate

    @property
    def most_trials(self) -> int:
        """Where this campaign would have ended at the latest."""
        if self.budget.is_exhaustive:
            return len(self.space)
        plan = self._plan()
        return plan.max_trials if isinstance(plan, UntilDecided) else plan.trials

    def longer(self, trials: int = 0) -> CampaignResult:
        """The metrics of the limits, or all that were read, over at least so many trials.

        The campaign's own trials are the first of them, and its verdict does not see the others.
        """
        assert self._result is not None
        names = self._limited or list(self._result.by_metric)
        own = replace(self._result, by_metric={name: self._result.by_metric[name] for name in names})
        if trials <= len(own) or own.is_exact:
            return own
        if self._longer is None or len(self._longer) < trials or list(self._longer.by_metric) != names:
            self._longer = self._run(names, FixedTrials(trials))
        return self._longer

    def bit_map(self) -> BitMap | None:
        """How much each bit matters, from what is known already; None where nothing is."""
        if self._result is not None and self.budget.is_exhaustive:
            return map_of_exhaustive(self._result, next(iter(self._result.by_metric)))
        golden = {} if self._result is None else {n: one.golden.value for n, one in self._result.by_metric.items()}
        return self.study.bit_map(golden) or map_of_protection(self.protection, self.space)

    def _sole(self) -> str:
        if self._main is None:
            names = sorted(self._limited) or self.study.metric_names
            raise pytest.UsageError(
                f"which metric? there are {', '.join(names)}; choose one, as in fkeras_campaign[{names[0]!r}]"
            )
        return self._main

    def under(self, fault_model: FaultModel, trials: int) -> CampaignResult:
        """The same under another fault model."""
        return self.study.but(progress=silent).campaign(
            list(self.result.by_metric), faults=fault_model, trials=FixedTrials(trials), protected=self.protection
        )

    def explanation(self) -> Explanation:
        """Why the limits are missed; costs further evaluations."""
        from pytest_fkeras.explain import explain

        if self.requirement is None:
            return Explanation()
        plan = FixedTrials(len(self.result)) if self.budget.is_exhaustive else self._plan()
        with self.study.stored_sets(self._limited) as run:
            source = self._source()

            def protect(protected: Any) -> Protection:
                return self.study.protection(resolved(protected, source))

            return explain(self.result, self.requirement, plan, run, self.budget, source, protect)

    def _own_metrics(self, names: Sequence[str]) -> tuple[str, ...]:
        """Which of the metrics are the project's own under the name of a built-in one, in sentences."""
        own = (name for name in names if name in NAMED and self.study.metric(name).identity != NAMED[name]().identity)
        return tuple(f"{name} is what fkeras_metrics calls so, not the built-in metric" for name in own)

    def _bound(self, budget: Budget, usual: tuple[GoldenLimit, ...]) -> tuple[Requirement | None, GoldenRequirement]:
        """What the budget requires of the metrics and the memory under test, with faults and without; usual: what is
        required without where it does not say."""
        for keyword in budget.own_keywords:
            side, _, name = keyword.partition("_")
            if side in ("max", "min") and name in self.study.metrics:
                raise pytest.UsageError(
                    f"{keyword}= is a keyword of {NAME}, and the fkeras_metrics fixture has a metric called {name}; "
                    f"give the metric another name, as in {name}_of_samples"
                )
        stated = () if budget.requirement is None else budget.requirement.limits
        of_trials, golden = apart(
            self._worse_by(limit.value)
            if limit.metric == THE_ONLY_METRIC
            else parse_limit(limit.keyword, limit.value, self.study.metric_names)
            for limit in (*stated, *budget.golden)
        )
        measured = {limit.metric for limit in of_trials} or set(filter(None, (self.study.sole_metric,)))
        keywords = {limit.keyword for limit in golden}
        golden += tuple(limit for limit in usual if limit.metric in measured and limit.keyword not in keywords)
        without_faults = GoldenRequirement(
            golden, self._options.allow_chance, "fkeras_allow_chance = true in the ini file"
        )
        if not of_trials:
            return None, without_faults
        required = budget.requirement or Requirement(of_trials, budget.max_failure_rate, budget.confidence)
        return replace(required.on(of_trials, len(self.study.space)), golden=without_faults), without_faults

    def _worse_by(self, least: float) -> Limit:
        """The only metric must not get worse by more than `least`; roundings are no change."""
        name = self.study.sole_metric
        if name is None:
            raise pytest.UsageError(
                f"min_change={least:g} of which metric? there are {', '.join(self.study.metric_names)}; write "
                "a limit instead, as in max_sensitive_fraction=0.3, max_accuracy_drop=0.01"
            )
        kind: Any = "increase" if self.study.metric(name).better == "lower" else "drop"
        return Limit(name, kind, max(least, CHANGE_TOLERANCE))

    def _measure(self, names: Sequence[str]) -> None:
        missing = [name for name in dict.fromkeys(names) if self._result is None or name not in self._result.by_metric]
        if not missing:
            return
        measured = self._run(missing, None if self._result is None else FixedTrials(len(self._result)))
        if self._result is not None:
            # One campaign: its trials, and how their number came about, are those of the metrics measured first.
            known = self._result.fault_free | measured.fault_free
            by_metric = {**self._result.by_metric, **measured.by_metric}
            measured = replace(self._result, by_metric=by_metric, fault_free=known)
        self._result = measured

    def _run(self, names: Sequence[str], plan: FixedTrials | None) -> CampaignResult:
        """Measure metrics, as many trials as the budget wants unless told."""
        if self.budget.is_exhaustive:
            return self.study.campaign(names, faults=1, trials="all", protected=self.protection)
        return self.study.campaign(
            names, faults=self.budget.faults, trials=plan or self._plan(), protected=self.protection
        )

    def _plan(self) -> FixedTrials | UntilDecided:
        budget = self.budget
        kind, value = self._options.trials(
            trials=budget.trials,
            margin=budget.margin,
            max_trials=budget.max_trials,
            has_limits=self.requirement is not None,
        )
        if kind == "until":
            assert self.requirement is not None
            return UntilDecided(self.requirement, int(value))
        if kind == "margin":
            is_single = isinstance(budget.faults, FlipCount) and budget.faults.n_faults == 1
            population = len(self.space) if is_single else None
            return FixedTrials(max(1, leveugle(population, value, budget.confidence)))
        return FixedTrials(int(value))
