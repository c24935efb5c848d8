"""A Keras 3 model and its data, as rankings see them."""

from __future__ import annotations

import sys
from typing import Any

from fkeras.errors import Argument, UnsupportedError
from fkeras.frontends import autodiff
from fkeras.frontends.evidence import FrameworkSubject, StartRun
from fkeras.frontends.keras3.forward import Forward, inputs_of, output_names
from fkeras.frontends.keras3.setup import keras
from fkeras.frontends.losses import users_loss as loss_of
from fkeras.memory import BitSpace
from fkeras.network.feeding import flat_data, flat_targets
from fkeras.sensitivity.losses import Loss, Targets

_BACKENDS = {"tensorflow": autodiff.TensorFlow, "jax": autodiff.Jax}


def subject_of(model: Any, space: BitSpace, data: tuple[Any, Any], start_run: StartRun) -> FrameworkSubject:
    """A model with data, differentiated by the backend of Keras."""
    x, y = data
    inputs, targets = flat_data(inputs_of(model), x), flat_targets(output_names(model), y)
    forward = Forward(model, space)
    return FrameworkSubject(model, keras(), _autodiff(), forward, space, inputs, targets, start_run)


def users_loss(loss: Any, targets: Targets) -> Loss:
    """What a user gave as loss=: the backend differentiates it."""
    return loss_of(loss, targets, keras(), _autodiff())


def _autodiff() -> autodiff.Autodiff:
    backend = str(keras().backend.backend())
    if backend not in _BACKENDS:
        raise UnsupportedError(
            f"slopes are computed by {' or '.join(_BACKENDS)}, and the backend of Keras is {backend}; set "
            "KERAS_BACKEND to one of them, or rank by ",
            *(Argument("method", "msb"), " or ", Argument("method", "random")),
        )
    return _BACKENDS[backend](sys.modules[backend])
