"""Which class wins, where it is clear."""

from __future__ import annotations

import numpy as np

from fkeras.engines.cpu.classes import ClassScores, nearly_tied, winners
from fkeras.metrics import accuracy, mispredictions
from fkeras.scoring import Scorecard


def test_a_class_wins_by_a_lead_or_not_at_all() -> None:
    scores = np.array(
        [[1, 2, 0], [2, 2, 0], [2, 1.9, 0], [-5, -7, -4], [0, np.nan, 1], [np.inf, 0, 0], [np.nan] * 3], np.float32
    )
    np.testing.assert_array_equal(winners(scores, 0.5), [1, -1, -1, 2, -1, -1, -1])


def test_what_rounding_may_decide_is_a_tie() -> None:
    single = np.array([0.5, 0.5 + 5e-7, 0.5 - 5e-7, 0.501, 0.2, np.nan])
    for shape in ((6,), (6, 1)):
        assert nearly_tied(single.reshape(shape)).tolist() == [True, True, True, False, False, False]
    pair = np.array([[0.2, 0.2], [0.2, 0.3]])
    assert nearly_tied(pair).tolist() == [True, False]
    assert nearly_tied((pair, single[:2])).tolist() == [True, True]
    assert not nearly_tied(np.full((2, 3, 3), 0.5)).any()


def test_states_with_a_clear_class_score_as_their_outputs_would() -> None:
    rng = np.random.default_rng(0)
    golden, labels = rng.random((6, 4)).astype(np.float32), rng.integers(0, 4, 6)
    card = Scorecard({"right": accuracy(), "wrong": mispredictions()}, labels, golden)
    samples, places = np.array([5, 0, 0, 3, 2]), np.array([4, 2, 1])
    ends = np.array([[9, 1, 1, 1], [1, 1, 1, 1], [1, 2, 3, 9]], np.float32)
    errors = {name: np.full(5, -1.0) for name in card.scorers}
    undefined = {name: np.ones(5, bool) for name in card.scorers}
    unclear = ClassScores(card, golden).fill(samples, errors, undefined, places, ends)
    np.testing.assert_array_equal(unclear, [1])
    for name, scorer in card.scorers.items():
        expected = scorer.score(ends[[0, 2]], samples[[4, 1]])
        np.testing.assert_array_equal(errors[name], [-1, expected.values[1], -1, -1, expected.values[0]])
        np.testing.assert_array_equal(undefined[name], [True, False, True, True, False])
