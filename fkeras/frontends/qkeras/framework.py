"""The framework engine: write the faulty words, run the whole model, score every sample. Slow and obvious."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import GoldenScore, Scores
from fkeras.faults import FaultSet
from fkeras.frontends.qkeras.forward import Forward, golden_values, patched_values, slots_of_space
from fkeras.frontends.qkeras.freshness import require_fresh
from fkeras.frontends.qkeras.randomness import random_layer
from fkeras.frontends.qkeras.reading import emitted
from fkeras.frontends.qkeras.registers import masks_of
from fkeras.frontends.qkeras.tracing import flat_data, flat_targets
from fkeras.memory import BitSpace
from fkeras.metrics.inputs import read_only
from fkeras.metrics.metric import Metric, Outputs
from fkeras.scoring import Scorecard, joined, scores_of
from fkeras.store import digest_of


def chunks(forward: Forward, inputs: Sequence[NDArray[Any]]) -> list[slice]:
    """The rows of the parts in which all samples are computed."""
    n_samples, size = inputs[0].shape[0], forward.samples_per_call
    return [slice(start, min(start + size, n_samples)) for start in range(0, n_samples, size)]


def outputs_by_chunk(
    forward: Forward, inputs: Sequence[NDArray[Any]], values: Sequence[Any]
) -> Iterator[tuple[slice, Outputs]]:
    """The outputs of all samples as arrays, with the rows that each part belongs to."""
    for rows in chunks(forward, inputs):
        outputs = tuple(map(np.asarray, forward([array[rows] for array in inputs], values)))
        yield rows, outputs[0] if len(outputs) == 1 else outputs


def all_outputs(forward: Forward, inputs: Sequence[NDArray[Any]], values: Sequence[Any]) -> Outputs:
    """The outputs of all samples: one array, or a tuple for several outputs."""
    return joined([outputs for _, outputs in outputs_by_chunk(forward, inputs, values)])


class FrameworkRun:
    """Every other engine must give what this one gives."""

    engine = "framework"
    batch_size = 8

    def __init__(self, model: Any, space: BitSpace, x: Any, y: Any, metrics: Mapping[str, Metric]) -> None:
        require_fresh(model, space, lambda: [values for values, _ in emitted(model, slots_of_space(model, space))])
        self._start(model, space, Forward(model, space), flat_data(model, x), flat_targets(model, y), metrics)

    def _start(
        self,
        model: Any,
        space: BitSpace,
        forward: Any,
        inputs: tuple[NDArray[Any], ...],
        targets: Any,
        metrics: Mapping[str, Metric],
    ) -> None:
        """Compute without a fault; model: whoever is to blame if it is random."""
        self.space = space
        self.metrics = dict(metrics)
        self.inputs = inputs
        self.n_samples = self.inputs[0].shape[0]
        self.forward = forward
        self.golden_values = golden_values(space)
        self.golden_outputs = read_only(all_outputs(self.forward, self.inputs, self.golden_values))
        if self.forward.may_be_random:
            again = all_outputs(self.forward, self.inputs, self.golden_values)
            if digest_of(again) != digest_of(self.golden_outputs):
                raise random_layer(model, "", "two evaluations without a fault differ")
        self._targets = targets

    @cached_property
    def card(self) -> Scorecard:
        """The metrics, bound when somebody asks for scores: as a judge of golden outputs it gives none."""
        return Scorecard(self.metrics, self._targets, self.golden_outputs)

    @property
    def golden(self) -> dict[str, GoldenScore]:
        return self.card.golden

    def outputs(self, rows: slice, values: Sequence[Any], *masks: Sequence[Any]) -> tuple[NDArray[Any], ...]:
        """The outputs of some samples, flat, when the stored tensors hold `values`, and `masks` hit registers."""
        return tuple(map(np.asarray, self.forward([array[rows] for array in self.inputs], values, *masks)))

    def batches(self, bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Positions within `bits`, a few at a time."""
        return iter(np.split(np.arange(bits.size), range(self.batch_size, bits.size, self.batch_size)))

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit flipped alone."""
        return self.fault_sets([FaultSet(np.array([bit])) for bit in bits])

    def fault_sets(self, faults: Sequence[FaultSet]) -> dict[str, Scores]:
        results = []
        for fault_set in faults:
            values = patched_values(self.space, self.golden_values, fault_set.patches(self.space))
            registers = list(fault_set.register_patches(self.space))
            tally = self.card.tally()
            for rows in chunks(self.forward, self.inputs):
                masks = (masks_of(self.space, registers, rows),) if registers else ()
                outputs = self.outputs(rows, values, *masks)
                tally.add(outputs[0] if len(outputs) == 1 else outputs, rows)
            results.append(tally.result())
        return scores_of(results, list(self.metrics))
