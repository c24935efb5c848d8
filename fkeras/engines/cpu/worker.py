"""Single flips of one kernel tensor: from its golden activations to the scores of every fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Scores
from fkeras.engines.cpu.activations import Activations, Chunk
from fkeras.engines.cpu.channels import Floats
from fkeras.engines.cpu.flow import Golden
from fkeras.engines.cpu.outcome import Outcomes, Places, StateScores
from fkeras.engines.cpu.plan import Plan
from fkeras.engines.cpu.pointwise import Pointwise
from fkeras.engines.cpu.samples import Samples
from fkeras.engines.cpu.sites import Faults, Site
from fkeras.engines.cpu.states import MOST_CELLS, Channel, States, states_of
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Outputs, parts_of


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


Measure = Callable[[Totals, Places, slice, list[Outputs]], None]
"""Adds what the faults at some places do to the samples of a chunk."""


def measured(samples: Samples, n: int, blocks: Iterable[Places], chunks: Sequence[slice], measure: Measure) -> Totals:
    """The scores of n faults; blocks: which of them are measured together.

    Metrics of all outputs need every chunk of one block before the next block; others take all blocks of a chunk first,
    whose golden activations are held.
    """
    totals = Totals(samples, {name: Scores.zeros(n) for name in samples.card.metrics}, np.zeros(n, np.bool_))
    if samples.card.needs_all_outputs:
        for block in blocks:
            wholes = [deepcopy(samples.golden_outputs) for _ in block]
            for rows in chunks:
                measure(totals, block, rows, wholes)
            _score_wholes(totals, block, wholes)
    else:
        blocks = list(blocks)
        for rows in chunks:
            for block in blocks:
                measure(totals, block, rows, [])
    for name in samples.card.scorers:
        totals.scores[name].values[:] /= samples.n
    return totals


def _score_wholes(totals: Totals, places: Places, wholes: Sequence[Outputs]) -> None:
    """Fill in the metrics of the whole data set."""
    for place, whole in zip(places.tolist(), wholes, strict=True):
        for name, (value, undefined, harmed) in totals.samples.card.dataset_scores(whole).items():
            scores = totals.scores[name]
            scores.values[place], scores.undefined[place], scores.harmed[place] = value, undefined, harmed


class SiteWorker:
    """Single flips at one site.

    decided: scores flips that leave a class as good as tied.
    """

    def __init__(
        self,
        plan: Plan,
        site: Site,
        pointwise: Pointwise,
        space: BitSpace,
        samples: Samples,
        decided: Callable[[NDArray[np.int64]], Mapping[str, Scores]],
    ) -> None:
        self.site, self.chain = site, plan.chain(site)
        self._pointwise, self._space, self._samples, self._decided = pointwise, space, samples, decided
        self._outcomes = Outcomes(plan, plan.end(site), samples)
        self._activations = Activations(plan, site, pointwise, samples)

    def release(self) -> None:
        """Let go of the golden activations."""
        self._activations.release()

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit of this tensor flipped alone."""
        faults = self.site.faults(self._space, bits)

        def measure(totals: Totals, block: Places, rows: slice, wholes: list[Outputs]) -> None:
            self._measure(totals, block, faults.some(block), rows, wholes)

        totals = measured(self._samples, bits.size, self._blocks(faults), self._activations.chunks, measure)
        if totals.tied.any():
            for name, scores in self._decided(bits[totals.tied]).items():
                totals.scores[name].fill(np.flatnonzero(totals.tied), scores)
        return totals.scores

    def _blocks(self, faults: Faults) -> list[Places]:
        """The numbers of faults of one channel each that are measured together.

        Metrics of all outputs need one whole set of them per fault at a time; others take all faults at once.
        """
        channels = [np.flatnonzero(faults.channel == number) for number in np.unique(faults.channel)]
        if not self._samples.card.needs_all_outputs:
            return channels
        golden = self._samples.golden_outputs
        floats = sum(part.size for part in parts_of(golden))
        at_once = max(1, MOST_CELLS // floats)
        return [part for channel in channels for part in np.split(channel, range(at_once, channel.size, at_once))]

    def _measure(self, totals: Totals, places: Places, faults: Faults, rows: slice, wholes: list[Outputs]) -> None:
        """Add what some faults of one channel do to the samples `rows`."""
        chunk = self._activations(rows)
        channel = chunk.channel(int(faults.channel[0]), faults)
        for states in states_of(self._pointwise, channel, chunk.inputs):
            totals.add(places, states, self._scores(states, chunk, channel), rows, wholes)

    def _scores(self, states: States, chunk: Chunk, channel: Channel) -> StateScores:
        scores = StateScores.golden(self._samples.card, states.sample.astype(np.intp) + chunk.rows.start)
        size = max(1, MOST_CELLS // self._end_floats(chunk))
        for begin in range(0, states.sample.size, size):
            part = slice(begin, begin + size)
            alive, ends = self._ends(states, part, chunk, channel)
            self._outcomes.fill(scores, alive + begin, ends, states.sample[part][alive], chunk.tensors)
        return scores

    def _end_floats(self, chunk: Chunk) -> int:
        return self.chain.end_floats if self.chain is not None else chunk.tensors[self.site.end][0].size

    def _ends(self, states: States, part: slice, chunk: Chunk, channel: Channel) -> tuple[Places, Floats]:
        """Which of the states in `part` differ at the end, and what it holds in them."""
        samples, values, changed = states.sample[part], states.values[part], states.changed[part]
        if self.chain is not None and chunk.chain is not None:
            golden = Golden(channel.golden, *chunk.chain)
            ends, changed = self.chain.flow(values, samples, changed, channel.number, golden)
            alive = np.flatnonzero(changed)
            return alive, ends[alive]
        alive = np.flatnonzero(changed)
        ends = chunk.tensors[self.site.end][samples[alive]]
        # Adding zero makes -0.0, which rounding may give, the network's 0.0.
        ends[..., channel.number] = (values[alive] * np.float32(self._pointwise.step) + 0).reshape(ends.shape[:-1])
        return alive, ends
