"""Whether the chip computes what QKeras computes: golden and faulty outputs, and the first layer where they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fkeras.engines.hls4ml.causes import cause_of, fixed_type, rounded
from fkeras.engines.hls4ml.convert import Conversion
from fkeras.engines.hls4ml.engine import CHUNK, Chip, compiled_chip
from fkeras.engines.hls4ml.project import Project
from fkeras.engines.hls4ml.storage import CONFIGURATION_MEMORY, Storage, missing, storage_of
from fkeras.engines.hls4ml.words import type_text
from fkeras.faults import FaultModel, FaultSet, RandomStream, drawn, fault_model
from fkeras.frontends.qkeras.chip import layer_outputs
from fkeras.frontends.qkeras.forward import golden_values, patched_values
from fkeras.frontends.qkeras.setup import tensorflow
from fkeras.memory import BitSpace

TRACED = 64
"""Samples whose every layer is compared; those with different outputs first."""
NAMED = 3
"""Bits of a fault set that the report names."""
FLOAT = 1e-6
"""How far outputs of a softmax, which is computed in float, may lie apart."""


@dataclass(frozen=True, slots=True)
class LayerAgreement:
    """One layer of the fault-free network on some samples.

    type: of its result on the chip; n_differing: of n_values; largest: difference.
    """

    layer: str
    type: str
    n_values: int
    n_differing: int
    largest: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """QKeras and hls4ml on the same data, fault-free and under fault sets.

    n_outputs: numbers compared without faults; differing: how many of them differ; differing_predictions: samples
    whose largest output is another one; faulty: for each fault set how many outputs differ; first: the first layer
    where they part, "" where they do not; cause: in words; fault: under which they do, where it is a few bits;
    framework: what the chip is compared with.
    """

    hls4ml: str
    n_samples: int
    n_outputs: int
    differing: int
    differing_predictions: int
    faulty: tuple[int, ...]
    faulty_predictions: int
    layers: tuple[LayerAgreement, ...]
    first: str
    cause: str
    storage: tuple[Storage, ...]
    is_users: bool
    fault: str = ""
    framework: str = "QKeras"

    @property
    def agrees(self) -> bool:
        """Whether no output differs, fault-free and under every fault set."""
        return self.differing == 0 and not any(self.faulty)

    def __bool__(self) -> bool:
        return self.agrees

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    __repr__ = __str__


class Side(Protocol):
    """What a chip is compared with, in a framework of this name."""

    chip: Chip
    framework: str

    @property
    def after_softmax(self) -> Sequence[bool]:
        """Of each output, whether it comes out of a softmax."""

    def outputs(self, faults: FaultSet) -> Sequence[NDArray[Any]]:
        """The part's outputs for all samples under faults, before a softmax at the end where it is a layer."""

    def by_layer(self, rows: NDArray[np.int64], faults: FaultSet) -> tuple[tuple[LayerAgreement, ...], str, str]:
        """Some samples layer by layer, the first layer where the two part, and why."""


def compared(side: Side, project: Project | None, faults: int | FaultModel, trials: int, seed: int) -> Agreement:
    """The comparison of a chip with what it stands for: fault-free, and under `trials` draws of `faults`."""
    chip = side.chip
    space = chip.order.space
    space.require_stored("the comparison of a chip with its model under faults")
    golden = chip.emulation.run(chip.chip_inputs)
    differing, predictions, rows = _compared(side.after_softmax, side.outputs(FaultSet.EMPTY), golden)
    upsets = fault_model(faults)
    streams = (RandomStream("hls4ml agreement", seed, trial) for trial in range(trials))
    sets = [drawn(upsets, len(space), stream).faults for stream in streams]
    counts, faulty_predictions = _under_faults(side, sets)
    # What differs under faults only is traced under the first of those.
    shown = FaultSet.EMPTY if differing or not any(counts) else next(s for s, n in zip(sets, counts, strict=True) if n)
    if len(shown):
        rows = _compared(
            side.after_softmax, side.outputs(shown), chip.emulation.run(chip.chip_inputs, chip.wrong(shown))
        )[2]
    traced = np.concatenate([rows, np.setdiff1d(np.arange(len(chip.inputs[0])), rows)])[:TRACED]
    layers, first, cause = side.by_layer(np.sort(traced), shown)
    return Agreement(
        f"{chip.conversion.version}, {'a configuration made by fkeras' if project is None else project.name}",
        len(chip.inputs[0]),
        sum(array.size for array in golden),
        differing,
        predictions,
        tuple(counts),
        faulty_predictions,
        layers,
        first,
        cause,
        storage_of(chip.conversion, chip.order),
        project is not None,
        f" ({shown.text(space)})" if 0 < len(shown) <= NAMED else "",
        side.framework,
    )


