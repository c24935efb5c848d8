"""The one place that puts a backend, metrics, faults and campaigns together."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

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
from fkeras.campaigns.stored import LazyRun, stored_answers
from fkeras.engine import Run
from fkeras.errors import IdentityError, InputError, NotStored
from fkeras.faults import AssumedImmune, Exposure, FaultModel, FaultSet, fault_model, protection, whole_seed
from fkeras.faults.protection import Protectable
from fkeras.keeping import Keeper, Subject, metric_identity
from fkeras.memory import BitSet, BitSpace
from fkeras.metrics import resolve
from fkeras.metrics.classification import margins
from fkeras.metrics.metric import DatasetMetric, Metric
from fkeras.protection import Choice, Target, choose
from fkeras.protection.choose import MOST_EVALUATIONS as MASK_EVALUATIONS
from fkeras.protection.choose import Weights
from fkeras.protection.order import Aggregate, Granularity
from fkeras.sensitivity import Ranking
from fkeras.sensitivity.stored import stored_ranking
from fkeras.store import Merged, Store, StoreLike, digest_of, opened
from fkeras.store import merge as merge_stores

MetricLike = Metric | str
ENGINES = ("auto", "fast", "reference", "hls4ml")


def load_model(
    path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    trusted: bool = False,
) -> Any:
    """The (uncompiled) tf-keras model in a file, QKeras' own classes known, pruning wrappers stripped.

    path: `.h5`, `.keras`, or an architecture JSON together with `weights`; custom_objects: own classes by name;
    trusted: allow layers that bring code along (Lambda). InputError for a missing file, ModelError for one that is
    no model or cannot be loaded.
    """
    from fkeras.backends.tf.loading import load_model as load

    return load(path, weights, custom_objects, trusted)


def bit_space(model: Any, layers: str | Sequence[str] = "*", biases: bool = False) -> BitSpace:
    """The stored bits of a model: quantized kernels, with `biases` also quantized biases, of the chosen layers.

    layers: globs on the layer's path or last name, `!` excludes. UnsupportedError names a layer whose words are not
    known; `.uncovered` lists the weights that the space leaves out.
    """
    from fkeras.backends.tf.reading import bit_space as read

    return read(model, layers, biases)


def injected(model: Any, faults: FaultSet, space: BitSpace | None = None) -> AbstractContextManager[Any]:
    """A read-only view of `model` (call, predict, evaluate) that computes with `faults`; the model is not touched.

    space: what the flat indices refer to, `bit_space(model)` unless given.
    """
    from fkeras.backends.tf.injection import injected as inject

    return inject(model, faults, space)


@contextmanager
def keeping(
    store: StoreLike, model: Any, space: BitSpace, data: Any, engine: str, share: Share | None = None
) -> Iterator[Keeper | None]:
    """Where results on a model and data are kept; None without a store, or when the model has no identity.

    What was wrong with the store is said as NotStored warnings. InputError for a share that could not be kept.
    """
    _engine(engine)
    if store is None:
        if share is not None:
            raise InputError(f"shard='{share}' needs store=: that is where the shares are put together")
        yield None
        return
    from fkeras.backends.tf.identity import model_identity

    kept = opened(store)
    assert kept is not None
    keeper, n_said = None, len(kept.notices)
    try:
        keeper = Keeper(kept, Subject(model_identity(model), space, digest_of(data), engine_identity(engine)))
    except IdentityError as error:
        if share is not None:
            raise
        kept.notice(f"not stored: {error}")
    yield keeper
    for notice in kept.notices[n_said:]:
        warnings.warn(notice, NotStored, stacklevel=4)


def merge(sources: Sequence[str | os.PathLike[str] | Store], into: str | os.PathLike[str] | Store) -> list[Merged]:
    """Add the results of stores to another: equal identities add up, others stay side by side.

    sources: stores, or single results (KIND/DIGEST folders of one); they are only read. Where each source has
    one result of a kind, as shards have, those must have one identity: IdentityError names what differs. Merging
    again changes nothing.
    """
    target = into if isinstance(into, Store) else Store(into)
    n_said = len(target.notices)
    merged = merge_stores(sources, target)
    for notice in target.notices[n_said:]:
        warnings.warn(notice, NotStored, stacklevel=2)
    return merged


def start_run(
    model: Any,
    data: tuple[Any, Any],
    metrics: Mapping[str, Metric],
    space: BitSpace | None = None,
    engine: str = "auto",
) -> Run:
    """An engine bound to a model, its space, the data and the metrics; the golden outputs are computed here."""
    from fkeras.backends.tf.reading import bit_space as read
    from fkeras.backends.tf.reference import ReferenceRun

    name, project = _engine(engine)
    x, y = _pair(data)
    used = read(model) if space is None else space
    if name == "reference":
        return ReferenceRun(model, used, x, y, metrics)
    if name == "hls4ml":
        from fkeras.backends.hls4ml.engine import Hls4mlRun

        return Hls4mlRun(model, used, x, y, metrics, project)
    from fkeras.backends.tf.fast.run import FastRun

    return FastRun(model, used, x, y, metrics)


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
        _require_identity(keeper, share, [one])

        def measured(part: tuple[Any, Any], group: str | None = None) -> Oracle:
            run = _lazy_run(keeper, model, part, {one.name: one}, used, engine, executor, group)
            entries = {} if keeper is None else keeper.oracle({one.name: one}, group)
            return measure_oracle(run, one.name, chosen, progress, entries, _who(share))

        if sample_groups == 1:
            return measured(data)
        x, y = _pair(data)
        n_samples = len(y[0]) if isinstance(y, tuple) else len(y)
        if isinstance(one, DatasetMetric) or not 1 <= sample_groups <= n_samples:
            raise InputError(
                f"sample_groups={sample_groups}; allowed are 1 to {n_samples}, the number of samples, and only "
                "1 for a metric that is one number for the data set"
            )
        groups = (np.arange(group, n_samples, sample_groups) for group in range(sample_groups))
        return combined(
            [
                measured((_rows(x, rows), _rows(y, rows)), f"{number} of {sample_groups}")
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
    x, y = _pair(data)
    metric = resolve("mispredictions")
    used = bit_space(model) if space is None else space
    chosen = np.arange(len(used)) if bits is None else used.check(bits)

    def found(missing: NDArray[np.int64]) -> NDArray[np.bool_]:
        golden_engine = engine if _engine(engine)[0] == "hls4ml" else "reference"
        whole = start_run(model, data, {metric.name: metric}, used, golden_engine)
        wrong = whole.golden[metric.name].per_sample
        return find_sensitive(
            lambda rows: start_run(model, (_rows(x, rows), _rows(y, rows)), {metric.name: metric}, used, engine),
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
    if limits and trials is None:
        chosen = tuple(parse_limit(keyword, value, metrics) for keyword, value in limits.items())
        plan = UntilDecided(Requirement(chosen, max_failure_rate, confidence), max_trials)
    share = None if shard is None else Share.parse(shard)
    with keeping(store, model, used, data, engine, share) as keeper:
        _require_identity(keeper, share, metrics.values())
        run = _lazy_run(keeper, model, data, metrics, used, engine, executor)
        setting = Setting(drawn, absorbed, start, run.engine, run.n_samples, used)
        entries = {} if keeper is None else keeper.campaign(metrics, setting)
        if share is not None:
            setting, plan = shared_out(setting, plan, share)
        return run_campaign(run, setting, plan, progress, entries, _who(share))


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
        parse_limit(keyword, value, {one.name: one}).require_bite(one.bounds, measured.golden)
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
    trials: int = 100,
    max_failure_rate: float = 0.05,
    confidence: float = 0.95,
    protected: Protectable = None,
    seed: int = 0,
    space: BitSpace | None = None,
    engine: str = "auto",
    progress: Progress = terminal_bar,
) -> Endurance:
    """Let faults accumulate, and measure the metric against their number: how many flips are survived?

    With a rate (upsets_per_bit_second, or upsets_per_second for the whole memory) faults arrive in time and everything
    is in seconds. limits: as in {"max_emd": 1.25}; `.largest` is then the number of flips (seconds) by which at most
    `max_failure_rate` of the trials break one, at `confidence`. looks: where to measure, else 1, 2, 5, 10 ... up to
    max_flips or exposure_seconds with 30 trials, and, with limits, `trials` others close to the first failures.
    Without either end: half the memory's bits, or where every trial has failed. Cost: one evaluation of the data set
    per trial and look, about 1,800 unless told otherwise.
    """
    one = resolve(metric)
    run = start_run(model, data, {one.name: one}, space, engine)
    requirement = None
    if limits:
        chosen = tuple(parse_limit(keyword, value, {one.name: one}) for keyword, value in limits.items())
        for limit in chosen:
            limit.require_bite(one.bounds, run.golden[one.name].value)
        requirement = Requirement(chosen, max_failure_rate, confidence)
    accumulation: Accumulation = OneByOne()
    if upsets_per_bit_second is not None or upsets_per_second is not None:
        accumulation = InTime(Exposure(1.0, upsets_per_bit_second, upsets_per_second))
    wrong_end = "max_flips" if isinstance(accumulation, InTime) else "exposure_seconds"
    if {"max_flips": max_flips, "exposure_seconds": exposure_seconds}[wrong_end] is not None:
        other = "exposure_seconds" if wrong_end == "max_flips" else "max_flips, or give a rate"
        raise InputError(f"{wrong_end}= does not go with looks in {accumulation.unit}; write {other}")
    return measure_endurance(
        run,
        one.name,
        accumulation,
        protection(protected, run.space),
        whole_seed(seed),
        requirement,
        progress,
        looks=looks,
        end=exposure_seconds if max_flips is None else max_flips,
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
) -> ProtectionCurve:
    """How many bits of a ranking must be protected for a campaign to pass: `.smallest`, and every number tried.

    The campaign is that of `campaign(..., limits=limits)` with `ranking[:k]` assumed immune, on the same faults for
    every k. That it passes with `ranking[:smallest]` holds for this seed; see `ProtectionCurve` for what it does not
    say. max_evaluations: the most fault sets to measure; the search ends there.
    """
    one = resolve(metric)
    run = start_run(model, data, {one.name: one}, space, engine)
    run.space.require_layout(ranking.layout_digest, "this ranking")
    chosen = tuple(parse_limit(keyword, value, {one.name: one}) for keyword, value in limits.items())
    requirement = Requirement(chosen, max_failure_rate, confidence)
    setting = Setting(
        fault_model(faults), protection(None, run.space), whole_seed(seed), run.engine, run.n_samples, run.space
    )
    return search_protection(
        run,
        setting,
        UntilDecided(requirement, max_trials),
        requirement,
        lambda k: AssumedImmune(ranking[:k]),
        len(ranking),
        max_evaluations=max_evaluations,
    )


def on_workers(
    run: Run, model: Any, data: tuple[Any, Any], metrics: Mapping[str, Metric], engine: str, executor: Any
) -> Run:
    """`run`, which start_run made of all the others, measured by the workers of an executor; None: by itself.

    executor: a `concurrent.futures.Executor` or a `dask.distributed.Client`. The model goes to workers as a file.
    """
    if executor is None:
        return run
    from fkeras.backends.tf.shipping import packed
    from fkeras.executors import Job, RemoteRun, workers_of

    workers = workers_of(executor)
    golden = {name: score.value for name, score in run.golden.items()}
    job = Job.of(golden, start_packed, packed(model), _pair(data), dict(metrics), run.space, engine)
    return RemoteRun(run, job, workers)


def start_packed(model: Any, data: tuple[Any, Any], metrics: Mapping[str, Metric], space: BitSpace, engine: str) -> Run:
    """`start_run` for a packed model: this runs on workers."""
    from fkeras.backends.tf.shipping import unpacked

    return start_run(unpacked(model), data, metrics, space, engine)


def protect(
    models: Any,
    data: tuple[Any, Any] | None = None,
    *,
    bits: int | None = None,
    share: float | None = None,
    overhead: float | None = None,
    faults: int | FaultModel | None = None,
    limits: Mapping[str, float] | None = None,
    metric: MetricLike | None = None,
    under: Callable[[BitSet], Any] = AssumedImmune,
    granularity: Granularity = "bit",
    aggregate: Aggregate = "mean",
    method: RankingMethod = None,
    max_failure_rate: float = 0.05,
    confidence: float = 0.95,
    max_trials: int = MAX_TRIALS,
    max_evaluations: int = MASK_EVALUATIONS,
    seed: int = 0,
    layers: str | Sequence[str] = "*",
    biases: bool = False,
    engine: str = "auto",
    names: Sequence[str] | None = None,
) -> Choice:
    """Choose a mask: bits to protect that are frozen, while the weights may change; `.mask.write("protection.json")`.

    models: one model, or a list of retrainings of one layout, which get one mask in common; names: of them, for
    reports. Size: `bits`, a `share` of them, an `overhead` (extra bits as a share of the memory); or, with none of
    these, the fewest with which a campaign passes (`faults`, `metric`, `limits` as in {"max_emd": 1.25}, and data) for
    every model. Given with a size, `faults` and `limits` measure what it does. under: what protects the bits, as
    `fkeras.TMR` or a function of the bits. granularity: whole bits, words or layers; aggregate: several rankings count
    by the mean or the largest normalised rank. InputError for models of different layouts, and where nothing passes.
    """
    given = list(models) if isinstance(models, list | tuple) else [models]
    numbered = [f"model {number}" for number in range(1, len(given) + 1)]
    called = numbered if names is None else list(names)
    if not given or len(called) != len(given):
        raise InputError(f"{len(given)} models with {len(called)} names; give at least one model, and a name for each")
    measured = None if metric is None else resolve(metric)
    target = None
    if faults is not None or limits:
        if faults is None or not limits or measured is None or data is None:
            raise InputError("a campaign that must pass needs faults=, metric=, limits= and data; give all or none")
        chosen = tuple(parse_limit(keyword, value, {measured.name: measured}) for keyword, value in limits.items())
        requirement = Requirement(chosen, max_failure_rate, confidence)
        target = Target(requirement, fault_model(faults), whole_seed(seed), max_trials, max_evaluations)
    weights = []
    for name, model in zip(called, given, strict=True):
        space = bit_space(model, layers, biases)
        ranking = rank(model, data, method=method, metric=measured, seed=seed, space=space)
        run = None
        if target is not None and measured is not None and data is not None:
            run = start_run(model, data, {measured.name: measured}, space, engine)
        weights.append(Weights(name, space, ranking, run))
    return choose(
        weights,
        bits=bits,
        share=share,
        overhead=overhead,
        target=target,
        kind=under,
        granularity=granularity,
        aggregate=aggregate,
        stated={"layers": layers if isinstance(layers, str) else list(layers), "biases": biases},
    )


def _lazy_run(
    keeper: Keeper | None,
    model: Any,
    data: tuple[Any, Any],
    metrics: Mapping[str, Metric],
    space: BitSpace,
    engine: str,
    executor: Any,
    group: str | None = None,
) -> Run:
    """A run; with a store one that starts when something is missing there."""

    def start() -> Run:
        run = start_run(model, data, metrics, space, engine)
        return on_workers(run, model, data, metrics, engine, executor)

    return start() if keeper is None else LazyRun(space, metrics, start, keeper.golden(metrics, group))


def _engine(engine: str) -> tuple[str, str | None]:
    """An engine's name, and the hls4ml project behind its colon. InputError for an engine that does not exist."""
    name, colon, project = engine.partition(":")
    if name not in ENGINES or (colon and name != "hls4ml"):
        raise InputError(
            f"engine={engine!r}; allowed are {', '.join(ENGINES)}, and hls4ml:PATH with the configuration (YAML) or "
            "directory of an hls4ml project"
        )
    return name, project if colon else None


