"""A Keras loss, or a user's own function, as a loss to be differentiated: by TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fkeras.errors import InputError
from fkeras.frontends.qkeras.setup import tensorflow
from fkeras.sensitivity.losses import Array, Arrays, Loss, Targets


@dataclass(frozen=True, slots=True)
class UsersLoss(Loss):
    """function: (targets, outputs) as tensors of a batch -> one number per sample, or their mean."""

    name: str
    targets: Targets
    function: Any

    def _tensors(self, targets: Any, outputs: Arrays) -> tuple[Any, Any]:
        convert = tensorflow().convert_to_tensor
        given = tuple(map(convert, targets)) if isinstance(targets, tuple) else convert(targets)
        return given, [convert(np.asarray(part, np.float32)) for part in outputs]

    def _per_sample(self, targets: Any, outputs: Any) -> Any:
        tf = tensorflow()
        values = tf.convert_to_tensor(self.function(targets, outputs[0] if len(outputs) == 1 else tuple(outputs)))
        if values.shape.rank == 0:  # a mean over the batch: every sample carries it
            return tf.repeat(values, tf.shape(outputs[0])[0])
        return tf.reduce_mean(tf.reshape(values, [tf.shape(values)[0], -1]), axis=1)

    def per_sample(self, targets: Any, outputs: Arrays) -> Array:
        """The loss of each sample."""
        return np.asarray(self._per_sample(*self._tensors(targets, outputs)))

    def slope(self, targets: Any, outputs: Arrays) -> Arrays:
        """The slopes of the sum in the outputs."""
        given, tensors = self._tensors(targets, outputs)
        return _numbers(self._slope(given, tensors))

    def _slope(self, targets: Any, outputs: Any) -> Any:
        tf = tensorflow()
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            total = tf.reduce_sum(self._per_sample(targets, outputs))
        return tape.gradient(total, outputs, unconnected_gradients="zero")

    def slope_along(self, targets: Any, outputs: Arrays, direction: Arrays) -> Arrays:
        """By how much the slopes change along a direction of the outputs."""
        tf = tensorflow()
        given, tensors = self._tensors(targets, outputs)
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            slopes = self._slope(given, tensors)
            along = tf.add_n(
                [tf.reduce_sum(part * tf.cast(d, part.dtype)) for part, d in zip(slopes, direction, strict=True)]
            )
        return _numbers(tape.gradient(along, tensors, unconnected_gradients="zero"))


def _numbers(tensors: Any) -> Arrays:
    return tuple(np.asarray(tensor) for tensor in tensors)


def users_loss(loss: Any, targets: Targets) -> Loss:
    """The loss of a Keras name or object, or of a function. InputError for anything else."""
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
    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "user")
    return UsersLoss(str(name), targets, function)


def final_activation(model: Any) -> str:
    """The name of the activation that the model's (first) output comes straight out of, "" for none."""
    keras = tensorflow().keras
    layer = model.outputs[0]._keras_history.layer
    if isinstance(layer, keras.Model):
        return final_activation(layer)
    kind = type(layer).__name__
    if kind == "Softmax":
        return "softmax"
    function = getattr(layer, "activation", None)
    name = function if isinstance(function, str) else getattr(function, "__name__", "")
    return str(name) if kind in ("Activation", "QActivation", "Dense", "QDense") else ""
