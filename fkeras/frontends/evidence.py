"""A model that its framework differentiates, and its data, as rankings see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from fkeras.engine import Run
from fkeras.frontends.autodiff import Autodiff
from fkeras.frontends.derivatives import ForwardDerivatives
from fkeras.frontends.losses import final_activation, users_loss
from fkeras.frontends.qkeras.forward import golden_values
from fkeras.frontends.qkeras.framework import all_outputs
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Metric, Outputs
from fkeras.sensitivity.losses import Loss, Targets

StartRun = Callable[[tuple[Any, Any], Mapping[str, Metric], BitSpace, str], Run]


@dataclass(frozen=True)
class FrameworkSubject:
    """model: of a Keras, whose module `keras` is; forward: it as a function of inputs and stored values; inputs,
    targets: in its order; start_run: makes the exact engine for ((x, y), metrics, space, engine)."""

    model: Any
    keras: Any
    autodiff: Autodiff
    forward: Any
    space: BitSpace
    inputs: tuple[NDArray[Any], ...]
    targets: Any
    start_run: StartRun

    @cached_property
    def golden_outputs(self) -> Outputs:
        """Without a fault."""
        return all_outputs(self.forward, self.inputs, golden_values(self.space))

    @cached_property
    def final_activation(self) -> str:
        """The function that the model ends in, "" for none."""
        return final_activation(self.model)

    @cached_property
    def differentiable(self) -> ForwardDerivatives:
        """The model as a function of the stored values."""
        return ForwardDerivatives(self.forward, self.space, self.autodiff)

    def users_loss(self, loss: Any, targets: Targets) -> Loss:
        """What a user gave as loss=."""
        return users_loss(loss, targets, self.keras, self.autodiff)

    def run(self, x: Any, y: Any, metrics: Mapping[str, Metric]) -> Run:
        """The exact engine on other data."""
        return self.start_run((x, y), metrics, self.space, "auto")
