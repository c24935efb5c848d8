"""Rankings in a store, and near-ties."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.sensitivity import Ranking
from fkeras.sensitivity.ranking import stored_ranking
from fkeras.store import UNKEPT, Identity, Store

SCORES = np.array([0.5, np.inf, -1.0, 0.5, 0.5, 7.0, np.inf, 0.0] + [0.25] * 10)


@pytest.fixture
def entry(tmp_path):
    return Store(tmp_path / "store").entry(Identity("ranking", {"n": 1}))


def test_it_is_made_once_and_read_as_it_was(entry, space):
    made = []

    def make():
        made.append(1)
        return Ranking.from_scores(SCORES, space, "mine")

    first, second = (stored_ranking(entry, space, make) for _ in range(2))
    assert made == [1]
    assert (first.reused, second.reused) == (False, True)
    for one in (first, second):
        assert one.order.tolist() == Ranking.from_scores(SCORES, space).order.tolist()
        assert one.scores.tolist() == SCORES.tolist()
        assert (one.method, one.layout_digest) == ("mine", space.layout_digest)


def test_without_a_store_it_is_made(space):
    assert not stored_ranking(UNKEPT, space, lambda: Ranking.from_scores(SCORES, space)).reused


def test_half_a_ranking_is_none(entry, space):
    entry.append({"rank": np.arange(2), "bit": np.arange(2), "score": np.ones(2), "method": np.full(2, "mine")})
    made = stored_ranking(entry, space, lambda: Ranking.from_scores(SCORES, space, "mine"))
    assert made.order.tolist() == Ranking.from_scores(SCORES, space).order.tolist()


@pytest.mark.parametrize(
    ("k", "said"),
    [
        (0, ""),
        (1, "near-tie at 1: 2 bits share the score"),
        (2, ""),
        (3, ""),
        (4, "near-tie at 4: 3 bits share the score"),
        (5, "near-tie at 5: 3 bits share the score"),
        (6, ""),
        (7, "near-tie at 7: 10 bits share the score"),
        (18, ""),
    ],
)
def test_ties(space, k, said):
    ranking = Ranking.from_scores(SCORES, space)
    assert ranking.near_tie(k) == said
    assert ranking[:k].origin == said


def test_near_ties_are_those_that_another_machine_may_order_otherwise():
    ranking = Ranking.from_scores([1.0, 1 - 1e-8, 1 - 5e-7, 0.99, 0.0, -0.0])
    assert ranking.near_tie(1) == "near-tie at 1: 3 bits have scores within 1e-06 of one another"
    assert ranking.near_tie(3) == ""
    assert ranking.near_tie(5) == "near-tie at 5: 2 bits share the score"


def test_ties_within_a_part_of_the_bits(space):
    ranking = Ranking.from_scores(SCORES, space)
    assert ranking.near_tie(2, np.array([1, 0, 3])) == "near-tie at 2: 2 bits share the score"
    assert ranking.near_tie(3, np.array([1, 0, 3])) == ""
