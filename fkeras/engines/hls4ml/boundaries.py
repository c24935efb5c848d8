"""At which boundary of hls4ml's layers each register stands, and what faults make of its words there.

Nothing is assumed: a register whose words are not those of hls4ml's type at its boundary is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engines.hls4ml.convert import Conversion
from fkeras.engines.hls4ml.emulation import EVERY, PORT, READ, Reads
from fkeras.engines.hls4ml.words import is_type_of, type_text
from fkeras.errors import Argument, UnsupportedError
from fkeras.faults.register_patch import RegisterPatch
from fkeras.frontends.qkeras.tracing import output_names
from fkeras.memory import BitSpace, MixedFixedPoint, Register, Ternary


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
