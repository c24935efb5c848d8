"""Which pattern stands for which word, so that likely flips change values least: a search by threshold accepting.

The objective is the expected squared error of a word: over all stored words, and over all flips of independent bits.
Nothing here depends on the machine: sums are in one order, and no step takes a function that libraries round
differently.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.compiled import compiled
from fkeras.faults.codes import count_ones
from fkeras.faults.stream import RandomStream

Places = NDArray[np.int64]

MOVES = 60_000
_WORK = 1 << 26
"""The most patterns looked at, over all moves."""


def place(
    values: NDArray[np.float64],
    words: Places,
    weights: NDArray[np.float64],
    width: int,
    bit_error_rate: float,
    seed: int,
) -> Places:
    """The pattern of each of n words, (n,), distinct.

    values, words, weights: (n,), the words in plain order, ascending by value; weights: how much each counts.
    """
    # A search for a mask asks for the same patterns beside every mask that it tries.
    return _place(*(array.tobytes() for array in (values, words, weights)), width, bit_error_rate, seed)


@lru_cache(maxsize=256)
def _place(by_value: bytes, plain: bytes, by_weight: bytes, width: int, bit_error_rate: float, seed: int) -> Places:
    values, words, weights = np.frombuffer(by_value), np.frombuffer(plain, np.int64), np.frombuffer(by_weight)
    stream = RandomStream("fkeras-recoded/1", seed)
    odds = bit_error_rate / (1 - bit_error_rate)
    scaled = weights / max(weights.sum(), np.finfo(np.float64).tiny)
    spread = values.max() - values.min() if values.size else 0.0
    centred = (values - scaled @ values) / (spread or 1.0)
    starts = list(_starts(words, scaled, width))
    costs = [_expected_error(start, centred, scaled, width, odds) for start in starts]
    n_moves = min(MOVES, _WORK >> width)
    movers, targets = stream.integers(n_moves, max(1, values.size)), stream.integers(n_moves, 1 << width)
    best, lowest = starts[0], costs[0]
    for number in np.argsort(costs, kind="stable")[:2].tolist():
        places = starts[number].copy()
        _anneal(places, centred, scaled, width, odds, movers, targets)
        cost = _expected_error(places, centred, scaled, width, odds)
        if cost < lowest:
            best, lowest = places, cost
    return best


def _starts(words: Places, weights: NDArray[np.float64], width: int) -> Iterator[Places]:
    """Plain words, sign and magnitude, Gray's code, and the code of the largest distance that has enough words."""
    yield words.copy()
    n, top = words.size, 1 << (width - 1)
    signed = np.where(words < top, words, top | (2 * top - words) % top)
    if np.unique(signed).size == n:
        yield signed
    order = np.arange(n)
    yield order ^ (order >> 1)
    by_weight = np.argsort(-weights, kind="stable")
    for distance in range(width, 2, -1):
        code = lexicode(width, distance)
        if code.size >= n:
            places = np.empty(n, np.int64)
            places[by_weight] = code[:n]
            yield places
            return
        if 8 * code.size >= 7 * n:  # nearly enough: the rarest words get what is left
            rest = np.setdiff1d(np.arange(2 * top), code)[: n - code.size]
            places = np.empty(n, np.int64)
            places[by_weight] = np.concatenate([code, rest])
            yield places


