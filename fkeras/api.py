"""The public functions: each is a `Study` of its arguments, asked once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.campaigns import CampaignResult, Endurance, Oracle, ProtectionCurve, required
from fkeras.campaigns.budget import MAX_TRIALS
from fkeras.campaigns.protection_curve import MOST_EVALUATIONS
from fkeras.errors import InputError
from fkeras.faults import AssumedImmune, Faults, FaultSet
from fkeras.faults.memories import memories_of
from fkeras.faults.protected import Protectable
from fkeras.faults.word_checks import WordCheck
from fkeras.memory import BitSet, BitSpace, Coverage, FixedPoint
from fkeras.memory.codecs import FloatName
from fkeras.memory.space import Memory
from fkeras.metrics import MetricLike
from fkeras.models import MODELS
from fkeras.progress import Progress, terminal_bar
from fkeras.protection import Choice
from fkeras.protection.choice import MOST_EVALUATIONS as MOST_OF_A_CHOICE
from fkeras.protection.order import Aggregate, Granularity
from fkeras.rtl.front import Front
from fkeras.sensitivity import Ranking
from fkeras.store import Merged, Store, StoreLike
from fkeras.store import merge as merge_stores
from fkeras.study import RankingMethod, Study


def load_model(
    path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    trusted: bool = False,
) -> Any:
    """The (uncompiled) Keras model in a file, the classes of QKeras and HGQ2 known, pruning wrappers stripped; or the
    network.

    Arguments:
        path: a `.h5` or `.keras` file of Keras 2 or 3, or an architecture JSON (`model.to_json()`) together with
            `weights`; or a `.fkn` file (`fkeras export`), whose network is a model to all of fkeras and needs no
            framework.
        weights: a `.h5` weight file, for an architecture only.
        custom_objects: the user's own classes, name -> class.
        trusted: load classes that bring code along (Lambda) or that fkeras does not know to hold data only.

    Raises:
        InputError: for a missing file.
        ModelError: for a file that is no model, is damaged, or would run code.
    """
    from fkeras.models.file import loaded

    return loaded(path, weights, custom_objects, trusted)


def bit_space(
    model: Any,
    layers: str | Sequence[str] = "*",
    biases: bool = False,
    memory: Memory | None = None,
    words: FloatName | None = None,
    *,
    of: str | Sequence[str] = "weights",
    input_format: FixedPoint | None = None,
    project: str | os.PathLike[str] | None = None,
) -> BitSpace:
    """The bits of a model's memories: of quantized kernels unless told, with `biases` also of quantized biases.

    Arguments:
        model: a Keras model of QKeras layers.
        layers: globs on a layer's path (`outer/inner/layer`) or its last name; `!` excludes. Default: all.
        biases: whether quantized biases belong to the memory. Default: no.
        memory: in which words they are stored: "quantizer", each as wide as its quantizer makes it; or "hls4ml", as
            hls4ml stores the same values: of HGQ2 in one format for each tensor, of `quantized_po2` with one more bit.
            None: those that a network file holds, else the quantizers'.
        words: IEEE words in which kernels (and biases) without a quantizer are stored; None: they are not covered.
        of: which memories, one or several: "weights", "biases", "tables" (levels of quantizers that are looked up),
            which are stored; "activations", "inputs", "outputs", "accumulators", registers that every sample writes.
        input_format: in which words inputs come that no quantizer reads, as `fkeras.memory.FixedPoint(8, 0)`.
        project: the hls4ml project (directory or YAML) in whose `accum_t` accumulators add up; None: they are as wide
            as the largest sum of these weights.

    Returns:
        The bits, stored ones first; in `model.layers` order, depth first; within a layer kernels in creation order,
        then the bias; Keras flatten order of a tensor; bit 0, the most significant one (the sign), first. `.uncovered`
        lists what is left out. `a + b` is the space of two.

    Raises:
        UnsupportedError: for layers whose words are not known, by name.
    """
    return MODELS.bit_space(model, Coverage(layers, biases, memory, words, of, input_format, project))


def injected(model: Any, faults: FaultSet, space: BitSpace | None = None) -> AbstractContextManager[Any]:
    """A read-only view of a model (call, predict, evaluate) that computes with `faults`; the model is not touched.

    Arguments:
        model: a Keras model of QKeras layers.
        faults: bits that flip or stick, by flat index into `space`.
        space: what the indices refer to; `bit_space(model)` unless given.

    Returns:
        A context manager that gives the view.
    """
    return Study(model, space=space).injected(faults)


def rank(
    model: Any,
    data: tuple[Any, Any] | None = None,
    *,
    method: RankingMethod = None,
    metric: MetricLike | None = None,
    loss: Any = None,
    behind: WordCheck | None = None,
    seed: int = 0,
    space: BitSpace | None = None,
    store: StoreLike = None,
) -> Ranking:
    """Rank the bits of a model, most sensitive first (paper, section 3; `docs/rankings.md` compares the methods).

    Arguments:
        model: a Keras model of QKeras layers.
        data: (x, y), first axes count samples; y None for methods without targets, all None for "msb" and "random".
        method: a name (`fkeras rank --help` lists them with what each needs), or a callable (space) or (space,
            evidence) -> (n_bits,) scores, larger is more sensitive. Default: the best for what is given.
        metric: what damage means, a name or a metric.
        loss: a Keras loss or a function (y_true, y_pred) -> (n,); default: the metric's differentiable surrogate, else
            cross-entropy for integer targets, else mean squared error when shapes agree.
        behind: a check (`RangeCheck`, `KnownWords`, `Recoded`) that the words are read through: bits are then ranked by
            what a flip of them does there. Give it for bits that are protected beside that check.
        seed: of methods that draw, a whole number.
        space: the memory; `bit_space(model)` unless given.
        store: a folder or `Store`; a ranking that is there is not made again.

    Raises:
        InputError: for an unknown method, and for what a method lacks.
    """
    return Study(model, data, metric, space=space, seed=seed, store=store).rank(method, loss=loss, behind=behind)


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
    """Flip every bit (or each of `bits`) alone and measure the metric.

    Cost: one evaluation of the data set per bit, less with the CPU engine, which gives the same numbers.

    Arguments:
        model: a Keras model of QKeras layers.
        data: (x, y), first axes count samples.
        metric: a name or a metric.
        bits: (n,) flat indices, in any order; default: all.
        space: the memory; `bit_space(model)` unless given.
        engine: "auto", "cpu", "gpu", "framework", "hls4ml" or "hls4ml:PATH".
        sample_groups: keep the deltas of that many interleaved groups of the samples as well, with which
            `ranking_quality` says how sure it is; for metrics per sample.
        store: a folder or `Store` where bits are written as they are measured; stored ones are not measured again.
        shard: "2/4" measures the second of four shares of the bits; once all are in one store (`merge`), the same call
            without it reads the whole.
        executor: a `concurrent.futures.Executor` or `dask.distributed.Client` whose workers do the work.
        progress: progress(total, unit, what) -> context manager that gives an `advance(n)`; a bar on terminals.

    Raises:
        InputError: for bits outside the memory, an unknown engine or metric, data that do not fit the model.
        StoreError: for a store that cannot be used.
    """
    study = Study(model, data, metric, space=space, engine=engine, store=store, executor=executor, progress=progress)
    return study.oracle(bits=bits, sample_groups=sample_groups, shard=shard)


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
    """Whether each flip makes a sample wrong that was right (paper, section 4.1).

    The same as `oracle(..., metric="mispredictions").sensitive`, for less work: a bit is done at its first broken
    sample, and samples whose class wins by little are tried first.

    Arguments:
        model: a classifier, a Keras model of QKeras layers.
        data: (x, y), y the classes: (n,) integers or one-hot.
        bits: (n,) flat indices; default: all.
        space, engine, progress: as in `oracle`.
        store: as in `oracle`, but written when all bits are done.

    Returns:
        (n,) bool, in the order of `bits`.
    """
    study = Study(model, data, "mispredictions", space=space, engine=engine, store=store, progress=progress)
    return study.sensitive_bits(bits)


def campaign(
    model: Any,
    data: tuple[Any, Any],
    *,
    metric: MetricLike | Mapping[str, MetricLike],
    faults: Faults,
    trials: int | None = None,
    protected: Protectable = None,
    seed: int = 0,
    limits: Mapping[str, float] | None = None,
    max_failure_rate: float = 0.05,
    confidence: float = 0.95,
    max_trials: int = MAX_TRIALS,
    allow_chance: bool = False,
    space: BitSpace | None = None,
    engine: str = "auto",
    store: StoreLike = None,
    shard: str | None = None,
    executor: Any = None,
    area: str | os.PathLike[str] | None = None,
    progress: Progress = terminal_bar,
) -> CampaignResult:
    """Draw fault sets, many faults at once, and measure what each does to the metric.

    Arguments:
        model: a Keras model of QKeras layers.
        data: (x, y), first axes count samples.
        metric: a name, a metric, or several by name, which are measured on the same faults.
        faults: a number of distinct flips, a fault model, or one for each memory, as in
            {"weights": Exposure(...), "activations": Transient(...)}. What is drawn depends on it, the seed and the
            layout only.
        trials: how many draws; default: 100, or with `limits` until they are decided.
        protected: bits that cannot fail, a protection such as `TMR(ranking[:100])` or `KnownWords()`, or a list of
            several.
        seed: of the draws, a whole number.
        limits: what a trial must not break, as in {"max_emd": 1.25}; what the fault-free network must be, as in
            {"min_golden_accuracy": 0.9}: where it is not, nothing is measured and the verdict is FAIL.
        max_failure_rate: the share of trials that may break one, 0 up to, not including, 1.
        confidence: of the decision, from 0.5 up to, not including, 1.
        max_trials: where a campaign ends that stays undecided.
        allow_chance: whether a fault-free network may pass that is no better than a prediction that needs no input.
        space, engine, executor, progress: as in `oracle`.
        store: as in `oracle`; stored trials count whatever limits or number of trials they were drawn for.
        shard: "2/4" measures the second of four shares of a fixed number of trials.
        area: what `fkeras area DIR --json FILE` wrote: where it is of this memory and protection, reports say what was
            measured, and else that the area is assumed.

    Raises:
        InputError: for limits that nothing could break, or everything breaks, and for what does not fit the memory.
    """
    study = Study(
        model,
        data,
        metric,
        of=memories_of(faults),
        space=space,
        engine=engine,
        seed=seed,
        store=store,
        executor=executor,
        area=area,
        progress=progress,
    )
    requirement = required(limits, study.metrics, max_failure_rate, confidence, allow_chance)
    return study.campaign(
        faults=faults, trials=trials, protected=protected, limits=requirement, max_trials=max_trials, shard=shard
    )


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
    """The bits whose flip alone breaks a limit. Exact, given the data set.

    It costs an oracle; `oracle(...).critical(max_emd=1.25)` asks one that exists already.

    Arguments:
        model, data, metric, bits, space, engine, progress: as in `oracle`.
        limits: what a flip must not break, as in {"max_emd": 1.25}.
    """
    study = Study(model, data, metric, space=space, engine=engine, progress=progress)
    return study.critical_bits(limits, bits=bits)


def endurance(
    model: Any,
    data: tuple[Any, Any],
    *,
    metric: MetricLike,
    faults: Faults | None = None,
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

    Cost: one evaluation of the data set per trial and look, about 1,800 unless told otherwise.

    Arguments:
        model, data, metric, space, engine, executor, progress: as in `oracle`.
        limits: what a trial must not break, as in {"max_emd": 1.25}. `.largest` is then the number of flips (seconds)
            by which at most `max_failure_rate` of the trials break one, at `confidence`.
        upsets_per_bit_second, upsets_per_second: a rate, per bit or of the whole memory: faults arrive in time, and
            looks, ends and results are in seconds. Default: flips, one after another.
        faults: in place of a rate an `Exposure`, or one for each memory with `Transient` or `StuckAt` for others, as in
            {"weights": Exposure(14400, 5e-6), "activations": Transient(1e-6)}: weights fill up, transients are drawn
            anew at each look. The longest exposure is the last look.
        looks: where to measure, ascending; default: 1, 2, 5, 10 ... with 30 trials, and, with limits, `trials` others
            close to the first failures.
        max_flips, exposure_seconds: the last look; default: half the memory's bits, or where every trial has failed.
        min_survived: what must be survived, in flips (seconds): it is looked at.
        trials: histories to draw.
        max_failure_rate, confidence, protected, seed: as in `campaign`.
        store: every fault set is kept, and not measured again, for other limits, looks or trials either.
    """
    study = Study(
        model, data, metric, of=memories_of(faults), space=space, engine=engine, seed=seed, store=store,
        executor=executor, progress=progress
    )  # fmt: skip
    return study.endurance(
        faults=faults,
        limits=required(limits, study.metrics, max_failure_rate, confidence),
        upsets_per_bit_second=upsets_per_bit_second,
        upsets_per_second=upsets_per_second,
        looks=looks,
        max_flips=max_flips,
        exposure_seconds=exposure_seconds,
        min_survived=min_survived,
        trials=trials,
        protected=protected,
    )