def engine_identity(engine: str) -> str:
    """What decides an engine's numbers: its name, for hls4ml also its version and the project's content."""
    name, project = _engine(engine)
    if name != "hls4ml":
        return "fast" if name == "auto" else name
    from fkeras.backends.hls4ml.project import read_project
    from fkeras.backends.hls4ml.setup import hls4ml

    version = f"hls4ml {hls4ml().__version__}"
    return version if project is None else f"{version} {read_project(project).digest}"


def _who(share: Share | None) -> str:
    return "" if share is None else f"-{share.number}of{share.of}"


def _require_identity(keeper: Keeper | None, share: Share | None, metrics: Iterable[Metric]) -> None:
    """IdentityError when a share is asked for and could not be stored."""
    if keeper is not None and share is not None:
        for metric in metrics:
            metric_identity(metric)


RankingMethod = str | Callable[..., ArrayLike] | None


def rank(
    model: Any,
    data: tuple[Any, Any] | None = None,
    *,
    method: RankingMethod = None,
    metric: MetricLike | None = None,
    loss: Any = None,
    seed: int = 0,
    space: BitSpace | None = None,
    store: StoreLike = None,
) -> Ranking:
    """Rank the bits of a model, most sensitive first.

    method: a name (`fkeras.sensitivity.methods` lists them with what each needs and costs), or a callable
    (space) or (space, evidence) -> one score per bit; None: the best for what is given. data: (x, y), y None for
    methods without targets. metric: what damage means; loss: a Keras loss or a function (y_true, y_pred) -> one
    number per sample; None: the metric's differentiable surrogate, else cross-entropy for integer targets, else mean
    squared error when shapes agree. store: as in `oracle`; a stored ranking is not made again. InputError for an
    unknown method and for what a method lacks.
    """
    from fkeras.backends.tf.evidence import ModelEvidence
    from fkeras.sensitivity.methods import make_ranking

    used = bit_space(model) if space is None else space
    damage, start = None if metric is None else resolve(metric), whole_seed(seed)
    pair = None if data is None else _pair(data)

    def made() -> Ranking:
        return make_ranking(method, ModelEvidence(model, used, pair, damage, loss, start, start_run))

    with keeping(store, model, used, data, "auto") as keeper:
        entry = None if keeper is None else keeper.ranking(method, damage, loss, start)
        return stored_ranking(entry, used, made)


def _rows(data: Any, rows: NDArray[np.int64]) -> Any:
    if isinstance(data, dict):
        return {name: np.asarray(part)[rows] for name, part in data.items()}
    if isinstance(data, tuple) or (isinstance(data, list) and data and np.ndim(data[0]) > 1):
        return type(data)(np.asarray(part)[rows] for part in data)
    return np.asarray(data)[rows]


def _pair(data: Any) -> tuple[Any, Any]:
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise InputError("data is a pair (x, y): the inputs and the targets")
    return data[0], data[1]
