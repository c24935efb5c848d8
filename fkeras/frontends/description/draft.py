"""The calls of a model's layers as the nodes of a network."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fkeras.frontends.description.home import Home
from fkeras.frontends.description.steps import NoOperation, NotDescribed, Place, Steps, input_of
from fkeras.memory.inventory import Inventory
from fkeras.network import Input, Network, Node
from fkeras.network.operation import Floats, Shape


@dataclass(frozen=True, slots=True)
class Application:
    """A layer where it is applied.

    inputs, outputs: what identifies the tensors that it reads and writes; input_shapes, output_shape: samples in front;
    settings: what it is told besides its tensors.
    """

    path: str
    layer: Any
    inputs: tuple[Hashable, ...]
    outputs: tuple[Hashable, ...]
    input_shapes: tuple[Any, ...]
    output_shape: Any
    settings: tuple[str, ...] = ()


def sample_shape(layer: str, shape: Any) -> Shape:
    """The shape of a sample. NotDescribed where a part of it is open."""
    sample = tuple(shape[1:])
    if None in sample:
        raise NotDescribed(layer, f"the shape {tuple(shape)} is open")
    return sample


def drafted(
    name: str,
    inputs: Mapping[Hashable, Input],
    applications: Iterable[Application],
    outputs: Sequence[tuple[str, Hashable]],
    memory: Inventory,
    home: Home,
    describe: Callable[[Place], Steps],
) -> Network:
    """The network of a model: what `describe` says of its layers, in order.

    inputs: by what identifies them; outputs: their names, and what identifies them. NotDescribed where it cannot be
    said.
    """
    names = {key: part.name for key, part in inputs.items()}
    taken = set(names.values())
    nodes: list[Node] = []
    constants: dict[str, Floats] = {}
    stored = {tensor.path for tensor in memory.tensors}
    expected: list[tuple[str, str, Shape]] = []
    for call in applications:
        if call.settings:
            raise NotDescribed(call.path, f"it is called with {', '.join(call.settings)}")
        if len(call.outputs) != 1:
            raise NotDescribed(call.path, "it has several outputs")
        shape = sample_shape(call.path, call.output_shape)
        shapes = tuple(sample_shape(call.path, each) for each in call.input_shapes)
        read = tuple(names[key] for key in call.inputs)
        place = Place(call.path, call.layer, shapes, shape, stored, home)
        within: dict[str | int, str] = dict(enumerate(read))
        try:
            for step in describe(place):
                node = _unique(f"{call.path}/{step.part}", taken)
                sources = read if step.reads is None else tuple(within[part] for part in step.reads)
                nodes.append(Node(node, step.operation, sources))
                constants.update(step.constants)
                within[step.part], within[input_of(step.part)] = node, sources[0]
                read = (node,)
        except NoOperation as error:
            raise NotDescribed(call.path, str(error)) from error
        (written,) = read
        names[call.outputs[0]] = written
        expected.append((call.path, written, shape))
    network = Network(
        name,
        tuple(inputs.values()),
        tuple(nodes),
        tuple(names[key] for _, key in outputs),
        tuple(called for called, _ in outputs),
        memory,
        constants,
    )
    for path, written, shape in expected:
        if network.shapes[written] != shape:
            raise NotDescribed(path, f"its output has the shape {shape}, not {network.shapes[written]}")
    return network


def _unique(name: str, taken: set[str]) -> str:
    """The name, with the number of its call where a layer is applied several times."""
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}#{number}", number + 1
    taken.add(unique)
    return unique
