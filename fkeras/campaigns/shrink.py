"""The minimal fault set of a failing trial: what is left when every fault that does not matter is taken away.

First the shortest prefix in rank order that still breaks a limit, by doubling and bisection, which is right where more
faults mean more damage. Then chunks of the rest are left out, halving their size down to single faults (Zeller and
Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE TSE 28 (2002), ddmin), which is right in any
case: the result is 1-minimal, so leaving out any one of its faults keeps the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.campaigns.budget import CampaignResult
from fkeras.campaigns.limits import Limit
from fkeras.engine import Run
from fkeras.errors import whole
from fkeras.faults import FaultSet
from fkeras.faults.fault_set import SampleFlips
from fkeras.memory import BitSpace
from fkeras.runs.remembering import RememberingRun

MOST_EVALUATIONS = 300

Breaks = Callable[[Sequence[FaultSet]], NDArray[np.bool_]]
Parts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MinimalFaultsRecord:
    """Faults of one failing trial that break a limit together; leaving one out keeps it, where is_minimal.

    is_as_read: a protection stands between what was hit and these, the bits that the network then reads wrongly.
    """

    faults: tuple[str, ...]
    is_minimal: bool
    trial: int
    n_faults: int
    values: dict[str, float]
    changes: tuple[str, ...] = ()
    is_as_read: bool = False

    @property
    def of_how_many(self) -> str:
        """How many of what in which trial."""
        what = "bits read wrongly in" if self.is_as_read else "faults of"
        return f"{len(self.faults)} of {self.n_faults} {what} trial {self.trial}"


@dataclass(frozen=True, slots=True)
class MinimalFaults:
    """Faults that break a limit together.

    is_minimal: whether leaving out any one of them was measured to keep the limits, or else the evaluations ran out;
    trial: the failing trial that they come from, and n_faults how many faults that had; values: metric -> value;
    is_as_read: see `MinimalFaultsRecord`.
    """

    faults: FaultSet
    is_minimal: bool
    evaluations: int
    trial: int
    n_faults: int
    values: dict[str, float]
    is_as_read: bool = False

    def changes(self, space: BitSpace) -> list[str]:
        """For each fault, in the order of its `text`: its word's value before and after all of them."""
        after = {
            (patch.tensor, int(element)): (space.tensors[patch.tensor].golden[element], value)
            for patch in self.faults.patches(space)
            for element, value in zip(patch.elements, patch.values, strict=True)
        }
        place = space.locate(np.concatenate([self.faults.flips, self.faults.set_to_1, self.faults.set_to_0]))
        pairs = [after.get(where) for where in zip(place.tensor.tolist(), place.element.tolist(), strict=True)]
        changes = ["unchanged" if pair is None else f"{pair[0]:.6g} -> {pair[1]:.6g}" for pair in pairs]
        for number in np.flatnonzero(place.tensor >= len(space.tensors)).tolist():
            changes[number] = "another value in each sample"
        return [*changes, *(f"in sample {sample}" for sample in self.faults.in_samples.samples.tolist())]

    def record(self, space: BitSpace) -> MinimalFaultsRecord:
        """What reports say: faults as addresses (`=0`, `=1`: stuck), and what they make of their words."""
        faults = tuple(self.faults.text(space).split())
        changes = tuple(self.changes(space))
        n_faults, values = self.n_faults, self.values
        return MinimalFaultsRecord(faults, self.is_minimal, self.trial, n_faults, values, changes, self.is_as_read)


def minimal_faults(
    result: CampaignResult,
    run: Run,
    limits: tuple[Limit, ...],
    order: NDArray[np.int64] | None = None,
    max_evaluations: int = MOST_EVALUATIONS,
) -> MinimalFaults | None:
    """The minimal fault set of the trial that did most damage to the first limit's metric; None if no trial failed.

    order: flat bits, most sensitive first; by position in the word unless given. Deterministic. None too where the
    golden model breaks a limit: then no fault is needed.
    """
    failing = np.flatnonzero(result.broken(limits))
    if not failing.size or golden_breaks(run, limits):
        return None
    first = result.by_metric[limits[0].metric]
    damage = first.values if first.better == "lower" else -first.values
    trial = int(failing[np.argmax(damage[failing])])
    faults = result.setting.residual(trial)
    remembering = RememberingRun(run, max_evaluations + 1)

    def breaks(sets: Sequence[FaultSet]) -> NDArray[np.bool_]:
        scores = remembering.fault_sets(sets)
        broken = np.zeros(len(sets), np.bool_)
        for limit in limits:
            broken |= limit.broken_by(scores[limit.metric].values, run.golden[limit.metric].value)
        return broken

    space = result.setting.space
    ranked = np.lexsort((np.arange(len(space)), space.bit_positions)) if order is None else order
    small, is_minimal = shrink(faults, breaks, ranked, max_evaluations)
    values = {name: float(one.values[0]) for name, one in remembering.fault_sets([small]).items()}
    is_as_read = not result.setting.protection.is_perfect
    return MinimalFaults(small, is_minimal, remembering.evaluations, trial, len(faults), values, is_as_read)


