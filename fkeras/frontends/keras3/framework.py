"""The framework engine on Keras 3: every other engine must give what this one gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fkeras.frontends.keras3.forward import Forward, inputs_of, output_names, outputs_of
from fkeras.frontends.qkeras import framework
from fkeras.frontends.qkeras.randomness import random_layer
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Metric
from fkeras.network.feeding import flat_data, flat_targets
from fkeras.store import digest_of


class FrameworkRun(framework.FrameworkRun):
    """The model itself, whose quantizers give the faulty words; why: what no network describes, and the reason."""

    def __init__(
        self, model: Any, space: BitSpace, x: Any, y: Any, metrics: Mapping[str, Metric], why: str = ""
    ) -> None:
        if why:
            self.engine = f"{self.engine} ({why})"
        inputs, targets = flat_data(inputs_of(model), x), flat_targets(output_names(model), y)
        first, again = (tuple(outputs_of(model, inputs)) for _ in range(2))
        if digest_of(first) != digest_of(again):
            raise random_layer(model, "", "two evaluations without a fault differ")
        self._start(model, space, Forward(model, space), inputs, targets, metrics)
