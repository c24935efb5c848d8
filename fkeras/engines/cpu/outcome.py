"""What wrong states cost: from the tensor behind the chain to a score for every state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.passes import Floats, Ints, share_out
from fkeras.engine import Scores
from fkeras.engines.cpu.classes import counts_classes, decided_by_class, nearly_tied
from fkeras.engines.cpu.plan import Plan
from fkeras.engines.cpu.samples import Samples
from fkeras.engines.cpu.states import States, add_up
from fkeras.engines.cpu.suffix import Suffix
from fkeras.metrics.metric import Outputs, parts_of
from fkeras.scoring import Scorecard, joined

Places = NDArray[np.intp]
Made = TypeVar("Made")
ADDING_COST = 8
"""Instructions that it takes to add up an error, about."""


@dataclass(frozen=True, slots=True, eq=False)
class StateScores:
    """The scores of k states by metric, golden until they are evaluated.

    samples (k,) within the data set; errors and undefined (k,) each; tied (k,): whose scores take sums
    in float64; outputs: places and outputs of those evaluated, kept for metrics of the whole data set only.
    """

    samples: Places
    errors: dict[str, NDArray[np.float64]]
    undefined: dict[str, NDArray[np.bool_]]
    tied: NDArray[np.bool_]
    outputs: list[tuple[Places, Outputs]] = field(default_factory=list)

    @classmethod
    def golden(cls, card: Scorecard, samples: Places) -> StateScores:
        """What the samples score without a fault."""
        golden = {name: scorer.golden for name, scorer in card.scorers.items()}
        return cls(
            samples,
            {name: scores.values[samples] for name, scores in golden.items()},
            {name: scores.undefined[samples] for name, scores in golden.items()},
            np.zeros(samples.size, np.bool_),
        )

    def fill(self, card: Scorecard, places: Places, outputs: Outputs) -> None:
        """Score the outputs of the states at `places`."""
        for name, scorer in card.scorers.items():
            found = scorer.score(outputs, self.samples[places])
            self.errors[name][places], self.undefined[name][places] = found.values, found.undefined
        if card.needs_all_outputs:
            self.outputs.append((places, outputs))

    def faults_with_ties(self, states: States) -> NDArray[np.intp]:
        """Which of the faults of `states` leave a sample in a tie."""
        if not self.tied.any():
            return np.zeros(0, np.intp)
        found: NDArray[np.intp] = np.flatnonzero((self.tied[states.of] & (states.of >= 0)).any(axis=1))
        return found

    def add_to(
        self, totals: Mapping[str, Scores], faults: NDArray[np.intp], states: States, card: Scorecard, rows: slice
    ) -> None:
        """Add what `faults` do to the samples `rows` to their totals."""
        for name, scorer in card.scorers.items():
            total = totals[name]
            sums, lost, worse = total.values[faults], total.undefined[faults], total.harmed[faults]
            sign = 1.0 if card.metrics[name].better == "lower" else -1.0
            golden = scorer.golden.values[rows], scorer.golden.undefined[rows]
            given = self.errors[name], self.undefined[name], *golden, sign, sums, lost, worse
            share_out(add_up, states.of, *given, cost=states.of.size * ADDING_COST)
            total.values[faults], total.undefined[faults], total.harmed[faults] = sums, lost, worse

    def write_to(self, wholes: list[Outputs], states: States, rows: slice) -> None:
        """Put the outputs that changed into each fault's outputs of the whole data set."""
        if not self.outputs:
            return
        number = np.full(self.samples.size + 1, -1)  # the last entry serves unchanged samples, whose state is -1
        places = np.concatenate([places for places, _ in self.outputs])
        number[places] = np.arange(places.size)
        found = joined([outputs for _, outputs in self.outputs])
        for whole, of in zip(wholes, states.of, strict=True):
            _overwrite(whole, rows, found, number[of])


def one_ahead(made: Iterable[Made]) -> Iterator[Made]:
    """Each one once the next has been asked for: a device computes that while this one is scored."""
    items = iter(made)
    for before in items:
        for after in items:
            yield before
            before = after
        yield before


class Outcomes:
    """Scores states from what the tensor at which a suffix begins holds in them."""

    def __init__(self, plan: Plan, suffix: Suffix, samples: Samples) -> None:
        self._card, self._suffix, end = samples.card, suffix, suffix.end
        self._classes = (
            samples.class_scores if decided_by_class(plan.network, end, samples.card, samples.golden_outputs) else None
        )
        self._may_tie = self._classes is None and counts_classes(samples.card)

    def fill(
        self, scores: StateScores, places: Places, ends: Floats, samples: Ints, tensors: Mapping[str, Floats]
    ) -> None:
        """Score the states at `places`: ends (k, ...), samples (k,) within the chunk that `tensors` belong to."""
        if self._classes is not None:
            unclear = self._classes.fill(scores.samples, scores.errors, scores.undefined, places, ends)
            places, ends, samples = places[unclear], ends[unclear], samples[unclear]
        parts = [slice(begin, begin + self._suffix.rows) for begin in range(0, places.size, self._suffix.rows)]
        calls = one_ahead((part, self._suffix(samples[part], ends[part], tensors)) for part in parts)
        for part, computed in calls:
            arrays = tuple(np.asarray(output) for output in parts_of(computed))
            outputs: Outputs = arrays if isinstance(computed, tuple) else arrays[0]
            if self._may_tie:
                scores.tied[places[part]] = nearly_tied(outputs)
            scores.fill(self._card, places[part], outputs)


def _overwrite(whole: Outputs, rows: slice, found: Outputs, of: Places) -> None:
    """Put found outputs in place of those of `rows`; `of` (rows,) says which, -1 for none."""
    if isinstance(whole, tuple):
        for one, part in zip(whole, found, strict=True):
            _overwrite(one, rows, part, of)
        return
    changed = np.flatnonzero(of >= 0)
    whole[rows][changed] = found[of[changed]]