def lexicode(width: int, distance: int) -> Places:
    """The patterns that a greedy walk takes, each at least `distance` flips from those before.

    Such codes are linear (Conway and Sloane, IEEE Trans. Inf. Theory 32 (1986) 337); Hamming's are among them.

    >>> [lexicode(7, 3).size, lexicode(8, 4).size, lexicode(7, 4).size]
    [16, 16, 8]
    """
    code = np.zeros(1, np.int64)
    patterns = np.arange(1 << width)
    reached = count_ones(patterns)
    while reached.max() >= distance:
        # The code so far is linear: its sums with the next word are in it too.
        code = np.concatenate([code, code ^ int(np.argmax(reached >= distance))])
        for word in code[code.size // 2 :].tolist():
            np.minimum(reached, count_ones(patterns ^ word), out=reached)
    return code


@compiled
def _moments(places: Any, values: Any, weights: Any, width: Any, odds: Any) -> Any:
    """Of each pattern: what it stands for, -1 for nothing, and the moments 0 to 2 of the values that it may mean."""
    n_patterns = 1 << width
    content = np.full(n_patterns, -1, np.int64)
    moments = np.zeros((3, n_patterns))
    for s in range(places.size):
        content[places[s]] = s
        moments[0, places[s]] = weights[s]
        moments[1, places[s]] = weights[s] * values[s]
        moments[2, places[s]] = weights[s] * values[s] * values[s]
    for bit in range(width):
        half = 1 << bit
        for q in range(n_patterns):
            if not q & half:
                for m in range(3):
                    a, b = moments[m, q], moments[m, q | half]
                    moments[m, q], moments[m, q | half] = a + odds * b, b + odds * a
    return content, moments


@compiled
def _error_at(m0: Any, m1: Any, m2: Any, s: Any, values: Any) -> Any:
    """The expected squared error of what reads as this pattern, which stands for s or else for what was meant."""
    if s >= 0:
        return m2 - 2 * values[s] * m1 + values[s] * values[s] * m0
    return m2 - m1 * m1 / m0 if m0 > 0 else 0.0


@compiled
def _expected_error(places: Any, values: Any, weights: Any, width: Any, odds: Any) -> float:
    content, moments = _moments(places, values, weights, width, odds)
    error = 0.0
    for q in range(content.size):
        error += _error_at(moments[0, q], moments[1, q], moments[2, q], content[q], values)
    return error


@compiled
def _anneal(places: Any, values: Any, weights: Any, width: Any, odds: Any, movers: Any, targets: Any) -> None:
    """Move word after word to another pattern, whose word takes its place; worse ones are taken below a threshold."""
    n_patterns = 1 << width
    chance = np.empty(width + 1)
    chance[0] = 1.0
    for d in range(width):
        chance[d + 1] = chance[d] * odds
    distance = np.zeros(n_patterns, np.int64)
    for q in range(1, n_patterns):
        distance[q] = distance[q >> 1] + (q & 1)
    content, moments = _moments(places, values, weights, width, odds)
    new = np.empty((3, n_patterns))
    error = _expected_error(places, values, weights, width, odds)
    lowest, best = error, places.copy()
    n_moves, first = movers.size, error / max(1, places.size)
    for move in range(n_moves):
        if move % 4096 == 0:  # without the roundings of many small changes
            content, moments = _moments(places, values, weights, width, odds)
            error = _expected_error(places, values, weights, width, odds)
        s, here, there = movers[move], places[movers[move]], targets[move]
        if here == there:
            continue
        other = content[there]
        gain, value = weights[s], weights[s] * values[s]
        square = value * values[s]
        if other >= 0:
            gain -= weights[other]
            value -= weights[other] * values[other]
            square -= weights[other] * values[other] * values[other]
        content[there], content[here] = s, other
        changed = 0.0
        for q in range(n_patterns):
            change = chance[distance[q ^ there]] - chance[distance[q ^ here]]
            new[0, q] = moments[0, q] + change * gain
            new[1, q] = moments[1, q] + change * value
            new[2, q] = moments[2, q] + change * square
            changed += _error_at(new[0, q], new[1, q], new[2, q], content[q], values)
        threshold = first * max(0.0, 1.0 - 1.25 * move / n_moves) ** 2
        if changed - error <= threshold:
            places[s] = there
            if other >= 0:
                places[other] = here
            moments, new = new, moments
            error = changed
            if error < lowest:
                lowest = error
                best[:] = places
        else:
            content[here], content[there] = s, other
    places[:] = best
