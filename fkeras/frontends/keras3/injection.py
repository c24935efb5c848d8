"""Injection into Keras 3 models: a read-only view that computes with faulty words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fkeras.faults import FaultSet
from fkeras.frontends.keras3.forward import Forward, inputs_of, packed
from fkeras.frontends.keras3.setup import keras
from fkeras.frontends.qkeras.forward import golden_values, patched_values
from fkeras.frontends.view import View
from fkeras.memory import BitSpace
from fkeras.network.feeding import flat_data


class FaultyModel(View):
    """The view of a Keras 3 model."""

    def __init__(self, model: Any, space: BitSpace, faults: FaultSet) -> None:
        super().__init__(model, faults)
        self._forward = Forward(model, space)
        self._values = patched_values(space, golden_values(space), faults.patches(space))

    def _flat(self, x: Any) -> tuple[Any, ...]:
        return flat_data(inputs_of(self._model), x)

    def _tensors(self, flat: Sequence[Any]) -> Sequence[Any]:
        return self._forward(flat, self._values)

    def _packed(self, flat: Sequence[Any]) -> Any:
        return packed(self._model, flat)

    def _is_compiled(self) -> bool:
        return bool(getattr(self._model, "compiled", False))

    def _compiled(self) -> Any:
        faulty, model = self, self._model
        penalties = model._get_regularization_losses()

        class Compiled(keras().Model):  # type: ignore[misc]
            def call(self, inputs: Any, training: Any = None) -> Any:
                return faulty.outputs(keras().tree.flatten(inputs))

            @property
            def losses(self) -> Any:
                return list(penalties)

        compiled = Compiled(name=model.name)
        compiled.compile_from_config(model.get_compile_config())
        return compiled