def qkeras_side(model: Any, x: Any, space: BitSpace, project: Project | None) -> Side:
    """A model's chip part, compiled, as QKeras computes it."""
    return _KerasSide(compiled_chip(model, space, x, project), space)


class _KerasSide:
    """Every layer of the chip part as QKeras computes it."""

    framework = "QKeras"

    def __init__(self, chip: Chip, space: BitSpace) -> None:
        self.chip, self.part, self._space = chip, chip.conversion.part, space
        self.names, self._function = layer_outputs(self.part, space)
        self._inputs = chip.chip_inputs
        makers = [tensor._keras_history.layer for tensor in tensorflow().nest.flatten(self.part.model.outputs)]
        # What stands before a softmax at the end is what the chip gives.
        before = [
            _before_softmax(maker) if soft else maker
            for maker, soft in zip(makers, chip.conversion.softmax, strict=True)
        ]
        self.after_softmax = [
            soft and one is maker for one, maker, soft in zip(before, makers, chip.conversion.softmax, strict=True)
        ]
        self._outputs = [self.names.index(one.name) for one in before]

    def outputs(self, faults: FaultSet) -> list[NDArray[Any]]:
        """The part's outputs for all samples, before a softmax at the end where it is a layer of its own."""
        values = self.values(faults)
        parts = []
        for start in range(0, len(self._inputs[0]), CHUNK):
            layers = self._function(*(array[start : start + CHUNK] for array in self._inputs), *values)
            parts.append([layers[number].numpy() for number in self._outputs])
        return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]

    def values(self, faults: FaultSet) -> list[Any]:
        """What the part computes with under faults."""
        return patched_values(self._space, golden_values(self._space), faults.patches(self._space))

    def by_layer(self, rows: NDArray[np.int64], faults: FaultSet) -> tuple[tuple[LayerAgreement, ...], str, str]:
        """Some samples layer by layer, the first layer where the two part, and why."""
        return _by_layer(self.chip, self, rows, faults)

    def layers(self, values: Sequence[Any], rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Every layer's output for some samples."""
        outputs = self._function(*(array[rows] for array in self._inputs), *values)
        return {name: tensor.numpy() for name, tensor in zip(self.names, outputs, strict=True)}

    def before_activation(self, name: str, values: Sequence[Any], rows: NDArray[np.int64]) -> NDArray[Any] | None:
        """What a layer of weights gives to the activation inside it; None where it has none."""
        layer = self.part.model.get_layer(name)
        if getattr(layer, "activation", None) is None or not {"kernel", "depthwise_kernel"} & {*dir(layer)}:
            return None
        _, function = layer_outputs(self.part, self._space, bare=name)
        bare: NDArray[Any] = function(*(array[rows] for array in self._inputs), *values)[self.names.index(name)].numpy()
        return bare.reshape(len(rows), -1)


def _before_softmax(layer: Any) -> Any:
    """The layer whose result a softmax reads, where the softmax is a layer of its own; else the layer itself."""
    inbound = tensorflow().nest.flatten(getattr(layer.inbound_nodes[0], "inbound_layers", []))
    return inbound[0] if len(inbound) == 1 and not layer.weights else layer


def _compared(
    after_softmax: Sequence[bool], keras: Sequence[NDArray[Any]], held: Sequence[NDArray[np.float32]]
) -> tuple[int, int, NDArray[np.int64]]:
    """How many outputs differ, how many predictions, and in which samples."""
    differing = predictions = 0
    rows = np.zeros(len(held[0]), bool)
    for ours, theirs, soft in zip(keras, held, after_softmax, strict=True):
        tolerance = FLOAT if soft else 0.0
        compared = tensorflow().nn.softmax(theirs).numpy() if soft else theirs
        wrong = ~(np.abs(compared.reshape(ours.shape) - ours) <= tolerance)
        flat = wrong.reshape(len(wrong), -1)
        differing += int(flat.sum())
        rows |= flat.any(axis=1)
        if flat.shape[1] > 1:
            classes = theirs.reshape(len(wrong), -1).argmax(axis=1)
            predictions += int((classes != ours.reshape(len(wrong), -1).argmax(axis=1)).sum())
    return differing, predictions, np.flatnonzero(rows)


def _under_faults(side: Side, sets: Sequence[FaultSet]) -> tuple[list[int], int]:
    chip, counts, predictions = side.chip, [], 0
    for start in range(0, len(sets), chip.emulation.workers):
        some = sets[start : start + chip.emulation.workers]
        held = chip.emulation.run_all(chip.chip_inputs, [chip.wrong(fault_set) for fault_set in some])
        for fault_set, outputs in zip(some, held, strict=True):
            differing, wrong, _ = _compared(side.after_softmax, side.outputs(fault_set), outputs)
            counts.append(differing)
            predictions += wrong
    return counts, predictions


def _by_layer(
    chip: Chip, keras: _KerasSide, rows: NDArray[np.int64], faults: FaultSet
) -> tuple[tuple[LayerAgreement, ...], str, str]:
    values = keras.values(faults)
    ours = keras.layers(values, rows)
    inputs = [array[rows] for array in chip.chip_inputs]
    theirs = chip.emulation.traced(inputs, chip.wrong(faults))
    for variable, x in zip(chip.conversion.graph.get_input_variables(), inputs, strict=True):
        held = fixed_type(variable.type.precision)
        theirs[variable.name] = x.astype(np.float64) if held is None else rounded(x, held)
    nodes = standing_for(chip.conversion, keras.part.model, theirs)
    layers, first, cause = [], "", ""
    for name in keras.names:
        node = nodes.get(name)
        if node is None:
            continue
        exact, chips = ours[name].reshape(len(rows), -1), theirs[node].reshape(len(rows), -1)
        if exact.shape != chips.shape:
            continue
        wrong = exact.astype(np.float32) != chips.astype(np.float32)
        largest = float(np.abs(exact - chips).max(initial=0.0))
        precision = chip.conversion.graph.graph[node].get_output_variable().type.precision
        layers.append(LayerAgreement(name, type_text(precision), exact.size, int(wrong.sum()), largest))
        if wrong.any() and not first:
            first = f"{keras.part.prefix}{name}"
            is_removed = node not in chip.conversion.names[name]
            bare = None if is_removed else keras.before_activation(name, values, rows)
            cause = cause_of(chip.conversion, name, node, exact, chips, inputs, is_removed, bare, rows)
    return tuple(layers), first, cause


def standing_for(conversion: Conversion, model: Any, traced: Mapping[str, Any]) -> dict[str, str]:
    """The node whose result is a Keras layer's; a layer that hls4ml removed has that of the layer before it."""
    nodes: dict[str, str] = {}
    order = [name for name in conversion.graph.graph if name in traced]
    softmax = {name for name, soft in zip(_output_names(model), conversion.softmax, strict=True) if soft}
    for layer in model.layers:
        if layer.name in softmax:
            continue
        own = [name for name in order if name in conversion.names.get(layer.name, ())]
        if own:
            nodes[layer.name] = own[-1]
            continue
        before = tensorflow().nest.flatten(getattr(layer.inbound_nodes[0], "inbound_layers", []))
        if len(before) == 1 and before[0].name in nodes:
            nodes[layer.name] = nodes[before[0].name]
    return nodes


def _output_names(model: Any) -> list[str]:
    return [tensor._keras_history.layer.name for tensor in tensorflow().nest.flatten(model.outputs)]


def _lines(found: Agreement) -> list[str]:
    verdict = "agrees with" if found.agrees else "DIFFERS from"
    lines = [f"hls4ml {found.hls4ml}: {verdict} {found.framework}"]
    n = found.n_samples
    lines.append(
        f"fault-free: {found.differing:,} of {found.n_outputs:,} outputs of {n:,} samples differ, "
        f"{found.differing_predictions:,} largest outputs are others"
    )
    if found.faulty:
        wrong = sum(1 for count in found.faulty if count)
        lines.append(
            f"under faults: outputs differ in {wrong:,} of {len(found.faulty):,} fault sets ({sum(found.faulty):,} of "
            f"{found.n_outputs * len(found.faulty):,} outputs, {found.faulty_predictions:,} largest outputs)"
        )
    if found.first:
        under = "" if found.differing else f" under the first of these faults{found.fault}"
        lines.append(f"they part at layer '{found.first}'{under}: {found.cause}")
    lines += [
        f"  {layer.layer:<24} {layer.type:<32} {layer.n_differing:>8,} of {layer.n_values:,} differ, "
        f"by at most {layer.largest:g}"
        for layer in found.layers
    ]
    if found.is_users:
        lines.append(missing(found.storage) or "every word is stored")
        lines.append(f"({CONFIGURATION_MEMORY})")
    return lines
