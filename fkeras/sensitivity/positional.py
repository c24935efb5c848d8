"""Rankings that look at positions: MSB to LSB, chance, and the paper's way to turn weight scores into bit scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import InputError
from fkeras.faults import RandomStream
from fkeras.memory import BitSpace
from fkeras.statistics.ranks import average_ranks


def msb_scores(space: BitSpace) -> NDArray[np.float64]:
    """Most significant bits first (paper, section 4.2.3), words in the order of the space; (n_bits,)."""
    return -space.bit_positions.astype(np.float64)


def random_scores(space: BitSpace, seed: int) -> NDArray[np.float64]:
    """A uniformly drawn order; (n_bits,), the same for equal seeds and layouts."""
    return RandomStream("fkeras-random-ranking/1", seed, space.layout_digest).uniform(len(space))


def most_significant_first(space: BitSpace, word_scores: ArrayLike) -> NDArray[np.float64]:
    """All top bits by the |score| of their word, then all second bits, and so on (paper, section 3.1); (n_bits,).

    word_scores: (n_words,) in the order of the space. Words of different widths are grouped by the distance from
    their own top bit. A score is the rank of the word, between 0 and 1, minus the bit's position. InputError for NaN.
    """
    strength = np.abs(np.asarray(word_scores, np.float64))
    if np.isnan(strength).any():
        raise InputError(
            f"{int(np.isnan(strength).sum())} of {strength.size} weight scores are NaN: the loss or its "
            "derivatives are not finite on this data; choose another loss=, or leave such samples out"
        )
    rank = average_ranks(strength) / (strength.size + 1)
    return rank[word_numbers(space)] - space.bit_positions


def word_numbers(space: BitSpace) -> NDArray[np.int64]:
    """Which word, counted through all tensors, each flat bit belongs to; (n_bits,)."""
    first, numbers = 0, [np.zeros(0, np.int64)]
    for tensor in space.tensors:
        numbers.append(first + np.repeat(np.arange(tensor.size), tensor.codec.width))
        first += tensor.size
    return np.concatenate(numbers)


def flip_steps(space: BitSpace) -> NDArray[np.float64]:
    """What flipping each bit alone adds to its word's value; (n_bits,), in the unit of the values."""
    steps = [np.zeros(0)]
    for tensor in space.tensors:
        width = tensor.codec.width
        masks = np.uint32(1) << np.arange(width - 1, -1, -1, dtype=np.uint32)
        elements = np.repeat(np.arange(tensor.size), width)
        flipped = (tensor.words[:, None] ^ masks).reshape(-1)
        steps.append(tensor.values_of(flipped, elements).astype(np.float64) - tensor.golden[elements])
    return np.concatenate(steps)
