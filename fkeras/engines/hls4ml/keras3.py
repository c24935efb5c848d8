"""Models of HGQ2 on hls4ml's chip: all of the model is on it, in types that hls4ml infers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engines.hls4ml.accumulators import beyond_accumulators
from fkeras.engines.hls4ml.agreement import LayerAgreement, Side
from fkeras.engines.hls4ml.convert import Conversion, converted
from fkeras.engines.hls4ml.engine import Chip, Hls4mlRun, compiled, require_tools
from fkeras.engines.hls4ml.project import Project, read_project
from fkeras.engines.hls4ml.setup import hls4ml
from fkeras.errors import Argument, UnsupportedError
from fkeras.faults import FaultSet
from fkeras.frontends.keras3.forward import inputs_of, outputs_of
from fkeras.frontends.keras3.graph import walk
from fkeras.frontends.keras3.network import network_of
from fkeras.frontends.qkeras.chip import ChipPart
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Metric
from fkeras.network.feeding import flat_data
from fkeras.network.operation import Floats
from fkeras.network.pointwise import Function

_CONFIG: dict[str, Any] = {
    "Backend": "Vitis",
    "IOType": "io_parallel",
    "HLSConfig": {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1, "Strategy": "Latency"}},
}
"""Its one type is of what no quantizer says anything about."""


def keras3_run(
    model: Any, space: BitSpace, x: Any, targets: Any, metrics: Mapping[str, Metric], source: str | None
) -> Hls4mlRun:
    """The run of a model of HGQ2 layers; targets: in the order of its outputs; source: of the user's project."""
    project = None if source is None else read_project(source)
    return Hls4mlRun(_chip(model, space, x, project), targets, metrics, project)


def keras3_side(model: Any, x: Any, space: BitSpace, project: Project | None) -> Side:
    """A model's chip, compiled, as the model computes it."""
    return NetworkSide(_chip(model, space, x, project), model)


def _chip(model: Any, space: BitSpace, x: Any, project: Project | None) -> Chip:
    require_tools(project)
    inputs = flat_data(inputs_of(model), x)
    return compiled(lambda folder: keras3_conversion(model, space, project, folder), space, inputs, inputs)


def default_config() -> dict[str, Any]:
    """A configuration under which hls4ml infers all types from HGQ2's quantizers."""
    return copy.deepcopy(_CONFIG)


class NetworkSide:
    """What a chip of HGQ2 layers is compared with: without faults Keras, under faults the model's network."""

    framework = "HGQ2"

    def __init__(self, chip: Chip, model: Any) -> None:
        self.chip, self.model = chip, model
        self.network = network_of(model, chip.order.space.memory)
        self.after_softmax: Sequence[bool] = [False] * len(self.network.outputs)

    def outputs(self, faults: FaultSet) -> Sequence[NDArray[Any]]:
        """The model's outputs for all samples."""
        if not len(faults):
            return outputs_of(self.model, self.chip.inputs)
        tensors = self.tensors(faults)
        return [tensors[name] for name in self.network.outputs]

    def tensors(self, faults: FaultSet) -> dict[str, Floats]:
        """All that the network computes under faults."""
        space = self.chip.order.space
        faulty = {space.tensors[patch.tensor].path: patch.applied(space) for patch in faults.patches(space)}
        inputs = zip(self.network.inputs, self.chip.inputs, strict=True)
        given = {part.name: np.asarray(array, np.float32) for part, array in inputs}
        return self.network.compute(self.network.nodes, given, {**self.network.values, **faulty})

    def _otherwise(self) -> str:
        """Why outputs differ where all accumulators hold their sums."""
        last = [self.network.operations.get(name) for name in self.network.outputs]
        is_softmax = any(isinstance(operation, Function) and operation.name == "softmax" for operation in last)
        return "hls4ml looks up a softmax in tables; leave it out of the model" if is_softmax else "not known"

    def by_layer(self, rows: NDArray[np.int64], faults: FaultSet) -> tuple[tuple[LayerAgreement, ...], str, str]:
        """Where outputs differ the first layer whose accumulators cannot hold its sums; between layers hls4ml's results
        are in types of its own."""
        held = self.chip.emulation.run([x[rows] for x in self.chip.chip_inputs], self.chip.wrong(faults))
        pairs = zip(held, self.outputs(faults), strict=True)
        if all(
            np.array_equal(theirs.reshape(len(rows), -1), ours[rows].reshape(len(rows), -1)) for theirs, ours in pairs
        ):
            return (), "", ""
        beyond = beyond_accumulators(self.chip.conversion, self.network, self.tensors(faults))
        first, why = next(beyond, ("", self._otherwise()))
        sized = "; hls4ml sizes it for the weights without faults" if first and len(faults) else ""
        return (), first or self.network.outputs[0], f"accumulator too narrow: {why}{sized}" if first else why


def keras3_conversion(model: Any, space: BitSpace, project: Project | None, directory: str) -> Conversion:
    """hls4ml's graph of a model."""
    _require_convertible(model, space)
    part = ChipPart(model, model, "", space)
    config = _CONFIG if project is None else project.config
    graph = converted(
        lambda whole: hls4ml().converters.keras_v3_to_hls(whole, allow_da_fallback=False, allow_v2_fallback=True),
        part,
        config,
        directory,
    )
    names = {path: (path,) for path, _ in walk(model)}
    return Conversion(part, graph, config, (False,) * len(graph.outputs), names, {}, space.memory == "quantizer")


def _require_convertible(model: Any, space: BitSpace) -> None:
    if space.registers:
        raise UnsupportedError(
            f"register '{space.registers[0].path}': of models of Keras 3 the hls4ml engine hits stored words alone; "
            "leave it out, or use ",
            Argument("engine", "cpu"),
        )
    for path, layer in walk(model):
        if type(layer).__module__.partition(".")[0] == "qkeras":
            raise UnsupportedError(
                f"layer '{path}': hls4ml {hls4ml().__version__} converts models of QKeras on Keras 2 and of HGQ2, and "
                "none of qkeras-v3; use ",
                Argument("engine", "auto"),
            )
