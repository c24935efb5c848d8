"""What moves values without changing them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from fkeras.network.operation import Grid, Linear, Numbers, Shape, Weights


class _SameValues(Linear):
    def grid(self, weights: Weights, *given: Grid) -> Grid:
        return given[0]


@dataclass(frozen=True, slots=True)
class Reshape(_SameValues):
    """The values of a sample in another shape, in C order."""

    to: tuple[int, ...]

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        if prod(given[0]) != prod(self.to):
            raise ValueError(f"{given[0]} does not become {self.to}")
        return self.to

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        return given[0].reshape(len(given[0]), *self.to)


@dataclass(frozen=True, slots=True)
class Permute(_SameValues):
    """The axes of a sample in another order, counted from 0."""

    axes: tuple[int, ...]

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        if sorted(self.axes) != list(range(len(given[0]))):
            raise ValueError(f"{self.axes} are not the axes of {given[0]}")
        return tuple(given[0][axis] for axis in self.axes)

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        return given[0].transpose(0, *(axis + 1 for axis in self.axes))


@dataclass(frozen=True, slots=True)
class ZeroPadding(_SameValues):
    """Zeros before and after each axis of a sample but the last."""

    pads: tuple[tuple[int, int], ...]

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        lengths = given[0][:-1]
        return (*(n + before + after for n, (before, after) in zip(lengths, self.pads, strict=True)), given[0][-1])

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        return np.pad(given[0], ((0, 0), *self.pads, (0, 0)))


@dataclass(frozen=True, slots=True)
class Cropping(_SameValues):
    """Less at the beginning and the end of each axis of a sample but the last."""

    crops: tuple[tuple[int, int], ...]

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        lengths = [n - before - after for n, (before, after) in zip(given[0][:-1], self.crops, strict=True)]
        if min(lengths) < 1 or min(map(min, self.crops)) < 0:
            raise ValueError(f"{self.crops} leave nothing of {given[0]}, or add to it")
        return (*lengths, given[0][-1])

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        inner = (slice(before, n - after) for n, (before, after) in zip(given[0].shape[1:-1], self.crops, strict=True))
        return given[0][(slice(None), *inner)]


@dataclass(frozen=True, slots=True)
class Repeat(_SameValues):
    """Every element several times, per axis of a sample but the last."""

    times: tuple[int, ...]

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        return (*(n * times for n, times in zip(given[0][:-1], self.times, strict=True)), given[0][-1])

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        (x,) = given
        for axis, times in enumerate(self.times, 1):
            x = np.repeat(x, times, axis)
        return x