def golden_breaks(run: Run, limits: tuple[Limit, ...]) -> bool:
    """Whether the golden model breaks a limit."""
    golden = {limit: run.golden[limit.metric].value for limit in limits}
    return any(bool(limit.broken_by(np.array([value]), value)[0]) for limit, value in golden.items())


def shrink(
    faults: FaultSet, breaks: Breaks, order: NDArray[np.int64], max_evaluations: int = MOST_EVALUATIONS
) -> tuple[FaultSet, bool]:
    """A 1-minimal subset of `faults` that still breaks, and whether it is one; False: the evaluations ran out.

    breaks: fault sets -> (n,) bool, in batches; `faults` are known to break. order: flat bits, the ones to keep first.
    """
    whole("max_evaluations", max_evaluations, 1)
    search = _Search(faults, breaks, max_evaluations)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    parts = search.shortest_prefix(search.parts[np.argsort(place[search.parts[:, 1]], kind="stable")])
    size = -(-len(parts) // 2)
    while len(parts) and not search.is_over:
        chunks = [np.arange(max(end - size, 0), end) for end in range(len(parts), 0, -size)]
        answers = search.first_answers([np.delete(parts, chunk, axis=0) for chunk in chunks])
        removable = [chunk for chunk, breaks_without in zip(chunks, answers, strict=False) if breaks_without]
        if removable:
            parts = search.without_many(parts, removable)
            size = min(size, max(len(parts), 1))
        elif size == 1:
            return search.set_of(parts), len(answers) == len(chunks)
        else:
            size = -(-size // 2)
    return search.set_of(parts), not len(parts)


class _Search:
    """Counts what it asks, and asks no more than it may."""

    def __init__(self, faults: FaultSet, breaks: Breaks, max_evaluations: int) -> None:
        kinds = (faults.flips, faults.set_to_1, faults.set_to_0)
        self.parts: Parts = np.concatenate(
            [
                *(np.stack([np.full(bits.size, kind), bits], axis=1) for kind, bits in enumerate(kinds)),
                np.stack([len(kinds) + faults.in_samples.samples, faults.in_samples.bits], axis=1),
            ]
        )
        self._breaks, self._left, self._layout = breaks, max_evaluations, faults.layout_digest

    @property
    def is_over(self) -> bool:
        return self._left <= 0

    def set_of(self, parts: Parts) -> FaultSet:
        flips, set_to_1, set_to_0 = (parts[parts[:, 0] == kind, 1] for kind in range(3))
        samples, bits = parts[parts[:, 0] >= 3].T
        return FaultSet(flips, set_to_1, set_to_0, self._layout, SampleFlips(samples - 3, bits))

    def first_answers(self, candidates: Sequence[Parts]) -> list[bool]:
        """Whether each candidate breaks, for as many as may still be asked."""
        asked = [self.set_of(parts) for parts in candidates[: max(self._left, 0)]]
        self._left -= len(asked)
        return [bool(answer) for answer in self._breaks(asked)] if asked else []

    def shortest_prefix(self, ranked: Parts) -> Parts:
        """The shortest prefix that breaks, if longer ones break too; some prefix that breaks in any case."""
        lengths = [2**power for power in range(len(ranked).bit_length()) if 2**power < len(ranked)]
        answers = self.first_answers([ranked[:length] for length in lengths])
        breaking = [length for length, answer in zip(lengths, answers, strict=False) if answer]
        high = min(breaking, default=len(ranked))
        low = max((length for length in lengths[: len(answers)] if length < high), default=0)
        while high - low > 1 and not self.is_over:
            middle = (low + high) // 2
            low, high = (low, middle) if self.first_answers([ranked[:middle]])[0] else (middle, high)
        return ranked[:high]

    def without_many(self, parts: Parts, removable: list[NDArray[np.int64]]) -> Parts:
        """`kept` without as many of the chunks at once as still breaks; each alone is known to."""
        while len(removable) > 1:
            fewer = np.delete(parts, np.concatenate(removable), axis=0)
            if self.is_over:
                break
            if self.first_answers([fewer])[0]:
                return fewer
            removable = removable[: len(removable) // 2]
        return np.delete(parts, removable[0], axis=0)
