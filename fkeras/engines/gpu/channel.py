"""Single flips of one kernel, a channel at a time: new channel = segment(golden sums + change x shifted input).

The next weighted sum is linear, so only the channel's difference goes through its slice of the kernel; whole layers
follow, and the device counts. Input and sums are what a convolution over an image has: a dense layer is one of size 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Scores
from fkeras.engines.cpu.outcome import Places, one_ahead
from fkeras.engines.cpu.samples import Samples
from fkeras.engines.cpu.sites import Faults, Site, as_image, only_reader
from fkeras.engines.cpu.worker import Flips, Totals, measured, turns
from fkeras.engines.gpu.counting import Counting
from fkeras.engines.gpu.operand import operand_for
from fkeras.engines.gpu.operations import INVERSE, OPERATIONS, ZERO, Array, Values
from fkeras.engines.gpu.program import Device, faults_at_once, padded_to, scratch_bytes
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Outputs
from fkeras.network import Convolution, Dense, Node, Quantize, Steps
from fkeras.network.operation import EXACT_STEPS


class DeviceSite:
    """Single flips at one site whose metrics are counted; a worker of the CPU engine's run.

    decided: scores flips that leave a class as good as tied.
    """

    def __init__(
        self,
        device: Device,
        site: Site,
        space: BitSpace,
        samples: Samples,
        counting: Counting,
        decided: Flips,
    ) -> None:
        self.site = site
        self._device, self._space, self._samples, self._counting = device, space, samples, counting
        self._decided = decided
        self._next = _linear_reader(device, site)
        network = device.network
        needed = {node.name for node in network.before([counting.end])}
        self._behind = [node for node in network.behind([site.end]) if node.name in needed]
        begin = site.end if self._next is None else self._next[1].name
        self._after = [node for node in network.behind([begin]) if node.name in needed]
        names = [site.node.inputs[0], site.node.name, site.end, counting.end]
        results = {node.name for node in self._behind}
        names += [name for node in self._behind for name in node.inputs if name not in results]
        self._golden = tuple(dict.fromkeys([*names, *([self._next[1].name] if self._next else [])]))
        self._run = jax.jit(self._traced, static_argnums=3)
        self._held: tuple[slice, Any] | None = None

    def release(self) -> None:
        """Let go of the golden tensors."""
        self._held = None

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit of this tensor flipped alone."""
        faults = self.site.faults(self._space, bits)
        blocks = self.blocks(bits)
        per_sample = self._device.scratch([self.site.node, *self._behind])
        held = self._device.held(self._golden)
        chunks = self._samples.chunks(int(np.clip(scratch_bytes() // (per_sample + held), 1, self._samples.n)))
        at_once = faults_at_once(per_sample * chunks[0].stop)

        def launched(block: Places, rows: slice) -> Any:
            return self._run(*self._places(faults.some(block)), self._shared(rows), min(at_once, padded_to(block.size)))

        results = one_ahead(launched(*turn) for turn in turns(self._samples, blocks, chunks))

        def measure(totals: Totals, block: Places, rows: slice, wholes: list[Outputs]) -> None:
            self._counting.add(totals, block, next(results))

        totals = measured(self._samples, bits.size, blocks, chunks, measure)
        if totals.tied.any():
            for name, scores in self._decided(bits[totals.tied]).items():
                totals.scores[name].fill(np.flatnonzero(totals.tied), scores)
        return totals.scores

    def blocks(self, bits: NDArray[np.int64]) -> list[Places]:
        """Positions within `bits` of the flips of one channel each."""
        channel = self.site.faults(self._space, bits).channel
        return [np.flatnonzero(channel == number) for number in np.unique(channel)]

    def _places(self, faults: Faults) -> tuple[dict[str, NDArray[Any]], np.int32]:
        """Where the faults of one channel act, filled up by the last one, and the channel."""
        at = np.minimum(np.arange(padded_to(faults.delta.size)), faults.delta.size - 1)
        delta = faults.delta.astype(np.float32) * np.float32(self.site.kernel_step)
        places = {"row": faults.row, "column": faults.column, "term": faults.term, "delta": delta}
        return {name: part[at] for name, part in places.items()}, faults.channel[0]

    def _shared(self, rows: slice) -> Any:
        """What all faults have in common on some samples; the last ones are held."""
        if self._held is None or self._held[0] != rows:
            self._held = None
            inputs = {name: x[rows] for name, x in self._samples.inputs.items()}
            golden = self._device.golden(self._golden, inputs)
            self._held = rows, {
                "values": self._device.values, "golden": golden, "tables": self._counting.tables(rows)
            }  # fmt: skip
        return self._held[1]

    def _traced(self, places: Mapping[str, Array], channel: Array, shared: Any, at_once: int) -> Any:
        golden, site = shared["golden"], self.site
        rows, columns = site.window.pads(site.shapes[0][:2])
        padded = jnp.pad(as_image(golden[site.node.inputs[0]]), ((0, 0), rows, columns, (0, 0)))
        sums = _channel(as_image(golden[site.node.name]), channel)
        common = shared, channel, padded, sums
        return jax.lax.map(partial(self._counts, *common), places, batch_size=at_once)

    def _counts(self, shared: Any, channel: Array, padded: Array, sums: Array, fault: Mapping[str, Array]) -> Any:
        """The counts of one fault."""
        golden, site, end = shared["golden"], self.site, self._counting.end
        n, height, width, _ = sums.shape
        (stride_y, stride_x), begin = site.window.stride, (0, fault["row"], fault["column"], fault["term"])
        reach = n, (height - 1) * stride_y + 1, (width - 1) * stride_x + 1, 1
        window = jax.lax.dynamic_slice(padded, begin, reach)[:, ::stride_y, ::stride_x]
        faulty = self._segment(sums + fault["delta"] * window, channel, shared["values"])
        was = golden[site.end]
        if self._next is None:
            whole = was.at[..., channel].set(faulty.reshape(was.shape[:-1]))
            tensors = self._device.compute(self._after, {**golden, site.end: whole}, shared["values"])
        else:
            change = faulty - _channel(as_image(was), channel)
            linear, node = self._next
            tensors = {**golden, node.name: golden[node.name] + linear(change, channel, shared["values"])}
            tensors = self._device.compute(self._after, tensors, shared["values"])
        differs = (tensors[end] != golden[end]).any(-1)
        return self._counting.count(tensors[end], differs, shared["tables"])

    def _segment(self, sums: Array, channel: Array, values: Values) -> Array:
        """What the site's end holds in one channel."""
        results = {self.site.node.name: sums}
        for node in self.site.segment:
            read = node.operation.parameters
            parameters = {name: values[name] for name in (*read, *map(INVERSE.format, read), ZERO) if name in values}
            if not isinstance(node.operation, Steps):
                parameters = {name: _entry(part, channel) for name, part in parameters.items()}
            function, operand = OPERATIONS[type(node.operation)], self._device.operands[node.name]
            given = (results[name] for name in node.inputs)
            results[node.name] = function(node.operation, parameters, operand, *given)
        return results[self.site.end]


def _entry(parameter: Array, channel: Array) -> Array:
    """A parameter that fits a sample, as it is in one channel."""
    flat = parameter.reshape(-1)
    return flat if flat.size == 1 else jax.lax.dynamic_slice_in_dim(flat, channel, 1)


def _channel(x: Array, channel: Array) -> Array:
    return jax.lax.dynamic_slice_in_dim(x, channel, 1, x.ndim - 1)


Linear = Callable[[Array, Array, Values], Array]


def _linear_reader(device: Device, site: Site) -> tuple[Linear, Node] | None:
    """What a channel's change (n, height, width, 1) adds to the only weighted sum that reads it, and that node.

    None where something else reads the channel, or a change of it could pass what is exact.
    """
    network, grids = device.network, device.plan.grids
    _, node = only_reader(network, site.end)
    span = _span(site)
    if node is None or span is None:
        return None
    operation = node.operation
    if not isinstance(operation, Dense) and not (isinstance(operation, Convolution) and operation.groups == 1):
        return None
    columns = np.abs(operation.columns(network.values[operation.kernel]).astype(np.float64)).sum(0)
    step = grids[node.name].step
    if step is None or not span * float(columns.max()) < EXACT_STEPS * step:
        return None
    operand = operand_for(device.plan, node, span)
    shape = network.shapes[site.end]
    flattened = network.shapes[node.inputs[0]] != shape

    def linear(change: Array, channel: Array, values: Values) -> Array:
        weights = values[operation.kernel]
        if flattened:
            weights = weights.reshape(-1, shape[-1], weights.shape[-1])
            weights = jax.lax.dynamic_slice_in_dim(weights, channel, 1, 1)[:, 0]
            return operand.einsum("nk,ko->no", change.reshape(len(change), -1), weights)
        part = jax.lax.dynamic_slice_in_dim(weights, channel, 1, weights.ndim - 2)
        change = change.reshape(len(change), *shape[:-1], 1)
        return OPERATIONS[type(operation)](operation, {operation.kernel: part}, operand, change)

    return linear, node


def _span(site: Site) -> float | None:
    """By how much two values of a site's end differ at most; None where no quantizer bounds them."""
    last = site.segment[-1].operation if site.segment else None
    if isinstance(last, Quantize) and not any(isinstance(part, str) for part in (last.step, last.low, last.high)):
        return float(last.step) * (float(last.high) - float(last.low))
    return 2 * site.end_grid.bound if site.rounds else None
