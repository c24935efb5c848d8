"""Mean squared error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.metrics.inputs import finite_rows, first_rows, single_array
from fkeras.metrics.metric import Outputs, SampleMetric
from fkeras.metrics.rowwise import RowwiseScorer


def mean_squared_error() -> SampleMetric:
    """The squared difference of target and output, averaged over the elements of a sample, in float64.

    Targets: finite numbers, shaped exactly like the outputs (n, ...). A sample with a non-finite output, or
    whose square overflows, is undefined and scores +inf.
    Binding raises InputError for another shape, and for NaN or infinite targets.
    """
    return SampleMetric(
        name="mean_squared_error",
        better="lower",
        bounds=None,
        bind=bind_squared_errors,
        identity="mean_squared_error",
        surrogate="squared_error",
    )


def bind_squared_errors(targets: Any, golden_outputs: Outputs) -> RowwiseScorer:
    """The metric's scorer, a function of this module so that the metric can be pickled."""
    outputs = single_array(golden_outputs, "outputs")
    array = single_array(targets, "targets")
    if array.shape != outputs.shape:
        raise InputError(
            f"targets have shape {array.shape}, outputs {outputs.shape}; the mean squared error needs them "
            f"equal (reshape the targets: broadcasting would compare every target with every output)"
        )
    finite = finite_rows(array)
    if not finite.all():
        raise InputError(f"targets are not finite in row {first_rows(~finite)}; remove or repair those samples")
    return RowwiseScorer(squared_errors, array, outputs, name="mean_squared_error", worst=np.inf, bounds=None)


def squared_errors(targets: NDArray[Any], outputs: NDArray[Any]) -> NDArray[np.float64]:
    """(n,) float64: the mean over each sample's elements of (output - target) squared."""
    with np.errstate(over="ignore"):  # an overflow is +inf, which the scorer counts as undefined
        difference = outputs.astype(np.float64) - targets
        errors: NDArray[np.float64] = np.square(difference).reshape(len(outputs), -1).mean(axis=1)
    return errors
