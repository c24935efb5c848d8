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
    elements = np.arange(tensor.size)
    golden = tensor.values_of(tensor.words, elements)
    return all(
        np.array_equal(tensor.values_of(tensor.words ^ np.uint32(1 << bit), elements), golden)
        for bit in range(tensor.codec.width)
    )


def dead_tensors(
    space: BitSpace, start: Callable[[NDArray[np.int64]], Run], n_samples: int, progress: Progress
) -> tuple[DeadTensor, ...]:
    """The tensors of which no single flip changes an output, by construction or on these samples.

    start: a run over chosen samples whose one metric counts the samples with a changed output.
    """
    constructed = {dead.path: dead for dead in dead_by_construction(space)}
    suspects = [n for n, tensor in enumerate(space.tensors) if tensor.n_bits and tensor.path not in constructed]
    everything, first = np.arange(n_samples), np.arange(min(FIRST_SAMPLES, n_samples))
    for n_flips in (1, 8):
        if suspects:
            suspects = _unchanged(space, start(first), suspects, n_flips)
    tried: dict[int, int] = {}
    if suspects:
        run = start(everything)
        for most in (MOST_FLIPS, len(space)):
            for number in list(suspects):
                bits = _spread(space, number, most)
                if bits.size > tried.get(number, 0):
                    tried[number] = bits.size
                    if _changes_something(run, bits, progress, space.tensors[number].path):
                        suspects.remove(number)
            if len(suspects) + len(constructed) < sum(tensor.n_bits > 0 for tensor in space.tensors):
                break
    found = constructed | {
        space.tensors[number].path: _dead(space.tensors[number], tried[number], n_samples) for number in suspects
    }
    return tuple(found[tensor.path] for tensor in space.tensors if tensor.path in found)


def _unchanged(space: BitSpace, run: Run, tensors: list[int], n_flips: int) -> list[int]:
    """Those of the tensors of which a few flips change nothing."""
    flips = [(number, bit) for number in tensors for bit in _spread(space, number, n_flips).tolist()]
    (scores,) = run.fault_sets([FaultSet(np.array([bit])) for _, bit in flips]).values()
    alive = {number for (number, _), value in zip(flips, scores.values, strict=True) if value > 0}
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
    by_position = np.arange(tensor.n_bits).reshape(tensor.size, tensor.codec.width).T
    bits: list[NDArray[np.int64]] = []
    for row in by_position:
        left = most - sum(map(len, bits))
        if left <= 0:
            break
        bits.append(row[np.unique(np.linspace(0, row.size - 1, min(left, row.size)).astype(np.int64))])
    return np.asarray(space.offsets[number] + np.concatenate(bits), dtype=np.int64)
