"""The fast engine's run: single flips by channel where the plan allows, everything else by the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.backends.tf.fast.channels import Ints
from fkeras.backends.tf.fast.golden import GoldenTensors
from fkeras.backends.tf.fast.graph import Key
from fkeras.backends.tf.fast.plan import plan_of
from fkeras.backends.tf.fast.sites import Faults, Site
from fkeras.backends.tf.fast.states import States, add_up, states_of
from fkeras.backends.tf.fast.suffix import Suffix
from fkeras.backends.tf.reference import ReferenceRun
from fkeras.engine import Scores
from fkeras.faults import FaultSet
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Metric, Outputs
from fkeras.scoring import joined

CHUNK_BYTES = 64 * 2**20
"""Bounds the golden activations that are held at once."""
MOST_CHUNK = 4096


class FastRun:
    """The reference's numbers, by channel updates where the arithmetic is exact."""

    engine = "fast"

    def __init__(self, model: Any, space: BitSpace, x: Any, y: Any, metrics: Mapping[str, Metric]) -> None:
        self._reference = ReferenceRun(model, space, x, y, metrics)
        self.space, self.metrics, self.n_samples = space, dict(metrics), self._reference.n_samples
        self.golden, self.batch_size = self._reference.golden, self._reference.batch_size
        self._card = self._reference.card
        plan = plan_of(model, space, self._reference.inputs) if self.n_samples else None
        self._workers = {} if plan is None else {
            number: SiteWorker(model, plan, site, self._reference) for number, site in plan.sites.items()}

    def batches(self, bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Positions within `bits` that are best measured together: the faults of one channel."""
        place = self.space.locate(bits)
        slow = ~np.isin(place.tensor, list(self._workers))
        yield from np.split(np.flatnonzero(slow), range(self.batch_size, int(slow.sum()), self.batch_size)) \
            if slow.any() else ()
        for number, worker in self._workers.items():
            here = np.flatnonzero(place.tensor == number)
            channel = worker.site.faults(self.space, bits[here]).channel
            for one in np.unique(channel):
                yield here[channel == one]

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit flipped alone."""
        place = self.space.locate(bits)
        results = {name: Scores(np.zeros(bits.size), np.zeros(bits.size, np.int64), np.zeros(bits.size, np.int64))
                   for name in self.metrics}
        for number in np.unique(place.tensor).tolist():
            here = np.flatnonzero(place.tensor == number)
            worker = self._workers.get(number)
            part = self._reference.flips(bits[here]) if worker is None else worker.flips(bits[here])
            for name, scores in part.items():
                for whole, piece in ((results[name].values, scores.values),
                                     (results[name].undefined, scores.undefined),
                                     (results[name].harmed, scores.harmed)):
                    whole[here] = piece
        return results

    def fault_sets(self, faults: Sequence[FaultSet]) -> dict[str, Scores]:
        """Each fault set injected alone."""
        return self._reference.fault_sets(faults)


class SiteWorker:
    """Single flips of one kernel tensor."""

    def __init__(self, model: Any, plan: Any, site: Site, reference: ReferenceRun) -> None:
        self.site = site
        self._reference = reference
        shapes = _floats_per_sample(plan.graph, site)
        self._suffix = Suffix(model, plan.graph, site.end, plan.kernels, shapes)
        chunk = reference.n_samples if reference.card.needs_all_outputs else int(
            np.clip(CHUNK_BYTES // (4 * shapes), 16, MOST_CHUNK))
        self._chunk = min(chunk, reference.n_samples)
        self._tensors = GoldenTensors(model, plan.graph, plan.kernels,
                                      [site.call.inputs[0], site.end, *self._suffix.side], reference.inputs,
                                      self._chunk)
        self._held: dict[int, tuple[Mapping[Key, Any], Ints, Ints]] = {}

    def _golden(self, rows: slice) -> tuple[Mapping[Key, Any], Ints, Ints]:
        """Golden tensors, weighted sums and inputs of a chunk; the last chunk is kept."""
        if rows.start not in self._held:
            tensors = self._tensors(rows)
            padded = self.site.padded(np.asarray(tensors[self.site.call.inputs[0]])[:rows.stop - rows.start])
            self._held = {rows.start: (tensors, self.site.sums(padded), self.site.inputs(padded))}
        return self._held[rows.start]

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit of this tensor flipped alone."""
        faults = self.site.faults(self._reference.space, bits)
        totals = {name: Scores(np.zeros(bits.size), np.zeros(bits.size, np.int64), np.zeros(bits.size, np.int64))
                  for name in self._reference.metrics}
        for start in range(0, self._reference.n_samples, self._chunk):
            rows = slice(start, min(start + self._chunk, self._reference.n_samples))
            tensors, sums, inputs = self._golden(rows)
            for channel in np.unique(faults.channel).tolist():
                chosen = np.flatnonzero(faults.channel == channel)
                one = Faults(*(getattr(faults, name)[chosen] for name in Faults.__slots__))
                for states in states_of(self.site, channel, one, np.ascontiguousarray(sums[:, channel]), inputs):
                    self._add(totals, states, chosen[states.faults], tensors, channel, start)
        for name, metric in self._reference.card.scorers.items():
            totals[name].values[:] /= self._reference.n_samples
        return totals

    def _add(self, totals: dict[str, Scores], states: States, faults: NDArray[np.int64], tensors: Mapping[Key, Any],
             channel: int, start: int) -> None:
        card = self._reference.card
        outputs: list[Outputs] = []
        errors = {name: np.empty(states.sample.size) for name in card.scorers}
        undefined = {name: np.empty(states.sample.size, np.bool_) for name in card.scorers}
        for first in range(0, states.sample.size, self._suffix.rows):
            part = slice(first, first + self._suffix.rows)
            out = self._suffix(states.sample[part], states.values[part], channel, tensors)
            for name, scorer in card.scorers.items():
                scores = scorer.score(out, states.sample[part].astype(np.intp) + start)
                errors[name][part], undefined[name][part] = scores.values, scores.undefined
            if card.needs_all_outputs:
                outputs.append(out)
        rows = slice(start + states.samples.start, start + states.samples.stop)
        for name, scorer in card.scorers.items():
            whole = totals[name]
            sums, lost, worse = whole.values[faults], whole.undefined[faults], whole.harmed[faults]
            add_up(states.of, errors[name], undefined[name], scorer.golden.values[rows], scorer.golden.undefined[rows],
                   1.0 if card.metrics[name].better == "lower" else -1.0, sums, lost, worse)
            whole.values[faults], whole.undefined[faults], whole.harmed[faults] = sums, lost, worse
        if card.needs_all_outputs:
            self._add_dataset(totals, states, faults, outputs)

    def _add_dataset(self, totals: dict[str, Scores], states: States, faults: NDArray[np.int64],
                     outputs: list[Outputs]) -> None:
        found = joined(outputs) if outputs else None
        for fault, of in zip(faults.tolist(), states.of, strict=True):
            for name, (value, undefined, harmed) in self._reference.card.dataset_scores(
                    _replaced(self._reference.golden_outputs, found, of)).items():
                totals[name].values[fault], totals[name].undefined[fault] = value, undefined
                totals[name].harmed[fault] = harmed


def _replaced(golden: Outputs, found: Outputs, of: Ints) -> Outputs:
    if isinstance(golden, tuple):
        return tuple(_replaced(one, None if found is None else found[i], of) for i, one in enumerate(golden))
    whole = golden.copy()
    changed = of >= 0
    if changed.any():
        whole[changed] = found[of[changed]]
    return whole


def _floats_per_sample(graph: Any, site: Site) -> int:
    """Of the largest tensor that the site's work touches."""
    keys = [site.call.node.keras_inputs[0], *(tensor for call in (site.call, *graph.downstream(site.call.outputs))
                                              for tensor in _tensors(call))]
    return max(int(np.prod([size or 1 for size in tensor.shape[1:]])) for tensor in keys)


def _tensors(call: Any) -> list[Any]:
    outputs = call.node.outputs
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