def protection_curve(
    model: Any,
    data: tuple[Any, Any],
    *,
    metric: MetricLike,
    faults: Faults,
    ranking: Ranking,
    limits: Mapping[str, float],
    under: Callable[[BitSet], Any] = AssumedImmune,
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

    The campaign is that of `campaign(..., limits=limits)` with `ranking[:k]` assumed immune, or `under` something else,
    on the same faults for every k. That it passes with `ranking[:smallest]` holds for this seed; see `ProtectionCurve`
    for what it does not say.

    Arguments:
        model, data, metric, space, engine, executor, progress: as in `oracle`.
        faults, limits, max_failure_rate, confidence, max_trials, seed: as in `campaign`.
        ranking: whose first k bits are protected, of this memory's layout.
        under: what protects them, as in `protect`.
        max_evaluations: the most fault sets that it may take; the search ends there.
        store: as in `endurance`.
    """
    study = Study(
        model, data, metric, of=memories_of(faults), space=space, engine=engine, seed=seed, store=store,
        executor=executor, progress=progress
    )  # fmt: skip
    return study.protection_curve(
        faults,
        ranking,
        required(limits, study.metrics, max_failure_rate, confidence) or {},
        under=under,
        max_trials=max_trials,
        max_evaluations=max_evaluations,
    )


def protection_front(
    model: Any,
    data: tuple[Any, Any],
    *,
    metric: MetricLike,
    faults: Faults,
    limits: Mapping[str, float],
    designs: Mapping[str, Protectable] | None = None,
    method: RankingMethod = None,
    trials: int = 200,
    max_failure_rate: float = 0.05,
    confidence: float = 0.95,
    seed: int = 0,
    space: BitSpace | None = None,
    engine: str = "auto",
    store: StoreLike = None,
    executor: Any = None,
    progress: Progress = terminal_bar,
) -> Front:
    """Resilience against area: which protection nothing beats in both, and the smallest that meets a requirement.

    Every design is written as RTL and synthesized by Yosys, and judged by a campaign on the same faults. The result's
    `.points` are by area, `.front` those that no other beats, `.smallest` the smallest that passes; `str` is a table,
    `.to_dict()` plain values, and `fkeras.report.figures.front_figure` draws it. Each verdict is of its design alone:
    the smallest of many is chosen on this seed's faults, and another seed is proof.

    Arguments:
        model, data, metric, space, engine, executor, progress: as in `oracle`.
        faults, limits, max_failure_rate, confidence, seed: as in `campaign`.
        designs: protections by name, as `protected` in `campaign`; None: TMR of the first bits of a ranking, SECDED and
            parity of all words, checks, where the faults say how long they took some of each scrubbed and scrubs alone,
            and one tensor alone.
        method: how bits are ranked where designs are not named, as in `rank`.
        trials: of each campaign.
        store: as in `endurance`.

    Raises:
        EnvironmentSetupError: where Yosys is missing.
    """
    study = Study(
        model, data, metric, of=memories_of(faults), space=space, engine=engine, seed=seed, store=store,
        executor=executor, progress=progress
    )  # fmt: skip
    return study.protection_front(
        faults,
        required(limits, study.metrics, max_failure_rate, confidence) or {},
        designs=designs,
        method=method,
        trials=trials,
    )


def protect(
    models: Any,
    data: tuple[Any, Any] | None = None,
    *,
    bits: int | None = None,
    share: float | None = None,
    overhead: float | None = None,
    faults: Faults | None = None,
    limits: Mapping[str, float] | None = None,
    metric: MetricLike | None = None,
    under: Callable[[BitSet], Any] = AssumedImmune,
    free: bool = False,
    granularity: Granularity = "bit",
    aggregate: Aggregate = "mean",
    method: RankingMethod = None,
    max_failure_rate: float = 0.05,
    confidence: float = 0.95,
    max_trials: int = MAX_TRIALS,
    max_evaluations: int = MOST_OF_A_CHOICE,
    seed: int = 0,
    layers: str | Sequence[str] = "*",
    biases: bool = False,
    memory: Memory | None = None,
    words: FloatName | None = None,
    of: str | Sequence[str] | None = None,
    input_format: FixedPoint | None = None,
    engine: str = "auto",
    names: Sequence[str] | None = None,
    store: StoreLike = None,
    executor: Any = None,
    progress: Progress = terminal_bar,
) -> Choice:
    """Choose a mask: bits to protect that are frozen, while the weights may change; `.mask.write("protection.json")`.

    Arguments:
        models: one model, or a list of retrainings of one layout, which get one mask in common.
        data: (x, y), of all of them.
        bits: the size, a number of bits ...
        share: ... or a share of them, from 0 to 1 ...
        overhead: ... or the extra bits under `under` as a share of the memory; with none of the three, the fewest bits
            with which a campaign passes for every model.
        faults, limits: that campaign, as in `campaign`, with `metric` and `data`; with a size, what it is measured by.
        metric: what damage means, to rankings and limits.
        under: what protects the bits: `AssumedImmune`, `TMR`, or a function of the bits, such as
            `lambda bits: [KnownWords(), TMR(bits)]`.
        free: also choose a check that costs no bit (`RangeCheck`, `KnownWords`, `Recoded`), the one beside which the
            fewest bits are needed. It is chosen, with the size, on the trials of another seed than the verdict is
            from, and `.free` of the result says which it is and what it saves.
        granularity: whole "bit"s, "word"s or "layer"s.
        aggregate: how the normalised ranks of several models count: their "mean" or "max".
        method: how bits are ranked, as in `rank`.
        max_failure_rate, confidence, max_trials, seed: as in `campaign`.
        max_evaluations: the most fault sets that the search may measure, per model.
        layers, biases, memory, words, of, input_format: what is the memory, as in `bit_space`; of the memories that
            `faults` names unless told.
        engine, executor, progress: as in `oracle`.
        names: of the models, for reports.
        store: rankings are kept as in `rank`, fault sets as in `endurance`.

    Raises:
        LayoutError: for models of different layouts.
        InputError: where nothing passes.
    """
    every = list(models) if isinstance(models, list | tuple) else [models]
    numbered = [f"model {number}" for number in range(1, len(every) + 1)]
    called = numbered if names is None else list(names)
    if not every or len(called) != len(every):
        raise InputError(f"{len(every)} models with {len(called)} names; give at least one model, and a name for each")
    first, *others = (
        Study(
            model, data, metric, layers=layers, biases=biases, memory=memory, words=words,
            of=memories_of(faults) if of is None else of, input_format=input_format, engine=engine, seed=seed,
            store=store, executor=executor, progress=progress, name=name,
        )
        for name, model in zip(called, every, strict=True)
    )  # fmt: skip
    return first.protect(
        *others,
        bits=bits,
        share=share,
        overhead=overhead,
        faults=faults,
        limits=required(limits, first.metrics, max_failure_rate, confidence),
        under=under,
        free=free,
        granularity=granularity,
        aggregate=aggregate,
        method=method,
        max_trials=max_trials,
        max_evaluations=max_evaluations,
    )


def merge(sources: Sequence[str | os.PathLike[str] | Store], into: str | os.PathLike[str] | Store) -> list[Merged]:
    """Add the results of stores to another: equal identities add up, others stay side by side.

    Arguments:
        sources: stores, or single results (KIND/DIGEST folders of one); they are only read.
        into: the store that they are added to. Merging again changes nothing.

    Raises:
        IdentityError: where each source has one result of a kind, as shards have, and their identities differ.
    """
    target = into if isinstance(into, Store) else Store(into)
    n_said = len(target.notices)
    merged = merge_stores(sources, target)
    for notice in target.notices[n_said:]:
        MODELS.notice(notice)
    return merged
