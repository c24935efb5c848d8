"""In which words hls4ml adds up: those of a space of accumulators, and sums under faults that these cannot hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from fkeras.engines.hls4ml.causes import fixed_type
from fkeras.engines.hls4ml.convert import Conversion
from fkeras.engines.hls4ml.precision import FixedType
from fkeras.errors import ModelError
from fkeras.memory import BitSpace, FixedPoint, Register, Uncovered
from fkeras.memory.layout import MAX_WIDTH
from fkeras.network import Network
from fkeras.network.operation import Floats
from fkeras.network.sums import Bias, WeightedSum


def in_words_of(conversion: Conversion, space: BitSpace) -> BitSpace:
    """Accumulators in the words in which a project adds up; those that cannot hold the sums are left out, and why.

    ModelError where none is left.
    """
    registers: list[Register] = []
    uncovered = list(space.uncovered)
    for register in space.registers:
        held, why = _word(conversion, register)
        if held is None:
            layer = register.tensor.rpartition("/")[0]
            uncovered.append(Uncovered(register.path, register.size, why, (why,), layer))
        else:
            codec = FixedPoint(held.width, held.integer - held.signed, held.signed)
            registers.append(replace(register, codec=codec))
    if not registers:
        raise ModelError(f"no accumulator of this project has words: {'; '.join(map(str, uncovered[:5]))}")
    return BitSpace((), tuple(uncovered), registers=tuple(registers))


def _word(conversion: Conversion, register: Register) -> tuple[FixedType | None, str]:
    """The type of an accumulator; None, and why, where its words are not those of the sums."""
    layer = register.tensor.rpartition("/")[0].removeprefix(conversion.part.prefix)
    held = accumulator_type(conversion, register.tensor)
    if held is None:
        return None, "hls4ml has no accumulator of that name"
    if f"{layer}_alpha" in conversion.graph.graph:
        return None, "hls4ml multiplies with its scale (alpha) behind the sum"
    if held.step > register.step:
        return None, f"hls4ml adds up in {held}, and sums of words like these may have steps of {register.step:g}"
    if held.width > MAX_WIDTH:
        return None, f"hls4ml adds up in {held}; words have at most {MAX_WIDTH} bits here"
    return held, ""


def accumulator_type(conversion: Conversion, tensor: str) -> FixedType | None:
    """The type in which hls4ml computes a weighted sum of the network; None where it has none of that name."""
    path, _, part = tensor.rpartition("/")
    layer = path.removeprefix(conversion.part.prefix)
    for name in (f"{layer}_{part}", layer):
        node = conversion.graph.graph.get(name)
        for kind in () if node is None else (f"{part}_accum_t", "accum_t"):
            if (stated := node.get_attr(kind, None)) is not None:
                return fixed_type(stated.precision)
    return None


def beyond_accumulators(
    conversion: Conversion, network: Network, tensors: Mapping[str, Floats]
) -> Iterator[tuple[str, str]]:
    """The layers whose accumulators cannot hold the sums, first to last, and what they cannot hold; tensors: all that
    the network computes."""
    for node in network.nodes:
        if not isinstance(node.operation, WeightedSum):
            continue
        held = accumulator_type(conversion, node.name)
        if held is None:
            continue
        behind = [reader.name for reader in network.readers(node.name) if isinstance(reader.operation, Bias)]
        sums = np.concatenate([tensors[name].reshape(-1) for name in (node.name, *behind)]).astype(np.float64)
        whys = [
            f"{int(wrong.sum()):,} of {sums.size:,} sums are {what}"
            for wrong, what in (
                (sums / held.step != np.rint(sums / held.step), f"finer than its steps of {held.step:g}"),
                ((sums > held.highest) | (sums < held.lowest), f"beyond {held.lowest:g} to {held.highest:g}"),
            )
            if wrong.any()
        ]
        if whys:
            yield node.name.rpartition("/")[0], f"its accumulator is {held}, and {', '.join(whys)}"
