"""A network as plain values: inputs, operations in order, outputs, and the words and constants that they read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import ModelError, is_whole
from fkeras.memory import Register, WordTensor
from fkeras.memory.inventory import Inventory
from fkeras.network.operation import Floats, Grid, Operation, Shape, Values, grid_of

Outputs = tuple[Floats, ...]
Reads = Mapping[str, Callable[[Floats], Floats]]
"""By tensor, what is read in place of its values."""
NO_READS: Reads = MappingProxyType({})
_TYPES = ("float32", "bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))


@dataclass(frozen=True, slots=True)
class Input:
    """One input: shape of a sample; dtype: what data are converted to, "float32" or an integer type's name."""

    name: str
    shape: Shape
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.dtype not in _TYPES:
            raise ModelError(f"input '{self.name}' of {self.dtype}; allowed are {', '.join(_TYPES)}")


@dataclass(frozen=True, slots=True)
class Node:
    """An operation applied once; its result has its name. inputs: names of nodes or inputs."""

    name: str
    operation: Operation
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Network:
    """What a model stores and computes, in inference.

    name: the model's; nodes: in an order in which each reads only what stands before it; outputs: names of nodes or
    inputs; output_names: what data call them; memory: its layers and their stored words; constants: other parameters.
    ModelError for a description that contradicts itself.
    """

    name: str
    inputs: tuple[Input, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    output_names: tuple[str, ...]
    memory: Inventory
    constants: Mapping[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [*(part.name for part in self.inputs), *(node.name for node in self.nodes)]
        parameters = [*self.constants, *(tensor.path for tensor in self.memory.tensors)]
        for what, each in (("nodes", names), ("parameters", parameters)):
            if twice := [name for name, n in Counter(each).items() if n > 1]:
                raise ModelError(f"network '{self.name}': two {what} are called '{min(twice)}'")
        if not self.inputs or not self.outputs or len(self.outputs) != len(self.output_names):
            raise ModelError(f"network '{self.name}': needs inputs, and a name for each of its outputs")
        if unknown := [name for name in self.outputs if name not in self.shapes]:
            raise ModelError(f"network '{self.name}': output '{unknown[0]}' is no node")

    @cached_property
    def tensors(self) -> Mapping[str, WordTensor]:
        """The stored tensors by path."""
        return {tensor.path: tensor for tensor in self.memory.tensors}

    @cached_property
    def steps(self) -> Mapping[str, float | None]:
        """The grid of every parameter, whatever its words hold; None without one."""
        constants = {name: grid_of(values).step for name, values in self.constants.items()}
        return {**constants, **{path: power_of_two_step(tensor) for path, tensor in self.tensors.items()}}

    @cached_property
    def values(self) -> Mapping[str, Floats]:
        """Every parameter by name, fault-free."""
        words = {path: tensor.golden.reshape(tensor.shape) for path, tensor in self.tensors.items()}
        return {**self.constants, **words}

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of a sample of every tensor. ModelError where an operation does not fit."""
        parameters = {name: values.shape for name, values in self.constants.items()}
        parameters |= {path: tensor.shape for path, tensor in self.tensors.items()}
        shapes = {part.name: part.shape for part in self.inputs}
        for name, shape in shapes.items():
            if not all(is_whole(n, 1) for n in shape):
                raise ModelError(f"network '{self.name}': input '{name}' has the shape {shape}")
        for node in self.nodes:
            missing = [name for name in node.inputs if name not in shapes]
            missing += [name for name in node.operation.parameters if name not in parameters]
            if missing or not node.inputs:
                what = f"reads '{missing[0]}', which does not stand before it" if missing else "reads nothing"
                raise ModelError(f"network '{self.name}': node '{node.name}' {what}")
            try:
                shapes[node.name] = node.operation.shape(parameters, *(shapes[name] for name in node.inputs))
                if not all(is_whole(n, 1) for n in shapes[node.name]):
                    raise ValueError(f"its result would have the shape {shapes[node.name]}")
            except (ValueError, IndexError, TypeError, ArithmeticError) as error:
                kind = type(node.operation).__name__
                raise ModelError(f"network '{self.name}': node '{node.name}' ({kind}): {error}") from error
        return shapes

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that decides what it computes; the same on every machine."""
        from fkeras.network.content import digest_of_network

        return digest_of_network(self)

    @cached_property
    def makers(self) -> Mapping[str, Node]:
        """The node that makes each tensor; inputs have none."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def operations(self) -> Mapping[str, Operation]:
        """What makes each tensor."""
        return {node.name: node.operation for node in self.nodes}

    def readers(self, name: str) -> list[Node]:
        """The nodes that read a tensor."""
        return [node for node in self.nodes if name in node.inputs]

    def readers_of(self, parameter: str) -> list[Node]:
        """The nodes that read a parameter: several where a layer is shared."""
        return [node for node in self.nodes if parameter in node.operation.parameters]

    def behind(self, names: Iterable[str]) -> list[Node]:
        """The nodes that a change of these tensors can reach."""
        reached = set(names)
        found = []
        for node in self.nodes:
            if reached.intersection(node.inputs):
                reached.add(node.name)
                found.append(node)
        return found

    def before(self, names: Iterable[str]) -> list[Node]:
        """The nodes that these tensors depend on, themselves included."""
        wanted, found = set(names), []
        for node in reversed(self.nodes):
            if node.name in wanted:
                wanted.update(node.inputs)
                found.append(node)
        return found[::-1]

    def compute(
        self, nodes: Sequence[Node], tensors: dict[str, Floats], values: Values | None = None, reads: Reads = NO_READS
    ) -> dict[str, Floats]:
        """`tensors` with the results of `nodes` added; values: the parameters, fault-free unless given; reads: what is
        read of some of the results."""
        parameters = self.values if values is None else values
        with np.errstate(all="ignore"):  # NaN and infinity are outcomes
            for node in nodes:
                result = node.operation.compute(parameters, *(tensors[name] for name in node.inputs))
                tensors[node.name] = reads[node.name](result) if node.name in reads else result
        return tensors

    def __call__(
        self, inputs: Sequence[NDArray[Any]], values: Values | None = None, reads: Reads = NO_READS
    ) -> Outputs:
        """The outputs of inputs (n, *shape) each: slow and obvious."""
        given = {part.name: np.asarray(x, np.float32) for part, x in zip(self.inputs, inputs, strict=True)}
        given |= {name: reads[name](x) for name, x in given.items() if name in reads}
        tensors = self.compute(self.before(self.outputs), given, values, reads)
        return tuple(tensors[name] for name in self.outputs)

    def grids(
        self, inputs: Mapping[str, Grid], values: Values | None = None, registers: Iterable[Register] = ()
    ) -> dict[str, Grid]:
        """What is known of every tensor: with any one stored word wrong, or under exactly these `values`; and with
        anything in the words of `registers`."""
        weights = AnyWordWrong(self) if values is None else Fixed(self, values)
        held: dict[str, list[Register]] = {}
        for register in registers:
            held.setdefault(register.tensor, []).append(register)
        found = {name: _read_through(grid, held.get(name, ())) for name, grid in inputs.items()}
        for node in self.nodes:
            grid = node.operation.grid(weights, *(found[name] for name in node.inputs))
            found[node.name] = _read_through(grid, held.get(node.name, ()))
        return found


def _read_through(grid: Grid, registers: Iterable[Register]) -> Grid:
    """What is known of a tensor that registers hold."""
    for register in registers:
        is_power = np.frexp(register.step)[0] == 0.5
        step = min(grid.step, register.step) if grid.step is not None and is_power else None
        bound = max(grid.bound, register.largest)
        if register.memory == "accumulators" and grid.bound > register.largest:  # sums beyond its words
            bound = grid.bound + 2 * register.largest
        grid = Grid(step, bound, grid.reproducible)
    return grid


class AnyWordWrong:
    """The weights of a network of which any one word may hold anything."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def values(self, name: str) -> Floats:
        """The parameter, fault-free."""
        return self._network.values[name]

    def step(self, name: str) -> float | None:
        """The grid of everything that its words decode to."""
        return self._network.steps[name]

    def spare(self, name: str) -> float:
        tensor = self._network.tensors.get(name)
        return 0.0 if tensor is None else 2 * tensor.codec.largest * float(np.abs(tensor.scale).max())


class Fixed(AnyWordWrong):
    """The weights of a network in which nothing else is wrong than what `values` say."""

    def __init__(self, network: Network, values: Values) -> None:
        super().__init__(network)
        self._values = values

    def values(self, name: str) -> Floats:
        """The parameter."""
        return self._values[name]

    def spare(self, name: str) -> float:
        """Nothing."""
        return 0.0


def power_of_two_step(tensor: WordTensor) -> float | None:
    """The finest grid that all words of a tensor share, any fault included; None when there is none."""
    scales = np.unique(tensor.scale)
    if (scales <= 0).any() or (np.frexp(scales)[0] != 0.5).any():
        return None
    exact = tensor.codec.decode(tensor.words) * tensor.scale
    return float(tensor.codec.step * scales.min()) if np.array_equal(exact, tensor.golden) else None
