"""Any fault set on the device: several a call, what lies behind the faulted words computed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fkeras.engine import Scores
from fkeras.engines.cpu.behind import Behind, Reach, reach_of
from fkeras.engines.cpu.classes import counts_classes, nearly_tied
from fkeras.engines.cpu.outcome import Places, StateScores, one_ahead
from fkeras.engines.cpu.samples import Samples
from fkeras.engines.cpu.states import States
from fkeras.engines.cpu.worker import Totals, measured, turns
from fkeras.engines.gpu.counting import Counting
from fkeras.engines.gpu.operand import reads_bounded
from fkeras.engines.gpu.operations import OPERATIONS, Array, Values
from fkeras.engines.gpu.program import Device, faults_at_once, padded_to, scratch_bytes
from fkeras.engines.gpu.registers import masks_of, reads_of
from fkeras.engines.gpu.stacks import Stack, stacks_of
from fkeras.faults import FaultSet
from fkeras.memory import BitSpace, Register
from fkeras.metrics.metric import Outputs, parts_of
from fkeras.network import (
    Bias,
    Cropping,
    Function,
    MaxPool,
    Network,
    Permute,
    Quantize,
    Relu,
    Repeat,
    Reshape,
    Steps,
    ZeroPadding,
)
from fkeras.network.operation import EXACT_STEPS
from fkeras.network.sums import WeightedSum

Where = tuple[int, ...]
"""Numbers of arrays of a space, tensors first."""
AT_ONCE = 64
"""Fault sets of one call."""
BROUGHT_BYTES = 64 * 2**20
"""Bounds the outputs that one call brings back."""

_ROUNDS_AT_MOST_ONCE = (Bias, Quantize, Steps, Relu, Function, MaxPool, Reshape, Permute, ZeroPadding, Cropping, Repeat)
"""What computes the same for everybody, however large what it reads is."""


@dataclass(frozen=True, eq=False)
class Program:
    """Faults in some tensors and registers, compiled.

    paths: the tensors; registers: those that are read wrongly; reach: what they reach; counted: whether the device
    counts; outputs: those that it brings back otherwise, by place among the network's, with the ends of which one
    differs where they do.
    """

    paths: tuple[str, ...]
    registers: tuple[Register, ...]
    reach: Reach
    counted: bool
    outputs: Mapping[int, tuple[str, ...]]
    run: Callable[..., Any]


class DeviceBehind(Behind):
    """Faults of a space on the device; what it cannot decide is left to the processor."""

    def __init__(self, device: Device, space: BitSpace, samples: Samples, counting: Counting | None) -> None:
        super().__init__(device.plan, space, samples)
        self._device, self._counting = device, counting
        self._programs: dict[Where, Program] = {}
        self._held_on_device: tuple[tuple[Program, slice], Any] | None = None

    def release(self) -> None:
        """Let go of the golden tensors."""
        super().release()
        self._held_on_device = None

    def fault_sets(self, faults: Sequence[FaultSet]) -> dict[str, Scores]:
        """Each fault set injected alone."""
        places = [self._where(fault) for fault in faults]
        scores = {name: Scores.zeros(len(faults)) for name in self._samples.card.metrics}
        for those in dict.fromkeys(places):
            here = [number for number, other in enumerate(places) if other == those]
            for name, part in self._measured(self._program(those), [faults[number] for number in here]).items():
                scores[name].fill(np.array(here), part)
        return scores

    def _where(self, fault: FaultSet) -> Where:
        """The arrays of the space that a program for a fault set takes: that of one bit, else all tensors, and all
        registers where some are read wrongly."""
        space, once = self._space, fault.in_samples
        if len(once):
            list(fault.register_patches(space))  # refuses stored bits
        bits = np.concatenate([fault.flips, fault.set_to_1, fault.set_to_0, once.bits])
        numbers = np.unique(space.locate(bits).tensor).tolist()
        if len(fault) == 1:
            return tuple(numbers)
        n_tensors = len(space.tensors)
        n_registers = len(space.registers) if not n_tensors or max(numbers, default=0) >= n_tensors else 0
        first = 0 if not numbers or numbers[0] < n_tensors else n_tensors
        return tuple(range(first, n_tensors + n_registers))

    def _exact(self, program: Program, stacks: Mapping[str, Stack], faults: Sequence[FaultSet]) -> list[bool]:
        """Of each set, whether no sum passes what is exact: seen from how much its words grow, else from all bounds."""
        rooms, none = self._rooms, np.zeros(len(faults), np.int64)
        one_word = sum((stack.n_wrong for stack in stacks.values()), none) < 2
        fits = np.all([none == 0, *(stack.growth < rooms[path] for path, stack in stacks.items())], axis=0)
        return [
            bool(sure) or self._bounds_are_exact(program, fault)
            for sure, fault in zip(one_word | fits, faults, strict=True)
        ]

    def _bounds_are_exact(self, program: Program, fault: FaultSet) -> bool:
        values = self._values(list(fault.patches(self._space)))
        grids = self._network.grids(self._plan.inputs, values, program.registers)
        return all(grids[node.name].reproducible for node in program.reach.firm)

    @cached_property
    def _rooms(self) -> Mapping[str, float]:
        """By tensor, how much larger its words may become in all while every sum stays exact; 0 where nobody knows.

        That is known where nothing whose exactness depends on it reads what grows with the words.
        """
        rooms = {tensor.path: np.inf for tensor in self._space.tensors}
        golden = self._plan.golden_grids
        nodes = [node for node in self._network.nodes if not isinstance(node.operation, _ROUNDS_AT_MOST_ONCE)]
        if not all(reads_bounded(self._plan, node) for node in nodes):
            return dict.fromkeys(rooms, 0.0)
        for node in nodes:
            path = node.operation.kernel if isinstance(node.operation, WeightedSum) else ""
            given, step = golden[node.inputs[0]], golden[node.name].step
            if path in rooms and step is not None:
                room = (EXACT_STEPS * step - golden[node.name].bound) / max(given.bound, given.step or 1.0)
                rooms[path] = min(rooms[path], room)
        return rooms

    def _program(self, where: Where) -> Program:
        if where not in self._programs:
            plan, tensors = self._plan, self._space.tensors
            paths = tuple(tensors[number].path for number in where if number < len(tensors))
            registers = tuple(self._space.registers[number - len(tensors)] for number in where[len(paths) :])
            grids = plan.grids
            if len(paths) > 1:
                grids = plan.network.grids(plan.inputs, plan.network.values, registers)
            reach = reach_of(plan, paths, grids, [register.tensor for register in registers])
            self._programs[where] = self._compiled(paths, registers, reach)
        return self._programs[where]

    def _compiled(self, paths: tuple[str, ...], registers: tuple[Register, ...], reach: Reach) -> Program:
        device, counting, network = self._device, self._counting, self._network
        counted = counting is not None and (not reach.ends or reach.ends == (counting.end,))
        made = {*(node.name for node in (*reach.firm, *reach.others)), *reach.read}
        outputs = {
            number: tuple(end for end in reach.ends if end in _sources(network, name))
            for number, name in enumerate(network.outputs)
            if name in made
        }

        def measure(changed: Mapping[str, Any], shared: Mapping[str, Any]) -> Any:
            values = {**shared["values"], **{path: changed[path] for path in paths}}
            golden, reads = shared["golden"], _reads(device, registers, changed, values)
            given = {name: reads[name](golden[name]) if name in reads else golden[name] for name in reach.given}
            tensors = device.compute(reach.firm, given, values, reads)
            differs = {end: _any_differs(tensors[end], golden[end]) for end in reach.ends}
            if counted:
                assert counting is not None
                scores = tensors[counting.end] if reach.ends else golden[counting.end]
                return counting.count(scores, differs.get(counting.end, jnp.zeros(len(scores), bool)), shared["tables"])
            tensors = device.compute(reach.others, tensors, values, reads)
            found = {number: tensors[network.outputs[number]] for number in outputs}
            # An output none of whose ends differs is the golden one, whatever its last bits are here.
            return {
                number: (_any([differs[end] for end in outputs[number]], len(part)), part)
                for number, part in found.items()
            }

        def run(changed: Mapping[str, Any], shared: Mapping[str, Any], at_once: int) -> Any:
            return jax.lax.map(lambda one: measure(one, shared), changed, batch_size=at_once)

        return Program(paths, registers, reach, counted, outputs, jax.jit(run, static_argnums=2))

    def _measured(self, program: Program, faults: Sequence[FaultSet]) -> dict[str, Scores]:
        per_sample = self._device.scratch([*program.reach.firm, *program.reach.others])
        kept = self._device.held([*program.reach.golden, *self._ends(program)])
        chunks = self._samples.chunks(int(np.clip(scratch_bytes() // (per_sample + kept), 1, self._samples.n)))
        longest = chunks[0].stop
        brought = sum(4 * self._device.held([self._network.outputs[number]]) for number in program.outputs)
        size = AT_ONCE if program.counted else int(np.clip(BROUGHT_BYTES // (brought * longest + 1), 1, AT_ONCE))
        at_once = faults_at_once(per_sample * longest)
        blocks = np.split(np.arange(len(faults)), range(size, len(faults), size))
        left = np.zeros(len(faults), np.bool_)

        def launched(block: Places, rows: slice) -> Any:
            together = [faults[number] for number in block.tolist()]
            stacks = stacks_of(self._space, together, program.paths)
            left[block] = np.logical_not(self._exact(program, stacks, together))
            changed: dict[str, Any] = {path: stack.values for path, stack in stacks.items()}
            changed |= masks_of(self._space, program.registers, together, rows)
            return program.run(changed, self._shared(program, rows), min(at_once, padded_to(block.size)))

        results = one_ahead(launched(*turn) for turn in turns(self._samples, blocks, chunks))

        def measure(totals: Totals, block: Places, rows: slice, wholes: list[Outputs]) -> None:
            result = next(results)
            if program.counted:
                assert self._counting is not None
                self._counting.add(totals, block, result)
            else:
                self._add(totals, block, rows, wholes, result)

        totals = measured(self._samples, len(faults), blocks, chunks, measure)
        others = np.flatnonzero(totals.tied | left)
        if others.size:
            for name, scores in super().fault_sets([faults[number] for number in others.tolist()]).items():
                totals.scores[name].fill(others, scores)
        return totals.scores

    def _ends(self, program: Program) -> tuple[str, ...]:
        return (self._counting.end,) if program.counted and self._counting is not None else ()

    def _shared(self, program: Program, rows: slice) -> Mapping[str, Any]:
        """What all faults of a program have in common on some samples; the last ones are held."""
        if self._held_on_device is None or self._held_on_device[0] != (program, rows):
            self._held_on_device = None
            inputs = {name: x[rows] for name, x in self._samples.inputs.items()}
            golden = self._device.golden((*program.reach.golden, *self._ends(program)), inputs)
            tables = self._counting.tables(rows) if program.counted and self._counting is not None else {}
            shared = {"values": self._device.values, "golden": golden, "tables": tables}
            self._held_on_device = (program, rows), shared
        return self._held_on_device[1]

    def _add(
        self, totals: Totals, block: Places, rows: slice, wholes: list[Outputs], result: Mapping[int, Any]
    ) -> None:
        """Score the outputs of the samples that differ."""
        card, n = self._samples.card, rows.stop - rows.start
        found = {number: [np.asarray(part)[: block.size] for part in pair] for number, pair in result.items()}
        differs = np.zeros((block.size, n), np.bool_)
        for changed, _ in found.values():
            differs |= changed
        fault, sample = np.nonzero(differs)
        of = np.full(differs.shape, -1, np.int32)
        of[fault, sample] = np.arange(fault.size)
        states = States.of_faults(of, sample.astype(np.int32))
        scores = StateScores.golden(card, sample + rows.start)
        if fault.size:
            outputs = []
            for number, golden in enumerate(parts_of(self._samples.golden_outputs)):
                part = golden[sample + rows.start]
                if number in found:
                    changed, values = (each[fault, sample] for each in found[number])
                    part[changed] = values[changed]
                outputs.append(part)
            scored = outputs[0] if len(outputs) == 1 else tuple(outputs)
            if counts_classes(card):
                scores.tied[:] = nearly_tied(scored)
            scores.fill(card, np.arange(fault.size), scored)
        totals.add(block, states, scores, rows, wholes)


def _sources(network: Network, name: str) -> set[str]:
    """The tensors that one depends on, itself included."""
    return {name, *(each for node in network.before([name]) for each in (node.name, *node.inputs))}


def _reads(
    device: Device, registers: Sequence[Register], changed: Mapping[str, Any], values: Values
) -> dict[str, Callable[[Array], Array]]:
    """By tensor, what is read in place of it: through one register after another."""
    reads: dict[str, Callable[[Array], Array]] = {}
    for register in registers:
        reads[register.tensor] = partial(
            _read, device, register, changed[register.path], values, reads.get(register.tensor)
        )
    return reads


def _read(
    device: Device,
    register: Register,
    masks: Mapping[str, Array],
    values: Values,
    before: Callable[[Array], Array] | None,
    x: Array,
) -> Array:
    x = x if before is None else before(x)
    words = x
    if register.quantizer:
        quantizer = device.network.makers[register.quantizer]
        words = OPERATIONS[type(quantizer.operation)](quantizer.operation, values, device.operands[quantizer.name], x)
    return reads_of(register)(x, words, masks)


def _any_differs(values: Array, golden: Array) -> Array:
    return (values != golden).reshape(len(values), -1).any(-1)


def _any(masks: Sequence[Array], n: int) -> Array:
    return jnp.stack([jnp.zeros(n, bool), *masks]).any(0)
