"""Which differentiable loss stands for the damage: the user's, the metric's surrogate, or the task's usual one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError, Name
from fkeras.frontends.qkeras.setup import tensorflow
from fkeras.metrics.classification import (
    THRESHOLD,
    are_probabilities,
    class_labels,
    is_single_score,
    mispredictions,
)
from fkeras.metrics.metric import Metric, Outputs, SampleMetric
from fkeras.metrics.regression import mean_squared_error

Targets = NDArray[Any] | tuple[NDArray[Any], ...]


def _unchanged(outputs: Any) -> Any:
    return outputs


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss ready to be differentiated.

    name: for reports; targets: one array (n, ...) or a tuple of them, what `per_sample` reads;
    per_sample: (targets, linked outputs) as tensors of one batch -> (batch,) float tensor;
    link: outputs -> linked outputs, in which the loss is convex and its curvature mild: logits, shares of mass.
    """

    name: str
    targets: Targets
    per_sample: Callable[[Any, Any], Any]
    link: Callable[[Any], Any] = _unchanged

    def __call__(self, targets: Any, outputs: Any) -> Any:
        """The loss of each sample of a batch."""
        return self.per_sample(targets, self.link(outputs))


def resolve_loss(loss: Any, metric: Metric | None, model: Any, y: Any, outputs: Outputs) -> Loss:
    """The loss of `loss=`, else the metric's surrogate, else cross-entropy or squared error as the targets suggest.

    loss: a Keras loss (name or instance), or a callable (y_true, y_pred) -> one number per sample or their mean.
    outputs: the golden outputs (n, ...), or a tuple of them. InputError names `loss=` when nothing fits.
    """
    if loss is not None:
        return _users_loss(loss, _own_targets(y, outputs))
    surrogate = metric.surrogate if isinstance(metric, SampleMetric) else None
    if surrogate == "emd_cells":
        return _emd_cells(metric, y, outputs)
    single = not isinstance(outputs, tuple) and not isinstance(y, tuple | list)
    if single and (surrogate == "cross_entropy" or (surrogate is None and _looks_like_classes(y, outputs))):
        return _cross_entropy(model, class_labels(y, outputs), outputs)
    if single and np.shape(y) == outputs.shape and np.asarray(y).dtype.kind in "biuf":
        return Loss("squared_error", np.asarray(y, np.float32), _squared_error)
    raise InputError(
        f"no loss fits targets of shape {_shape(y)} and outputs of shape {_shape(outputs)}"
        f"{'' if metric is None else f' (metric {metric.name!r} has no surrogate that does)'}; pass loss=, "
        "a Keras loss or a function (y_true, y_pred) -> one number per sample"
    )


def damage_loss(metric: SampleMetric, loss: Any, model: Any, y: Any, outputs: Outputs) -> Loss | None:
    """The loss whose slope is the metric's own where that is known, or a surrogate's; None when nothing fits.

    EMD: the output's normalized masses weighted by the golden optimum's dual potentials, its exact first order.
    """
    if metric.surrogate == "emd_cells":
        scorer: Any = metric.bind(y, outputs)
        rows = np.arange(len(scorer.golden.values))
        return _of_cells("emd", scorer.cells, scorer.potentials(rows), lambda share, potential: share * potential)
    try:
        return resolve_loss(loss, metric, model, y, outputs)
    except InputError:
        return None


def implied_metric(y: Any, outputs: Outputs) -> SampleMetric:
    """Mispredictions for class targets, mean squared error for targets shaped like the outputs; else an InputError."""
    if y is not None and not isinstance(outputs, tuple) and not isinstance(y, tuple | list):
        if _looks_like_classes(y, outputs):
            return mispredictions()
        if np.shape(y) == outputs.shape:
            return mean_squared_error()
    raise InputError(
        f"targets of shape {_shape(y)} and outputs of shape {_shape(outputs)} suggest no metric; pass ",
        Argument("metric"),
        ", for instance ",
        Argument("metric", "accuracy"),
        " or fkeras.metrics.emd(coordinates)",
    )


def _shape(data: Any) -> Any:
    return [np.shape(part) for part in data] if isinstance(data, tuple | list) else np.shape(data)


def _looks_like_classes(y: Any, outputs: NDArray[Any]) -> bool:
    targets = np.asarray(y)
    if targets.dtype.kind not in "biu" or outputs.ndim > 2:
        return False
    if targets.shape != outputs.shape or (outputs.ndim == 2 and outputs.shape[1] == 1):
        return targets.ndim == 1 or targets.shape[1:] == (1,)
    return bool(targets.ndim == 1 or (((targets == 0) | (targets == 1)).all() and (targets.sum(axis=1) == 1).all()))


def _squared_error(targets: Any, outputs: Any) -> Any:
    tf = tensorflow()
    return tf.reduce_mean(_flat(tf.square(outputs - tf.cast(targets, outputs.dtype))), axis=1)


