"""The chain of exact layers behind a site, through which everything that the site changes flows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from fkeras.frontends.qkeras.fast.channels import Floats, Ints, as_integers
from fkeras.frontends.qkeras.fast.exactness import EXACT_STEPS
from fkeras.frontends.qkeras.fast.flow import LAYER, Golden, Program, flow
from fkeras.frontends.qkeras.fast.pointwise import Pointwise
from fkeras.frontends.qkeras.fast.sites import Site, as_image
from fkeras.frontends.qkeras.graph import Graph, Key

BLOCKS_PER_THREAD = 4


@dataclass(frozen=True, eq=False)
class Link:
    """One exact layer of a chain and its pointwise arithmetic; only the last one may leave its values unrounded."""

    site: Site
    pointwise: Pointwise


@dataclass(frozen=True, eq=False)
class Chain:
    """Exact layers in a row, at least one, and packed for `flow`."""

    links: tuple[Link, ...]
    program: Program

    @property
    def end(self) -> Key:
        """The tensor at the end."""
        return self.links[-1].site.end

    @property
    def end_shape(self) -> tuple[int, ...]:
        """The shape of the end tensor for one sample."""
        return tuple(self.links[-1].site.call.node.outputs.shape[1:])

    @property
    def end_floats(self) -> int:
        """The size of the end tensor for one sample."""
        return prod(self.end_shape)

    def golden(self, tensors: Mapping[Key, Any]) -> tuple[Floats, Floats]:
        """Golden sums and levels of all layers, (n, values) each."""
        sums = [link.site.sums(link.site.padded(tensors[link.site.call.inputs[0]])) for link in self.links]
        levels = [link.pointwise.levels(one) for link, one in zip(self.links, sums, strict=True)]
        return _side_by_side(sums), _side_by_side(levels)

    def flow(
        self, values: Floats, samples: Ints, changed: NDArray[np.bool_], channel: int, golden: Golden
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """The end tensor (k, ...) of k states of one channel, and which of them differ from golden; see `flow`."""
        ends, alive = np.empty((samples.size, *self.end_shape), np.float32), changed.copy()
        n_blocks = BLOCKS_PER_THREAD * numba.get_num_threads()
        flow(values, samples, alive, channel, golden, self.program, ends.reshape(len(ends), -1), n_blocks)
        return ends, alive


def chain_after(
    graph: Graph, sites: Mapping[int, Site], site: Site, pointwise_of: Callable[[Site], Pointwise | None]
) -> Chain | None:
    """The longest chain of exact layers behind a site; None when not even one follows."""
    links: list[Link] = []
    before, pointwise = site, pointwise_of(site)
    while pointwise is not None and pointwise.rounds:
        following = _only_reader(graph, before.end)
        found = next((one for one in sites.values() if one.call.index == following), None)
        if found is None or found.depthwise or found.window.dilation != (1, 1) or image_shapes(found) is None:
            break
        if not pointwise.span * _largest_column(found) < EXACT_STEPS:
            break
        pointwise = pointwise_of(found)
        if pointwise is None:
            break
        links.append(Link(found, pointwise))
        before = found
    return _packed(links) if links else None


def _only_reader(graph: Graph, key: Key) -> int | None:
    """The only call that reads a tensor, beyond any Flatten."""
    while key not in graph.outputs:
        readers = graph.consumers(key)
        if len(readers) != 1:
            return None
        if type(readers[0].layer).__name__ != "Flatten":
            return readers[0].index
        if readers[0].layer.data_format != "channels_last":
            return None
        key = readers[0].outputs[0]
    return None


def _largest_column(site: Site) -> float:
    """The largest sum of an output channel's weights by size, in units of their grid."""
    return float(np.abs(site.last_axis_columns).sum(0).max() / site.kernel_step)


def _packed(links: Sequence[Link]) -> Chain:
    layers = np.zeros(len(links), LAYER)
    weights: list[Floats] = []
    offsets: list[Floats] = []
    for layer, link in zip(layers, links, strict=True):
        site, pointwise = link.site, link.pointwise
        shapes = image_shapes(site)
        assert shapes is not None
        (height_in, width_in, channels_in), (height, width, channels) = shapes
        window = site.window
        rows, columns = window.pads((height_in, width_in))
        kernel = as_integers(site.kernel, site.kernel_step)
        layer["height_in"], layer["width_in"], layer["channels_in"] = height_in, width_in, channels_in
        layer["height"], layer["width"], layer["channels"] = height, width, channels
        layer["rows"], layer["columns"] = kernel.shape[:2]
        layer["stride_y"], layer["stride_x"] = window.stride
        layer["before_y"], layer["before_x"] = rows[0], columns[0]
        layer["weights"] = sum(part.size for part in weights)
        layer["offsets"] = sum(part.size for part in offsets)
        layer["scale"], layer["low"], layer["high"] = pointwise.scale, pointwise.low, pointwise.high
        layer["rounds"] = pointwise.rounds
        weights.append(kernel)
        offsets.append(np.tile(pointwise.offset, width))
    sizes = layers["height"] * layers["width"] * layers["channels"]
    layers["values"] = np.cumsum(sizes) - sizes
    program = Program(layers, _flat(weights), _flat(offsets), np.float32(links[-1].pointwise.step))
    return Chain(tuple(links), program)


def _flat(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([part.reshape(-1) for part in parts])


def image_shapes(site: Site) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """(height, width, channels) of a layer's input and output; None where one is open."""
    node = site.call.node
    shapes = [tuple(tensor.shape[1:]) for tensor in (node.keras_inputs[0], node.outputs)]
    if None in shapes[0] + shapes[1]:
        return None
    given, made = (as_image(np.empty((1, *shape))).shape[1:] for shape in shapes)
    return given, made


def _side_by_side(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
