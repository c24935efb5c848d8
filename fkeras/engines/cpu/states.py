"""States: what some fault makes of some sample, and what they cost.

Faults that leave a sample as it was need no evaluation, and faults that lead to the same end share one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.passes import Floats, Ints, next_of
from fkeras.compiled import compiled


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """The wrong states of a block of samples under a block of faults.

    samples: slice of the chunk; faults: slice of the block; of: (faults, samples) int32, -1 for an unchanged sample,
    else the number of its state; sample: (k,) int32 within the chunk.
    """

    samples: slice
    faults: slice
    of: Ints
    sample: Ints

    @classmethod
    def of_faults(cls, of: Ints, sample: Ints) -> States:
        """What faults make of all samples of a chunk: of (faults, n), sample (k,)."""
        return cls(slice(0, of.shape[1]), slice(0, of.shape[0]), of, sample)


@compiled
def number_states(same_as: Ints, of: Ints) -> int:  # pragma: no cover - compiled
    """Number the states, sample by sample; their number. same_as (samples, faults): whose state a fault leads to, -1
    for none; of (faults, samples) is filled in."""
    count = 0
    for sample in range(same_as.shape[0]):
        for fault in range(same_as.shape[1]):
            of[fault, sample] = -1
            if same_as[sample, fault] == fault:
                of[fault, sample] = count
                count += 1
        for fault in range(same_as.shape[1]):
            if same_as[sample, fault] >= 0:
                of[fault, sample] = of[same_as[sample, fault], sample]
    return count


@compiled
def take_states(
    same_as: Ints, levels: Floats, step: np.float32, sample_of: Ints, ends: Floats
) -> None:  # pragma: no cover - compiled
    """Of each state, the sample and what the end holds: levels (samples, faults, k), ends (states, k)."""
    state = 0
    for sample in range(same_as.shape[0]):
        for fault in range(same_as.shape[1]):
            if same_as[sample, fault] == fault:
                sample_of[state] = sample
                for place in range(levels.shape[2]):
                    # Adding zero makes -0.0, which rounding may give, the network's 0.0.
                    ends[state, place] = levels[sample, fault, place] * step + np.float32(0)
                state += 1


@compiled
def add_up(
    of: Ints,
    errors: NDArray[np.float64],
    undefined: NDArray[np.bool_],
    golden: NDArray[np.float64],
    golden_undefined: NDArray[np.bool_],
    sign: float,
    sums: NDArray[np.float64],
    undefined_counts: NDArray[np.int64],
    harmed: NDArray[np.int64],
    turn: NDArray[np.int64],
) -> None:  # pragma: no cover - compiled
    """Add each fault's errors over a block of samples to its sums; sign is +1 where lower is better.

    One sample after the other, so that the blocks do not matter. turn: shared by all threads.
    """
    while True:
        fault = next_of(turn)
        if fault >= of.shape[0]:
            break
        total, lost, worse = sums[fault], 0, 0
        for sample in range(of.shape[1]):
            state = of[fault, sample]
            if state < 0:
                total += golden[sample]
                lost += golden_undefined[sample]
            else:
                total += errors[state]
                lost += undefined[state]
                worse += sign * (errors[state] - golden[sample]) > 0
        sums[fault] = total
        undefined_counts[fault] += lost
        harmed[fault] += worse
