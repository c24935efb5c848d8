"""Exact layers in a row, as one pass in whole numbers: what many faults at once need, at the processor's full speed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.changes import Changes
from fkeras.arithmetic.forward import Forward
from fkeras.arithmetic.layers import MaxPool as LargestOf
from fkeras.arithmetic.layers import WeightedSum as Products
from fkeras.arithmetic.misreads import Misread
from fkeras.arithmetic.passes import Floats
from fkeras.arithmetic.program import Kernels
from fkeras.engines.cpu.pointwise import Pointwise, pointwise_of
from fkeras.engines.cpu.sites import Image, Site, image_shape, only_reader, pair, site_of
from fkeras.errors import InputError
from fkeras.faults.register_patch import RegisterPatch
from fkeras.memory import FixedPoint, Register, WordTensor
from fkeras.network import Grid, MaxPool, Network, Node, Quantize, grid_of
from fkeras.network.operation import EXACT_STEPS, Values
from fkeras.network.sums import WeightedSum
from fkeras.network.windows import pads

Stored = NDArray[np.uint8]
NO_ROWS = np.zeros(0, np.int64)
MOST_ENUMERATED = 16
"""Bits of a word up to which all that it may stand for is looked at."""


@dataclass(frozen=True, slots=True)
class Link:
    """A layer of a row: the nodes that it stands for, the last one's result, and what it is in a pass.

    site: of a weighted sum; step: of the levels that it makes.
    """

    nodes: tuple[str, ...]
    layer: Products | LargestOf
    site: Site | None
    step: float

    @property
    def end(self) -> str:
        """The tensor that it makes."""
        return self.nodes[-1]

    def reads(self, register: Register) -> int | None:
        """What holds a register's words on the way through the layer, 0 its sums, 1 its levels; None where nothing does
        that a pass has."""
        site = self.site
        if site is None or not _is_read_by_passes(register):
            return None
        if (register.tensor, register.step) == (site.node.name, site.sum_step) and register.memory == "accumulators":
            return 0
        assert isinstance(self.layer, Products)
        holds_levels = self.layer.rounds and register.memory != "accumulators"
        return 1 if holds_levels and (register.tensor, register.step) == (self.end, self.step) else None


@dataclass(frozen=True, eq=False)
class Row:
    """Layers in a row: each reads what the one before makes, and nobody else does. A pass begins at any sum."""

    network: Network
    links: tuple[Link, ...]
    forward: Forward
    _parts: dict[tuple[int, int], Forward] = field(default_factory=dict)
    _sums: dict[int, Forward] = field(default_factory=dict)
    _changes: dict[int, Changes | None] = field(default_factory=dict)

    @property
    def whole(self) -> Pass:
        """All layers, without a fault."""
        return _pass(self, 0, len(self.links), self.forward.golden)

    def changes(self, number: int) -> Changes | None:
        """What one wrong word of a layer makes of the end; None where sums may pass what is exact. Prepared once."""
        if number not in self._changes:
            try:
                self._changes[number] = Changes(self.forward, number)
            except InputError:
                self._changes[number] = None
        return self._changes[number]

    def part(self, first: int, stop: int) -> Forward:
        """The pass from a layer on to before another; prepared once."""
        if (first, stop) not in self._parts:
            whole = (first, stop) == (0, len(self.links))
            self._parts[first, stop] = self.forward if whole else self.forward.part(first, stop)
        return self._parts[first, stop]

    def sums(self, number: int) -> Forward:
        """The pass that makes a layer's sums, without a bias, in units of their grid; prepared once."""
        if number not in self._sums:
            part = self.part(number, number + 1)
            (layer,) = part.layers
            assert isinstance(layer, Products)
            bare = replace(
                layer, offsets=np.zeros_like(layer.offsets), scale=1.0, low=-np.inf, high=np.inf, rounds=False
            )
            self._sums[number] = Forward(part.shape, part.low, part.high, (bare,))
        return self._sums[number]

    def kernels(self, first: int, stop: int, values: Values) -> Kernels | None:
        """What a pass from a layer on to before another multiplies with; None where its sums may pass what is exact,
        or a quantizer is another one."""
        golden_values, words, offsets = self.network.values, {}, {}
        for number, link in enumerate(self.links[first:stop]):
            site = link.site
            if site is None:
                continue
            if any(values[name] is not golden_values[name] for name in site.fixed):
                return None
            kernel, golden = (given[site.tensor.path] for given in (values, golden_values))
            if kernel is not golden:
                elements = np.flatnonzero(kernel.reshape(-1) != golden.reshape(-1))
                levels = np.rint(kernel.reshape(-1)[elements].astype(np.float64) / site.kernel_step)
                words[number] = elements, levels.astype(np.int64)
            if any(values[name] is not golden_values[name] for name in site.added):
                bias = site.bias_among(values)
                if not _stays_exact(site, bias):
                    return None
                offsets[number] = bias / np.float32(link.step)
        part = self.part(first, stop)
        kernels = part.faulty(words) if words else part.golden
        return part.shifted(kernels, offsets) if offsets and kernels is not None else kernels


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """Layers with what they multiply with: reads one tensor (n, ...), makes another.

    links: the layers; end: the tensor that it makes, in steps of `step`; nodes: what it stands for; registers: what is
    read wrongly on the way, by place as `Forward.levels` has it.
    """

    links: tuple[Link, ...]
    end: str
    step: float
    nodes: frozenset[str]
    forward: Forward
    kernels: Kernels
    registers: Mapping[int, RegisterPatch] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        """Of the first layer."""
        site = self.links[0].site
        assert site is not None
        return site

    @property
    def given(self) -> str:
        """The tensor that it reads."""
        return self.site.node.inputs[0]

    @property
    def begin(self) -> str:
        """The node at which it begins."""
        return self.site.node.name

    def reading(self, patches: Iterable[RegisterPatch]) -> Pass:
        """The same through those registers that it holds."""
        places = {self._place_of(patch.register): patch for patch in patches}
        return replace(self, registers={place: patch for place, patch in places.items() if place is not None})

    def _place_of(self, register: Register) -> int | None:
        site = self.site
        held = _is_read_by_passes(register) and register.memory != "accumulators"
        if held and (register.tensor, register.step) == (self.given, site.input_grid.step):
            alone = self.given not in site.network.outputs and site.network.readers(self.given) == [site.node]
            return 0 if alone else None
        for number, link in enumerate(self.links):
            place = link.reads(register)
            if place is not None:
                return 2 * number + 1 + place
        return None

    def stored(self, x: Floats) -> Stored:
        """What it reads of its input."""
        step = self.site.input_grid.step
        assert step is not None
        return self.forward.stored((x / np.float32(step)).reshape(len(x), *self.forward.shape))

    def __call__(self, stored: Stored, rows: NDArray[np.int64] = NO_ROWS) -> Floats:
        """The tensor at the end; rows: the numbers of the samples, which registers that are read wrongly ask for."""
        misreads = {place: _misread(patch, rows) for place, patch in self.registers.items()}
        levels = self.forward.levels(stored, self.kernels, misreads)
        # Adding zero makes -0.0, which rounding may give, the network's 0.0.
        values = levels * np.float32(self.step) + np.float32(0)
        return values.reshape(len(values), *self.site.network.shapes[self.end])


