"""Single flips of one kernel tensor, or of one register: from golden activations to the scores of every fault."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.changes import AT_ONCE, Cells, Followed
from fkeras.arithmetic.passes import Floats, Ints
from fkeras.engine import Scores
from fkeras.engines.cpu.activations import Activations
from fkeras.engines.cpu.forward import gathered
from fkeras.engines.cpu.outcome import Outcomes, Places, StateScores
from fkeras.engines.cpu.plan import Plan
from fkeras.engines.cpu.rows import Link, Row
from fkeras.engines.cpu.samples import Samples
from fkeras.engines.cpu.sites import Site
from fkeras.engines.cpu.states import States, number_states, take_states
from fkeras.engines.cpu.suffix import Suffix
from fkeras.errors import InputError
from fkeras.memory import BitSpace, FixedPoint, Register
from fkeras.metrics.metric import Outputs, parts_of

Flips = Callable[[NDArray[np.int64]], Mapping[str, Scores]]
"""Scores bits that are flipped alone."""
MOST_CELLS = 2**21
"""Entries of the largest scratch array."""
FEW_SAMPLES = 64
"""Samples of which at least so many are asked for at once, so that all cores have something to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """What n faults do to a data set, added up chunk by chunk of samples.

    scores: by metric; tied (n,): faults whose scores are not known yet, as a class was as good as tied.
    """

    samples: Samples
    scores: dict[str, Scores]
    tied: NDArray[np.bool_]

    def add(self, places: Places, states: States, scores: StateScores, rows: slice, wholes: list[Outputs]) -> None:
        """Add what the faults at `places`, of a block, do in some states of the samples `rows`.

        wholes: each fault's outputs of all samples, as far as they are known, for metrics that need them.
        """
        within = slice(rows.start + states.samples.start, rows.start + states.samples.stop)
        self.tied[places[states.faults][scores.faults_with_ties(states)]] = True
        scores.add_to(self.scores, places[states.faults], states, self.samples.card, within)
        scores.write_to(wholes[states.faults], states, within)


def turns(samples: Samples, blocks: Sequence[Places], chunks: Sequence[slice]) -> Iterator[tuple[Places, slice]]:
    """In which order blocks of faults meet chunks of samples.

    Metrics of all outputs need every chunk of one block before the next block; others take all blocks of a chunk first,
    whose golden activations are held.
    """
    if samples.card.needs_all_outputs:
        return ((block, rows) for block in blocks for rows in chunks)
    return ((block, rows) for rows in chunks for block in blocks)


Measure = Callable[[Totals, Places, slice, list[Outputs]], None]
"""Adds what the faults at some places do to the samples of a chunk."""


def measured(samples: Samples, n: int, blocks: Sequence[Places], chunks: Sequence[slice], measure: Measure) -> Totals:
    """The scores of n faults; blocks: which of them are measured together."""
    totals = Totals(samples, {name: Scores.zeros(n) for name in samples.card.metrics}, np.zeros(n, np.bool_))
    whole, wholes = samples.card.needs_all_outputs, list[Outputs]()
    for block, rows in turns(samples, blocks, chunks):
        if whole and rows == chunks[0]:
            wholes = [deepcopy(samples.golden_outputs) for _ in block]
        measure(totals, block, rows, wholes)
        if whole and rows == chunks[-1]:
            _score_wholes(totals, block, wholes)
    for name in samples.card.scorers:
        totals.scores[name].values[:] /= samples.n
    return totals


def _score_wholes(totals: Totals, places: Places, wholes: Sequence[Outputs]) -> None:
    """Fill in the metrics of the whole data set."""
    for place, whole in zip(places.tolist(), wholes, strict=True):
        for name, (value, undefined, harmed) in totals.samples.card.dataset_scores(whole).items():
            scores = totals.scores[name]
            scores.values[place], scores.undefined[place], scores.harmed[place] = value, undefined, harmed


