"""What is measured: single flips, many at once, until they are too many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.api.models import bit_space
from fkeras.api.results import keeping, require_identity, writer_name
from fkeras.api.runs import as_pair, engine_parts, lazy_run, start_run, stored_sets
from fkeras.campaigns import (
    CampaignResult,
    Endurance,
    FixedTrials,
    Limit,
    Oracle,
    ProtectionCurve,
    Requirement,
    Setting,
    UntilDecided,
    combined,
    measure_oracle,
    named_metrics,
    parse_limit,
    run_campaign,
)
from fkeras.campaigns.accumulation import Accumulation, InTime, OneByOne
from fkeras.campaigns.budget import MAX_TRIALS, shared_out
from fkeras.campaigns.histories import measure_endurance
from fkeras.campaigns.progress import Progress, terminal_bar
from fkeras.campaigns.protection_curve import MOST_EVALUATIONS
from fkeras.campaigns.protection_curve import protection_curve as search_protection
from fkeras.campaigns.sensitive import find_sensitive
from fkeras.campaigns.shares import Share
from fkeras.campaigns.stored import stored_answers
from fkeras.engine import Run
from fkeras.errors import InputError
from fkeras.faults import AssumedImmune, Exposure, FaultModel, fault_model, protection, whole_seed
from fkeras.faults.protection import Protectable
from fkeras.memory import BitSet, BitSpace
from fkeras.metrics import MetricLike, resolve
from fkeras.metrics.classification import margins
from fkeras.metrics.inputs import sample_count, take
from fkeras.metrics.metric import DatasetMetric
from fkeras.sensitivity import Ranking
from fkeras.store import StoreLike


def oracle(
    model: Any,
    data: tuple[Any, Any],
    *,
    metric: MetricLike,
    bits: ArrayLike | None = None,
    space: BitSpace | None = None,
    engine: str = "auto",
    sample_groups: int = 1,
    store: StoreLike = None,
    shard: str | None = None,
    executor: Any = None,
    progress: Progress = terminal_bar,
) -> Oracle:
    """Flip every bit (or each of `bits`, flat indices) alone and measure the metric.

    sample_groups: keep the deltas of that many interleaved groups of the samples as well; `ranking_quality` then says
    how sure it is. For metrics per sample.
    store: a folder (or `fkeras.Store`) where bits are written as they are measured, and stored ones are not measured
    again. shard: "2/4" measures the second of four shares of the bits only; once all are in one store (`merge`), the
    same call without it reads the whole.
    executor: a `concurrent.futures.Executor` or a `dask.distributed.Client` whose workers do the work.
    Cost: one evaluation of the data set per bit, less with the fast engine, which gives the same numbers.
    """
    one = resolve(metric)
    used = bit_space(model) if space is None else space
    chosen = np.arange(len(used)) if bits is None else used.check(bits)
    share = None if shard is None else Share.parse(shard)
    if share is not None:
        chosen = share.of_bits(used, chosen)
    with keeping(store, model, used, data, engine, share) as keeper:
        require_identity(keeper, share, [one])

        def measured(part: tuple[Any, Any], group: str | None = None) -> Oracle:
            run = lazy_run(keeper, model, part, {one.name: one}, used, engine, executor, group)
            entries = {} if keeper is None else keeper.oracle({one.name: one}, group)
            return measure_oracle(run, one.name, chosen, progress, entries, writer_name(share))

        if sample_groups == 1:
            return measured(data)
        x, y = as_pair(data)
        n_samples = sample_count(y)
        if isinstance(one, DatasetMetric) or not 1 <= sample_groups <= n_samples:
            raise InputError(
                f"sample_groups={sample_groups}; allowed are 1 to {n_samples}, the number of samples, and only "
                "1 for a metric that is one number for the data set"
            )
        groups = (np.arange(group, n_samples, sample_groups) for group in range(sample_groups))
        return combined(
            [
                measured((take(x, rows), take(y, rows)), f"{number} of {sample_groups}")
                for number, rows in enumerate(groups, start=1)
            ]
        )


def sensitive_bits(
    model: Any,
    data: tuple[Any, Any],
    *,
    bits: ArrayLike | None = None,
    space: BitSpace | None = None,
    engine: str = "auto",
    store: StoreLike = None,
    progress: Progress = terminal_bar,
) -> NDArray[np.bool_]:
    """Whether each flip makes a sample wrong that was right (paper, section 4.1), in the order of `bits`; (n,) bool.

    The same as `oracle(..., metric="mispredictions").sensitive`, for less work: a bit is done at its first broken
    sample, and samples whose class wins by little are tried first. data: y are classes. store: as in `oracle`, but
    written when all bits are done.
    """
    x, y = as_pair(data)
    metric = resolve("mispredictions")
    used = bit_space(model) if space is None else space
    chosen = np.arange(len(used)) if bits is None else used.check(bits)

    def found(missing: NDArray[np.int64]) -> NDArray[np.bool_]:
        golden_engine = engine if engine_parts(engine)[0] == "hls4ml" else "reference"
        whole = start_run(model, data, {metric.name: metric}, used, golden_engine)
        wrong = whole.golden[metric.name].per_sample
        return find_sensitive(
            lambda rows: start_run(model, (take(x, rows), take(y, rows)), {metric.name: metric}, used, engine),
            np.where(wrong == 0, margins(whole.golden_outputs), np.nan),
            missing,
            progress,
        )

    with keeping(store, model, used, data, engine) as keeper:
        return found(chosen) if keeper is None else stored_answers(keeper.sensitive_bits(), chosen, found)


def campaign(
    model: Any,
    data: tuple[Any, Any],
    *,
    metric: MetricLike | Mapping[str, MetricLike],
    faults: int | FaultModel,
    trials: int | None = None,
    protected: Protectable = None,
    seed: int = 0,
    limits: Mapping[str, float] | None = None,
    max_failure_rate: float = 0.05,
    confidence: float = 0.95,
    max_trials: int = MAX_TRIALS,
    space: BitSpace | None = None,
    engine: str = "auto",
    store: StoreLike = None,
    shard: str | None = None,
    executor: Any = None,
    progress: Progress = terminal_bar,
) -> CampaignResult:
    """Draw fault sets and measure what each does to the metric.

    faults: a number of distinct flips or a fault model; protected: bits that cannot fail, or a protection;
    trials: how many draws (100 unless `limits` are given). With `limits` (as in {"max_emd": 1.25}) and no `trials`,
    draws go on until the share of trials that break one is decided against `max_failure_rate` at `confidence`, up to
    `max_trials`. The faults depend on seed, layout and fault model only.
    store: as in `oracle`; stored trials count whatever limits or number of trials they were drawn for. shard: "2/4"
    measures the second of four shares of a fixed number of trials. executor: as in `oracle`.
    """
    metrics = (
        {name: resolve(one) for name, one in metric.items()}
        if isinstance(metric, Mapping)
        else named_metrics(resolve(metric))
    )
    used = bit_space(model) if space is None else space
    drawn, absorbed, start = fault_model(faults), protection(protected, used), whole_seed(seed)
    plan: FixedTrials | UntilDecided = FixedTrials(100 if trials is None else trials)
    chosen = tuple(parse_limit(keyword, value, metrics) for keyword, value in (limits or {}).items())
    if chosen and trials is None:
        plan = UntilDecided(Requirement(chosen, max_failure_rate, confidence), max_trials)
    share = None if shard is None else Share.parse(shard)
    with keeping(store, model, used, data, engine, share) as keeper:
        require_identity(keeper, share, metrics.values())
        run = lazy_run(keeper, model, data, metrics, used, engine, executor)
        _require_bite(chosen, run)
        setting = Setting(drawn, absorbed, start, run.engine, run.n_samples, used)
        entries = {} if keeper is None else keeper.campaign(metrics, setting)
        if share is not None:
            setting, plan = shared_out(setting, plan, share)
        return run_campaign(run, setting, plan, progress, entries, writer_name(share))


def critical_bits(
    model: Any,
    data: tuple[Any, Any],
    *,
    metric: MetricLike,
    limits: Mapping[str, float],
    bits: ArrayLike | None = None,
    space: BitSpace | None = None,
    engine: str = "auto",
    progress: Progress = terminal_bar,
) -> BitSet:
    """The bits (of `bits`, every bit unless given) whose flip alone breaks a limit, as in {"max_emd": 1.25}.

    Exact, given the data set; costs an oracle, and `oracle(...).critical(max_emd=1.25)` asks one that exists already.
    """
    one = resolve(metric)
    measured = oracle(model, data, metric=one, bits=bits, space=space, engine=engine, progress=progress)
    for keyword, value in limits.items():
        parse_limit(keyword, value, {one.name: one}).require_bite(one.better, one.bounds, measured.golden)
    return measured.critical(**limits)


def endurance(
    model: Any,
    data: tuple[Any, Any],
    *,
    metric: MetricLike,
    limits: Mapping[str, float] | None = None,
    upsets_per_bit_second: float | None = None,
    upsets_per_second: float | None = None,
    looks: ArrayLike | None = None,
    max_flips: int | None = None,
    exposure_seconds: float | None = None,
    min_survived: float | None = None,
    trials: int = 100,
    max_failure_rate: float = 0.05,
    confidence: float = 0.95,
    protected: Protectable = None,
    seed: int = 0,
    space: BitSpace | None = None,
    engine: str = "auto",
    store: StoreLike = None,
    executor: Any = None,
    progress: Progress = terminal_bar,
) -> Endurance:
    """Let faults accumulate, and measure the metric against their number: how many flips are survived?

    With a rate (upsets_per_bit_second, or upsets_per_second for the whole memory) faults arrive in time and everything
    is in seconds. limits: as in {"max_emd": 1.25}; `.largest` is then the number of flips (seconds) by which at most
    `max_failure_rate` of the trials break one, at `confidence`. looks: where to measure, else 1, 2, 5, 10 ... up to
    max_flips or exposure_seconds with 30 trials, and, with limits, `trials` others close to the first failures, and at
    min_survived, so that what is asked for is looked at.
    Without either end: half the memory's bits, or where every trial has failed. Cost: one evaluation of the data set
    per trial and look, about 1,800 unless told otherwise. store: every fault set is kept as it is measured, and not
    measured again, for other limits, looks or trials either. executor: as in `oracle`.
    """
    one = resolve(metric)
    requirement = None
    if limits:
        chosen = tuple(parse_limit(keyword, value, {one.name: one}) for keyword, value in limits.items())
        requirement = Requirement(chosen, max_failure_rate, confidence)
    accumulation: Accumulation = OneByOne()
    if upsets_per_bit_second is not None or upsets_per_second is not None:
        accumulation = InTime(Exposure(1.0, upsets_per_bit_second, upsets_per_second))
    wrong_end = "max_flips" if isinstance(accumulation, InTime) else "exposure_seconds"
    if {"max_flips": max_flips, "exposure_seconds": exposure_seconds}[wrong_end] is not None:
        other = "exposure_seconds" if wrong_end == "max_flips" else "max_flips, or give a rate"
        raise InputError(f"{wrong_end}= does not go with looks in {accumulation.unit}; write {other}")
    used = bit_space(model) if space is None else space
    absorbed, start = protection(protected, used), whole_seed(seed)
    with (
        keeping(store, model, used, data, engine) as keeper,
        stored_sets(keeper, model, data, one, used, engine, executor) as run,
    ):
        _require_bite(() if requirement is None else requirement.limits, run)
        return measure_endurance(
            run,
            one.name,
            accumulation,
            absorbed,
            start,
            requirement,
            progress,
            looks=looks,
            end=exposure_seconds if max_flips is None else max_flips,
            least=min_survived,
            trials=trials,
        )


def protection_curve(
    model: Any,
    data: tuple[Any, Any],
    *,
    metric: MetricLike,
    faults: int | FaultModel,
    ranking: Ranking,
    limits: Mapping[str, float],
    max_failure_rate: float = 0.05,
    confidence: float = 0.95,
    max_trials: int = MAX_TRIALS,
    max_evaluations: int = MOST_EVALUATIONS,
    seed: int = 0,
    space: BitSpace | None = None,
    engine: str = "auto",
    store: StoreLike = None,
    executor: Any = None,
    progress: Progress = terminal_bar,
) -> ProtectionCurve:
    """How many bits of a ranking must be protected for a campaign to pass: `.smallest`, and every number tried.

    The campaign is that of `campaign(..., limits=limits)` with `ranking[:k]` assumed immune, on the same faults for
    every k. That it passes with `ranking[:smallest]` holds for this seed; see `ProtectionCurve` for what it does not
    say. max_evaluations: the most fault sets that it may take; the search ends there. store: as in `endurance`;
    executor: as in `oracle`.
    """
    one = resolve(metric)
    used = bit_space(model) if space is None else space
    used.require_layout(ranking.layout_digest, "this ranking")
    chosen = tuple(parse_limit(keyword, value, {one.name: one}) for keyword, value in limits.items())
    requirement = Requirement(chosen, max_failure_rate, confidence)
    drawn, unprotected, start = fault_model(faults), protection(None, used), whole_seed(seed)
    with (
        keeping(store, model, used, data, engine) as keeper,
        stored_sets(keeper, model, data, one, used, engine, executor) as run,
    ):
        return search_protection(
            run,
            Setting(drawn, unprotected, start, run.engine, run.n_samples, used),
            UntilDecided(requirement, max_trials),
            requirement,
            lambda k: AssumedImmune(ranking[:k]),
            len(ranking),
            max_evaluations=max_evaluations,
            progress=progress,
        )


def _require_bite(limits: Sequence[Limit], run: Run) -> None:
    """InputError, before anything is measured, for limits that no outcome could break, or that every outcome breaks."""
    for limit in limits:
        limit.require_bite(
            run.metrics[limit.metric].better, run.metrics[limit.metric].bounds, run.golden[limit.metric].value
        )
