"""The engine that computes with hls4ml's own arithmetic: the chip part emulated, everything around it by Keras."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Scores
from fkeras.engines.hls4ml.convert import Conversion, convert
from fkeras.engines.hls4ml.emulation import EVERY, PORT, READ, Emulation, Reads, Wrong, emulation_of
from fkeras.engines.hls4ml.project import Project, read_project, require_emulated
from fkeras.engines.hls4ml.setup import compiler, hls4ml
from fkeras.engines.hls4ml.storage import ConstantWeights, missing, storage_of
from fkeras.engines.hls4ml.words import Hls4mlOrder, hls4ml_order, is_type_of, require_held, type_text
from fkeras.errors import Argument, UnsupportedError
from fkeras.faults import FaultSet
from fkeras.faults.register_patch import RegisterPatch
from fkeras.frontends.qkeras.chip import Around, chip_part, outputs_of
from fkeras.frontends.qkeras.forward import Forward
from fkeras.frontends.qkeras.tracing import flat_data, flat_targets, output_names
from fkeras.memory import BitSpace, MixedFixedPoint, Register, Ternary
from fkeras.metrics.metric import Metric, Outputs
from fkeras.scoring import Scorecard, scores_of


@dataclass(frozen=True, slots=True)
class _Boundary:
    """A name by which the emulation knows it, and hls4ml's type there."""

    name: str
    precision: Any


def boundaries_of(conversion: Conversion, space: BitSpace) -> dict[str, str]:
    """By the path of each register the emulation's name of its boundary, in the order in which the chip reads them.

    UnsupportedError for a register that stands at no boundary in the words that the space has.
    """
    names = {}
    for register in sorted(space.registers, key=lambda register: _time(conversion, register)):
        boundary = _FINDERS[register.memory](conversion, register)
        if not _holds(boundary.precision, register):
            raise _refusal(
                register,
                f"it has words of {register.codec}, and hls4ml {conversion.version} holds "
                f"{type_text(boundary.precision)} there; the hls4ml engine needs the same words",
            )
        if register.limits is not None:
            raise _refusal(register, "the emulation checks no range of what stands between layers")
        names[register.path] = boundary.name
    return names


def require_words(space: BitSpace, boundaries: Mapping[str, str], inputs: Sequence[NDArray[Any]]) -> None:
    """InputError for data without a word in the format that was stated for them; inputs: the chip's."""
    for register in space.registers:
        if register.memory == "inputs" and not register.quantizer:
            values = inputs[int(boundaries[register.path].removeprefix(PORT))].reshape(-1).astype(np.float32)
            nothing = np.zeros(values.size, np.uint32)
            register.faulty(values, np.arange(values.size) % register.size, nothing, nothing, nothing)


def reads_of(patches: Iterable[RegisterPatch], boundaries: Mapping[str, str]) -> list[Reads]:
    """What the emulation reads under faults in registers."""
    wrong = {patch.register.path: _reads(patch) for patch in patches if patch.is_wrong}
    return [Reads(name, wrong[path]) for path, name in boundaries.items() if path in wrong]


def _reads(patch: RegisterPatch) -> NDArray[np.void]:
    in_samples, in_every = np.zeros(patch.samples.size, READ), np.zeros(patch.elements.size, READ)
    in_samples["sample"], in_samples["element"] = patch.samples, patch.sample_elements
    in_samples["flips"] = patch.sample_flips
    in_every["sample"], in_every["element"] = EVERY, patch.elements
    in_every["flips"], in_every["ones"], in_every["zeros"] = patch.flips, patch.ones, patch.zeros
    return np.concatenate([in_samples, in_every])


def _holds(precision: Any, register: Register) -> bool:
    """Whether hls4ml computes with the same number whatever word stands there; 10 is -2 in its ternary values."""
    codec = register.codec
    return not isinstance(codec, MixedFixedPoint | Ternary) and register.scale == 1 and is_type_of(codec, precision)


def _activation(conversion: Conversion, register: Register) -> _Boundary:
    graph, name = conversion.graph, _standing_for(conversion, register, _layer(conversion, register, register.tensor))
    if name in graph.inputs:
        return _port(conversion, graph.inputs.index(name))
    return _Boundary(name, graph.graph[name].get_output_variable().type.precision)


def _input(conversion: Conversion, register: Register) -> _Boundary:
    inputs, source = conversion.graph.inputs, register.tensor
    if register.quantizer:
        (source,) = conversion.sources[_layer(conversion, register, register.quantizer)]
    if source not in inputs or not conversion.part.is_alone_on(register.tensor):
        raise _refusal(register, "it is no input of the chip, or not of the chip alone")
    return _port(conversion, inputs.index(source))


