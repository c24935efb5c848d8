"""The bits of a memory behind a check, ranked: a cell of a pattern is no bit of a value."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError
from fkeras.faults.readings import Reading
from fkeras.faults.word_checks import WordCheck, damage_per_square
from fkeras.memory import BitSpace
from fkeras.memory.codecs import bounded
from fkeras.memory.tensor import Part
from fkeras.sensitivity import Ranking

MOST_FLIPS, MOST_PATTERNS = 3, 250
"""Flips of one word that are looked at together: more are rare, and of wide words there are many."""
RATE = 0.01
"""Of further flips, where a check says none that it is made for."""
Scores = NDArray[np.float64]


def ranking_behind(check: WordCheck, space: BitSpace, ranking: Ranking, bit_error_rate: float | None = None) -> Ranking:
    """The bits of a memory by what protecting one saves behind a check.

    The decoder says what flips of cells make of a word, at `bit_error_rate` (None: the one that the check is made for).
    How much the error matters says `ranking`, of the bits of plain words: what the flips of the same word do, over the
    squares of their errors. Bits of registers keep their scores.
    """
    if not isinstance(check, WordCheck):
        raise InputError(
            Argument("behind", check), "; allowed are fkeras.RangeCheck(), fkeras.KnownWords() and fkeras.Recoded()"
        )
    readings = check.stored_readings(space)
    rate = getattr(check, "bit_error_rate", RATE) if bit_error_rate is None else bit_error_rate
    scores = bounded(np.maximum(ranking.scores, 0.0))
    harms = damage_per_square(space, scores)
    for tensor, reading, harm, start in zip(space.tensors, readings, harms, space.offsets, strict=False):
        for part in tensor.parts:
            scores[start + part.bits] = _saved(part, reading, harm[part.elements], rate)
    return Ranking.from_scores(scores, space, f"{ranking.method} behind {check.name}")


def _saved(part: Part, reading: Reading, harm: Scores, rate: float) -> Scores:
    """What protecting each bit of words of one width saves, (n, width); harm (n,): of an error over its square."""
    elements, width, golden = part.elements, part.codec.width, part.codec.decode(part.tensor.words)
    patterns, saved = reading.patterns[elements], np.zeros((elements.size, width))
    for n_flips in (n for n in range(min(MOST_FLIPS, width) + 1) if n < 2 or comb(width, n) <= MOST_PATTERNS):
        for places in combinations(range(width), n_flips):
            flips = np.uint32(sum(1 << (width - 1 - place) for place in places))
            words = reading.decode(patterns ^ flips, elements)
            error = bounded(part.codec.decode(words)) - golden
            for place in range(width):
                among = n_flips - (place in places)
                chance = rate**among * (1 - rate) ** (width - 1 - among)
                saved[:, place] += (chance if place in places else -chance) * harm * np.square(error)
    return saved