def _is_read_by_passes(register: Register) -> bool:
    """Whether a register's words are whole numbers, which nothing else stands between and who reads them, and so are
    the limits that they are read through."""
    limits, codec = register.limits, register.codec
    if not isinstance(codec, FixedPoint) or register.quantizer:
        return False
    steps = np.zeros(0) if limits is None else np.concatenate([limits.low, limits.high]) / codec.step
    return limits is None or (register.memory != "accumulators" and np.array_equal(steps, np.rint(steps)))


def _misread(patch: RegisterPatch, rows: NDArray[np.int64]) -> Misread:
    """A register that is read wrongly in the samples with these numbers."""
    codec, masks = patch.register.codec, np.stack([patch.flips, patch.ones, patch.zeros]).astype(np.int64)
    assert isinstance(codec, FixedPoint)
    row, elements, flips = patch.within(rows)
    return Misread(
        codec.width, codec.signed, patch.elements, masks, row, elements, flips.astype(np.int64), _limits(patch.register)
    )


def _limits(register: Register) -> NDArray[np.int64]:
    """Those of a register as levels; (4, 0) where there are none."""
    limits = register.limits
    if limits is None:
        return np.zeros((4, 0), np.int64)
    steps = (np.rint(part / register.codec.step) for part in (limits.low, limits.high))
    low, high = (np.clip(part, -EXACT_STEPS, EXACT_STEPS).astype(np.int64) for part in steps)
    return np.stack([low, high, *((low, high) if limits.outside == "clamp" else 2 * (np.zeros_like(low),))])