def _port(conversion: Conversion, number: int) -> _Boundary:
    """One of the inputs, then of the outputs."""
    graph = conversion.graph
    ports = [*graph.get_input_variables(), *graph.get_output_variables()]
    return _Boundary(f"{PORT}{number}", ports[number].type.precision)


def _output(conversion: Conversion, register: Register) -> _Boundary:
    part = conversion.part
    if not part.is_whole:
        raise _refusal(register, f"Keras computes what leaves the model, and the chip '{part.model.name}' alone")
    number = output_names(part.model).index(register.path.removesuffix("/output"))
    return _port(conversion, len(conversion.graph.inputs) + number)


def _accumulator(conversion: Conversion, register: Register) -> _Boundary:
    raise _refusal(
        register, "hls4ml's C++ adds up products inside a layer, and can be hit at the boundaries between layers only"
    )


_FINDERS = {"activations": _activation, "inputs": _input, "outputs": _output, "accumulators": _accumulator}


def _layer(conversion: Conversion, register: Register, tensor: str) -> str:
    """The layer of the chip whose activation a tensor is."""
    path, _, kind = tensor.rpartition("/")
    layer = path.removeprefix(conversion.part.prefix)
    if not path.startswith(conversion.part.prefix) or layer not in conversion.names:
        raise _refusal(register, f"it is not on the chip, which holds '{conversion.part.model.name}'")
    if kind != "activation":
        raise _refusal(register, "it stands inside a layer, and hls4ml's C++ can be hit at boundaries of layers only")
    return layer


def _standing_for(conversion: Conversion, register: Register, layer: str) -> str:
    """The node whose result is a layer's: its last one, or that of the layer before where hls4ml dropped it."""
    own = conversion.names.get(layer, (layer,))
    nodes = [name for name in conversion.graph.graph if name in own]
    if nodes:
        return str(nodes[-1])
    sources = conversion.sources[layer]
    readers = [reader for reader, read in conversion.sources.items() if set(read) & set(sources)]
    if len(sources) != 1 or len(readers) != 1:
        raise _refusal(register, f"hls4ml {conversion.version} dropped it, and others read what stands there now, too")
    return _standing_for(conversion, register, sources[0])


def _time(conversion: Conversion, register: Register) -> int:
    """When the chip reads it, of registers that may stand at one boundary: inputs first."""
    layer = register.tensor.rpartition("/")[0].removeprefix(conversion.part.prefix)
    return -1 if register.memory == "inputs" else [*conversion.names, layer].index(layer)


def _refusal(register: Register, why: str) -> UnsupportedError:
    return UnsupportedError(f"register '{register.path}': {why}; leave it out, or use ", Argument("engine", "cpu"))


NAME = "hls4ml"
CHUNK = 1024
"""Samples per call of Keras: bounds the memory of its activations."""


@dataclass(frozen=True, slots=True, eq=False)
class Chip:
    """A model's chip part, compiled. boundaries: of registers, by path; inputs: the model's; chip_inputs: those of the
    part."""

    conversion: Conversion
    order: Hls4mlOrder
    boundaries: Mapping[str, str]
    emulation: Emulation
    around: Around
    inputs: tuple[NDArray[Any], ...]
    chip_inputs: tuple[NDArray[Any], ...]

    def wrong(self, faults: FaultSet) -> list[Wrong]:
        """What of the emulation is wrong under faults."""
        space = self.order.space
        return [*self.order.writes(faults), *reads_of(faults.register_patches(space), self.boundaries)]


def compiled_chip(model: Any, space: BitSpace, x: Any, project: Project | None) -> Chip:
    """Convert and compile what of a model goes onto the chip, and check that it holds the space's words."""
    require_tools(project)
    inputs = flat_data(model, x)
    part = chip_part(model, space)
    Forward(model, BitSpace(part.space.tensors))  # refuses layers that are random
    chip_inputs = tuple(_in_chunks(Around(part, [False] * len(part.model.outputs)).before, inputs))
    return compiled(lambda folder: convert(part, chip_inputs, project, folder), space, inputs, chip_inputs)


def require_tools(project: Project | None) -> None:
    """MissingExtraError or EnvironmentSetupError without hls4ml or g++, InputError for a project that cannot be run."""
    hls4ml()
    if project is not None:
        require_emulated(project)
    compiler()


def compiled(
    converted_into: Callable[[str], Conversion],
    space: BitSpace,
    inputs: tuple[NDArray[Any], ...],
    chip_inputs: tuple[NDArray[Any], ...],
) -> Chip:
    """Compile what a conversion into a folder gives, and check that it holds the space's words."""
    with tempfile.TemporaryDirectory(prefix="fkeras_hls4ml_") as folder:
        conversion = converted_into(folder)
        boundaries = boundaries_of(conversion, space)
        order = hls4ml_order(conversion, space)
        emulation = emulation_of(conversion, Path(folder))
    require_held(order, emulation.golden)
    require_words(space, boundaries, chip_inputs)
    around = Around(conversion.part, conversion.softmax)
    return Chip(conversion, order, boundaries, emulation, around, inputs, chip_inputs)


