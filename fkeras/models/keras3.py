"""Models of Keras 3: the CPU engine measures their network, once it computes what the framework computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Run
from fkeras.errors import Argument, ModelError, UnsupportedError
from fkeras.faults import FaultSet
from fkeras.memory import BitSpace, LayerChoice
from fkeras.memory.space import Memory
from fkeras.metrics.metric import Metric
from fkeras.models.engines import engine_parts
from fkeras.models.kinds import Data, FrameworkModel, Shipped
from fkeras.models.network import NetworkSubject, start_checked, start_network
from fkeras.network import Network
from fkeras.network.feeding import flat_targets
from fkeras.network.floats import storing


class Keras3Model(FrameworkModel):
    """A model of HGQ2 layers, or of QKeras layers on Keras 3."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """What Keras calls it."""
        return str(self._model.name)

    @property
    def opened(self) -> Any:
        """The model."""
        return self._model

    def words(self, memory: Memory, layers: str | Sequence[str], biases: bool) -> BitSpace:
        """The words that quantizers make, of the chosen layers, as a memory stores them."""
        from fkeras.frontends.keras3 import inventory_of

        return inventory_of(self._model, memory, LayerChoice(layers)).space(layers, biases)

    def network(self, memory: Memory) -> Network:
        """What it stores and computes now."""
        from fkeras.frontends.keras3 import network_of

        return network_of(self._model, memory)

    def _measured(self, memory: Memory) -> Network:
        """The same, but for words that are not known, which a space of chosen layers has none of."""
        from fkeras.frontends.keras3.recent import recent_network

        return recent_network(self._model, memory)

    def identity(self) -> Mapping[str, str]:
        """All that its network computes: nothing else is measured."""
        return {"network": self._measured("quantizer").digest}

    def state(self) -> str:
        """A digest of architecture and weights."""
        from fkeras.frontends.keras3.recent import model_state

        return model_state(self._model)

    def golden_outputs(self, inputs: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """What Keras computes."""
        from fkeras.frontends.keras3.forward import outputs_of

        return outputs_of(self._model, inputs)

    def targets(self, y: Any) -> Any:
        """Targets in the order of its outputs."""
        return flat_targets(self._measured("quantizer").output_names, y) if isinstance(y, dict) else y

    def subject(self, space: BitSpace, data: Data) -> NetworkSubject:
        """Its network with data."""
        return NetworkSubject(self._network_of(space), space, data)

    def start_run(self, data: Data, metrics: Mapping[str, Metric], space: BitSpace, engine: str) -> Run:
        """The CPU engine on its network. ModelError where this does not compute what Keras computes on the data."""
        if engine_parts(engine)[0] not in ("auto", "fast", "cpu"):
            raise UnsupportedError(
                f"model '{self.name}' is of Keras 3, whose models the CPU engine measures, so there is no ",
                Argument("engine", engine), "; use ", Argument("engine", "auto"),
            )  # fmt: skip
        return start_checked(self, self._network_of(space), data, metrics, space)

    def shipped(self, run: Run) -> Shipped:
        """Its network; workers need no framework."""
        return Shipped(start_network, self._network_of(run.space))

    def injected(self, faults: FaultSet, space: BitSpace) -> AbstractContextManager[Any]:
        raise UnsupportedError(
            f"model '{self.name}' is of Keras 3, of which there is no view to call yet; measure it (campaign, oracle, "
            "metric_under_faults)"
        )

    def _network_of(self, space: BitSpace) -> Network:
        """The network that stores the words of a space."""
        network = storing(self._measured(space.memory), space)
        for tensor in space.tensors:
            stored = network.tensors.get(tensor.path)
            if stored is None or stored.codec != tensor.codec or not np.array_equal(stored.words, tensor.words):
                raise ModelError(
                    f"the space was read from other weights than model '{self.name}' has now (tensor '{tensor.path}' "
                    "differs); read it again with fkeras.bit_space(model)"
                )
        return network