def _emd_cells(metric: Any, y: Any, outputs: NDArray[Any]) -> Loss:
    """Squared difference of normalized target and output, summed over the cells."""
    scorer = metric.bind(y, outputs)
    return _of_cells("emd_cells", scorer.cells, scorer.target_mass, lambda share, target: (share - target) ** 2)


def _of_cells(
    name: str, cells: NDArray[np.intp], targets: NDArray[np.float64], term: Callable[[Any, Any], Any]
) -> Loss:
    """The sum over cells of `term` of the output's share of mass and the cell's target."""

    def shares(values: Any) -> Any:
        tf = tensorflow()
        mass = tf.gather(_flat(values), cells, axis=1)
        return tf.math.divide_no_nan(mass, tf.reduce_sum(mass, axis=1, keepdims=True))

    return Loss(
        name,
        targets.astype(np.float32),
        lambda batch, share: tensorflow().reduce_sum(term(share, batch), axis=1),
        shares,
    )


def _cross_entropy(model: Any, labels: NDArray[Any], outputs: NDArray[Any]) -> Loss:
    binary = is_single_score(outputs)
    of_an_activation = ends_in(model, "sigmoid" if binary else "softmax")
    # Other single scores within [0, 1] (a clipped line, say) are told apart at 0.5 as well: the logit's tangent there.
    around_threshold = binary and not of_an_activation and are_probabilities(outputs)

    def logits(values: Any) -> Any:
        tf = tensorflow()
        scores = tf.reshape(values, [-1, 1]) if binary else values
        if around_threshold:
            return 4.0 * (scores - THRESHOLD)
        if not of_an_activation:
            return scores
        floor = tf.keras.backend.epsilon()
        odds = tf.math.log(tf.maximum(scores, floor))
        return odds - tf.math.log(tf.maximum(1.0 - scores, floor)) if binary else odds

    def per_sample(targets: Any, scores: Any) -> Any:
        tf = tensorflow()
        if binary:
            target = tf.cast(tf.reshape(targets, [-1, 1]), scores.dtype)
            return tf.nn.sigmoid_cross_entropy_with_logits(target, scores)[:, 0]
        return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, scores)

    return Loss("cross_entropy", labels.astype(np.int32), per_sample, logits)


def ends_in(model: Any, activation: str) -> bool:
    """Whether the model's (first) output comes straight out of an activation of this name."""
    keras = tensorflow().keras
    layer = model.outputs[0]._keras_history.layer
    if isinstance(layer, keras.Model):
        return ends_in(layer, activation)
    kind = type(layer).__name__
    if kind == "Softmax":
        return activation == "softmax"
    function = getattr(layer, "activation", None)
    name = function if isinstance(function, str) else getattr(function, "__name__", "")
    return kind in ("Activation", "QActivation", "Dense", "QDense") and str(name) == activation


def _own_targets(y: Any, outputs: Outputs) -> Targets:
    if y is None:
        raise InputError("loss= needs targets: pass ", Argument("data", Name("(x, y)")))
    if isinstance(outputs, tuple):
        if not isinstance(y, tuple | list) or len(y) != len(outputs):
            raise InputError(f"the model has {len(outputs)} outputs; y must be a tuple of as many arrays")
        return tuple(_one_target(part) for part in y)
    return _one_target(y)


def _one_target(y: Any) -> NDArray[Any]:
    targets = np.asarray(y)
    return targets.astype(np.float32) if targets.dtype == np.float64 else targets


def _users_loss(loss: Any, targets: Targets) -> Loss:
    keras = tensorflow().keras
    try:
        user_loss = keras.losses.get(loss) if isinstance(loss, str) else loss
    except ValueError as error:
        raise InputError(
            f"loss={loss!r} is no Keras loss; allowed are names such as 'mse', loss objects, and "
            "functions (y_true, y_pred) -> one number per sample"
        ) from error
    function = user_loss.call if isinstance(user_loss, keras.losses.Loss) else user_loss
    if not callable(function):
        raise InputError(
            f"loss is {type(loss).__name__}; allowed are Keras loss names and objects, and functions "
            "(y_true, y_pred) -> one number per sample"
        )

    def per_sample(batch: Any, outputs: Any) -> Any:
        tf = tensorflow()
        values = tf.convert_to_tensor(function(batch, outputs))
        if values.shape.rank == 0:  # a mean over the batch: every sample carries it
            first = outputs[0] if isinstance(outputs, tuple) else outputs
            return tf.repeat(values, tf.shape(first)[0])
        return tf.reduce_mean(_flat(values), axis=1)

    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "user")
    return Loss(str(name), targets, per_sample)


def _flat(values: Any) -> Any:
    tf = tensorflow()
    return tf.reshape(values, [tf.shape(values)[0], -1])
