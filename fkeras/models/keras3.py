"""Models of Keras 3: the CPU engine measures their network where it computes what Keras computes, else Keras does."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Run
from fkeras.engines.hls4ml.project import Project
from fkeras.errors import Argument, ModelError, UnsupportedError
from fkeras.faults import FaultSet
from fkeras.frontends.autodiff import Autodiff, Jax, TensorFlow
from fkeras.frontends.description import NotDescribed
from fkeras.frontends.evidence import FrameworkSubject
from fkeras.frontends.keras3.forward import Forward, inputs_of, output_names, outputs_of, words_now
from fkeras.frontends.keras3.framework import FrameworkRun
from fkeras.frontends.keras3.identity import model_identity, model_state
from fkeras.frontends.keras3.injection import FaultyModel
from fkeras.frontends.keras3.inventory import inventory_of, with_floats
from fkeras.frontends.keras3.loading import load_model
from fkeras.frontends.keras3.network import recent_network
from fkeras.frontends.keras3.setup import keras
from fkeras.frontends.qkeras.shipping import packed_by, unpacked_by
from fkeras.memory import BitSpace, Coverage, WordTensor
from fkeras.memory.register import REGISTERS
from fkeras.memory.space import Memory
from fkeras.metrics.metric import Metric
from fkeras.models.kinds import Data, FrameworkModel, Shipped, StartRun, engine_parts
from fkeras.models.network import shipped_network, start_judged
from fkeras.network import Network
from fkeras.network.feeding import flat_data, flat_targets
from fkeras.network.floats import storing

if TYPE_CHECKING:
    from fkeras.engines.hls4ml.convert import Conversion

_BACKENDS: dict[str, type[Autodiff]] = {"tensorflow": TensorFlow, "jax": Jax}
_FILE = "model.keras"


class Keras3Model(FrameworkModel):
    """A model of HGQ2 layers, or of QKeras layers on Keras 3."""

    def bit_space(self, coverage: Coverage) -> BitSpace:
        """The stored bits that are covered; float words also where no network describes the model."""
        try:
            return super().bit_space(coverage)
        except NotDescribed:
            if coverage.words is None:
                raise
        inventory = inventory_of(self._model, coverage.memory or "quantizer")
        return with_floats(self._model, inventory, coverage.words).space(coverage.layers, coverage.biases)

    def words(self, memory: Memory, layers: str | Sequence[str], biases: bool) -> BitSpace:
        return inventory_of(self._model, memory).space(layers, biases)

    def network(self, memory: Memory | None) -> Network:
        """What it stores and computes now; read once while nothing changes."""
        return recent_network(self._model, memory or "quantizer")

    def identity(self) -> Mapping[str, str]:
        """All that its network computes; of a model that no network describes, architecture, weights and versions."""
        try:
            return {"network": self.network("quantizer").digest}
        except NotDescribed:
            return model_identity(self._model)

    def state(self) -> str:
        """A digest of architecture and weights."""
        return model_state(self._model)

    def hls4ml_conversion(self, space: BitSpace, project: Project | None) -> Conversion:
        from fkeras.engines.hls4ml.convert import NOWHERE
        from fkeras.engines.hls4ml.keras3 import keras3_conversion

        return keras3_conversion(self._model, space, project, NOWHERE)

    @property
    def output_names(self) -> Sequence[str]:
        return output_names(self._model)

    def golden_outputs(self, inputs: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
        return outputs_of(self._model, inputs)

    def targets(self, y: Any) -> Any:
        return flat_targets(self.output_names, y) if isinstance(y, dict | list) else y

    @property
    def framework(self) -> tuple[Any, Autodiff]:
        """Keras 3 on its backend. UnsupportedError for one that computes no slopes here."""
        backend = str(keras().backend.backend())
        if backend not in _BACKENDS:
            raise UnsupportedError(
                f"slopes are computed by {' or '.join(_BACKENDS)}, and the backend of Keras is {backend}; set "
                "KERAS_BACKEND to one of them, or rank by ",
                *(Argument("method", "msb"), " or ", Argument("method", "random")),
            )
        return keras(), _BACKENDS[backend](sys.modules[backend])

    def framework_subject(self, space: BitSpace, data: Data, start_run: StartRun) -> FrameworkSubject:
        self._require_fresh(space)
        model, (x, y) = self._model, data
        inputs, targets = flat_data(inputs_of(model), x), flat_targets(output_names(model), y)
        forward = Forward(model, space)
        return FrameworkSubject(model, *self.framework, forward, space, inputs, targets, start_run)

    def start_run(self, data: Data, metrics: Mapping[str, Metric], space: BitSpace, engine: str) -> Run:
        """An engine on the model's network where this is what Keras computes on these data; else Keras."""
        name, project = engine_parts(engine)
        if name == "hls4ml":
            from fkeras.engines.hls4ml.keras3 import keras3_run

            x, y = data
            return keras3_run(self._model, space, x, self.targets(y), metrics, project)
        if name == "framework":
            return self._by_keras(data, metrics, space)
        try:
            network = self._network_of(space)
        except NotDescribed as error:
            return self._by_keras(data, metrics, space, f"layer '{error.layer}': {error.why}")
        run, wrong = start_judged(self, network, data, metrics, space, engine)
        return run if wrong is None else self._by_keras(data, metrics, space, f"'{wrong.node}' {wrong.why}")

    def _by_keras(self, data: Data, metrics: Mapping[str, Metric], space: BitSpace, why: str = "") -> Run:
        self._require_fresh(space)
        return FrameworkRun(self._model, space, *data, metrics, why)

    def _require_fresh(self, space: BitSpace) -> None:
        """ModelError where the model has other words now; UnsupportedError for what Keras has no place to inject."""
        kinds = zip(space.arrays, space.kinds, strict=True)
        beside = [array.path for array, kind in kinds if kind in ("tables", *REGISTERS)]
        if beside:
            raise UnsupportedError(
                f"faults in '{beside[0]}' are measured on the network of a model of Keras 3 alone; use ",
                Argument("engine", "cpu"),
            )

        self._require_equal(space, words_now(self._model, space))

    def shipped(self, run: Run) -> Shipped:
        """Its network, where workers need no framework, else the model as a file."""
        network = shipped_network(run)
        if network is not None:
            return network
        return Shipped(start_packed, packed_by(self._model.save, self._model, _FILE))

    def injected(self, faults: FaultSet, space: BitSpace) -> AbstractContextManager[Any]:
        self._require_fresh(space)
        return closing(FaultyModel(self._model, space, faults))

    def _network_of(self, space: BitSpace) -> Network:
        """The network that stores the words of a space."""
        network = storing(self.network(space.memory), space)
        self._require_equal(space, network.tensors)
        return network

    def _require_equal(self, space: BitSpace, tensors: Mapping[str, WordTensor]) -> None:
        """ModelError for a space that has other words than these, by path."""
        for tensor in space.tensors:
            stored = tensors.get(tensor.path)
            if stored is None or stored.codec != tensor.codec or not np.array_equal(stored.words, tensor.words):
                raise ModelError(
                    f"the space was read from other weights than model '{self.name}' has now (tensor '{tensor.path}' "
                    "differs); read it again with fkeras.bit_space(model)"
                )


def start_packed(content: Any, data: Data, metrics: Mapping[str, Metric], space: BitSpace, engine: str) -> Run:
    """The run of a packed model: this runs on workers."""
    return Keras3Model(unpacked_by(load_model, content, _FILE)).start_run(data, metrics, space, engine)
