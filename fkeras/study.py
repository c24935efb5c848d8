"""A study: one model with its memory, data, metrics, engine and store, bound once; what can be asked of them."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.campaigns import (
    CampaignResult,
    Endurance,
    FixedTrials,
    Oracle,
    ProtectionCurve,
    Requirement,
    Setting,
    UntilDecided,
    combined,
    measure_oracle,
    named_metrics,
    required,
    run_campaign,
)
from fkeras.campaigns.accumulation import Accumulation, InTime, OneByOne, accumulating
from fkeras.campaigns.bit_map import BitMap, map_of_flips, map_of_oracle, map_of_ranking
from fkeras.campaigns.budget import MAX_TRIALS, planned, shared_out, unmeasured
from fkeras.campaigns.dead_tensors import DeadTensor, dead_by_construction
from fkeras.campaigns.endurance_campaign import measure_endurance
from fkeras.campaigns.exhaustive import exhaustive_setting, run_exhaustive
from fkeras.campaigns.fault_free import FaultFree
from fkeras.campaigns.limits import GoldenLimit, Limit
from fkeras.campaigns.measured_campaign import DataPart
from fkeras.campaigns.oracle import find_sensitive
from fkeras.campaigns.protection_curve import MOST_EVALUATIONS, protection_curve
from fkeras.campaigns.shard import Shard
from fkeras.campaigns.verdict import BrokenSetUp
from fkeras.engine import GoldenScore, Run
from fkeras.errors import Argument, ChangedError, IdentityError, InputError, Name
from fkeras.fault_free_network import FaultFreeNetwork
from fkeras.faults import (
    AssumedImmune,
    Exposure,
    Faults,
    FaultSet,
    FlipCount,
    Protection,
    fault_model,
    placed,
    protection,
    whole_seed,
)
from fkeras.faults.protected import Protectable, word_check
from fkeras.faults.word_checks import RangeCheck, WordCheck
from fkeras.memory import BitSet, BitSpace, Coverage, FixedPoint
from fkeras.memory.codecs import FloatName
from fkeras.memory.coverage import COVERAGE
from fkeras.memory.space import Memory
from fkeras.metrics import MetricLike, resolve
from fkeras.metrics.changed import changed_outputs
from fkeras.metrics.classification import margins
from fkeras.metrics.inputs import sample_count, take
from fkeras.metrics.metric import DatasetMetric, Metric
from fkeras.metrics.named import NAMED
from fkeras.models import MODELS, ModelHooks, as_pair, engine_identity, engine_parts
from fkeras.models.kinds import model_of
from fkeras.progress import Progress, terminal_bar
from fkeras.protection import Choice, choose, choose_free
from fkeras.protection.behind import ranking_behind
from fkeras.protection.choice import MOST_EVALUATIONS as MOST_OF_A_CHOICE
from fkeras.protection.choice import Campaign, Weights, require_golden_keeps, require_one_layout
from fkeras.protection.order import Aggregate, Granularity
from fkeras.recent import Recent
from fkeras.rtl.area import AreaMeter, area_identity, read_area
from fkeras.rtl.front import Front, protection_front
from fkeras.rtl.front import designs as usual_designs
from fkeras.runs.identity import Keeper, Subject, metric_identity
from fkeras.runs.remembering import RememberingRun
from fkeras.runs.stored import stored_answers
from fkeras.runs.stored_sets import StoredSets
from fkeras.sensitivity import Ranking
from fkeras.sensitivity.ranking import stored_ranking
from fkeras.store import Identity, StoreLike, digest_of, opened

BLIND = ("msb", "random")
"""Rankings that know nothing about the model: a map of them would only look like one."""
SHOWN = 0.5
"""From this share of single flips on, stored ones are a map."""
RankingMethod = str | Callable[..., ArrayLike] | None
Limits = Mapping[str, float] | Requirement
"""Limits by keyword, as in {"max_emd": 1.25}, kept by 95 % of trials at 95 % confidence; or all of that in one."""


class Study:
    """A model with its memory, data, metrics, engine and store, bound once; frozen.

    The functions of `fkeras` are its methods on a new one, and the plugin's `resilience` fixture is one. It can be
    asked again and again: runs, rankings and what is in the store are shared.

    Arguments:
        model: a Keras model, a network from a `.fkn` file, or whatever `hooks` knows.
        data: (x, y), inputs and targets; first axes count samples. None: only what needs no data can be asked.
        metric: what damage means: a name, a metric of `fkeras.metrics`, or several by name.
        layers: globs on a layer's path or last name, `!` excludes: whose words are the memory.
        biases: whether quantized biases belong to the memory.
        memory: whose words, "quantizer" or "hls4ml"; None: those that a network file holds, else the quantizers'.
        words: the IEEE words of what has no quantizer, "float32", "float16" or "bfloat16"; None: it is not covered.
        of, input_format, project: which memories, as of `fkeras.bit_space`: stored words unless told, registers too.
        space: the memory itself, in place of these.
        engine: "auto", "cpu", "gpu", "framework", "hls4ml" or "hls4ml:PATH"; the same numbers but for hls4ml's own.
        seed: of draws and rankings, a whole number.
        store: a folder (or `fkeras.Store`) where results are kept as they are measured, and read; None keeps nothing.
        executor: a `concurrent.futures.Executor` or `dask.distributed.Client` whose workers measure; None: here.
        progress: progress(total, unit, what) -> context manager that gives an `advance(n)`; a bar on terminals.
        hooks: who knows the model; Keras models unless told.
        area: what `fkeras area --json` wrote: where it is of the memory and protection of a campaign, reports say what
            was measured, and else that the area is assumed.
        name: what reports call the model; its own name unless told.

    Raises:
        InputError: for data that are no pair, an unknown engine or metric, a seed that is no whole number.
    """

    def __init__(
        self,
        model: Any,
        data: tuple[Any, Any] | None = None,
        metric: MetricLike | Mapping[str, MetricLike] | None = None,
        *,
        layers: str | Sequence[str] = "*",
        biases: bool = False,
        memory: Memory | None = None,
        words: FloatName | None = None,
        of: str | Sequence[str] = "weights",
        input_format: FixedPoint | None = None,
        project: str | os.PathLike[str] | None = None,
        space: BitSpace | None = None,
        engine: str = "auto",
        seed: int = 0,
        store: StoreLike = None,
        executor: Any = None,
        progress: Progress = terminal_bar,
        hooks: ModelHooks = MODELS,
        area: str | os.PathLike[str] | None = None,
        name: str | None = None,
    ) -> None:
        engine_parts(engine)
        if isinstance(metric, Mapping):
            metrics = {name: resolve(named) for name, named in metric.items()}
        else:
            metrics = {} if metric is None else named_metrics(resolve(metric))
        self._model, self.hooks = model, hooks
        self.data = None if data is None else as_pair(data)
        self.metrics: Mapping[str, Metric] = MappingProxyType(metrics)
        self.coverage = Coverage(layers, biases, memory, words, of, input_format, project)
        if space is not None:
            self.space = space
        self.engine, self.seed, self.store = engine, whole_seed(seed), opened(store)
        self._said: set[str] = set() if self.store is None else set(self.store.notices)
        self.executor, self.progress = executor, progress
        self._area = None if area is None else read_area(area)
        self.model_name: str = name or model_of(model).name
        """What reports call the model."""
        self._spaces: Recent[BitSpace] = Recent()
        self._runs: Recent[Run] = Recent()
        self._oracles: Recent[Oracle] = Recent()
        self._rankings: Recent[Ranking] = Recent()
        self._behind: Recent[Ranking] = Recent()
        self._fault_free = FaultFreeNetwork(model, self.data)
        self._is_frozen = True

    def __setattr__(self, name: str, value: object) -> None:
        if "_is_frozen" in vars(self):
            raise AttributeError(f"a Study is frozen; make another one: study.but({name}=...)")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        metrics = ", ".join(self.metrics) or "no metric"
        return f"<Study of {self.model_name!r}, {metrics}, engine {self.engine!r}, seed {self.seed}>"

    def but(self, **changes: Any) -> Study:
        """The same study with other `layers`, `biases`, `memory`, `words`, `of`, `input_format`, `project`, `space`,
        `engine`, `seed` or `progress`; runs are shared."""
        wrong = set(changes) - {*COVERAGE, "space", "engine", "seed", "progress"}
        if wrong:
            raise InputError(f"but({', '.join(sorted(wrong))}=) is another study: make it with fkeras.Study(...)")
        study = copy.copy(self)
        bound = study.__dict__
        engine_parts(changes.get("engine", self.engine))
        whole_seed(changes.get("seed", self.seed))
        covered = {name: changes.pop(name) for name in COVERAGE if name in changes}
        if covered:
            bound["coverage"] = replace(self.coverage, **covered)
            bound.pop("space", None)
        if covered or changes.keys() & {"space", "engine"}:
            bound.pop("_keeper", None)
        bound.update(changes)
        return study

    @property
    def model(self) -> Any:
        """The model: of a file that nobody opened yet, what is in it."""
        return model_of(self._model).opened

    @cached_property
    def space(self) -> BitSpace:
        """The memory: the stored bits that are covered."""
        return self._spaces.get(self.coverage, lambda: self.hooks.bit_space(self._model, self.coverage))

    @property
    def golden(self) -> dict[str, GoldenScore]:
        """The fault-free network's scores, by metric."""
        return self.run().golden

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that numbers measured here depend on, as the store keys them. IdentityError where it is not known."""
        return self._subject(self.engine).measured

    def trials_identity(self, metric: str, setting: Setting) -> Identity:
        """All that a campaign's trials depend on, as the store keys them. IdentityError where it is not known.

        metric: by name; setting: the campaign's, as in its result.
        """
        return self._subject(self.engine).campaign(self.metric(metric), setting)

    def metric(self, name: str) -> Metric:
        """The metric called `name`: of the study's own, or a built-in one."""
        if name in self.metrics:
            return self.metrics[name]
        if name in NAMED:
            return resolve(name)
        remedy = "; make it with fkeras.metrics.emd(coordinates, cells=cell_of_output)" if name == "emd" else ""
        raise InputError(f"no metric '{name}'; there are {', '.join(self.metric_names)}{remedy}")

    @property
    def metric_names(self) -> list[str]:
        """All metrics that could be asked for."""
        return sorted({*self.metrics, *NAMED})

    def which(self, metric: str | None = None) -> str:
        """The name of the metric that is meant: the only one that there is, unless told. InputError if that is open."""
        name = metric or self.sole_metric
        if name is None:
            there = f"which metric? there are {', '.join(self.metric_names)}; name one, as in "
            raise InputError(there, Argument("metric", "accuracy"))
        return name

    @property
    def sole_metric(self) -> str | None:
        """The study's metric, None where it has several or none."""
        return next(iter(self.metrics)) if len(self.metrics) == 1 else None

    def run(self, names: Sequence[str] | None = None) -> Run:
        """An engine that measures the metrics `names` (all of the study's unless told), started when first asked for.

        ChangedError when model or data are no longer what they were then.
        """
        self.require_unchanged()
        metrics = {name: self.metric(name) for name in (self.metrics if names is None else names)}
        key = (self.space.content_digest, tuple(metrics), self.engine)

        def start() -> Run:
            return self._started(self.required_data, metrics)

        with self._noticing():
            return self._runs.get(key, lambda: self._fault_free.run(metrics, self.space, self._keeper, start))

    def rank(
        self,
        method: RankingMethod = None,
        *,
        metric: str | None = None,
        loss: Any = None,
        behind: WordCheck | None = None,
    ) -> Ranking:
        """Rank the bits, most sensitive first; see `fkeras.rank`. metric: by name; the only one there is, if any."""
        name = metric or self.sole_metric
        damage = None if name is None else self.metric(name)

        def ranked() -> Ranking:
            return self.hooks.rank(self._model, self.data, method, damage, loss, self.seed, self.space)

        self.require_unchanged()

        def stored() -> Ranking:
            with self._noticing():
                entry = self._keeper_of("auto").ranking(method, damage, loss, self.seed)
                return stored_ranking(entry, self.space, ranked)

        key = (method, name, loss, self.seed, self.space.content_digest)
        ranking = self._rankings.get(key, stored)
        if behind is None:
            return ranking
        return self._behind.get((*key, behind), lambda: ranking_behind(behind, self.space, ranking))

    def oracle(
        self,
        metric: str | None = None,
        *,
        bits: ArrayLike | None = None,
        sample_groups: int = 1,
        shard: str | None = None,
    ) -> Oracle:
        """Flip every bit (or each of `bits`, flat indices) alone and measure the metric; see `fkeras.oracle`."""
        name = self.which(metric)
        damage = self.metric(name)
        chosen, share = self._bits(bits), self._share(shard)
        if share is not None:
            metric_identity(damage)
            chosen = share.of_bits(self.space, chosen)
        with self._noticing():

            def measured(run: Run, group: str | None = None) -> Oracle:
                entries = self._keeper.oracle(run, group)
                return measure_oracle(run, name, chosen, self.progress, entries, _writer(share))

            if sample_groups == 1:
                oracle = measured(self.run([name]))
                if len(oracle) == len(self.space):
                    self._oracles[name, oracle.content_digest] = oracle
                return oracle
            x, y = self.required_data
            n_samples = sample_count(y)
            if isinstance(damage, DatasetMetric) or not 1 <= sample_groups <= n_samples:
                raise InputError(
                    f"sample_groups={sample_groups}; allowed are 1 to {n_samples}, the number of samples, and only "
                    "1 for a metric that is one number for the data set"
                )
            parts = []
            for number in range(1, sample_groups + 1):
                rows, group = np.arange(number - 1, n_samples, sample_groups), f"{number} of {sample_groups}"
                run = self._started((take(x, rows), take(y, rows)), {name: damage})
                parts.append(measured(run, group))
            return combined(parts)

    def sensitive_bits(self, bits: ArrayLike | None = None) -> NDArray[np.bool_]:
        """Whether each flip makes a sample wrong that was right; see `fkeras.sensitive_bits`. (n,) bool."""
        metrics = {"mispredictions": resolve("mispredictions")}
        on = self._of_samples(metrics)
        self.require_unchanged()
        whole = self.hooks.start_run(self._model, self.required_data, metrics, self.space, self.engine)

        def ask(missing: NDArray[np.int64]) -> NDArray[np.bool_]:
            wrong = whole.golden["mispredictions"].per_sample
            lead = np.where(wrong == 0, margins(whole.golden_outputs), np.nan)
            return find_sensitive(on, lead, missing, self.progress)

        with self._noticing():
            entry = self._keeper.sensitive_bits(whole.golden["mispredictions"].value)
            return stored_answers(entry, self._bits(bits), ask)

    def protection(self, protected: Protectable) -> Protection:
        """The protection of this memory that `protected` means: bits assumed immune, or what covers them."""
        return protection(self.hooks.resolved(protected, self), self.space)

    def protected_by(self, protected: Protectable) -> tuple[Study, Protection]:
        """That protection, and the same study, its registers read through the limits that a `RangeCheck` in `protected`
        has on its data."""
        study, check = self, word_check(protected)
        if isinstance(check, RangeCheck) and self.space.registers:
            study = self.but(space=check.limited(self.space, self._fault_free.register_ranges(self.space)))
        return study, protection(protected, study.space)

    def setting(self, run: Run, faults: Faults, protected: Protectable = None) -> Setting:
        """What a campaign measured by `run` assumes."""
        drawn, absorbed = placed(fault_model(faults), self.space), protection(protected, self.space)
        area = "" if self._area is None else self._area.statement(absorbed, self.space)
        return Setting(drawn, absorbed, self.seed, run.engine, run.n_samples, self.space, area=area)

    def campaign(
        self,
        metric: str | Sequence[str] | None = None,
        *,
        faults: Faults,
        trials: int | Literal["all"] | FixedTrials | UntilDecided | None = None,
        protected: Protectable = None,
        limits: Limits | None = None,
        max_trials: int = MAX_TRIALS,
        shard: str | None = None,
        allow_chance: bool = False,
    ) -> CampaignResult:
        """Draw fault sets and measure what each does; see `fkeras.campaign`.

        metric: by name, one or several on the same faults; all of the study's unless told. trials: "all" with one
        fault: every bit alone. Without a sound network there is nothing to measure: see `fault_free`.
        """
        study, absorbed = self.protected_by(self.hooks.resolved(protected, self))
        run = study.run([metric] if isinstance(metric, str) else metric)
        requirement = limits if isinstance(limits, Requirement) else required(limits, run.metrics)
        if requirement is not None and allow_chance:
            requirement = replace(requirement, golden=replace(requirement.golden, allow_chance=True))
        golden_limits = () if requirement is None else requirement.golden.limits
        study.require_bite(golden_limits, run)
        share = study._share(shard)
        if trials == "all" and (fault_model(faults) != FlipCount(1) or share is not None):
            raise InputError('trials="all" flips every bit alone; write faults=1, trials="all", and no shard=')
        plan = planned(len(study.space) if trials == "all" else trials, requirement, max_trials)
        setting = study.setting(run, faults, absorbed)
        study._require_range_check(setting.protection)
        if trials == "all":
            setting = replace(exhaustive_setting(run, setting.protection, study.seed), area=setting.area)
        known = study.fault_free(list(run.metrics), golden_limits)
        if requirement is not None:
            # First of all: of a network that is not sound, limits against its golden value may well make no sense.
            if requirement.golden.problems(known):
                return replace(unmeasured(run, setting, FixedTrials(plan.most)), fault_free=known)
            study.require_bite(requirement.limits, run)
        if share is not None:
            for damage in run.metrics.values():
                metric_identity(damage)
        with study._noticing():
            if trials == "all":
                entries = study._keeper.oracle(run)
                exhaustive = run_exhaustive(run, setting.protection, study.progress, entries, study.seed)
                return study._with(known, replace(exhaustive, setting=setting))
            entries = study._keeper.campaign(run, setting)
            if share is not None:
                setting, plan = shared_out(setting, plan, share)
            return study._with(known, run_campaign(run, setting, plan, study.progress, entries, _writer(share)))

    def _require_range_check(self, protection: Protection) -> None:
        """InputError for registers that are read through limits under a protection that has none."""
        limited = any(register.limits is not None for register in self.space.registers)
        if limited and not isinstance(word_check(getattr(protection, "stated", None)), RangeCheck):
            raise InputError(
                "the registers of this memory are read through limits, and ", Argument("protected"), " names no range "
                "check; write ", Argument("protected", Name('fkeras.RangeCheck("clamp", of=space)')), ", or measure "
                "fkeras.bit_space(model, of=...)"
            )  # fmt: skip

    def unmeasured(
        self, names: Sequence[str], faults: Faults, protected: Protectable, known: FaultFree
    ) -> CampaignResult:
        """A campaign that was not begun, because of what is known of the network: no trials."""
        run = self.run(names)
        return replace(unmeasured(run, self.setting(run, faults, protected), FixedTrials(1)), fault_free=known)

    def _with(self, known: FaultFree, result: CampaignResult) -> CampaignResult:
        """The result with what is known of the network; where nothing changed, also whether anything could."""
        if result.changed_nothing and not result.is_untouched:
            dead = self.dead_tensors(result)
            known = known.with_dead(dead, self.space)
        return replace(result, fault_free=known)

    def fault_free(self, names: Sequence[str] | None = None, limits: Sequence[GoldenLimit] = ()) -> FaultFree:
        """What is known of the network and the data before faults are drawn, of the metrics `names` (all unless told).

        limits: on fault-free values, whose metrics are measured too.
        """
        run = self.run(names)
        others = sorted({limit.metric for limit in limits} - set(run.metrics))
        known = self._known_by(run)
        if others:
            known = replace(known, golden={**self._known_by(self.run(others)).golden, **known.golden})
        return known.with_dead(dead_by_construction(self.space), self.space)

    def _known_by(self, run: Run) -> FaultFree:
        return self._fault_free.of_run(run, self.space, self.engine, self._keeper)

    def dead_tensors(self, result: CampaignResult | None = None) -> tuple[DeadTensor, ...]:
        """The tensors of which no single flip changes an output: by construction and, with data, on these samples.

        result: a campaign of this study, whose trials show of most tensors that they are none. The hls4ml engine is not
        asked about samples: it compiles for each look.
        """
        if self.data is None or engine_parts(self.engine)[0] == "hls4ml":
            return dead_by_construction(self.space)
        start = self._of_samples({"changed_outputs": changed_outputs()})
        return self._fault_free.dead_tensors(self.space, self.engine, start, self.stored_sets, self.progress, result)

    def critical_bits(
        self, limits: Mapping[str, float], *, metric: str | None = None, bits: ArrayLike | None = None
    ) -> BitSet:
        """The bits whose flip alone breaks a limit; see `fkeras.critical_bits`."""
        name = self.which(metric)
        self.requirement(limits, self.run([name]))
        return self.oracle(name, bits=bits).critical(**limits)

    def endurance(
        self,
        *,
        metric: str | None = None,
        faults: Faults | None = None,
        limits: Limits | None = None,
        upsets_per_bit_second: float | None = None,
        upsets_per_second: float | None = None,
        looks: ArrayLike | None = None,
        max_flips: int | None = None,
        exposure_seconds: float | None = None,
        min_survived: float | None = None,
        trials: int = 100,
        protected: Protectable = None,
    ) -> Endurance:
        """Let faults accumulate, and measure the metric against their number; see `fkeras.endurance`."""
        name = self.which(metric)
        rates = {"upsets_per_bit_second": upsets_per_bit_second, "upsets_per_second": upsets_per_second}
        stated = [rate for rate, value in rates.items() if value is not None]
        accumulation: Accumulation = OneByOne()
        if faults is not None:
            if stated:
                raise InputError(Argument("faults"), " and ", Argument(stated[0]), " are two rates; keep one")
            accumulation, seconds = accumulating(faults, self.space)
            exposure_seconds = seconds if exposure_seconds is None else exposure_seconds
        elif stated:
            accumulation = InTime(Exposure(1.0, **rates))
        wrong_end = "max_flips" if accumulation.unit == "seconds" else "exposure_seconds"
        if {"max_flips": max_flips, "exposure_seconds": exposure_seconds}[wrong_end] is not None:
            other = ("exposure_seconds", "") if wrong_end == "max_flips" else ("max_flips", ", or give a rate")
            what = f" does not go with looks in {accumulation.unit}; write "
            raise InputError(Argument(wrong_end), what, Argument(other[0]), other[1])
        study, absorbed = self.protected_by(self.hooks.resolved(protected, self))
        with self._noticing(), study.stored_sets([name]) as run:
            return measure_endurance(
                run,
                name,
                accumulation,
                absorbed,
                self.seed,
                self._sound_requirement(limits, run),
                self.progress,
                looks=looks,
                end=exposure_seconds if max_flips is None else max_flips,
                least=min_survived,
                trials=trials,
            )

    def protection_curve(
        self,
        faults: Faults,
        ranking: Ranking,
        limits: Limits,
        *,
        metric: str | None = None,
        under: Callable[[BitSet], Any] = AssumedImmune,
        max_trials: int = MAX_TRIALS,
        max_evaluations: int = MOST_EVALUATIONS,
    ) -> ProtectionCurve:
        """How many bits of a ranking must be protected for a campaign to pass; see `fkeras.protection_curve`."""
        self.space.require_layout(ranking.layout_digest, "this ranking")
        name = self.which(metric)
        with self._noticing(), self.stored_sets([name]) as run:
            requirement = self._sound_requirement(limits, run)
            if requirement is None:
                raise InputError("a protection curve needs ", Argument("limits"), ", as in {'max_emd': 1.25}")
            return protection_curve(
                run,
                self.setting(run, faults),
                UntilDecided(requirement, max_trials),
                requirement,
                lambda k: self.protection(under(ranking[:k])),
                len(ranking),
                max_evaluations=max_evaluations,
                progress=self.progress,
            )

    def protection_front(
        self,
        faults: Faults,
        limits: Limits,
        *,
        metric: str | None = None,
        designs: Mapping[str, Protectable] | None = None,
        method: RankingMethod = None,
        trials: int = 200,
    ) -> Front:
        """Resilience against measured area, design by design; see `fkeras.protection_front`."""
        self.space.require_stored("a front of designs by measured area")
        name = self.which(metric)
        with self._noticing(), self.stored_sets([name]) as stored:
            run = RememberingRun(stored)
            requirement = self._sound_requirement(limits, run)
            if requirement is None:
                raise InputError("a front needs ", Argument("limits"), ", as in {'max_emd': 1.25}")
            setting = self.setting(run, faults)
            if designs is None:
                designs = usual_designs(self.space, self.rank(method), setting.fault_model, self.seed)
            meter = AreaMeter(None if self.store is None else self.store.documents(area_identity()))
            return protection_front(run, setting, requirement, trials, designs, meter, self.progress)

    def protect(
        self,
        *others: Study,
        bits: int | None = None,
        share: float | None = None,
        overhead: float | None = None,
        faults: Faults | None = None,
        limits: Limits | None = None,
        under: Callable[[BitSet], Any] = AssumedImmune,
        free: bool = False,
        granularity: Granularity = "bit",
        aggregate: Aggregate = "mean",
        method: RankingMethod = None,
        max_trials: int = MAX_TRIALS,
        max_evaluations: int = MOST_OF_A_CHOICE,
    ) -> Choice:
        """Choose a mask for this model, and in common for `others`, retrainings of it; see `fkeras.protect`."""
        studies = (self, *others)
        if (faults is not None or limits) and (faults is None or not limits or not self.metrics or self.data is None):
            raise InputError(
                "a campaign that must pass needs ", Argument("faults"), ", ", Argument("metric"), ", ",
                Argument("limits"), " and data; give all or none"
            )  # fmt: skip
        sized = {name for name, size in (("bits", bits), ("share", share), ("overhead", overhead)) if size is not None}
        if free and (sized or faults is None):
            raise InputError(
                Argument("free", True), " chooses a check, and the fewest bits beside it with which a campaign passes; "
                "give ", Argument("faults"), ", ", Argument("limits"), " and data, and no size"
            )  # fmt: skip
        if free:
            self.space.require_stored("choosing a check that costs no bit (free)")
        require_one_layout([study.model_name for study in studies], [study.space for study in studies])
        check = word_check(under(BitSet(np.zeros(0, np.int64))))
        with ExitStack() as stack:

            def campaign_of(study: Study) -> Campaign | None:
                if faults is None:
                    return None
                name = self.which()
                stack.enter_context(study._noticing())
                # The levels of a search have most of their fault sets in common.
                run = RememberingRun(stack.enter_context(study.stored_sets([name])))
                requirement = study._sound_requirement(limits, run)
                assert requirement is not None
                if not sized:
                    require_golden_keeps(study.model_name, run, requirement)
                setting = replace(study.setting(run, faults), seed=self.seed)
                return Campaign(run, setting, UntilDecided(requirement, max_trials), max_evaluations, self.progress)

            campaigns = [campaign_of(study) for study in studies]
            weights = [
                Weights(study.model_name, study.space, study.rank(method, behind=check), campaign)
                for study, campaign in zip(studies, campaigns, strict=True)
            ]
            how: dict[str, Any] = {
                "kind": under,
                "granularity": granularity,
                "aggregate": aggregate,
                "stated": {**self.coverage.to_dict(), "memory": self.space.memory},
            }
            if free:
                return choose_free(weights, **how)
            return choose(weights, bits=bits, share=share, overhead=overhead, **how)

    def bit_map(self, golden: Mapping[str, float]) -> BitMap | None:
        """How much each bit matters, as far as it is known: by an oracle of this study, or a stored one of a metric in
        `golden` (its fault-free values), or else by a ranking of this study."""
        for oracle in self._oracles:
            if oracle.content_digest == self.space.content_digest:
                return map_of_oracle(oracle, self.space)
        entries = {} if self.store is None or not golden else self._keeper.oracle(self.run(list(golden)))
        for name, entry in entries.items():
            flips = entry.known()
            if flips and len(set(flips["bit"].tolist())) >= SHOWN * len(self.space):
                return map_of_flips(flips["bit"], flips["value"] - golden[name], self.space, name)
        for ranking in self._rankings:
            if ranking.layout_digest == self.space.layout_digest and ranking.method not in BLIND:
                return map_of_ranking(ranking.order, ranking.method, self.space)
        return None

    def injected(self, faults: FaultSet) -> AbstractContextManager[Any]:
        """A read-only view of the model that computes with `faults`; see `fkeras.injected`."""
        return model_of(self._model).injected(faults, self.space)

    def requirement(self, limits: Limits | None, run: Run) -> Requirement | None:
        """What limits by keyword ask of the metrics of `run`; None without any.

        InputError for limits that no outcome could break, or that every outcome breaks.
        """
        requirement = limits if isinstance(limits, Requirement) else required(limits, run.metrics)
        if requirement is not None:
            self.require_bite((*requirement.limits, *requirement.golden.limits), run)
        return requirement

    def require_bite(self, limits: Sequence[Limit], run: Run | None = None) -> None:
        """InputError for limits that no outcome could break, or that every outcome breaks."""
        for limit in limits:
            measured = run if run is not None and limit.metric in run.metrics else self.run([limit.metric])
            metric, golden = measured.metrics[limit.metric], measured.golden[limit.metric]
            golden.require_finite(limit.metric)
            limit.require_bite(metric.better, metric.bounds, golden.value)

    def _sound_requirement(self, limits: Limits | None, run: Run) -> Requirement | None:
        """The same for what gives no verdict: BrokenSetUp where the network is not what the limits say of it."""
        requirement = self.requirement(limits, run)
        if requirement is not None and requirement.golden.limits:
            golden = {
                limit.metric: self.run([limit.metric]).golden[limit.metric].value for limit in requirement.golden.limits
            }
            problems = requirement.golden.problems(FaultFree(golden))
            if problems:
                raise BrokenSetUp("; ".join(problems))
        return requirement

    def stored_sets(self, names: Sequence[str]) -> StoredSets:
        """A run for searches, which choose fault sets by what others did; to be used in a `with`."""
        run = self.run(names)
        return StoredSets(run, self._keeper.fault_sets(run))

    @property
    def required_data(self) -> tuple[Any, Any]:
        """The data. InputError where there are none."""
        return self._fault_free.data

    @property
    def data_summary(self) -> tuple[DataPart, ...]:
        """What tells the data from other ones, for baselines."""
        self.require_unchanged()
        return self._fault_free.data_summary

    def require_unchanged(self) -> None:
        """ChangedError when model or data are no longer what they were when first measured with."""
        now = self.hooks.state(self._model, self.data)
        first = self.__dict__.setdefault("_first_state", now)
        for what, was in first.items():
            if was != now[what]:
                raise ChangedError(
                    f"the {what} changed since this study first measured with it: something wrote into it "
                    "(set_weights, x *= 0, a metric ...), so nothing is measured on it or stored; let "
                    "that work on a copy, or make another Study of what it is now"
                )

    def _started(self, data: tuple[Any, Any], metrics: Mapping[str, Metric]) -> Run:
        run = self.hooks.start_run(self._model, data, metrics, self.space, self.engine)
        return self.hooks.on_workers(run, self._model, data, metrics, self.engine, self.executor)

    def _of_samples(self, metrics: Mapping[str, Metric]) -> Callable[[NDArray[np.int64]], Run]:
        """Starts an engine on chosen samples, here."""
        x, y = self.required_data

        def start(rows: NDArray[np.int64]) -> Run:
            return self.hooks.start_run(self._model, (take(x, rows), take(y, rows)), metrics, self.space, self.engine)

        return start

    def _bits(self, bits: ArrayLike | None) -> NDArray[np.int64]:
        return np.arange(len(self.space)) if bits is None else self.space.check(bits)

    def _share(self, shard: str | None) -> Shard | None:
        share = None if shard is None else Shard.parse(shard)
        if share is not None and self.store is None:
            where = " is where the shares are put together"
            raise InputError(Argument("shard", str(share)), " needs ", Argument("store"), ": that" + where)
        if share is not None:
            self._subject(self.engine)
        return share

    @cached_property
    def _keeper(self) -> Keeper:
        return self._keeper_of(self.engine)

    def _keeper_of(self, engine: str) -> Keeper:
        if self.store is None:
            return Keeper(None, None)
        try:
            return Keeper(self.store, self._subject(engine), self.require_unchanged)
        except IdentityError as error:
            self.store.notice(f"not stored: {error}")
            return Keeper(None, None)

    def _subject(self, engine: str) -> Subject:
        model, data = self._digests
        return Subject(model, self.space, data, engine_identity(engine))

    @cached_property
    def _digests(self) -> tuple[Mapping[str, str], str]:
        self.require_unchanged()
        return self.hooks.identity(self._model), digest_of(self.data)

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """What was found wrong with the store since this study was made is said, once."""
        yield
        for notice in [] if self.store is None else self.store.notices:
            if notice not in self._said:
                self._said.add(notice)
                self.hooks.notice(notice)


def _writer(share: Shard | None) -> str:
    return "" if share is None else f"-{share.number}of{share.of}"
