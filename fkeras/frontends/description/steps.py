"""How a layer is described: a row of operations, each on the result of the one before it unless it says otherwise."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fkeras.errors import UnsupportedError
from fkeras.frontends.description.home import Home
from fkeras.network import Affine, Operation
from fkeras.network.operation import Floats, Shape


class NotDescribed(UnsupportedError):
    """What a network cannot say of a model: the path of the layer, and why."""

    def __init__(self, layer: str, why: str) -> None:
        super().__init__(f"layer '{layer}': {why}")
        self.layer, self.why = layer, why


class NoOperation(Exception):
    """Why something has no operation; whoever knows the layer makes a NotDescribed of it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation; part: what it is within its layer; constants: the parameters that are stored nowhere; reads: the
    parts before it, what these read (`input_of`), or the layer's inputs by number, None: the part before it, and the
    first all inputs."""

    part: str
    operation: Operation
    constants: Mapping[str, Floats] = field(default_factory=dict)
    reads: tuple[str | int, ...] | None = None


Steps = Iterator[Step]


def input_of(part: str) -> str:
    """What a part before reads first."""
    return f"{part}.input"


def computed(steps: Sequence[Step], x: Floats) -> Floats:
    """What steps in a row make of one tensor."""
    within: dict[str | int, Floats] = {}
    for step in steps:
        given = [x] if step.reads is None else [within[part] for part in step.reads]
        within[input_of(step.part)] = given[0]
        x = within[step.part] = step.operation.compute(step.constants, *given)
    return x


def affine(path: str, part: str, scale: Any, offset: Any, in_order: bool) -> Step:
    """A product and a sum; path: where their constants belong."""
    names = f"{path}/scale", f"{path}/offset"
    return Step(part, Affine(*names, in_order), dict(zip(names, map(constant, (scale, offset)), strict=True)))


@dataclass(frozen=True, slots=True)
class Place:
    """A layer where it is applied. shapes: of its inputs; shape: of its output; stored: the paths of stored tensors;
    home: the framework that it is of."""

    path: str
    layer: Any
    shapes: tuple[Shape, ...]
    shape: Shape
    stored: Collection[str]
    home: Home

    def parameter(self, name: str, value: Any) -> tuple[str, dict[str, Floats]]:
        """The name of a tensor, and the tensor itself, as its quantizer makes it, where no words of it are stored."""
        path = f"{self.path}/{name}"
        if path in self.stored:
            return path, {}
        quantizer = getattr(self.layer, f"{name.removesuffix('_kernel')}_quantizer_internal", None)
        return path, {path: constant(value if quantizer is None else self.home.evaluate(quantizer, constant(value)))}


def constant(value: Any) -> Floats:
    """A parameter that nothing changes."""
    array = np.asarray(value).astype(np.float32)
    array.flags.writeable = False
    return array
