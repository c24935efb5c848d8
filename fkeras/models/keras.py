"""Keras models: their words, identity, rankings and engines are those of the QKeras front end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fkeras.engine import Run
from fkeras.engines.hls4ml.project import Project
from fkeras.errors import Argument, UnsupportedError
from fkeras.faults import FaultSet
from fkeras.frontends.autodiff import TensorFlow
from fkeras.frontends.description import NotDescribed
from fkeras.frontends.evidence import FrameworkSubject
from fkeras.frontends.qkeras.forward import Forward
from fkeras.frontends.qkeras.framework import FrameworkRun, all_outputs
from fkeras.frontends.qkeras.identity import model_identity, model_state
from fkeras.frontends.qkeras.injection import FaultyModel
from fkeras.frontends.qkeras.network import network_of
from fkeras.frontends.qkeras.reading import bit_space
from fkeras.frontends.qkeras.setup import tensorflow
from fkeras.frontends.qkeras.shipping import packed, unpacked
from fkeras.frontends.qkeras.tail import TailRun
from fkeras.frontends.qkeras.tracing import flat_data, flat_targets, output_names
from fkeras.memory import BitSpace
from fkeras.memory.space import Memory
from fkeras.metrics.metric import Metric, parts_of
from fkeras.models.kinds import ON_NETWORKS, Data, FrameworkModel, Shipped, StartRun, engine_parts
from fkeras.models.network import run_of, shipped_network, start_checked
from fkeras.network import Network, feeding
from fkeras.network.floats import only_in_network

if TYPE_CHECKING:
    from fkeras.engines.hls4ml.convert import Conversion


class KerasModel(FrameworkModel):
    """A Keras model of QKeras layers."""

    def identity(self) -> Mapping[str, str]:
        """Architecture, weights, and versions of what computes."""
        return model_identity(self._model)

    def state(self) -> str | None:
        """A digest of architecture and weights."""
        return model_state(self._model)

    def words(self, memory: Memory, layers: str | Sequence[str], biases: bool) -> BitSpace:
        return bit_space(self._model, layers, biases, memory)

    def network(self, memory: Memory | None) -> Network:
        return network_of(self._model, memory or "quantizer")

    def hls4ml_conversion(self, space: BitSpace, project: Project | None) -> Conversion:
        """hls4ml's graph of what goes onto the chip."""
        from fkeras.engines.hls4ml.convert import unwritten
        from fkeras.frontends.qkeras.chip import chip_part

        return unwritten(chip_part(self._model, space), project)

    @property
    def output_names(self) -> Sequence[str]:
        return output_names(self._model)

    def golden_outputs(self, inputs: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
        nothing_stored = BitSpace(())
        return parts_of(all_outputs(Forward(self._model, nothing_stored), inputs, []))

    def targets(self, y: Any) -> Any:
        is_several = isinstance(y, dict | list) and hasattr(self._model, "output_names")
        return feeding.flat_targets(self.output_names, y) if is_several else y

    @property
    def framework(self) -> tuple[Any, TensorFlow]:
        """Keras 2 on TensorFlow."""
        return tensorflow().keras, TensorFlow(tensorflow())

    def framework_subject(self, space: BitSpace, data: Data, start_run: StartRun) -> FrameworkSubject:
        model, (x, y) = self._model, data
        inputs, targets = flat_data(model, x), flat_targets(model, y)
        return FrameworkSubject(model, *self.framework, Forward(model, space), space, inputs, targets, start_run)

    def start_run(self, data: Data, metrics: Mapping[str, Metric], space: BitSpace, engine: str) -> Run:
        name, project = engine_parts(engine)
        x, y = data
        if only_in_network(space):
            return self._on_floats(data, metrics, space, engine)
        if name == "hls4ml":
            from fkeras.engines.hls4ml.engine import qkeras_run

            return qkeras_run(self._model, space, x, y, metrics, project)
        judge = FrameworkRun(self._model, space, x, y, metrics)
        return judge if name == "framework" else self._on_network(judge, data, engine)

    def _on_network(self, judge: FrameworkRun, data: Data, engine: str) -> Run:
        """An engine on the network where this computes what the framework does on these data; else the framework."""
        from fkeras.engines.cpu.fitting import misfit

        try:
            network = self.network(judge.space.memory)
        except NotDescribed as error:
            return TailRun(judge, f"layer '{error.layer}': {error.why}")
        run = run_of(network, data, judge.metrics, judge.space, engine)
        wrong = misfit(run, judge.golden_outputs, self.targets(data[1]))
        return run if wrong is None else TailRun(judge, f"'{wrong.node}' {wrong.why}")

    def _on_floats(self, data: Data, metrics: Mapping[str, Metric], space: BitSpace, engine: str) -> Run:
        """An engine on the network: QKeras has no quantizers where faults in float words could be put."""
        if engine_parts(engine)[0] not in ON_NETWORKS:
            what = f"faults in the float words of model '{self.name}' are measured on its network alone; use "
            raise UnsupportedError(what, Argument("engine", "auto"))
        return start_checked(self, self.network(space.memory), data, metrics, space, engine)

    def shipped(self, run: Run) -> Shipped:
        """The network where it serves, else the model as a file, for which workers load TensorFlow."""
        network = shipped_network(run)
        if network is not None:
            return network
        return Shipped(start_packed, packed(self._model))

    def injected(self, faults: FaultSet, space: BitSpace) -> AbstractContextManager[Any]:
        return closing(FaultyModel(self._model, space, faults))


def start_packed(content: Any, data: Data, metrics: Mapping[str, Metric], space: BitSpace, engine: str) -> Run:
    """The run of a packed model: this runs on workers."""
    return KerasModel(unpacked(content)).start_run(data, metrics, space, engine)
