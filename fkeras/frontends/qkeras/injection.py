"""Injection: a read-only view of a model that computes with faulty words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fkeras.errors import FkerasError, InputError, whole
from fkeras.faults import FaultSet
from fkeras.frontends.qkeras.forward import forward_of, golden_values, patched_values
from fkeras.frontends.qkeras.reading import bit_space, require_model
from fkeras.frontends.qkeras.setup import tensorflow
from fkeras.frontends.qkeras.tracing import flat_data, packed_outputs
from fkeras.memory import BitSpace

_READ_ONLY = (
    "fit",
    "fit_generator",
    "train_on_batch",
    "train_step",
    "compile",
    "set_weights",
    "load_weights",
    "save",
    "save_weights",
    "add_loss",
    "add_metric",
)
_CLOSED = "this faulty view is closed: its `with fkeras.injected(...)` block has ended"


class FaultyModel:
    """A read-only view of a model with some words wrong: call it, `predict`, `evaluate`.

    It computes with the stored words of its faults in place of the quantizers' output and with everything else as
    the model has it. It does not train and is closed at the end of the `with` block.
    """

    def __init__(self, model: Any, space: BitSpace, faults: FaultSet) -> None:
        tf = tensorflow()
        self.faults = faults
        self._model = model
        self._forward = forward_of(model, space)
        values = patched_values(space, golden_values(space), faults.patches(space))
        self._values: list[Any] | None = [tf.constant(value) for value in values]

    def __repr__(self) -> str:
        return f"<faulty view of '{self._model.name}' with {len(self.faults)} faults>"

    def close(self) -> None:
        """End the view; calls raise from now on."""
        self._values = None

    def _outputs(self, flat: Any) -> Any:
        if self._values is None:
            raise FkerasError(_CLOSED)
        outputs = self._forward(flat, self._values)
        return packed_outputs(self._model, outputs)

    def __call__(self, x: Any, training: bool = False) -> Any:
        """The faulty outputs as tensors, in inference mode."""
        if training:
            raise InputError("a faulty view computes in inference mode only; training=True is not allowed")
        return self._outputs(flat_data(self._model, x))

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = 0) -> Any:
        """The faulty outputs as numpy arrays, in batches of 32 unless said, as Keras' own `predict` makes them.

        verbose: taken so that calls written for a model work; a view prints nothing.
        """
        tf = tensorflow()
        flat = flat_data(self._model, x)
        rows = _batch_rows(batch_size)
        parts = [
            self._outputs([array[start : start + rows] for array in flat]) for start in range(0, flat[0].shape[0], rows)
        ]
        return tf.nest.map_structure(lambda *arrays: np.concatenate([array.numpy() for array in arrays]), *parts)

    def evaluate(
        self,
        x: Any,
        y: Any,
        batch_size: int | None = None,
        verbose: Any = 0,
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics of a compiled model under the faults, as Keras' own `evaluate` gives them.

        verbose: taken so that calls written for a model work; a view prints nothing.
        """
        if getattr(self._model, "compiled_loss", None) is None:
            raise InputError(
                f"model '{self._model.name}' is not compiled; compile it with a loss, or use predict and "
                "a fkeras metric"
            )
        flat = flat_data(self._model, x)
        if self._values is None:
            raise FkerasError(_CLOSED)
        inputs = flat[0] if len(flat) == 1 else list(flat)
        return _compiled_view(self, self._model).evaluate(
            inputs,
            y,
            batch_size=_batch_rows(batch_size),
            verbose=0,
            sample_weight=sample_weight,
            return_dict=return_dict,
        )

    def __getattr__(self, name: str) -> Any:
        if name in _READ_ONLY:
            raise InputError(
                f"a faulty view is read-only: `{name}` is not allowed; use the model itself, or "
                "fkeras.layers for training with faults"
            )
        raise AttributeError(f"a faulty view has no attribute {name!r}; it has call, predict, evaluate and faults")


def _batch_rows(batch_size: int | None) -> int:
    return 32 if batch_size is None else whole("batch_size", batch_size, 1)


def _compiled_view(faulty: FaultyModel, model: Any) -> Any:
    """A Keras model around the view with the loss of `model` and fresh copies of its metrics.

    Weight penalties are the model's own: a fault hits the stored words, not the latent weights.
    """
    tf = tensorflow()
    for layer in model._flatten_layers():
        if getattr(layer, "_activity_regularizer", None) is not None:
            raise InputError(
                f"evaluate: layer '{layer.name}' has an activity regularizer, whose loss a faulty view "
                "does not compute; use predict and a fkeras metric"
            )

    class View(tf.keras.Model):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any, training: Any = None) -> Any:
            return faulty._outputs(tf.nest.flatten(inputs))

        @property
        def losses(self) -> Any:
            return model.losses

    # Keras writes the output's name before that of a metric object once it has used it
    prefixes = model.output_names if len(model.output_names) > 1 and model.compiled_metrics.built else []

    def fresh_one(metric: Any) -> Any:
        if not isinstance(metric, tf.keras.metrics.Metric):
            return metric
        config = metric.get_config()
        prefix = next((f"{name}_" for name in prefixes if metric.name.startswith(f"{name}_")), "")
        return type(metric).from_config({**config, "name": metric.name.removeprefix(prefix)})

    def fresh(metrics: Any) -> Any:
        return tf.nest.map_structure(fresh_one, metrics)

    view = View(name=model.name)
    view.output_names = model.output_names
    view.compile(
        loss=model.compiled_loss._user_losses,
        loss_weights=model.compiled_loss._user_loss_weights,
        metrics=fresh(model.compiled_metrics._user_metrics),
        weighted_metrics=fresh(model.compiled_metrics._user_weighted_metrics),
    )
    return view


@contextmanager
def injected(model: Any, faults: FaultSet, space: BitSpace | None = None) -> Iterator[FaultyModel]:
    """A view of `model` that computes with `faults`; the model itself is not touched, whatever is raised inside.

    space: the space that the faults' flat indices refer to, `bit_space(model)` unless given. LayoutError when the
    faults carry the digest of another layout.

    Example: `with fkeras.injected(model, fkeras.FaultSet([12])) as faulty: faulty.predict(x)`
    """
    require_model(model)
    if not isinstance(faults, FaultSet):
        raise InputError(f"faults is {type(faults).__name__}; allowed is a FaultSet, as in fkeras.FaultSet([12, 977])")
    view = FaultyModel(model, bit_space(model) if space is None else space, faults)
    try:
        yield view
    finally:
        view.close()
