"""Single flips of one kernel tensor: from its golden activations to the scores of every fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Scores
from fkeras.frontends.qkeras.fast.activations import Activations, Chunk
from fkeras.frontends.qkeras.fast.channels import Floats
from fkeras.frontends.qkeras.fast.flow import Golden
from fkeras.frontends.qkeras.fast.outcome import Outcomes, Places, StateScores
from fkeras.frontends.qkeras.fast.plan import Plan
from fkeras.frontends.qkeras.fast.pointwise import Pointwise
from fkeras.frontends.qkeras.fast.sites import Faults, Site
from fkeras.frontends.qkeras.fast.states import MOST_CELLS, Channel, States, states_of
from fkeras.frontends.qkeras.reference import ReferenceRun
from fkeras.metrics.metric import Outputs


class SiteWorker:
    """Single flips at one site."""

    def __init__(self, model: Any, plan: Plan, site: Site, pointwise: Pointwise, reference: ReferenceRun) -> None:
        self.site, self.chain = site, plan.chain(site)
        self._pointwise, self._reference = pointwise, reference
        self._outcomes = Outcomes(model, plan, plan.end(site), reference)
        self._activations = Activations(model, plan, site, pointwise, reference)

    def release(self) -> None:
        """Let go of the golden activations."""
        self._activations.release()

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit of this tensor flipped alone."""
        faults = self.site.faults(self._reference.space, bits)
        totals = {name: Scores.zeros(bits.size) for name in self._reference.metrics}
        tied = np.zeros(bits.size, np.bool_)
        blocks = self._blocks(faults)
        if self._reference.card.needs_all_outputs:
            for block in blocks:
                wholes = [deepcopy(self._reference.golden_outputs) for _ in block]
                for rows in self._activations.chunks:
                    self._measure(totals, tied, block, faults.some(block), rows, wholes)
                self._score_wholes(totals, block, wholes)
        else:
            for rows in self._activations.chunks:
                for block in blocks:
                    self._measure(totals, tied, block, faults.some(block), rows, [])
        for name in self._reference.card.scorers:
            totals[name].values[:] /= self._reference.n_samples
        if tied.any():
            for name, scores in self._reference.flips(bits[tied]).items():
                totals[name].fill(np.flatnonzero(tied), scores)
        return totals

    def _blocks(self, faults: Faults) -> list[NDArray[np.intp]]:
        """The numbers of faults of one channel each that are measured together.

        Metrics of all outputs need one whole set of them per fault at a time; others take all faults at once.
        """
        channels = [np.flatnonzero(faults.channel == number) for number in np.unique(faults.channel)]
        if not self._reference.card.needs_all_outputs:
            return channels
        golden = self._reference.golden_outputs
        floats = sum(part.size for part in (golden if isinstance(golden, tuple) else (golden,)))
        at_once = max(1, MOST_CELLS // floats)
        return [part for channel in channels for part in np.split(channel, range(at_once, channel.size, at_once))]

    def _measure(
        self,
        totals: Mapping[str, Scores],
        tied: NDArray[np.bool_],
        places: NDArray[np.intp],
        faults: Faults,
        rows: slice,
        wholes: list[Outputs],
    ) -> None:
        """Add what some faults of one channel do to the samples `rows`; `places` says where in the totals they stand.

        tied: marked for the faults that the reference must measure; wholes: each fault's outputs of all samples, as
        far as they are known, for metrics that need them.
        """
        card, chunk = self._reference.card, self._activations(rows)
        channel = chunk.channel(int(faults.channel[0]), faults)
        for states in states_of(self._pointwise, channel, chunk.inputs):
            scores = self._scores(states, chunk, channel)
            within = slice(rows.start + states.samples.start, rows.start + states.samples.stop)
            tied[places[states.faults][scores.faults_with_ties(states)]] = True
            scores.add_to(totals, places[states.faults], states, card, within)
            scores.write_to(wholes[states.faults], states, within)

    def _score_wholes(self, totals: Mapping[str, Scores], places: NDArray[np.intp], wholes: Sequence[Outputs]) -> None:
        """Fill in the metrics of the whole data set."""
        for place, whole in zip(places.tolist(), wholes, strict=True):
            for name, (value, undefined, harmed) in self._reference.card.dataset_scores(whole).items():
                totals[name].values[place], totals[name].undefined[place] = value, undefined
                totals[name].harmed[place] = harmed

    def _scores(self, states: States, chunk: Chunk, channel: Channel) -> StateScores:
        scores = StateScores.golden(self._reference.card, states.sample.astype(np.intp) + chunk.rows.start)
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
