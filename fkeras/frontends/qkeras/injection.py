"""Injection: a read-only view of a model that computes with faulty words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fkeras.errors import InputError
from fkeras.faults import FaultSet
from fkeras.frontends.qkeras.forward import Forward, golden_values, patched_values
from fkeras.frontends.qkeras.reading import require_model
from fkeras.frontends.qkeras.registers import masks_of
from fkeras.frontends.qkeras.setup import tensorflow
from fkeras.frontends.qkeras.tracing import flat_data, packed_outputs
from fkeras.frontends.view import View
from fkeras.memory import BitSpace


class FaultyModel(View):
    """The view of a Keras 2 model."""

    def __init__(self, model: Any, space: BitSpace, faults: FaultSet) -> None:
        require_model(model)
        super().__init__(model, faults)
        self._forward = Forward(model, space)
        if len(faults.in_samples):
            raise InputError(
                "a view computes whatever samples it is called with, so flips in some of them are not known to it; "
                "measure them with fkeras.campaign, or give flips of every sample"
            )
        values = patched_values(space, golden_values(space), faults.patches(space))
        self._masks = masks_of(space, list(faults.register_patches(space)), slice(0, 0))
        self._values = [tensorflow().constant(value) for value in values]

    def _flat(self, x: Any) -> tuple[Any, ...]:
        return flat_data(self._model, x)

    def _tensors(self, flat: Sequence[Any]) -> Sequence[Any]:
        return self._forward(flat, self._values, self._masks)

    def _packed(self, flat: Sequence[Any]) -> Any:
        return packed_outputs(self._model, flat)

    def _is_compiled(self) -> bool:
        return getattr(self._model, "compiled_loss", None) is not None

    def _compiled(self) -> Any:
        return _compiled_view(self, self._model)


def _compiled_view(faulty: FaultyModel, model: Any) -> Any:
    tf = tensorflow()

    class Compiled(tf.keras.Model):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any, training: Any = None) -> Any:
            return faulty.outputs(tf.nest.flatten(inputs))

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

    compiled = Compiled(name=model.name)
    compiled.output_names = model.output_names
    compiled.compile(
        loss=model.compiled_loss._user_losses,
        loss_weights=model.compiled_loss._user_loss_weights,
        metrics=fresh(model.compiled_metrics._user_metrics),
        weighted_metrics=fresh(model.compiled_metrics._user_weighted_metrics),
    )
    return compiled
