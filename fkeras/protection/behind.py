"""The bits of a memory behind a check, ranked: a cell of a pattern is no bit of a value."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError
from fkeras.faults.readings import Reading
from fkeras.faults.word_checks import WordCheck
from fkeras.memory import BitSpace, WordTensor
from fkeras.memory.codecs import bounded
from fkeras.sensitivity import Ranking
from fkeras.sensitivity.positional import flip_steps

MOST_FLIPS, MOST_PATTERNS = 3, 250
"""Flips of one word that are looked at together: more are rare, and of wide words there are many."""
RATE = 0.01
"""The further flips of a word are rarer than those of a memory: most bits that matter are protected, too."""
Scores = NDArray[np.float64]


def ranking_behind(check: WordCheck, space: BitSpace, ranking: Ranking, bit_error_rate: float = RATE) -> Ranking:
    """The bits of a memory by what protecting one saves behind a check.

    The decoder says what flips of cells make of a word, at `bit_error_rate`. How much the error matters says `ranking`,
    of the bits of plain words: as much as the flip of the same word whose error is the nearest in size, and by the
    square of the rest more or less. Bits of registers keep their scores.
    """
    if not isinstance(check, WordCheck):
        raise InputError(
            Argument("behind", check), "; allowed are fkeras.RangeCheck(), fkeras.KnownWords() and fkeras.Recoded()"
        )
    readings = check.stored_readings(space)
    harmful = bounded(np.maximum(ranking.scores, 0.0))
    steps = np.abs(flip_steps(space))
    per_square = np.divide(harmful[: steps.size], np.square(steps), out=np.zeros_like(steps), where=steps > 0)
    scores = harmful.copy()
    for tensor, reading, start in zip(space.tensors, readings, space.offsets, strict=False):
        for part in tensor.parts:
            bits = start + part.bits
            scores[bits] = _saved(tensor, part.elements, reading, steps[bits], per_square[bits], bit_error_rate)
    return Ranking.from_scores(scores, space, f"{ranking.method} behind {check.name}")


def _saved(
    tensor: WordTensor,
    elements: NDArray[np.int64],
    reading: Reading,
    steps: Scores,
    per_square: Scores,
    rate: float,
) -> Scores:
    """What protecting each bit of words of one width saves, (n, width).

    steps: the size of the error of each flip of a plain word, (n, width); per_square: what it does, over its square.
    """
    (n, width), saved = steps.shape, np.zeros(steps.shape)
    patterns = reading.patterns[elements]
    for n_flips in (n for n in range(min(MOST_FLIPS, width) + 1) if n < 2 or comb(width, n) <= MOST_PATTERNS):
        for places in combinations(range(width), n_flips):
            flips = np.uint32(sum(1 << (width - 1 - place) for place in places))
            words = reading.decode(patterns ^ flips, elements)
            error = np.abs(bounded(tensor.values_of(words, elements).astype(np.float64)) - tensor.golden[elements])
            nearest = np.abs(steps - error[:, None]).argmin(axis=1)
            harm = per_square[np.arange(n), nearest] * np.square(error)
            for place in range(width):
                among = n_flips - (place in places)
                chance = rate**among * (1 - rate) ** (width - 1 - among)
                saved[:, place] += (chance if place in places else -chance) * harm
    return saved
