"""Patterns for words: the objective counted by hand, and a search that never ends worse than plain words."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.faults.placement import _expected_error, lexicode, place


def slow_error(places, values, weights, width, odds):
    """Every stored word, every pattern that it may be read as, relative to no flip."""
    content = {int(pattern): s for s, pattern in enumerate(places)}
    error = 0.0
    for pattern in range(1 << width):
        chances = [weight * odds ** (pattern ^ int(p)).bit_count() for weight, p in zip(weights, places, strict=True)]
        if pattern in content:
            meant = values[content[pattern]]
        else:
            meant = sum(c * v for c, v in zip(chances, values, strict=True)) / sum(chances)
        error += sum(c * (v - meant) ** 2 for c, v in zip(chances, values, strict=True))
    return error


@pytest.mark.parametrize("seed", range(4))
def test_the_objective_is_the_expected_squared_error(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    places, values, weights = rng.permutation(8)[:n], np.sort(rng.normal(size=n)), rng.uniform(0.1, 1, n)
    expected = slow_error(places, values, weights, 3, 0.1)
    assert _expected_error(places, values, weights, 3, 0.1) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 16, 17, 40, 64])
def test_patterns_are_distinct_and_never_worse_than_plain_words(n):
    rng = np.random.default_rng(n)
    words = np.sort(rng.permutation(64)[:n])
    values, weights = words - 32.0, rng.integers(1, 100, n).astype(float)
    places = place(values, words, weights, 6, 0.01, 0)
    assert np.unique(places).size == n
    assert places.min() >= 0
    assert places.max() < 64
    before, after = (slow_error(where, values, weights, 6, 0.01 / 0.99) for where in (words, places))
    assert after <= before * (1 + 1e-9) + 1e-12
    assert n in (1, 64) or after < before


@pytest.mark.parametrize(
    ("width", "distance", "n"), [(7, 3, 16), (8, 4, 16), (7, 4, 8), (3, 3, 2), (4, 1, 16), (5, 6, 1)]
)
def test_greedy_codes_are_those_of_hamming(width, distance, n):
    code = lexicode(width, distance)
    assert code.size == n
    assert min([(int(a) ^ int(b)).bit_count() for a in code for b in code if a != b], default=distance) >= distance
