"""Any fault: what lies behind the faulted words is computed again, from golden tensors.

Where values are reproducible they tell which samples a fault reaches at all; the others keep their golden outputs,
whatever the last bits of a float tail would be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.passes import Floats
from fkeras.engine import Scores
from fkeras.engines.cpu.classes import counts_classes, nearly_tied
from fkeras.engines.cpu.forward import PASSED_BYTES, SCRATCH_BYTES, compute, floats_per_sample
from fkeras.engines.cpu.golden import GoldenTensors, Wanted
from fkeras.engines.cpu.outcome import Places, StateScores
from fkeras.engines.cpu.plan import Plan
from fkeras.engines.cpu.rows import Pass, floats_between
from fkeras.engines.cpu.samples import Samples
from fkeras.engines.cpu.states import States
from fkeras.engines.cpu.suffix import Suffix
from fkeras.engines.cpu.worker import Totals, measured
from fkeras.faults import FaultSet, Patch
from fkeras.faults.register_patch import RegisterPatch
from fkeras.memory import BitSpace, FixedPoint, Register
from fkeras.metrics.metric import Outputs, parts_of
from fkeras.network import Grid, Node
from fkeras.network.fit import exact_nodes
from fkeras.network.operation import Values
from fkeras.network.registers import faulty_reads
from fkeras.scoring import joined


@dataclass(frozen=True, eq=False)
class Reach:
    """What wrong words of some parameters reach.

    firm: nodes whose values do not depend on who computes them; others: all further ones; given: the golden tensors
    that they read; ends: the firm tensors that others or nobody read; starts_firm: whether no other node reads the
    wrong words itself, so that the ends tell which samples differ; exact: sums that may be made in any order; read:
    golden tensors that are read wrongly.
    """

    firm: tuple[Node, ...]
    others: tuple[Node, ...]
    given: tuple[str, ...]
    ends: tuple[str, ...]
    starts_firm: bool
    exact: frozenset[str]
    read: tuple[str, ...] = ()

    @property
    def golden(self) -> tuple[str, ...]:
        """The tensors whose golden values are needed."""
        return (*self.given, *self.ends)


def reach_of(
    plan: Plan,
    paths: Collection[str],
    grids: Mapping[str, Grid],
    registers: Collection[str] = (),
    anew: Collection[str] = (),
) -> Reach:
    """What wrong words of the tensors `paths` reach, and those of `registers`, which are tensors of the network; grids:
    of the network with them; anew: tensors that are made again, although nothing is wrong before them."""
    network = plan.network
    starts = {node.name for path in paths for node in network.readers_of(path)}.union(anew)
    reached = starts.union(node.name for node in network.behind([*starts, *registers]))
    nodes = [node for node in network.before(network.outputs) if node.name in reached]
    firm = [node for node in nodes if grids[node.name].reproducible and plan.golden_grids[node.name].reproducible]
    others = [node for node in nodes if node not in firm]
    results, firm_names = {node.name for node in nodes}, {node.name for node in firm}
    first = tuple(name for name in dict.fromkeys(registers) if name not in results)
    read = {name for node in others for name in node.inputs}.union(network.outputs)
    given = (name for node in nodes for name in node.inputs if name not in results)
    return Reach(
        tuple(firm),
        tuple(others),
        tuple(dict.fromkeys([*given, *first])),
        tuple(sorted(firm_names.union(first) & read)),
        starts.union(registers).isdisjoint(node.name for node in others),
        exact_nodes(network, grids),
        first,
    )


@dataclass(frozen=True, eq=False)
class Wrong:
    """A fault set: words of stored tensors, words of registers, what they reach; samples: the numbers of those in which
    anything is wrong, ascending, None: of all."""

    patches: Sequence[Patch]
    registers: Sequence[RegisterPatch]
    reach: Reach
    samples: Places | None

    def within(self, rows: slice) -> Places:
        """Which samples of a chunk it may change."""
        if self.samples is None:
            return np.arange(rows.stop - rows.start)
        first, stop = np.searchsorted(self.samples, [rows.start, rows.stop])
        return np.asarray(self.samples[first:stop] - rows.start, np.intp)


class Behind:
    """Faults of a space, each evaluated from the first node that reads a wrong word."""

    def __init__(self, plan: Plan, space: BitSpace, samples: Samples) -> None:
        self._plan, self._network, self._space, self._samples = plan, plan.network, space, samples
        self._golden = GoldenTensors(plan, samples)
        self._reaches: dict[tuple[str, ...], Reach] = {}
        self._worded: dict[str, bool] = {}

    def release(self) -> None:
        """Let go of the golden tensors."""
        self._golden.release()

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit flipped alone."""
        return self.fault_sets([FaultSet(np.array([bit])) for bit in bits])

    def fault_sets(self, faults: Sequence[FaultSet]) -> dict[str, Scores]:
        """Each fault set injected alone."""
        wrong = [self._wrong(fault) for fault in faults]
        wanted = list(dict.fromkeys(part for each in wrong for part in self._wanted(each.reach)))

        def measure(totals: Totals, block: Places, rows: slice, wholes: list[Outputs]) -> None:
            self._golden.hold(wanted, rows)
            states, scores = self._states(wrong[int(block[0])], rows)
            totals.add(block, states, scores, rows, wholes)

        blocks = list(np.arange(len(faults))[:, None])
        return measured(self._samples, len(faults), blocks, self._golden.chunks(wanted), measure).scores

    def _wanted(self, reach: Reach) -> Iterator[Wanted]:
        """The golden tensors that what is reached reads, or is compared with."""
        for node in (*reach.firm, *reach.others):
            begin = node.name if node in reach.firm and self._plan.rows.alone(node.name) is not None else ""
            yield from (Wanted(name, begin) for name in node.inputs if name in reach.given)
        yield from map(Wanted, reach.ends)

    def _values(self, patches: Sequence[Patch]) -> Values:
        """The network's parameters with some words wrong."""
        changed = {self._space.tensors[patch.tensor].path: patch.applied(self._space) for patch in patches}
        return {**self._network.values, **changed}

    def _wrong(self, faults: FaultSet) -> Wrong:
        patches = list(faults.patches(self._space))
        registers = self._in_reach(patches, list(faults.register_patches(self._space)))
        in_all = faults.flips.size or faults.n_stuck
        samples = None if in_all else np.unique(faults.in_samples.samples)
        return Wrong(patches, registers, self._reach(patches, registers), samples)

    def _in_reach(self, patches: Sequence[Patch], registers: Sequence[RegisterPatch]) -> list[RegisterPatch]:
        """The registers that are wrong, and those that read something wrong through limits, which golden words keep."""
        paths = [self._space.tensors[patch.tensor].path for patch in patches]
        readers = {node.name for path in paths for node in self._network.readers_of(path)}
        reached = {*readers, *(patch.register.tensor for patch in registers if patch.is_wrong)}
        reached.update(node.name for node in self._network.behind(reached))
        return [patch for patch in registers if patch.is_wrong or patch.register.tensor in reached]

    def _reach(self, patches: Sequence[Patch], registers: Sequence[RegisterPatch]) -> Reach:
        paths = [self._space.tensors[patch.tensor].path for patch in patches]
        tensors = list(dict.fromkeys(patch.register.tensor for patch in registers))
        sums = (patch.register for patch in registers if patch.register.memory == "accumulators")
        anew = [register.tensor for register in sums if self._plan.rows.hold(register)]  # by the pass that reads them
        if [patch.elements.size for patch in patches] + [1] * len(tensors) != [1]:
            held = [patch.register for patch in registers]
            grids = self._network.grids(self._plan.inputs, self._values(patches), held)
            return reach_of(self._plan, paths, grids, tensors, anew)
        alone = (*paths, *tensors)
        if alone not in self._reaches:
            self._reaches[alone] = reach_of(self._plan, paths, self._plan.grids, tensors, anew)
        return self._reaches[alone]

    def _states(self, wrong: Wrong, rows: slice) -> tuple[States, StateScores]:
        """The states of the samples `rows` that one fault set changes, and their scores."""
        reach, values = wrong.reach, self._values(wrong.patches)
        steps = self._steps(wrong, values)
        nodes = [*(step for step in steps if isinstance(step, Node)), *reach.others]
        size = PASSED_BYTES // (4 * floats_between(steps, self._network))
        if nodes:
            size = min(size, SCRATCH_BYTES // (4 * floats_per_sample(self._network, nodes)))
        changed, outputs = [], []
        hit = wrong.within(rows) if steps or nodes or reach.read else np.zeros(0, np.intp)
        for part in np.split(hit, range(max(1, size), hit.size, max(1, size))):
            samples, found = self._outputs(wrong, values, steps, part, rows.start)
            if samples.size:
                changed.append(samples)
                outputs.append(found)
        samples = np.concatenate([np.zeros(0, np.intp), *changed])
        of = np.full((1, rows.stop - rows.start), -1, np.int32)
        of[0, samples] = np.arange(samples.size)
        scores = StateScores.golden(self._samples.card, samples + rows.start)
        if outputs:
            scores.fill(self._samples.card, np.arange(samples.size), joined(outputs))
        return States.of_faults(of, samples.astype(np.int32)), scores

    def _steps(self, wrong: Wrong, values: Values) -> list[Node | Pass]:
        """What computes the firm nodes, and reads registers wrongly whose words a pass holds."""
        patches = [patch for patch in wrong.registers if self._has_words(patch.register)]
        return list(self._plan.rows.passes(wrong.reach.firm, values, (), patches))

    def _has_words(self, register: Register) -> bool:
        """Whether everything that a register holds without a fault has a word; reading it says what has none."""
        codec = register.codec
        if register.memory != "inputs" or not isinstance(codec, FixedPoint):
            return True
        if register.path not in self._worded:
            sign, given = codec.signed << (codec.width - 1), self._samples.inputs[register.tensor]
            least, most = codec.decode(np.array([sign, (1 << codec.width) - 1 - sign], np.uint32))
            self._worded[register.path] = bool(least <= given.min() and given.max() <= most)
        return self._worded[register.path]

    def _outputs(
        self,
        wrong: Wrong,
        values: Values,
        steps: Sequence[Node | Pass],
        places: Places,
        first: int,
    ) -> tuple[Places, Outputs]:
        """Which of the samples at some places of a chunk differ, and their outputs; first: the chunk's first row."""
        reach, part = wrong.reach, _as_slice(places)
        held = [patch for step in steps if isinstance(step, Pass) for patch in step.registers.values()]
        others = [patch for patch in wrong.registers if patch not in held]
        reads = faulty_reads(self._network, others, places + first)
        nodes = [*(step for step in steps if isinstance(step, Node)), *reach.others]
        floats = {*reads, *reach.ends, *(name for node in nodes for name in node.inputs)}
        tensors = {name: self._golden.floats(name)[part] for name in reach.given if name in floats}
        tensors |= {name: reads[name](tensors[name]) for name in reach.read if name in reads}
        for step in steps:
            if isinstance(step, Pass):
                if step.given in reach.given and step.given not in reads:
                    given = self._golden[Wanted(step.given, step.begin)][part]
                else:
                    given = step.stored(tensors[step.given])
                result = step(given, places + first)
                tensors[step.end] = reads[step.end](result) if step.end in reads else result
            else:
                compute(self._network, [step], tensors, reach.exact, values, reads)
        differs = np.full(places.size, not reach.starts_firm)
        for name in reach.ends:
            differs |= (tensors[name] != self._golden.floats(name)[part]).reshape(differs.size, -1).any(axis=1)
        samples = np.flatnonzero(differs)
        if samples.size == 0:
            return samples, ()
        suffix = self._plan.suffix(reach.ends[0]) if len(reach.ends) == 1 and reach.starts_firm else None
        # an output that the fault does not reach is among the golden outputs only
        if suffix is not None and set(suffix.nodes) == set(reach.others) and tensors.keys() >= set(suffix.side):
            return places[samples], self._behind(suffix, tensors, samples, places + first)
        if samples.size < differs.size:
            tensors = {name: array[samples] for name, array in tensors.items()}
            reads = faulty_reads(self._network, others, first + places[samples])
        compute(self._network, reach.others, tensors, reach.exact, values, reads)
        return places[samples], self._all_outputs(tensors, first + places[samples])

    def _behind(self, suffix: Suffix, tensors: Mapping[str, Floats], samples: Places, rows: Places) -> Outputs:
        """The outputs of some samples in whose float tail nothing is wrong; rows: of all samples of `tensors`."""
        outputs = joined(
            [
                suffix(some.astype(np.int32), tensors[suffix.end][some], tensors)
                for some in np.split(samples, range(suffix.rows, samples.size, suffix.rows))
            ]
        )
        if counts_classes(self._samples.card) and (tied := nearly_tied(outputs)).any():
            some = {name: array[samples[tied]] for name, array in tensors.items()}
            compute(self._network, suffix.nodes, some, ())
            exactly = self._all_outputs(some, rows[samples[tied]])
            for whole, part in zip(parts_of(outputs), parts_of(exactly), strict=True):
                whole[tied] = part
        return outputs

    def _all_outputs(self, tensors: Mapping[str, Floats], rows: Places) -> Outputs:
        """The outputs among `tensors`, golden ones of the samples `rows` for others."""
        golden_outputs = self._samples.golden_outputs
        outputs = tuple(
            tensors[name] if name in tensors else whole[rows]
            for name, whole in zip(self._network.outputs, parts_of(golden_outputs), strict=True)
        )
        return outputs[0] if len(outputs) == 1 else outputs


def _as_slice(places: Places) -> slice | Places:
    """Places in a row as a slice, which copies nothing."""
    in_a_row = places.size > 0 and places[-1] - places[0] == places.size - 1
    return slice(int(places[0]), int(places[-1]) + 1) if in_a_row else places
