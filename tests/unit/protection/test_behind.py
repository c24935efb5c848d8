"""Bits ranked as a check reads them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.faults import KnownWords, RangeCheck, Recoded
from fkeras.faults.readings import RangeReading
from fkeras.memory import BitSpace, FixedPoint, Register
from fkeras.protection.behind import ranking_behind
from fkeras.sensitivity import Ranking
from fkeras.sensitivity.positional import flip_steps


def memory(space_of, words, width=3, registers=()):
    """One tensor of these words."""
    (tensor,) = space_of(("a/kernel", (len(words),), width)).tensors
    words = np.array(words, np.uint32)
    return BitSpace(
        (replace(tensor, words=words, golden=tensor.values_of(words, np.arange(words.size))),), registers=registers
    )


@pytest.mark.parametrize("check", [RangeCheck(), KnownWords(), Recoded()], ids=repr)
def test_cells_are_ranked_by_what_protecting_one_saves_behind_the_check(space_of, check):
    """Of words of 3 bits, by all the eight patterns that each may become."""
    space = memory(space_of, [0, 1, 1, 3, 6])
    (tensor,), rate = space.tensors, 0.1
    (reading,) = check.on(space).readings
    by_squares = Ranking.from_scores(np.square(flip_steps(space)), space)
    ranking = ranking_behind(check, space, by_squares, rate)
    for element in range(5):
        here = np.array([element])
        for place in range(3):
            saved = 0.0
            for flips in range(8):
                read = reading.decode(reading.patterns[here] ^ np.uint32(flips), here)
                error = tensor.values_of(read, here) - tensor.golden[here]
                others = (flips & ~(4 >> place)).bit_count()
                sign = 1 if flips & (4 >> place) else -1
                saved += sign * rate**others * (1 - rate) ** (2 - others) * float(error[0]) ** 2
            assert ranking.scores[element * 3 + place] == pytest.approx(saved)


def test_behind_a_check_that_changes_nothing_a_ranking_by_squares_is_what_it_was(space_of):
    space = memory(space_of, range(8))
    scores = np.square(flip_steps(space)) * np.repeat(np.random.default_rng(1).random(8), 3)[:, None].reshape(-1)
    behind = ranking_behind(KnownWords(), space, Ranking.from_scores(scores, space), 1e-9)
    assert behind.scores == pytest.approx(scores, rel=1e-6)


def test_a_flip_that_is_mended_is_worth_nothing_and_an_error_what_its_square_is_among_those_of_the_word(space_of):
    """0 reads 2 as it is, and 4 as 0; flips of 8, 4, 2 and 1 score 24 together, an error of 2 so 24 * 4/85."""
    space = memory(space_of, [0, 0, 2], 4)
    scores = np.array([9.0, 7, 5, 3] * 3)
    behind = ranking_behind(KnownWords(), space, Ranking.from_scores(scores, space), 1e-9)
    assert behind.scores[:4] == pytest.approx([0, 0, 24 * 4 / 85, 0], abs=1e-6)


def test_further_flips_are_as_likely_as_the_check_is_made_for(space_of):
    space = memory(space_of, [0, 1, 1, 3, 6])
    by_squares = Ranking.from_scores(np.square(flip_steps(space)), space)
    often, seldom = (ranking_behind(KnownWords(bit_error_rate=rate), space, by_squares) for rate in (0.2, 0.01))
    assert np.array_equal(often.scores, ranking_behind(KnownWords(bit_error_rate=0.2), space, by_squares, 0.2).scores)
    assert not np.array_equal(often.scores, seldom.scores)


def test_damage_without_end_comes_first_and_leaves_numbers(space_of):
    space = memory(space_of, range(8))
    scores = np.array([np.inf, *range(23)])
    behind = ranking_behind(KnownWords(), space, Ranking.from_scores(scores, space))
    assert behind.order[0] == 0
    assert np.isfinite(behind.scores).all()


@pytest.mark.parametrize(("width", "n_decoded"), [(4, 15), (12, 299), (16, 137), (24, 25)])
def test_of_wide_words_fewer_flips_are_looked_at_together(space_of, monkeypatch, width, n_decoded):
    """The 4,526 patterns of up to three flips of a 30-bit word would cost a network of floats minutes."""
    space = memory(space_of, [0, 1, 5], width)
    ranking = Ranking.from_scores(np.square(flip_steps(space)), space)
    decoded, decode = [], RangeReading.decode
    monkeypatch.setattr(RangeReading, "decode", lambda *its: decoded.append(its) or decode(*its))
    assert ranking_behind(RangeCheck(), space, ranking).scores.max() > 0
    assert len(decoded) == n_decoded


def test_bits_of_registers_keep_their_scores(space_of):
    register = Register("a/activation", (2,), FixedPoint(4, 0), "activations", "a/activation")
    space = memory(space_of, [0, 0, 1], registers=(register,))
    scores = np.arange(17.0)
    for check in (RangeCheck("clamp"), KnownWords()):
        behind = ranking_behind(check, space, Ranking.from_scores(scores, space))
        assert behind.scores[9:].tolist() == scores[9:].tolist()
        assert behind.scores[:9].tolist() != scores[:9].tolist()


def test_what_is_no_check_is_refused(space_of):
    space = memory(space_of, [0, 1])
    with pytest.raises(
        InputError, match=r"behind=3; allowed are fkeras.RangeCheck\(\), fkeras.KnownWords\(\) and fkeras.Rec"
    ):
        ranking_behind(3, space, Ranking.from_scores(np.zeros(6), space))