class RowWorker(ABC):
    """Single flips of one array, followed through a row.

    changes: what flips make of the row's end; decided: scores flips that leave a class as good as tied; suffix:
    computes outputs from a tensor on.
    """

    def __init__(
        self,
        plan: Plan,
        row: Row,
        changes: Followed,
        space: BitSpace,
        samples: Samples,
        activations: Activations,
        decided: Flips,
        suffix: Callable[[str], Suffix],
    ) -> None:
        self._row, self._changes = row, changes
        self._space, self._samples, self._activations, self._decided = space, samples, activations, decided
        behind = suffix(self._end.end)
        self._outcomes, self._side = Outcomes(plan, behind, samples), plan.golden(behind.side)
        self._held: tuple[slice, Mapping[str, Floats]] | None = None

    def release(self) -> None:
        """Let go of what the suffix reads beside the end."""
        self._held = None

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit of this array flipped alone."""
        elements, amounts = self._faults(bits)

        def measure(totals: Totals, block: Places, rows: slice, wholes: list[Outputs]) -> None:
            self._measure(totals, block, elements[block], amounts[block], rows, wholes)

        blocks, chunks = self.blocks(bits), self._activations.chunks(self._row)
        totals = measured(self._samples, bits.size, blocks, chunks, measure)
        if totals.tied.any():
            for name, scores in self._decided(bits[totals.tied]).items():
                totals.scores[name].fill(np.flatnonzero(totals.tied), scores)
        return totals.scores

    @abstractmethod
    def _faults(self, bits: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """The element of each bit's word, and what its flip does there."""

    @abstractmethod
    def blocks(self, bits: NDArray[np.int64]) -> list[Places]:
        """Positions within `bits` that are measured together.

        Metrics of all outputs need one whole set of them per fault at a time.
        """

    def _in_turn(self, order: Places) -> list[Places]:
        """Positions in an order, as many at once as there is room for ends of a few samples, and as are worth it."""
        if self._samples.card.needs_all_outputs:
            at_once = max(1, MOST_CELLS // sum(part.size for part in parts_of(self._samples.golden_outputs)))
        else:
            n, few = self._samples.n, min(self._samples.n, FEW_SAMPLES)
            at_once = int(np.clip(MOST_CELLS // (few * prod(self._end_shape)), 16, AT_ONCE * max(1, FEW_SAMPLES // n)))
        return np.split(order, range(at_once, order.size, at_once))

    @property
    def _end(self) -> Link:
        return self._row.links[-1]

    @property
    def _end_shape(self) -> tuple[int, ...]:
        return self._row.network.shapes[self._end.end]

    def _beside(self, rows: slice) -> Mapping[str, Floats]:
        """What the suffix reads beside the end."""
        if self._held is None or self._held[0] != rows:
            self.release()
            self._held = rows, gathered(lambda part: self._side(self._samples.inputs, part), rows, self._side.rows)
        return self._held[1]

    def _measure(
        self,
        totals: Totals,
        places: Places,
        elements: NDArray[np.int64],
        amounts: NDArray[Any],
        rows: slice,
        wholes: list[Outputs],
    ) -> None:
        """Add what some faults do to the samples `rows`."""
        arenas = self._activations(self._row, rows)
        size = max(1, MOST_CELLS // (elements.size * prod(self._end_shape)))
        for start in range(0, len(arenas), size):
            part = slice(start, min(start + size, len(arenas)))
            same_as, levels = self._changes(arenas[part], elements, amounts)
            states, ends = self._states(same_as, levels, part)
            scores = StateScores.golden(self._samples.card, states.sample.astype(np.intp) + rows.start)
            self._outcomes.fill(scores, np.arange(states.sample.size), ends, states.sample, self._beside(rows))
            totals.add(places, states, scores, rows, wholes)

    def _states(self, same_as: Ints, levels: Floats, samples: slice) -> tuple[States, Floats]:
        """The states of some samples, and what the end holds in them."""
        n, n_faults = same_as.shape
        of = np.empty((n_faults, n), np.int32)
        count = number_states(same_as, of)
        sample, ends = np.empty(count, np.int32), np.empty((count, prod(self._end_shape)), np.float32)
        take_states(same_as, levels.reshape(n, n_faults, -1), np.float32(self._end.step), sample, ends)
        states = States(samples, slice(0, n_faults), of, sample + np.int32(samples.start))
        return states, ends.reshape(-1, *self._end_shape)


class SiteWorker(RowWorker):
    """Single flips at one site that stands in a row."""

    def __init__(self, plan: Plan, site: Site, space: BitSpace, *how: Any) -> None:
        flow = plan.flow(site)
        assert flow is not None
        self.site, self._shares = site, flow[1].shares
        super().__init__(plan, *flow, space, *how)

    def _faults(self, bits: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[Any]]:
        return self._space.locate(bits).element, self.site.faults(self._space, bits).delta.astype(np.float32)

    def blocks(self, bits: NDArray[np.int64]) -> list[Places]:
        """Channel by channel: whole channels where faults share ends."""
        faults = self.site.faults(self._space, bits)
        order = np.lexsort((faults.term, faults.channel))
        if self._shares and not self._samples.card.needs_all_outputs:
            begins = np.flatnonzero(np.diff(faults.channel[order], prepend=-1))
            _, first = np.unique(begins // AT_ONCE, return_index=True)
            return np.split(order, begins[first[1:]])
        return self._in_turn(order)


class CellWorker(RowWorker):
    """Single flips of a register whose tensor stands in a row."""

    def _faults(self, bits: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[Any]]:
        where = self._space.locate(bits)
        return where.element, where.mask.astype(np.float32)

    def blocks(self, bits: NDArray[np.int64]) -> list[Places]:
        """Channel by channel, which share what the next layer multiplies with."""
        element = self._space.locate(bits).element
        return self._in_turn(np.lexsort((bits, element % self._changes.n_channels)))


def cells_of(plan: Plan, register: Register) -> tuple[Row, Cells] | None:
    """The row that everything flows through that a register holds, and what its bits change there; None where its words
    are no whole steps of a tensor there, or what is behind it takes other sums."""
    holder = plan.holder(register.tensor)
    codec = register.codec
    if holder is None or not isinstance(codec, FixedPoint) or register.memory not in ("activations", "outputs"):
        return None
    row, number, step = holder
    try:
        return (row, Cells(row.forward, number - 1, codec.width, codec.signed)) if step == register.step else None
    except InputError:  # sums that are not exact
        return None
