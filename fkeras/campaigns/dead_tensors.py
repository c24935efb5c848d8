"""Tensors of which no single flip changes an output: a fault in them can hurt nobody, and says nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Run
from fkeras.faults import FaultSet
from fkeras.memory import BitSpace
from fkeras.memory.tensor import WordTensor
from fkeras.progress import Progress

FIRST_SAMPLES = 32
"""Samples of the first look: nearly every tensor is found to be alive on them, by one flip or a few."""
MOST_FLIPS = 512
"""Flips of a tensor that are tried on all samples. Where every tensor looks dead, all are."""
MOST_FAULTS = 16
"""A trial with more of them hits several tensors, as a rule."""


@dataclass(frozen=True, slots=True)
class DeadTensor:
    """A tensor of which no single flip changes an output.

    n_bits: how many it has; n_tried: how many of them were flipped alone; n_samples: on how many samples, None where it
    holds whatever the data, because no flip changes a value that the network computes with.
    """

    path: str
    n_bits: int
    n_tried: int
    n_samples: int | None = None

    def __str__(self) -> str:
        if self.n_samples is None:
            return (
                f"{self.path}: no flip of its {self.n_bits:,} bits changes a value that the network computes with, "
                "whatever the data"
            )
        flips = (
            f"its {self.n_bits:,} bits"
            if self.n_tried == self.n_bits
            else f"{self.n_tried:,} of its {self.n_bits:,} bits"
        )
        return f"{self.path}: no flip of {flips} changes an output on these {self.n_samples:,} samples"


def dead_by_construction(space: BitSpace) -> tuple[DeadTensor, ...]:
    """The tensors whose words all mean the same value, as under a scale of 0; for that no data are needed."""
    return tuple(_dead(tensor) for tensor in space.tensors if tensor.n_bits and _means_one_value(tensor))


def _dead(tensor: WordTensor, n_tried: int | None = None, n_samples: int | None = None) -> DeadTensor:
    return DeadTensor(tensor.path, tensor.n_bits, tensor.n_bits if n_tried is None else n_tried, n_samples)


def _means_one_value(tensor: WordTensor) -> bool:
    golden = tensor.values_of(tensor.words, np.arange(tensor.size))
    return all(
        np.array_equal(tensor.values_of(tensor.words[part.elements] ^ mask, part.elements), golden[part.elements])
        for part in tensor.parts
        for mask in np.uint32(1) << np.arange(part.codec.width, dtype=np.uint32)
    )


def alive_by_trials(
    space: BitSpace, changed: NDArray[np.bool_], n_faults: NDArray[np.int64], residual: Callable[[int], FaultSet]
) -> frozenset[int]:
    """The tensors that some trials show to be alive: all its faults lie in the one, and something changed.

    changed, n_faults: (trials,), the faults that a trial leaves to compute with, which `residual` gives.
    """
    alive: set[int] = set()
    trials = np.flatnonzero(changed)
    # The fewer faults, the likelier they lie in one tensor; many of them say nothing, and take time to draw.
    trials = trials[np.argsort(n_faults[trials], kind="stable")]
    n_few = max(1, int((n_faults[trials] <= MOST_FAULTS).sum()))
    for trial in trials[: min(n_few, MOST_FLIPS)].tolist():
        faults = residual(trial)
        hit = {patch.tensor for patch in faults.patches(space)}
        is_alone = not any(patch.is_wrong for patch in faults.register_patches(space))
        alive |= hit if len(hit) == 1 and is_alone else set()
        if len(alive) == len(space.tensors):
            break
    return frozenset(alive)


def dead_tensors(
    space: BitSpace,
    start: Callable[[NDArray[np.int64]], Run],
    n_samples: int,
    progress: Progress,
    alive: frozenset[int] = frozenset(),
    changes: Callable[[list[FaultSet]], NDArray[np.bool_]] | None = None,
) -> tuple[DeadTensor, ...]:
    """The tensors of which no single flip changes an output, by construction or on these samples.

    start: a run over chosen samples whose one metric counts the samples with a changed output; alive: tensors that are
    known to be; changes: which fault sets change a number that is measured anyway: asked first.
    """
    constructed = {dead.path: dead for dead in dead_by_construction(space)}
    suspects = [
        n for n, t in enumerate(space.tensors) if t.n_bits and t.path not in constructed and n not in alive
    ]  # fmt: skip
    n_alive = sum(tensor.n_bits > 0 for tensor in space.tensors) - len(constructed) - len(suspects)
    first = np.arange(min(FIRST_SAMPLES, n_samples))

    def on_few(sets: list[FaultSet]) -> NDArray[np.bool_]:
        (scores,) = start(first).fault_sets(sets).values()
        return np.asarray(scores.values > 0)

    looks = [on_few] * 2 if changes is None else [changes, changes, on_few, on_few]
    for changed, n_flips in zip(looks, (1, 8) * 2, strict=False):
        if suspects:
            found = _unchanged(space, changed, suspects, n_flips)
            n_alive, suspects = n_alive + len(suspects) - len(found), found
    tried: dict[int, int] = {}
    if suspects:
        run = start(np.arange(n_samples))
        for most in (MOST_FLIPS, len(space)):
            for number in list(suspects):
                bits = _spread(space, number, most)
                if bits.size > tried.get(number, 0):
                    tried[number] = bits.size
                    if _changes_something(run, bits, progress, space.tensors[number].path):
                        suspects.remove(number)
                        n_alive += 1
            if n_alive:
                break
    dead = constructed | {
        space.tensors[number].path: _dead(space.tensors[number], tried[number], n_samples) for number in suspects
    }
    return tuple(dead[tensor.path] for tensor in space.tensors if tensor.path in dead)


def _unchanged(
    space: BitSpace, changed: Callable[[list[FaultSet]], NDArray[np.bool_]], tensors: list[int], n_flips: int
) -> list[int]:
    """Those of the tensors of which a few flips change nothing."""
    flips = [(number, bit) for number in tensors for bit in _spread(space, number, n_flips).tolist()]
    found = changed([FaultSet(np.array([bit])) for _, bit in flips])
    alive = {number for (number, _), is_changed in zip(flips, found.tolist(), strict=True) if is_changed}
    return [number for number in tensors if number not in alive]


def _changes_something(run: Run, bits: NDArray[np.int64], progress: Progress, path: str) -> bool:
    with progress(bits.size, "bit", f"does {path} matter?") as advance:
        for part in run.batches(bits):
            (scores,) = run.flips(bits[part]).values()
            if (scores.values > 0).any():
                return True
            advance(part.size)
    return False


def _spread(space: BitSpace, number: int, most: int) -> NDArray[np.int64]:
    """At most so many bits of a tensor, most significant ones first, from all over it."""
    tensor = space.tensors[number]
    bits: list[NDArray[np.int64]] = []
    for position in range(tensor.layout.widest):
        left = most - sum(map(len, bits))
        if left <= 0:
            break
        row = np.sort(np.concatenate([p.first + position for p in tensor.parts if p.codec.width > position]))
        bits.append(row[_spaced(row.size, left)])
    return np.asarray(space.offsets[number] + np.concatenate(bits), dtype=np.int64)


def _spaced(n: int, most: int) -> NDArray[np.int64]:
    """At most so many of n places, from all over."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64)) if n else np.zeros(0, np.int64)
