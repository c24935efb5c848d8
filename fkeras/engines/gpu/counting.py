"""Where the winning class decides every metric, the device counts: nothing but a few numbers per fault comes back."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from fkeras.engines.cpu.classes import CLEAR_PER_CLASS, decided_by_class, scores_by_class
from fkeras.engines.cpu.outcome import Places
from fkeras.engines.cpu.plan import Plan
from fkeras.engines.cpu.samples import Samples
from fkeras.engines.cpu.worker import Totals
from fkeras.engines.gpu.operations import Array
from fkeras.network import Function

Tables = dict[str, tuple[Array, Array]]
"""By metric: what each sample scores (n, classes) by the class that wins, and without a fault (n,)."""
Counts = dict[str, tuple[Array, Array]]
"""By metric: the sum of the scores, and how many samples are harmed."""


@dataclass(frozen=True, eq=False)
class Counting:
    """Adds up scores on the device.

    end: the tensor whose largest entry decides, the first of equal ones; lead: what leaves no doubt which that is
    behind a softmax.
    """

    end: str
    lead: float
    samples: Samples

    def tables(self, rows: slice) -> Tables:
        """What the samples `rows` score."""
        card = self.samples.card
        by_class = scores_by_class(card, self.samples.golden_outputs)
        return {
            name: (
                jnp.asarray(by_class[name][:, rows].T.astype(np.float32)),
                jnp.asarray(scorer.golden.values[rows].astype(np.float32)),
            )
            for name, scorer in card.scorers.items()
        }

    def count(self, scores: Array, differs: Array, tables: Tables) -> tuple[Counts, Array]:
        """The counts of one fault, and how many samples the processor must judge; scores (n, classes)."""
        best = scores.max(-1, keepdims=True)
        second = jnp.where(scores < best, scores, -np.inf).max(-1)
        clear, winner = best[:, 0] - second >= self.lead, scores.argmax(-1)
        counts = {}
        for name, (table, golden) in tables.items():
            values = jnp.where(differs, jnp.take_along_axis(table, winner[:, None], -1)[:, 0], golden)
            better = self.samples.card.metrics[name].better
            worse = values > golden if better == "lower" else values < golden
            counts[name] = values.sum(), worse.sum()
        return counts, (differs & ~clear).sum()

    def add(self, totals: Totals, block: Places, result: tuple[Counts, NDArray[np.int32]]) -> None:
        """Add the counts of the faults of a block to their totals."""
        counts, unclear = result
        for name, (values, harmed) in counts.items():
            totals.scores[name].values[block] += np.asarray(values)[: block.size]
            totals.scores[name].harmed[block] += np.asarray(harmed)[: block.size]
        totals.tied[block[np.asarray(unclear)[: block.size] > 0]] = True


def counting_of(plan: Plan, samples: Samples) -> Counting | None:
    """What counts on the device; None where more than the winning class is asked for, or it is not exact."""
    last = next((node for node in plan.network.nodes if node.name == plan.network.outputs[-1]), None)
    softmax = last is not None and last.operation == Function("softmax")
    end = last.inputs[0] if last is not None and softmax else plan.network.outputs[-1]
    if not decided_by_class(plan.network, end, samples.card, samples.golden_outputs) or plan.grids[end].step is None:
        return None
    return Counting(end, CLEAR_PER_CLASS * samples.golden_outputs.shape[1] if softmax else 0.0, samples)
