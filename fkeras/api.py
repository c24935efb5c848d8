"""The one place that puts a backend, metrics, faults and campaigns together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.campaigns import (
    CampaignResult,
    FixedTrials,
    Oracle,
    Requirement,
    Setting,
    UntilDecided,
    combined,
    measure_oracle,
    named_metrics,
    parse_limit,
    run_campaign,
)
from fkeras.campaigns.budget import MAX_TRIALS
from fkeras.campaigns.progress import Progress, terminal_bar
from fkeras.campaigns.sensitive import find_sensitive
from fkeras.engine import Run
from fkeras.errors import InputError
from fkeras.faults import FaultModel, FaultSet, fault_model, protection, whole_seed
from fkeras.faults.protection import Protectable
from fkeras.memory import BitSpace
from fkeras.metrics import resolve
from fkeras.metrics.classification import margins
from fkeras.metrics.metric import DatasetMetric, Metric
from fkeras.sensitivity import Ranking

MetricLike = Metric | str
ENGINES = ("auto", "fast", "reference")


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

    if engine not in ENGINES:
        raise InputError(f"engine={engine!r}; allowed are {', '.join(ENGINES)}")
    x, y = _pair(data)
    used = read(model) if space is None else space
    if engine == "reference":
        return ReferenceRun(model, used, x, y, metrics)
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
    progress: Progress = terminal_bar,
) -> Oracle:
    """Flip every bit (or each of `bits`, flat indices) alone and measure the metric.

    sample_groups: keep the deltas of that many interleaved groups of the samples as well; `ranking_quality` then says
    how sure it is. For metrics per sample.
    Cost: one evaluation of the data set per bit, less with the fast engine, which gives the same numbers.
    """
    one = resolve(metric)
    used = bit_space(model) if space is None else space
    chosen = np.arange(len(used)) if bits is None else used.check(bits)
    if sample_groups == 1:
        return measure_oracle(start_run(model, data, {one.name: one}, used, engine), one.name, chosen, progress)
    x, y = _pair(data)
    n_samples = len(y[0]) if isinstance(y, tuple) else len(y)
    if isinstance(one, DatasetMetric) or not 1 <= sample_groups <= n_samples:
        raise InputError(
            f"sample_groups={sample_groups}; allowed are 1 to {n_samples}, the number of samples, and only "
            "1 for a metric that is one number for the data set"
        )
    return combined(
        [
            measure_oracle(
                start_run(model, (_rows(x, rows), _rows(y, rows)), {one.name: one}, used, engine),
                one.name,
                chosen,
                progress,
            )
            for rows in (np.arange(group, n_samples, sample_groups) for group in range(sample_groups))
        ]
    )


def sensitive_bits(
    model: Any,
    data: tuple[Any, Any],
    *,
    bits: ArrayLike | None = None,
    space: BitSpace | None = None,
    engine: str = "auto",
    progress: Progress = terminal_bar,
) -> NDArray[np.bool_]:
    """Whether each flip makes a sample wrong that was right (paper, section 4.1), in the order of `bits`; (n,) bool.

    The same as `oracle(..., metric="mispredictions").sensitive`, for less work: a bit is done at its first broken
    sample, and samples whose class wins by little are tried first. data: y are classes.
    """
    x, y = _pair(data)
    metric = resolve("mispredictions")
    whole = start_run(model, data, {metric.name: metric}, space, "reference")
    chosen = np.arange(len(whole.space)) if bits is None else whole.space.check(bits)
    wrong = whole.golden[metric.name].per_sample
    return find_sensitive(
        lambda rows: start_run(model, (_rows(x, rows), _rows(y, rows)), {metric.name: metric}, whole.space, engine),
        np.where(wrong == 0, margins(whole.golden_outputs), np.nan),
        chosen,
        progress,
    )


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
    progress: Progress = terminal_bar,
) -> CampaignResult:
    """Draw fault sets and measure what each does to the metric.

    faults: a number of distinct flips or a fault model; protected: bits that cannot fail, or a protection;
    trials: how many draws (100 unless `limits` are given). With `limits` (as in {"max_emd": 1.25}) and no `trials`,
    draws go on until the share of trials that break one is decided against `max_failure_rate` at `confidence`, up to
    `max_trials`. The faults depend on seed, layout and fault model only.
    """
    metrics = (
        {name: resolve(one) for name, one in metric.items()}
        if isinstance(metric, Mapping)
        else named_metrics(resolve(metric))
    )
    run = start_run(model, data, metrics, space, engine)
    setting = Setting(
        fault_model(faults), protection(protected, run.space), whole_seed(seed), run.engine, run.n_samples, run.space
    )
    plan: FixedTrials | UntilDecided = FixedTrials(100 if trials is None else trials)
    if limits and trials is None:
        chosen = tuple(parse_limit(keyword, value, metrics) for keyword, value in limits.items())
        plan = UntilDecided(Requirement(chosen, max_failure_rate, confidence), max_trials)
    return run_campaign(run, setting, plan, progress)


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
) -> Ranking:
    """Rank the bits of a model, most sensitive first.

    method: a name (`fkeras.sensitivity.methods` lists them with what each needs and costs), or a callable
    (space) or (space, evidence) -> one score per bit; None: the best for what is given. data: (x, y), y None for
    methods without targets. metric: what damage means; loss: a Keras loss or a function (y_true, y_pred) -> one
    number per sample; None: the metric's differentiable surrogate, else cross-entropy for integer targets, else mean
    squared error when shapes agree. InputError for an unknown method and for what a method lacks.
    """
    from fkeras.backends.tf.evidence import ModelEvidence
    from fkeras.sensitivity.methods import make_ranking

    used = bit_space(model) if space is None else space
    evidence = ModelEvidence(
        model,
        used,
        None if data is None else _pair(data),
        None if metric is None else resolve(metric),
        loss,
        whole_seed(seed),
        start_run,
    )
    return make_ranking(method, evidence)


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