class Rows:
    """All rows of a network on data of known grids; spans: by how much what is read of sums may differ from them."""

    def __init__(self, network: Network, grids: Mapping[str, Grid], spans: Mapping[str, float]) -> None:
        self._begins: dict[str, tuple[Row, int]] = {}
        self._links: dict[str, Link] = {}
        taken: set[str] = set()
        for node in network.nodes:
            row = None if node.name in taken else _row_from(network, grids, spans, node)
            if row is None:
                continue
            for number, link in enumerate(row.links):
                taken.update(link.nodes)
                self._links |= dict.fromkeys(link.nodes, link)
                if link.site is not None:
                    self._begins[link.site.node.name] = row, number

    def at(self, site: Site) -> tuple[Row, int] | None:
        """The row in which a site's sum stands, and its place there; None where it is in none."""
        return self._begins.get(site.node.name)

    def alone(self, begin: str) -> Pass | None:
        """The pass of the one layer whose sum a node is, without a fault; None where it stands in no row."""
        if begin not in self._begins:
            return None
        row, number = self._begins[begin]
        return _pass(row, number, number + 1, row.part(number, number + 1).golden)

    def holding(self, tensor: str) -> tuple[Row, int, float] | None:
        """The row in which a tensor stands that everything behind it flows through, its number and its step: where one
        row ends with it and the next begins, the next."""
        found = None
        for row in {id(row): row for row, _ in self._begins.values()}.values():
            first = row.links[0].site
            assert first is not None
            if first.node.inputs[0] == tensor and only_reader(row.network, tensor)[1] is first.node:
                assert first.input_grid.step is not None
                return row, 0, first.input_grid.step
            for number, link in enumerate(row.links, 1):
                if link.end == tensor:
                    found = row, number, link.step
        return found

    def passes(
        self,
        nodes: Sequence[Node],
        values: Values,
        wanted: Collection[str] = (),
        patches: Collection[RegisterPatch] = (),
    ) -> Iterator[Node | Pass]:
        """`nodes`, in order, with passes for those that stand in rows, which make the tensors that are wanted, and read
        those registers wrongly whose words they hold; others stand between them.

        Wanted sums are those of the fault-free network.
        """
        names, done = {node.name for node in nodes}, set[str]()
        several = Counter(patch.register.tensor for patch in patches)
        left = [patch for patch in patches if several[patch.register.tensor] == 1]
        held = {patch.register.tensor for patch in left if self.hold(patch.register)}
        apart = several.keys() - held
        for node in nodes:
            if node.name in done:
                continue
            row, first = self._begins.get(node.name, (None, 0))
            if row is None:
                yield node
                continue
            if node.name in wanted:
                yield _sums_of(row, first)
                done.add(node.name)
            stop = _stop(row, first, names, wanted, apart)
            kernels = row.kernels(first, stop, values) if stop > first else None
            if kernels is not None:
                step = _pass(row, first, stop, kernels).reading(left)
                left = [patch for patch in left if patch not in step.registers.values()]
                done |= step.nodes
                yield step
            elif node.name not in done:
                yield node

    def hold(self, register: Register) -> bool:
        """Whether a pass holds a register's words behind its input."""
        link = self._links.get(register.tensor)
        return link is not None and link.reads(register) is not None


