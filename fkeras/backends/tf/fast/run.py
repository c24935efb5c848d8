"""The fast engine's run: single flips by channel where the plan allows, everything else by the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.backends.tf.fast.channels import Ints, as_integers
from fkeras.backends.tf.fast.golden import GoldenTensors
from fkeras.backends.tf.fast.graph import Key
from fkeras.backends.tf.fast.plan import Plan, plan_of
from fkeras.backends.tf.fast.sites import Faults, Site, as_image
from fkeras.backends.tf.fast.stage import changed_ends
from fkeras.backends.tf.fast.states import MOST_CELLS, States, add_up, states_of
from fkeras.backends.tf.fast.suffix import floats_per_sample
from fkeras.backends.tf.reference import ReferenceRun
from fkeras.engine import Scores
from fkeras.faults import FaultSet
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Metric, Outputs
from fkeras.scoring import joined

CHUNK_BYTES = 32 * 2**20
"""Bounds the golden activations that are held at once."""
MOST_CHUNK = 4096


class FastRun:
    """The reference's numbers, by channel updates where the arithmetic is exact."""

    engine = "fast"

    def __init__(self, model: Any, space: BitSpace, x: Any, y: Any, metrics: Mapping[str, Metric]) -> None:
        self._reference = ReferenceRun(model, space, x, y, metrics)
        self.space, self.metrics, self.n_samples = space, dict(metrics), self._reference.n_samples
        self.golden, self.batch_size = self._reference.golden, self._reference.batch_size
        self.golden_outputs = self._reference.golden_outputs
        self._model = model

    @cached_property
    def _workers(self) -> dict[int, SiteWorker]:
        plan = plan_of(self._model, self.space, self._reference.inputs)
        return {number: SiteWorker(self._model, plan, site, self._reference) for number, site in plan.sites.items()}

    def batches(self, bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Positions within `bits` that are best measured together: the faults of one channel."""
        place = self.space.locate(bits)
        slow = ~np.isin(place.tensor, list(self._workers))
        yield from (
            np.split(np.flatnonzero(slow), range(self.batch_size, int(slow.sum()), self.batch_size))
            if slow.any()
            else ()
        )
        for number, worker in self._workers.items():
            here = np.flatnonzero(place.tensor == number)
            channel = worker.site.faults(self.space, bits[here]).channel
            for one in np.unique(channel):
                yield here[channel == one]

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit flipped alone."""
        place = self.space.locate(bits)
        results = {name: Scores.zeros(bits.size) for name in self.metrics}
        for number in np.unique(place.tensor).tolist():
            here = np.flatnonzero(place.tensor == number)
            worker = self._workers.get(number)
            for other in self._workers.values():
                if other is not worker:
                    other.release()
            part = self._reference.flips(bits[here]) if worker is None else worker.flips(bits[here])
            for name, scores in part.items():
                results[name].fill(here, scores)
        return results

    def fault_sets(self, faults: Sequence[FaultSet]) -> dict[str, Scores]:
        """Each fault set injected alone."""
        return self._reference.fault_sets(faults)


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """The golden tensors of some samples; sums and inputs of the site and (sums, ends) of its stage in grid units."""

    start: int
    tensors: Mapping[Key, Any]
    sums: Ints
    inputs: Ints
    stage: tuple[Ints, Ints] | None


class SiteWorker:
    """Single flips of one kernel tensor."""

    def __init__(self, model: Any, plan: Plan, site: Site, reference: ReferenceRun) -> None:
        self.site = site
        self._reference = reference
        self._stage = plan.stage(site)
        end = site.end if self._stage is None else self._stage.end
        floats = floats_per_sample(plan.graph, [site.call, *plan.graph.downstream(site.call.outputs)])
        self._suffix = plan.suffix(model, end)
        chunk = (
            reference.n_samples
            if reference.card.needs_all_outputs
            else int(np.clip(CHUNK_BYTES // (4 * floats), 16, MOST_CHUNK))
        )
        self._chunk_size = min(chunk, reference.n_samples)
        sites = [site] if self._stage is None else [site, self._stage.site]
        keys = [*(one.call.inputs[0] for one in sites), *(one.end for one in sites), *self._suffix.side]
        self._tensors = GoldenTensors(plan.golden(model, keys), reference.inputs, self._chunk_size)
        self._held: Chunk | None = None

    def _chunk(self, rows: slice) -> Chunk:
        """The golden tensors of a chunk; the last one asked for is kept."""
        if self._held is None or self._held.start != rows.start:
            tensors = self._tensors(rows)
            padded = self.site.padded(np.asarray(tensors[self.site.call.inputs[0]])[: rows.stop - rows.start])
            self._held = Chunk(
                rows.start,
                tensors,
                self.site.sums(padded),
                self.site.inputs(padded),
                None if self._stage is None else self._stage.golden(tensors),
            )
        return self._held

    def release(self) -> None:
        """Let go of the golden tensors."""
        self._held = None

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit of this tensor flipped alone."""
        faults = self.site.faults(self._reference.space, bits)
        totals = {name: Scores.zeros(bits.size) for name in self._reference.metrics}
        for start in range(0, self._reference.n_samples, self._chunk_size):
            chunk = self._chunk(slice(start, min(start + self._chunk_size, self._reference.n_samples)))
            for channel in np.unique(faults.channel).tolist():
                chosen = np.flatnonzero(faults.channel == channel)
                for block in np.array_split(chosen, self._n_blocks(chosen.size)):
                    one = Faults(*(getattr(faults, name)[block] for name in Faults.__slots__))
                    self._measure(totals, one, block, chunk, channel)
        for name in self._reference.card.scorers:
            totals[name].values[:] /= self._reference.n_samples
        return totals

    def _n_blocks(self, n_faults: int) -> int:
        """Metrics of all outputs need one whole set of them per fault at a time; others take all faults at once."""
        if not self._reference.card.needs_all_outputs:
            return 1
        golden = self._reference.golden_outputs
        floats = sum(part.size for part in (golden if isinstance(golden, tuple) else (golden,)))
        return min(n_faults, int(-(-n_faults * floats // MOST_CELLS)))

    def _measure(
        self, totals: dict[str, Scores], faults: Faults, places: NDArray[np.int64], chunk: Chunk, channel: int
    ) -> None:
        """Add what `faults`, all of one channel, do to a chunk; `places` says where in the totals they stand."""
        card = self._reference.card
        wholes = [deepcopy(self._reference.golden_outputs) for _ in places] if card.needs_all_outputs else []
        sums = np.ascontiguousarray(chunk.sums[..., channel])
        for states in states_of(self.site, channel, faults, sums, chunk.inputs):
            self._add(totals, states, places[states.faults], chunk, channel, wholes[states.faults])
        for place, whole in zip(places.tolist(), wholes, strict=bool(wholes)):
            for name, (value, undefined, harmed) in card.dataset_scores(whole).items():
                totals[name].values[place], totals[name].undefined[place] = value, undefined
                totals[name].harmed[place] = harmed

    def _outputs(self, states: States, part: slice, channel: int, chunk: Chunk) -> tuple[NDArray[np.intp], Outputs]:
        """Which of the states in `part` still differ at the suffix's tensor, and their outputs."""
        samples, values = states.sample[part], states.values[part]
        alive = np.arange(samples.size)
        golden = np.asarray(chunk.tensors[self._suffix.end])
        channel_golden = as_image(np.asarray(chunk.tensors[self.site.end]))[..., channel][samples]
        if self._stage is None or chunk.stage is None:
            ends = golden[samples]
            ends[..., channel] = values.reshape(ends.shape[:-1])
            return alive, self._suffix(samples, ends, chunk.tensors)
        step = self.site.end_fact.step or 1
        changes = as_integers(values.reshape(channel_golden.shape), step) - as_integers(channel_golden, step)
        after, changed = self._stage.flow(changes, channel, samples, *chunk.stage)
        if not changed.all():
            alive, after = alive[changed], after[changed]
        ends = np.empty((alive.size, *golden.shape[1:]), np.float32)
        changed_ends(
            golden.reshape(len(golden), -1),
            samples[alive],
            after.reshape(alive.size, -1),
            np.float32(self._stage.step),
            ends.reshape(alive.size, -1),
        )
        return alive, self._suffix(samples[alive], ends, chunk.tensors)

    def _add(
        self,
        totals: dict[str, Scores],
        states: States,
        faults: NDArray[np.int64],
        chunk: Chunk,
        channel: int,
        wholes: list[Outputs],
    ) -> None:
        card = self._reference.card
        samples = states.sample.astype(np.intp) + chunk.start
        errors = {name: scorer.golden.values[samples] for name, scorer in card.scorers.items()}
        undefined = {name: scorer.golden.undefined[samples] for name, scorer in card.scorers.items()}
        outputs: list[Outputs] = []
        kept: list[NDArray[np.intp]] = []
        for first in range(0, samples.size, self._suffix.rows):
            part = slice(first, first + self._suffix.rows)
            alive, found = self._outputs(states, part, channel, chunk)
            alive = alive + first
            for name, scorer in card.scorers.items():
                scores = scorer.score(found, samples[alive])
                errors[name][alive], undefined[name][alive] = scores.values, scores.undefined
            if wholes:
                outputs.append(found)
                kept.append(alive)
        rows = slice(chunk.start + states.samples.start, chunk.start + states.samples.stop)
        for name, scorer in card.scorers.items():
            whole = totals[name]
            sums, lost, worse = whole.values[faults], whole.undefined[faults], whole.harmed[faults]
            add_up(
                states.of,
                errors[name],
                undefined[name],
                scorer.golden.values[rows],
                scorer.golden.undefined[rows],
                1.0 if card.metrics[name].better == "lower" else -1.0,
                sums,
                lost,
                worse,
            )
            whole.values[faults], whole.undefined[faults], whole.harmed[faults] = sums, lost, worse
        if outputs:
            number = np.full(samples.size + 1, -1)  # the last entry serves unchanged samples, whose state is -1
            found, alive = joined(outputs), np.concatenate(kept)
            number[alive] = np.arange(alive.size)
            for whole, of in zip(wholes, states.of, strict=True):
                _overwrite(whole, rows, found, number[of])


def _overwrite(whole: Outputs, rows: slice, found: Outputs, of: NDArray[np.intp]) -> None:
    """Put found outputs in place of those of `rows`; `of` (rows,) says which, -1 for none."""
    if isinstance(whole, tuple):
        for one, part in zip(whole, found, strict=True):
            _overwrite(one, rows, part, of)
        return
    changed = np.flatnonzero(of >= 0)
    whole[rows][changed] = found[of[changed]]
