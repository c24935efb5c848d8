"""What was meant by a pattern that is read: the expected value over the stored words, bits flipping independently."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fkeras.faults.readings import nearest
from fkeras.memory import Codec
from fkeras.memory.layout import Words

Weights = NDArray[np.float64]


def over_flips(weights: Weights, bit_error_rate: float) -> Weights:
    """For each pattern the sum over all patterns: weight times the chance of the flips between the two.

    weights: (..., 2**width). Chances are relative to that of no flip, and bits independent, so each bit is a step:

    >>> over_flips(np.array([1.0, 0.0, 0.0, 0.0]), 0.2).tolist()
    [1.0, 0.25, 0.25, 0.0625]
    """
    odds = bit_error_rate / (1 - bit_error_rate)
    result = np.asarray(weights, np.float64)
    for place in range(result.shape[-1].bit_length() - 1):
        pairs = result.reshape(*result.shape[:-1], -1, 2, 1 << place)
        result = (pairs + odds * pairs[..., ::-1, :]).reshape(result.shape)
    return result


def decoding(codec: Codec, words: NDArray[np.int64], weights: Weights, bit_error_rate: float) -> Words:
    """The word that each pattern reads as, (2**width,): what it stands for, or else the word nearest to what was meant.

    words: what each pattern stands for, -1 for nothing; weights: how much each word counts, by word.
    """
    stands = words >= 0
    known = np.where(stands, words, 0)
    values = codec.decode(known.astype(np.uint32))
    counts = np.where(stands, weights[known], 0.0)
    total, moment = over_flips(np.stack([counts, counts * values]), bit_error_rate)
    return np.where(stands, known, nearest(codec, moment / total)).astype(np.uint32)
