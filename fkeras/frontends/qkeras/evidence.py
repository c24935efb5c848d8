"""A Keras model and its data, as rankings see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from fkeras.engine import Run
from fkeras.frontends.qkeras.derivatives import TensorFlowDerivatives
from fkeras.frontends.qkeras.forward import forward_of, golden_values
from fkeras.frontends.qkeras.framework import all_outputs
from fkeras.frontends.qkeras.losses import final_activation, users_loss
from fkeras.frontends.qkeras.tracing import flat_data, flat_targets
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Metric, Outputs
from fkeras.sensitivity.losses import Loss, Targets

StartRun = Callable[[tuple[Any, Any], Mapping[str, Metric], BitSpace, str], Run]


class KerasSubject:
    """start_run: makes the exact engine for ((x, y), metrics, space, engine)."""

    def __init__(self, model: Any, space: BitSpace, data: tuple[Any, Any], start_run: StartRun) -> None:
        self.inputs: tuple[NDArray[Any], ...] = flat_data(model, data[0])
        self.targets = flat_targets(model, data[1])
        self._model, self._space, self._start_run = model, space, start_run

    @cached_property
    def golden_outputs(self) -> Outputs:
        """Without a fault."""
        return all_outputs(forward_of(self._model, self._space), self.inputs, golden_values(self._space))

    @cached_property
    def final_activation(self) -> str:
        """The function that the model ends in, "" for none."""
        return final_activation(self._model)

    @cached_property
    def differentiable(self) -> TensorFlowDerivatives:
        """The model as a function of the stored values."""
        return TensorFlowDerivatives(self._model, self._space)

    def users_loss(self, loss: Any, targets: Targets) -> Loss:
        """What a user gave as loss=."""
        return users_loss(loss, targets)

    def run(self, x: Any, y: Any, metrics: Mapping[str, Metric]) -> Run:
        """The exact engine on other data."""
        return self._start_run((x, y), metrics, self._space, "auto")
