"""The random stream: known answers on every machine, uniform, distinct."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.faults import RandomStream, whole_seed


def test_known_answers():
    assert RandomStream("k", 1).raw(3).tolist() == [3092014273786304748, 80345875208901981, 17634693192286239138]
    assert RandomStream("k", 1).uniform(2).tolist() == [0.16761842964976514, 0.004355558622587075]
    assert RandomStream("k", 1).integers(5, 10).tolist() == [8, 1, 8, 2, 6]
    assert RandomStream("k", 1).distinct(5, 1000).tolist() == [138, 736, 748, 981, 982]
    assert RandomStream("k", 1).bernoulli(40, 0.1).tolist() == [1, 8, 11, 12, 13, 19]
    assert [RandomStream("k", 1).poisson(mean) for mean in (0.5, 8.0, 960.0)] == [0, 3, 922]


def test_other_keys_give_other_streams():
    firsts = {int(RandomStream(*key).raw(1)[0]) for key in (("k", 1), ("k", 2), ("l", 1), ("k", 1, 0))}
    assert len(firsts) == 4


def test_integers_are_uniform():
    """Chi-square with 9 degrees of freedom: 33.7 is exceeded once in 10,000."""
    counts = np.bincount(RandomStream("uniform").integers(100_000, 10), minlength=10)
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 33.7


def test_integers_cover_ranges_that_are_no_power_of_two():
    drawn = RandomStream("range").integers(10_000, 3)
    assert set(drawn.tolist()) == {0, 1, 2}
    assert RandomStream("one").integers(4, 1).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("n", [0, 1, 49, 50, 51, 99, 100])
def test_distinct_numbers_are_distinct_sorted_and_in_range(n):
    drawn = RandomStream("distinct", n).distinct(n, 100)
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert drawn.size == n
    assert n == 0 or (drawn[0] >= 0 and drawn[-1] < 100)


@pytest.mark.parametrize("n", [3, 9])
def test_every_subset_is_as_likely_as_every_other(n):
    """Each of 12 numbers is in a share n/12 of the subsets; 5 standard errors."""
    stream = RandomStream("subsets", n)
    hits = np.bincount(np.concatenate([stream.distinct(n, 12) for _ in range(4000)]), minlength=12) / 4000
    p = n / 12
    assert np.abs(hits - p).max() < 5 * (p * (1 - p) / 4000) ** 0.5


@pytest.mark.parametrize("probability", [0.0, 0.03, 0.7, 1.0])
def test_bernoulli_hits_its_share(probability):
    size = RandomStream("bernoulli", probability).bernoulli(50_000, probability).size
    assert abs(size - 50_000 * probability) <= 5 * (50_000 * probability * (1 - probability)) ** 0.5


@pytest.mark.parametrize("mean", [0.3, 7.0, 60.0])
def test_poisson_has_its_mean_and_its_variance(mean):
    stream = RandomStream("poisson", mean)
    counts = np.array([stream.poisson(mean) for _ in range(5000)])
    assert abs(counts.mean() - mean) < 5 * (mean / 5000) ** 0.5
    assert abs(counts.var() - mean) < 5 * ((mean + 2 * mean**2) / 5000) ** 0.5


def test_no_rate_gives_no_count():
    assert RandomStream("zero").poisson(0.0) == 0


@pytest.mark.parametrize("seed", [1.5, True, "a", None])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(InputError, match="allowed are whole numbers"):
        whole_seed(seed)
