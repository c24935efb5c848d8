"""The chain of exact layers behind a site, through which everything that the site changes flows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numba
import numpy as np
from numpy.typing import NDArray

from fkeras.engines.cpu.channels import Floats, Ints, as_integers
from fkeras.engines.cpu.flow import LAYER, Golden, Program, flow
from fkeras.engines.cpu.pointwise import Pointwise
from fkeras.engines.cpu.sites import Site, only_reader
from fkeras.network import Network
from fkeras.network.operation import EXACT_STEPS

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
    def end(self) -> str:
        """The tensor at the end."""
        return self.links[-1].site.end

    @property
    def end_shape(self) -> tuple[int, ...]:
        """The shape of the end tensor for one sample."""
        last = self.links[-1].site
        return last.network.shapes[last.end]

    @property
    def end_floats(self) -> int:
        """The size of the end tensor for one sample."""
        return prod(self.end_shape)

    def golden(self, tensors: Mapping[str, Floats]) -> tuple[Floats, Floats]:
        """Golden sums and levels of all layers, (n, values) each."""
        sums = [link.site.sums(tensors) for link in self.links]
        levels = [link.pointwise.levels(part) for link, part in zip(self.links, sums, strict=True)]
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
    network: Network, sites: Mapping[int, Site], site: Site, pointwise_of: Callable[[Site], Pointwise | None]
) -> Chain | None:
    """The longest chain of exact layers behind a site; None when not even one follows."""
    links: list[Link] = []
    before, pointwise = site, pointwise_of(site)
    while pointwise is not None and pointwise.rounds:
        _, reader = only_reader(network, before.end)
        following = next((other for other in sites.values() if other.node is reader), None)
        if following is None or following.depthwise or following.window.dilation != (1, 1):
            break
        if not pointwise.span * _largest_column(following) < EXACT_STEPS:
            break
        pointwise = pointwise_of(following)
        if pointwise is None:
            break
        links.append(Link(following, pointwise))
        before = following
    return _packed(links) if links else None


def _largest_column(site: Site) -> float:
    """The largest sum of an output channel's weights by size, in units of their grid."""
    return float(np.abs(site.columns).sum(0).max() / site.kernel_step)


def _packed(links: Sequence[Link]) -> Chain:
    layers = np.zeros(len(links), LAYER)
    weights: list[Floats] = []
    offsets: list[Floats] = []
    for layer, link in zip(layers, links, strict=True):
        site, pointwise = link.site, link.pointwise
        (height_in, width_in, channels_in), (height, width, channels) = site.shapes
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


def _side_by_side(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