def qkeras_run(
    model: Any, space: BitSpace, x: Any, y: Any, metrics: Mapping[str, Metric], source: str | None
) -> Hls4mlRun:
    """The run of a model of QKeras layers; source: of the user's project."""
    project = None if source is None else read_project(source)
    return Hls4mlRun(compiled_chip(model, space, x, project), flat_targets(model, y), metrics, project)


class Hls4mlRun:
    """An engine at work; its outputs are the chip's, also where they differ from QKeras'.

    engine: its name, with the user's project and what that does not store.
    """

    def __init__(self, chip: Chip, targets: Any, metrics: Mapping[str, Metric], project: Project | None) -> None:
        self.chip = chip
        self.space = chip.order.space
        self.metrics = dict(metrics)
        self.n_samples = len(self.chip.inputs[0])
        self.batch_size = 4 * self.chip.emulation.workers
        self.engine = NAME if project is None else self._label(project)
        self._golden_chip = self.chip.emulation.run(self.chip.chip_inputs)
        self._golden = self._after(np.arange(self.n_samples), self._golden_chip)
        self.golden_outputs = outputs_of(self._golden)
        self.card = Scorecard(metrics, targets, self.golden_outputs)
        self.golden = self.card.golden

    def _label(self, project: Project) -> str:
        absent = missing(storage_of(self.chip.conversion, self.chip.order))
        if absent:
            warnings.warn(
                f"{project.name}: {absent}. The campaign treats them as memory all the same; exclude them with "
                "layers=, or store them (Strategy: Resource with a ReuseFactor above 1, or BramFactor)",
                ConstantWeights,
                stacklevel=5,
            )
        stored = f", {absent.split(' (', 1)[0]}" if absent else ""
        return f"{NAME} ({project.name}, {project.digest[:8]}{stored})"

    def batches(self, bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Positions within `bits`, a few at a time."""
        return iter(np.split(np.arange(bits.size), range(self.batch_size, bits.size, self.batch_size)))

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit flipped alone."""
        return self.fault_sets([FaultSet(np.array([bit])) for bit in bits])

    def fault_sets(self, faults: Sequence[FaultSet]) -> dict[str, Scores]:
        """Each fault set injected alone."""
        wrong = [self.chip.wrong(fault_set) for fault_set in faults]
        results = []
        for start in range(0, len(wrong), self.batch_size):
            for outputs in self._emulated(wrong[start : start + self.batch_size]):
                tally = self.card.tally()
                for first in range(0, self.n_samples, CHUNK):
                    rows = slice(first, min(first + CHUNK, self.n_samples))
                    tally.add(outputs_of([part[rows] for part in outputs]), rows)
                results.append(tally.result())
        return scores_of(results, list(self.metrics))

    def outputs(self, faults: FaultSet) -> Outputs:
        """The model's outputs with `faults` in the chip."""
        (outputs,) = self._emulated([self.chip.wrong(faults)])
        return outputs_of(outputs)

    def _emulated(self, each: Sequence[Sequence[Wrong]]) -> Iterator[list[NDArray[np.float32]]]:
        """The model's outputs; what follows the chip is computed for chunks of samples that the faults change only.

        For whole chunks, because a float layer may round a sample otherwise when there are fewer around it.
        """
        for chip in self.chip.emulation.run_all(self.chip.chip_inputs, each):
            changed = np.zeros(self.n_samples, bool)
            for faulty, golden in zip(chip, self._golden_chip, strict=True):
                changed |= (faulty != golden).reshape(self.n_samples, -1).any(axis=1)
            outputs = [output.copy() for output in self._golden] if changed.any() else self._golden
            for start in range(0, self.n_samples, CHUNK):
                rows = np.arange(start, min(start + CHUNK, self.n_samples))
                if changed[rows].any():
                    for whole, part in zip(outputs, self._after(rows, [output[rows] for output in chip]), strict=True):
                        whole[rows] = part
            yield outputs

    def _after(self, rows: NDArray[np.int64], chip: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        def one(arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
            return self.chip.around.after(arrays[: -len(chip)], arrays[-len(chip) :])

        if self.chip.around.is_identity_after:
            return list(chip)
        return _in_chunks(one, [*(array[rows] for array in self.chip.inputs), *chip])


def _in_chunks(function: Any, arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    parts = [function([array[start : start + CHUNK] for array in arrays]) for start in range(0, len(arrays[0]), CHUNK)]
    return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