def _sums_of(row: Row, number: int) -> Pass:
    """The pass that makes the sums of a layer."""
    site, forward = row.links[number].site, row.sums(number)
    assert site is not None
    links = row.links[number : number + 1]
    return Pass(links, site.node.name, site.sum_step, frozenset([site.node.name]), forward, forward.golden)


def _pass(row: Row, first: int, stop: int, kernels: Kernels) -> Pass:
    links = row.links[first:stop]
    nodes = frozenset(name for link in links for name in link.nodes)
    return Pass(links, links[-1].end, links[-1].step, nodes, row.part(first, stop), kernels)


def _stop(row: Row, first: int, names: set[str], wanted: Collection[str], apart: Set[str]) -> int:
    """Before which layer of a row a pass from the first one on stops, that makes no more than `names`; apart: tensors
    that may stand between passes only."""
    stop = first
    for number, link in enumerate(row.links[first:], first):
        nodes, inner = link.nodes, link.nodes[:-1]
        if number == first and link.site is not None:  # what is reshaped before the sum is what the pass reads
            nodes = nodes[nodes.index(link.site.node.name) :]
            inner = nodes[1:-1]
        if not (names.issuperset(nodes) and apart.isdisjoint(nodes[:-1])) or any(name in wanted for name in inner):
            break
        stop = number + 1
        if link.end in wanted or link.end in apart:
            break
    return stop


def _row_from(network: Network, grids: Mapping[str, Grid], spans: Mapping[str, float], node: Node) -> Row | None:
    """The longest row that begins with a weighted sum; None where not even one layer can be passed."""
    links: list[Link] = []
    reader: Node | None = node
    between: tuple[str, ...] = ()
    while reader is not None:
        link = _link(network, grids, spans, reader, between, links[-1] if links else None)
        if link is None:
            break
        links.append(link)
        if isinstance(link.layer, Products) and not (link.layer.rounds and _holds(link, grids)):
            break
        between, reader = only_reader(network, link.end)
    while links and links[-1].site is None:  # a pool at the end is quicker where it is
        links.pop()
    if not links or links[0].site is None:
        return None
    low, high = _levels(network, grids, node.inputs[0])
    image, _ = links[0].site.shapes
    forward = Forward(image, low, high, tuple(link.layer for link in links))
    try:
        _ = forward.golden
    except InputError:  # sums that are not exact
        return None
    return Row(network, tuple(links), forward)


def _holds(link: Link, grids: Mapping[str, Grid]) -> bool:
    """Whether a layer's levels are all that its result may hold: words of a register may mean others."""
    assert isinstance(link.layer, Products)
    return grids[link.end].bound <= max(abs(link.layer.low), abs(link.layer.high)) * link.step


def _link(
    network: Network,
    grids: Mapping[str, Grid],
    spans: Mapping[str, float],
    node: Node,
    between: tuple[str, ...],
    before: Link | None,
) -> Link | None:
    shape = network.shapes[node.inputs[0]]
    operation = node.operation
    if isinstance(operation, MaxPool) and before is not None and len(shape) == 3:
        ones = (1,) * len(operation.size)
        around = pads(shape[:-1], operation.size, operation.strides, ones, operation.padding)
        largest = LargestOf(pair(operation.size), pair(operation.strides), (around[0], around[1]))
        return Link((*between, node.name), largest, None, before.step)
    tensor = network.tensors.get(operation.kernel) if isinstance(operation, WeightedSum) else None
    site = None if tensor is None else site_of(network, grids, -1, tensor)
    pointwise = None if site is None or site.node is not node else _pointwise(site, spans.get(node.name, 0.0))
    if site is None or pointwise is None:
        return None
    flattened = image_shape(network.shapes[before.end]) if before is not None and between else None
    layer = _products(site, pointwise, flattened)
    nodes = (*between, node.name, *(part.name for part in site.segment))
    return Link(nodes, layer, site, pointwise.step)


