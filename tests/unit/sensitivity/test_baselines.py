"""BinFI and StatFI: probes, implied bits and sample sizes with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.sensitivity.baselines import binfi, statfi


def memory(*sizes_and_widths: tuple[int, int]) -> BitSpace:
    return BitSpace(
        tuple(
            WordTensor(
                f"layer_{i}/kernel",
                (size,),
                FixedPoint(width, 0),
                np.zeros(size, np.uint32),
                np.ones(size, np.float32),
                np.zeros(size, np.float32),
            )
            for i, (size, width) in enumerate(sizes_and_widths)
        )
    )


@pytest.mark.parametrize(
    ("boundary", "probes"),
    [(0, [2, 0]), (1, [2, 0, 1]), (2, [2, 0, 1]), (3, [2, 4, 3]), (4, [2, 4, 3]), (5, [2, 4, 5]), (6, [2, 4, 5])],
)
def test_a_six_bit_word_takes_two_or_three_probes(boundary, probes):
    found = binfi(memory((1, 6)), np.arange(6) < boundary)
    assert found.probes.tolist() == probes
    assert found.predicted.tolist() == (np.arange(6) < boundary).tolist()


def test_2120_six_bit_words_cost_between_4240_and_6360_probes():
    space = memory((72, 6), (2048, 6))
    assert binfi(space, np.zeros(12_720, np.bool_)).probes.size == 4_240
    assert binfi(space, np.ones(12_720, np.bool_)).probes.size == 6_360


def test_words_that_are_not_monotone_give_false_answers_which_are_counted():
    sensitive = np.array([True, False, True, False, False, True])
    found = binfi(memory((1, 6)), sensitive)
    assert found.probes.tolist() == [2, 4, 3]
    assert found.false_negatives(sensitive).tolist() == [5]
    assert found.false_positives(sensitive).tolist() == [1]


def test_words_are_searched_in_order_and_bits_become_known_word_by_word():
    space = memory((2, 3))
    sensitive = np.array([True, True, False, False, False, False])
    found = binfi(space, sensitive)
    assert found.probes.tolist() == [1, 2, 4, 3]
    steps = [(spent, known.tolist()) for spent, known in found.implied_steps(space)]
    assert steps == [(2, [0, 1, 2]), (4, [3, 4])]


def test_binfi_needs_every_bit_measured():
    with pytest.raises(InputError, match="one bool for each of the 6 bits"):
        binfi(memory((1, 6)), np.ones(5, np.bool_))


def test_unaware_sampling_leaves_the_stated_share_unseen():
    # ECON-T Small: 64 x 16 and 16 x 16 eight-bit words; the paper says 5 %
    plan = statfi(memory((1024, 8), (256, 8)))
    assert plan.unseen_fraction == pytest.approx(0.049, abs=0.0005)


def test_aware_sampling_leaves_the_stated_share_unseen():
    plan = statfi(memory((1024, 8), (256, 8)), data_aware=True)
    assert plan.unseen_fraction == pytest.approx(0.371, abs=0.0005)


def test_top_bits_are_listed_first_and_no_bit_twice():
    space = memory((50, 4), (30, 4))
    sampled = statfi(space, margin=0.2, t=1.96).sampled
    assert np.unique(sampled).size == sampled.size
    assert (np.diff(space.bit_positions[sampled]) >= 0).all()


def test_aware_sampling_never_draws_the_lowest_bit():
    space = memory((500, 4))
    assert set(space.bit_positions[statfi(space, data_aware=True).sampled].tolist()) == {0, 1, 2}


def test_one_bit_words_are_sampled_as_if_nothing_were_known():
    assert statfi(memory((500, 1)), data_aware=True).sampled.size == statfi(memory((500, 1))).sampled.size


def test_what_was_not_drawn_is_missed():
    space = memory((500, 4))
    plan = statfi(space, data_aware=True)
    missed = plan.false_negatives(np.ones(2000, np.bool_))
    assert np.array_equal(missed, np.setdiff1d(np.arange(2000), plan.sampled))


def test_a_seed_gives_the_same_sample():
    space = memory((300, 4))
    assert np.array_equal(statfi(space, margin=0.1, seed=3).sampled, statfi(space, margin=0.1, seed=3).sampled)
    assert not np.array_equal(statfi(space, margin=0.1, seed=3).sampled, statfi(space, margin=0.1, seed=4).sampled)
