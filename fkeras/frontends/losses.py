"""A Keras loss, or a user's own function, as a loss to be differentiated: by the framework."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from fkeras.errors import InputError
from fkeras.frontends.autodiff import Autodiff, Tensors
from fkeras.sensitivity.losses import Array, Arrays, Loss, Targets


@dataclass(frozen=True, slots=True)
class UsersLoss(Loss):
    """function: (targets, outputs) as tensors of a batch -> one number per sample, or their mean."""

    name: str
    targets: Targets
    function: Any
    autodiff: Autodiff

    def _tensors(self, targets: Any, outputs: Arrays) -> tuple[Any, Tensors]:
        tensor = self.autodiff.tensor
        told = tuple(map(tensor, targets)) if isinstance(targets, tuple) else tensor(targets)
        return told, [tensor(np.asarray(part, np.float32)) for part in outputs]

    def _shares(self, targets: Any, outputs: Tensors) -> Any:
        """Numbers whose sum is that of the samples' losses: a mean over the batch is carried by every sample."""
        values = self.autodiff.tensor(self.function(targets, outputs[0] if len(outputs) == 1 else tuple(outputs)))
        return values / prod(values.shape[1:]) if len(values.shape) else values * len(outputs[0])

    def per_sample(self, targets: Any, outputs: Arrays) -> Array:
        shares = np.asarray(self._shares(*self._tensors(targets, outputs)))
        n = len(outputs[0])
        return shares.reshape(n, -1).sum(axis=1) if shares.shape else np.repeat(shares / n, n)

    def slope(self, targets: Any, outputs: Arrays) -> Arrays:
        told, tensors = self._tensors(targets, outputs)
        return tuple(map(np.asarray, self._slope(told, tensors)))

    def _slope(self, targets: Any, outputs: Tensors) -> Tensors:
        return self.autodiff.gradient(lambda outputs: self._shares(targets, outputs), outputs)

    def slope_along(self, targets: Any, outputs: Arrays, direction: Arrays) -> Arrays:
        told, tensors = self._tensors(targets, outputs)
        along = [np.asarray(part, np.float32) for part in direction]

        def products(outputs: Tensors) -> Tensors:
            return self.autodiff.products(self._slope(told, outputs), along)

        return tuple(map(np.asarray, self.autodiff.gradient(products, tensors)))


def users_loss(loss: Any, targets: Targets, keras: Any, autodiff: Autodiff) -> Loss:
    """The loss of a name or an object of a Keras, or of a function. InputError for anything else."""
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
    return UsersLoss(str(name), targets, function, autodiff)


def final_activation(model: Any) -> str:
    """The name of the activation that a model's (first) output comes straight out of, "" for none."""
    history = model.outputs[0]._keras_history
    layer = history.operation if hasattr(history, "operation") else history.layer
    if hasattr(layer, "outputs"):  # a model
        return final_activation(layer)
    kind = type(layer).__name__
    if kind == "Softmax":
        return "softmax"
    function = getattr(layer, "activation", None)
    name = function if isinstance(function, str) else getattr(function, "__name__", "")
    return str(name) if kind in ("Activation", "QActivation", "Dense", "QDense") else ""