def _pointwise(site: Site, span: float) -> Pointwise | None:
    """The arithmetic of a site on sums of any words, and by `span` beyond them; None where that is not exact."""
    most = largest_sum(site) + int(span / site.sum_step)
    return pointwise_of(site, most) if most <= EXACT_STEPS else None


def largest_sum(site: Site) -> int:
    """The largest sum of any words, as far as sums are exact, in units of its grid."""
    words = len(site.columns) * site.tensor.codec.largest * float(site.tensor.scale.max())
    return int(min(EXACT_STEPS, words * site.input_grid.bound / site.sum_step))


def _stays_exact(site: Site, bias: Floats) -> bool:
    """Whether sums and another bias share a grid on which they are added exactly."""
    grid = grid_of(bias)
    step = None if grid.step is None else min(grid.step, site.sum_step)
    return step is not None and largest_sum(site) * site.sum_step + grid.bound < EXACT_STEPS * step


def _products(site: Site, pointwise: Pointwise, flattened: Image | None) -> Products:
    """A site as a layer of a pass; flattened: the image that a dense layer reads as one row of numbers."""
    kernel = np.rint(site.kernel.astype(np.float64) / site.kernel_step).astype(np.int64)
    if site.depthwise:
        kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
    elif flattened is not None:
        kernel = kernel.reshape(*flattened, -1)
    (height, width, _), _ = site.shapes
    around = site.window.pads((height, width))
    return Products(
        kernel,
        _words(site.tensor, site.kernel_step),
        pointwise.offset,
        pointwise.scale,
        pointwise.low,
        pointwise.high,
        pointwise.rounds,
        site.window.stride,
        (around[0], around[1]) if flattened is None else ((0, 0), (0, 0)),
        site.window.dilation,
    )


def _words(tensor: WordTensor, step: float) -> tuple[int, int]:
    """The least and the largest number, in steps, that a word may stand for."""
    least = most = 0.0
    for part in tensor.parts:
        if part.codec.width <= MOST_ENUMERATED:
            values = part.codec.decode(np.arange(2**part.codec.width, dtype=np.uint32))
            ends = float(values.min()), float(values.max())
        else:
            ends = -part.codec.largest, part.codec.largest
        for scale in (float(part.tensor.scale.min()), float(part.tensor.scale.max())):
            least, most = (min(least, ends[0] * scale), max(most, ends[1] * scale))
    return int(least / step), int(most / step)


def _levels(network: Network, grids: Mapping[str, Grid], name: str) -> tuple[float, float]:
    """The least and the largest level of a tensor on a grid."""
    grid = grids[name]
    assert grid.step is not None
    most = float(np.ceil(grid.bound / grid.step))
    maker = next((node.operation for node in network.nodes if node.name == name), None)
    if isinstance(maker, Quantize) and maker.step == grid.step and not isinstance(maker.low, str):
        low, high = float(maker.low), most if isinstance(maker.high, str) else float(maker.high)
        if most <= max(-low, high):  # a register may hold more
            return low, high
    return -most, most


def floats_between(nodes: Sequence[Node | Pass], network: Network) -> int:
    """The size of the largest tensor of a sample that is held between nodes and passes."""
    names = {
        name
        for node in nodes
        for name in ((node.given, node.end) if isinstance(node, Pass) else (node.name, *node.inputs))
    }
    return max((prod(network.shapes[name]) for name in names), default=1)
