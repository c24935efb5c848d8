"""Chance: what a metric gives the best prediction that needs no input, measured with the metric itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.metrics.inputs import read_only, sample_count, take
from fkeras.metrics.metric import DatasetMetric, Metric, Outputs, parts_of
from fkeras.metrics.user import dataset_value

SURE = 2.326
"""How many standard errors above 0 the gain over chance lies where that is no luck, at 99 %, one-sided."""
ROUNDING = 1e-6
SHUFFLES = 8
"""How often luck is measured for a metric that is one number for all samples."""


@dataclass(frozen=True, slots=True)
class Chance:
    """What a metric gives without a look at the inputs.

    value: of the prediction that is the same for every sample; is_beaten: whether the fault-free network is better by
    more than these samples leave to luck; is_blind: whether the metric is the same whatever the outputs are.
    """

    value: float
    is_beaten: bool
    is_blind: bool = False


def chance_of(metric: Metric, targets: Any, golden_outputs: Outputs) -> Chance | None:
    """Chance on these targets, None where it means nothing: one sample, targets that are no prediction's, a metric that
    is not defined for such outputs."""
    if sample_count(golden_outputs) < 2:
        return None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return _chance(metric, read_only(targets), read_only(golden_outputs))
        except Exception:
            return None  # nobody promised that a metric takes outputs that no network gave


def is_constant(outputs: Outputs) -> bool:
    """Whether two samples or more all have the same output."""
    parts = parts_of(outputs)
    return len(parts[0]) > 1 and all(np.array_equal(part, np.broadcast_to(part[:1], part.shape)) for part in parts)


def _chance(metric: Metric, targets: Any, outputs: Outputs) -> Chance | None:
    measure = _measure(metric, targets, outputs)
    golden, constant = measure(outputs), metric.constant(targets, outputs)
    if all(np.array_equal(measure(probe), golden) for probe in _probes(outputs, constant)):
        return Chance(float(golden.mean()), is_beaten=False, is_blind=True)
    if constant is None:
        return None
    scores = measure(constant)
    gain = scores - golden if metric.better == "lower" else golden - scores
    if not np.isfinite(gain).all():
        return None
    gain[np.abs(gain) <= ROUNDING * np.maximum(1.0, np.abs(scores))] = 0.0
    if isinstance(metric, DatasetMetric):
        luck = np.std([measure(shuffled) for shuffled in _shuffles(outputs)], ddof=1)
        return Chance(float(scores.mean()), bool(gain.item() > SURE * luck))
    return Chance(float(scores.mean()), _is_gain(gain))


def _measure(metric: Metric, targets: Any, outputs: Outputs) -> Any:
    """outputs -> the number of every sample, (n,); of a data-set metric (1,). NaN where it is not defined."""
    if isinstance(metric, DatasetMetric):

        def whole(given: Outputs) -> NDArray[np.float64]:
            value, undefined = dataset_value(metric, targets, given)
            return np.array([np.nan if undefined else value])

        return whole
    scorer = metric.bind(targets, outputs)

    def each(given: Outputs) -> NDArray[np.float64]:
        scores = scorer.score(given, slice(None))
        return np.where(scores.undefined, np.nan, scores.values)

    return each


def _probes(outputs: Outputs, constant: Outputs | None) -> Iterator[Outputs]:
    """Outputs that a metric which looks at them tells from the network's."""
    if constant is not None:
        yield constant
    parts = parts_of(outputs)
    draws = np.random.default_rng(0)
    probes = [[np.roll(part, 1, axis=0), -part, draws.random(part.shape).astype(part.dtype)] for part in parts]
    for changed in zip(*probes, strict=True):
        yield read_only(changed if isinstance(outputs, tuple) else changed[0])


def _shuffles(outputs: Outputs) -> Iterator[Outputs]:
    """The outputs, given to other samples: what a metric makes of them is luck."""
    draws = np.random.default_rng(0)
    for _ in range(SHUFFLES):
        yield take(outputs, draws.permutation(sample_count(outputs)))


def _is_gain(gain: NDArray[np.float64]) -> bool:
    """Whether a gain over chance, by sample, is more than luck."""
    if (gain >= 0).all():
        return bool((gain > 0).any())
    return bool(gain.size > 1 and gain.mean() > SURE * gain.std(ddof=1) / np.sqrt(gain.size))
