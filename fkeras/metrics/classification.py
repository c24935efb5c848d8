"""Accuracy and mispredictions: is the predicted class the target?"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.metrics.inputs import first_rows, locked, require_same_count, single_array
from fkeras.metrics.metric import Direction, Outputs, SampleMetric, worst_value
from fkeras.metrics.rowwise import RowFunction, RowwiseScorer


def accuracy() -> SampleMetric:
    """1.0 for a sample whose predicted class is its target and 0.0 for any other; the mean is the accuracy.

    Targets: integer classes (n,) or (n, 1), or one-hot (n, classes). Outputs: scores (n, classes), where the
    largest wins and the first of equal ones; or probabilities (n, 1) or (n,) of class 1 of two, as a sigmoid gives
    them, where one above 0.5 is class 1. A sample with any non-finite score is undefined and counts as wrong.
    Binding raises InputError for float labels, labels out of range, shapes that do not fit, and a single column of
    golden outputs that leaves [0, 1]: where a logit (threshold 0) ends cannot be seen from it.
    """
    return _classification("accuracy", "higher", right_predictions)


def mispredictions() -> SampleMetric:
    """1.0 for a sample whose predicted class is not its target and 0.0 for any other; the mean is a fraction.

    Takes what `accuracy` takes, and is 1 minus it on every sample, undefined ones included.
    """
    return _classification("mispredictions", "lower", wrong_predictions)


THRESHOLD = 0.5
"""A single score above it is class 1."""
_ROUNDING = 1e-6


def is_single_score(outputs: NDArray[Any]) -> bool:
    """Whether there is one score per sample, the probability of class 1 of two: outputs (n,) or (n, 1)."""
    return outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1)


def are_probabilities(scores: NDArray[Any]) -> bool:
    """Whether all finite scores lie in [0, 1], but for rounding."""
    finite = scores[np.isfinite(scores)]
    return bool(((finite >= -_ROUNDING) & (finite <= 1 + _ROUNDING)).all())


def predicted_classes(outputs: NDArray[Any]) -> NDArray[np.intp]:
    """The class that wins in each row, (n,): argmax, or score > 0.5 where there is a single score."""
    if is_single_score(outputs):
        classes: NDArray[np.intp] = (outputs.reshape(-1) > THRESHOLD).astype(np.intp)
    else:
        classes = np.argmax(outputs, axis=1)
    return classes


def margins(outputs: NDArray[Any]) -> NDArray[np.float64]:
    """By how much the winning class of each row wins, (n,) float64; NaN for a row with a non-finite score."""
    scores = outputs.reshape(len(outputs), -1).astype(np.float64)
    if scores.shape[1] == 1:
        distance: NDArray[np.float64] = np.abs(scores[:, 0] - THRESHOLD)
        return np.where(np.isfinite(distance), distance, np.nan)
    best = np.partition(np.where(np.isfinite(scores), scores, np.nan), -2, axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(scores).all(axis=1), best[:, -1] - best[:, -2], np.nan)


def right_predictions(labels: NDArray[Any], outputs: NDArray[Any]) -> NDArray[np.bool_]:
    """(n,) bool: the predicted class is the label."""
    right: NDArray[np.bool_] = predicted_classes(outputs) == labels
    return right


def wrong_predictions(labels: NDArray[Any], outputs: NDArray[Any]) -> NDArray[np.bool_]:
    """(n,) bool: the predicted class is not the label."""
    return ~right_predictions(labels, outputs)


def class_labels(targets: Any, outputs: NDArray[Any]) -> NDArray[np.intp]:
    """The class number of each target, (n,) intp, read against outputs (n, classes), (n, 1) or (n,).

    Raises InputError for targets that are neither integer classes in range nor one-hot.
    """
    if outputs.ndim > 2:
        raise InputError(
            f"outputs of shape {outputs.shape} are no class scores; classification needs (n, classes), "
            f"or (n, 1) or (n,) for two classes"
        )
    array = single_array(targets, "targets")
    require_same_count(array, outputs)
    n_scores = 1 if is_single_score(outputs) else outputs.shape[1]
    if array.ndim == 2 and array.shape[1] > 1:
        return _from_one_hot(array, n_scores)
    if array.ndim > 2:
        raise InputError(
            f"targets have shape {array.shape}; classification needs integer classes (n,) or one-hot (n, classes)"
        )
    if array.dtype.kind == "f":
        raise InputError(
            f"class targets are {array.dtype}, shape {array.shape}; integer classes are needed "
            f"(y.astype(int) if they are whole numbers), or one-hot rows (n, classes)"
        )
    labels = array.reshape(-1)
    n_classes = max(n_scores, 2)
    outside = (labels < 0) | (labels >= n_classes)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"class target {labels[row]} in row {row} is out of range: outputs of shape {outputs.shape} "
            f"allow classes 0 ... {n_classes - 1}"
        )
    return labels.astype(np.intp)


def _from_one_hot(array: NDArray[Any], n_scores: int) -> NDArray[np.intp]:
    if array.shape[1] != n_scores:
        raise InputError(
            f"one-hot targets have {array.shape[1]} classes but the outputs have {n_scores} scores; they must agree"
        )
    one_hot = ((array == 0) | (array == 1)).all(axis=1) & ((array == 1).sum(axis=1) == 1)
    if not one_hot.all():
        raise InputError(
            f"targets of shape {array.shape} are not one-hot in row {first_rows(~one_hot)}; each row needs a "
            f"single 1 and zeros, or give integer classes (n,)"
        )
    labels: NDArray[np.intp] = np.argmax(array, axis=1)
    return labels


def _classification(name: str, better: Direction, function: RowFunction) -> SampleMetric:
    return SampleMetric(
        name=name,
        better=better,
        bounds=(0.0, 1.0),
        bind=partial(bind_classes, name, worst_value(better, (0.0, 1.0)), function),
        per_sample_sensitivity=True,
        identity=name,
        surrogate="cross_entropy",
    )


def bind_classes(
    name: str, worst: float, function: RowFunction, targets: Any, golden_outputs: Outputs
) -> RowwiseScorer:
    """The scorer of a classification, a function of this module so that metrics can be pickled."""
    outputs = single_array(golden_outputs, "outputs")
    labels = locked(class_labels(targets, outputs))
    if is_single_score(outputs) and not are_probabilities(outputs):
        finite = outputs[np.isfinite(outputs)]
        raise InputError(
            f"{name} takes a single score as the probability of class 1, which wins above {THRESHOLD}; the golden "
            f"outputs reach from {finite.min():g} to {finite.max():g}. Where they are logits let the model end in a "
            "sigmoid (tf.keras.Sequential([model, tf.keras.layers.Activation('sigmoid')])); else use a metric of your "
            "own with the threshold that you mean (fkeras.metrics.sample_metric)"
        )
    return RowwiseScorer(function, labels, outputs, name=name, worst=worst, bounds=(0.0, 1.0))
