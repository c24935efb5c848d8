"""A Keras 2 model and its data, as rankings see them."""

from __future__ import annotations

from typing import Any

from fkeras.frontends.autodiff import TensorFlow
from fkeras.frontends.evidence import FrameworkSubject, StartRun
from fkeras.frontends.losses import users_loss as loss_of
from fkeras.frontends.qkeras.forward import forward_of
from fkeras.frontends.qkeras.setup import tensorflow
from fkeras.frontends.qkeras.tracing import flat_data, flat_targets
from fkeras.memory import BitSpace
from fkeras.sensitivity.losses import Loss, Targets


def subject_of(model: Any, space: BitSpace, data: tuple[Any, Any], start_run: StartRun) -> FrameworkSubject:
    """A model with data, differentiated by TensorFlow."""
    tf, (x, y) = tensorflow(), data
    inputs, targets = flat_data(model, x), flat_targets(model, y)
    return FrameworkSubject(
        model, tf.keras, TensorFlow(tf), forward_of(model, space), space, inputs, targets, start_run
    )


def users_loss(loss: Any, targets: Targets) -> Loss:
    """What a user gave as loss=: TensorFlow differentiates it."""
    tf = tensorflow()
    return loss_of(loss, targets, tf.keras, TensorFlow(tf))
