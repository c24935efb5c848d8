"""Metrics made from a user's own function, and metrics of one output among several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, overload
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError, is_whole
from fkeras.metrics.inputs import WritingMetric, arrays, finite_rows, read_only, refuse_masked, refusing_writes
from fkeras.metrics.metric import (
    UNNAMED,
    USERS,
    DatasetMetric,
    Direction,
    Metric,
    Outputs,
    SampleMetric,
    Scorer,
    worst_value,
)
from fkeras.metrics.rowwise import RowwiseScorer, within_bounds

Bounds = tuple[float, float] | None


def sample_metric(
    function: Callable[[Any, Any], NDArray[Any]],
    name: str,
    better: Direction,
    bounds: Bounds = None,
    identity: str | None = None,
) -> SampleMetric:
    """A metric whose value for each sample is a function of its target and its output.

    function: (targets, outputs) of k samples -> (k,) numbers; each must depend on its own sample only. It is
    called with finite outputs only: a sample with a non-finite output is undefined without a call, and so is
    one whose number comes back non-finite. name: a Python identifier, for limits such as `max_<name>=`.
    bounds: (lowest, highest) possible number, if there are any. identity: a text that changes whenever the
    function computes something else; without one, results are never taken for those of another session.
    Raises InputError for a bad name, direction or bounds, and for numbers outside the bounds.
    """
    _check(name, better, bounds)

    bind = partial(RowwiseScorer, function, name=name, worst=worst_value(better, bounds), bounds=bounds)
    return SampleMetric(name=name, better=better, bounds=bounds, bind=bind, identity=_identity(name, identity))


def dataset_metric(
    function: Callable[[Any, Any], float],
    name: str,
    better: Direction,
    bounds: Bounds = None,
    identity: str | None = None,
) -> DatasetMetric:
    """A metric that is one number for the whole data set, such as an AUC or an efficiency at a fixed rate.

    function: (targets, outputs) of all samples -> float. For name, better, bounds and identity see
    `sample_metric`; to evaluate it use `dataset_value`, which handles undefined outputs.
    Raises InputError for a bad name, direction or bounds.
    """
    _check(name, better, bounds)
    return DatasetMetric(name=name, better=better, bounds=bounds, function=function, identity=_identity(name, identity))


def dataset_value(metric: DatasetMetric, targets: Any, outputs: Outputs) -> tuple[float, bool]:
    """The metric's (value, undefined) for all samples; an undefined value is the metric's worst.

    Undefined: a non-finite result, or an exception while some output is non-finite. An exception or a wrong
    result for finite outputs is the function's own error and raises InputError.
    """
    values = arrays(outputs, "outputs")
    try:
        with refusing_writes(metric.name):
            result = metric.function(read_only(targets), read_only(values))
    except WritingMetric:
        raise
    except Exception as error:
        if not finite_rows(values).all():
            return metric.worst, True
        raise InputError(
            f"metric '{metric.name}' failed on finite outputs: {type(error).__name__}: {error}; "
            f"its function must accept (targets, outputs)"
        ) from error
    refuse_masked(result, f"what metric '{metric.name}' returned")
    number = np.asarray(result)
    if number.size != 1 or number.dtype.kind not in "biuf":
        raise InputError(
            f"metric '{metric.name}' returned {number.dtype} of shape {number.shape}; "
            f"a data-set metric returns one number (sample_metric is for one per sample)"
        )
    value = number.astype(np.float64).reshape(1)
    if not np.isfinite(value[0]):
        return metric.worst, True
    if metric.bounds is not None:
        value = within_bounds(value, metric.bounds, metric.name)
    return float(value[0]), False


@overload
def on_output(index: int, metric: SampleMetric) -> SampleMetric: ...


@overload
def on_output(index: int, metric: DatasetMetric) -> DatasetMetric: ...


def on_output(index: int, metric: Metric) -> Metric:
    """The metric of output number `index` (from 0) of a model with several outputs.

    Targets are that output's own, or a tuple with one entry per output. The result has no surrogate loss,
    since a surrogate speaks of the whole model's output: rankings that need one take `loss=`.
    Raises InputError when the outputs are no tuple or have no such entry.
    """
    if not is_whole(index, 0):
        raise InputError(f"on_output needs an output number, 0 or more, got {index!r}")
    index = int(index)
    identity, constant = f"output {index}: {metric.identity}", partial(_constant_output, metric.constant, index)
    if isinstance(metric, DatasetMetric):
        of_output = partial(_of_output, metric.function, index)
        return replace(metric, function=of_output, identity=identity, constant=constant)
    bind = partial(_bind_output, metric.bind, index)
    return replace(metric, bind=bind, identity=identity, surrogate=None, constant=constant)


# Functions of this module, not closures, so that metrics can be pickled.


def _of_output(function: Callable[[Any, Outputs], float], index: int, targets: Any, outputs: Outputs) -> float:
    return function(_target(targets, index), _output(outputs, index))


def _bind_output(
    bind: Callable[[Any, Outputs], Scorer], index: int, targets: Any, golden_outputs: Outputs
) -> _OneOutput:
    return _OneOutput(index, bind(_target(targets, index), _output(golden_outputs, index)))


def _constant_output(
    constant: Callable[[Any, Outputs], Outputs | None], index: int, targets: Any, outputs: Outputs
) -> Outputs | None:
    output = constant(_target(targets, index), _output(outputs, index))
    return None if output is None else (*outputs[:index], output, *outputs[index + 1 :])


class _OneOutput:
    def __init__(self, index: int, scorer: Scorer) -> None:
        self._index, self._scorer = index, scorer
        self.golden = scorer.golden

    def score(self, outputs: Outputs, rows: Any) -> Any:
        return self._scorer.score(_output(outputs, self._index), rows)


def _output(outputs: Outputs, index: int) -> Any:
    if not isinstance(outputs, tuple | list):
        raise InputError(
            f"on_output({index}, ...) needs a model with several outputs, got one array; use the metric itself"
        )
    if index >= len(outputs):
        raise InputError(f"on_output({index}, ...): the model has {len(outputs)} outputs (0 ... {len(outputs) - 1})")
    return outputs[index]


def _target(targets: Any, index: int) -> Any:
    if not isinstance(targets, tuple):
        return targets
    if index >= len(targets):
        raise InputError(f"on_output({index}, ...): the targets are a tuple of {len(targets)}, one per output expected")
    return targets[index]


def _identity(name: str, identity: str | None) -> str:
    # What a function computes cannot be read off it (closures, globals), so an unnamed one is equal to no other.
    return f"{USERS}{name}:{identity}" if identity is not None else f"{USERS}{name}:{UNNAMED}{uuid4().hex}"


def _check(name: str, better: str, bounds: Bounds) -> None:
    if not isinstance(name, str) or not name.isidentifier():
        raise InputError(
            f"metric name {name!r} is no Python identifier; limits are keywords such as max_<name>=, so it must be one"
        )
    if better not in ("lower", "higher"):
        raise InputError(f"metric '{name}' has better={better!r}; allowed are 'lower' and 'higher'")
    if bounds is not None and not (len(bounds) == 2 and bounds[0] < bounds[1]):
        raise InputError(f"metric '{name}' has bounds={bounds!r}; needed are (lowest, highest) with lowest < highest")
