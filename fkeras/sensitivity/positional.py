"""Rankings that look at positions: MSB to LSB, chance, and the paper's way to turn weight scores into bit scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import InputError
from fkeras.faults import RandomStream
from fkeras.memory import BitSpace, Float, WordTensor
from fkeras.memory.codecs import bounded
from fkeras.statistics.ranks import average_ranks


def msb_scores(space: BitSpace) -> NDArray[np.float64]:
    """Most significant bits first (paper, section 4.2.3), words in the order of the space; (n_bits,)."""
    return -significance(space).astype(np.float64)


def significance(space: BitSpace) -> NDArray[np.int64]:
    """How many bits of its word are more significant than each bit; (n_bits,).

    That is the bit's position, the distance from the word's own top bit. In words of floats, where the top of the
    exponent changes a value more than the sign, positions are ordered by the mean size of the flips' steps in a tensor.
    """
    places = space.bit_positions.copy()
    for tensor, start in zip(space.tensors, space.offsets, strict=False):
        if isinstance(tensor.codec, Float) and tensor.size:
            size = np.abs(_steps(tensor)).reshape(tensor.size, -1).mean(axis=0)
            place = np.argsort(np.argsort(-size, kind="stable"))
            places[start : start + tensor.n_bits] = np.tile(place, tensor.size)
    return places


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
    return rank[word_numbers(space)] - significance(space)


def word_numbers(space: BitSpace) -> NDArray[np.int64]:
    """Which word, counted through all tensors, each flat bit belongs to; (n_bits,)."""
    first, numbers = 0, [np.zeros(0, np.int64)]
    for array in space.arrays:
        numbers.append(first + array.layout.elements)
        first += array.size
    return np.concatenate(numbers)


def flip_steps(space: BitSpace) -> NDArray[np.float64]:
    """What flipping each bit alone adds to its word's value; (n_bits,), in the unit of the values.

    Infinity and NaN count as the largest float32, so that scores made of steps stay numbers.
    """
    return np.concatenate([np.zeros(0), *map(_steps, space.tensors)])


def _steps(tensor: WordTensor) -> NDArray[np.float64]:
    elements = tensor.layout.elements
    values = tensor.values_of(tensor.words[elements] ^ tensor.layout.masks, elements).astype(np.float64)
    steps: NDArray[np.float64] = bounded(values) - tensor.golden[elements]
    return steps
