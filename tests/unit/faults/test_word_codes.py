"""Parity and SECDED over the covered bits of each word, hit by hit and on average."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.faults import (
    SECDED,
    TMR,
    BitErrorRate,
    Exposure,
    FaultSet,
    FlipCount,
    Parity,
    Upsets,
    protection,
    trial_upsets,
)
from fkeras.faults.fault_models import draw_of
from fkeras.memory import BitSet, BitSpace, PowerOfTwo, WordTensor


def hit(space, data, checks=(), ages=None):
    """Hits on bits of the memory, and on check cells: bit i of a word in the further array is its check cell i."""
    draws = [draw_of(np.array(hits, np.int64)) for hits in (data, checks, ())]
    return Upsets(
        space, draws[0], lambda plane: draws[plane], 100.0, None if ages is None else lambda plane, n: ages[plane]
    )


@pytest.mark.parametrize(
    ("data", "checks", "left"),
    [
        ([3], [], FaultSet()),  # one wrong cell is mended
        ([], [2], FaultSet()),
        ([3, 3], [], FaultSet()),  # two hits on one cell
        ([3, 9], [], FaultSet()),  # one in each of two words
        ([3, 4], [], FaultSet([], [], range(6))),  # two are detected, and the word reads 0
        ([3], [0], FaultSet([], [], range(6))),
        ([], [0, 1], FaultSet([], [], range(6))),
    ],
)
def test_secded_mends_one_and_detects_two(memory, data, checks, left):
    space = memory(3)
    assert SECDED(range(18)).on(space).residual(hit(space, data, checks)) == left


def test_three_wrong_cells_may_be_mended_wrongly(memory):
    """Data cells 0, 1, 2 have columns 7, 11, 13: together 1, the column of check cell 0."""
    space = memory(1)
    coded = SECDED(range(6)).on(space)
    assert coded.code_over(6).columns.tolist()[:7] == [7, 11, 13, 14, 19, 21, 1]
    upsets = hit(space, [0, 1, 2])
    assert coded.residual(upsets) == FaultSet([0, 1, 2])
    assert coded.counts(upsets) == (0, 1)


@pytest.mark.parametrize(
    ("on_detected", "left"),
    [
        ("zero", FaultSet([7], [], range(6))),
        ("reload", FaultSet([0, 7])),
        ("keep", FaultSet([0, 3, 4, 7])),
    ],
)
def test_what_becomes_of_a_detected_word(memory, on_detected, left):
    """Bits 1 to 5 of the first word are covered; bits 0 and 7 are not."""
    space = memory(2)
    covered = SECDED(range(1, 6), on_detected=on_detected).on(space)
    assert covered.residual(hit(space, [0, 3, 4, 7])) == left


def test_parity_sees_odd_numbers(memory):
    space = memory(2)
    coded = Parity(range(12)).on(space)
    assert coded.residual(hit(space, [3])) == FaultSet([], [], range(6))
    assert coded.residual(hit(space, [], [6])) == FaultSet([], [], range(6, 12))
    assert coded.residual(hit(space, [3, 4])) == FaultSet([3, 4])
    assert coded.residual(hit(space, [3], [0])) == FaultSet([3])
    assert coded.residual(hit(space, [], [1])) == FaultSet()  # no check cell there
    assert coded.counts(hit(space, [3, 4, 6])) == (1, 1)
    assert Parity(range(12), on_detected="reload").on(space).residual(hit(space, [3])) == FaultSet()


@pytest.mark.parametrize(
    ("ages", "good_copy", "itself"),
    [
        ([0.05, 0.06], "detected", "detected"),
        ([0.05, 0.15], "mended", "mended"),  # a scrub between them
        ([0.75, 0.76], "mended", "detected"),  # a good copy mends what the code cannot
    ],
)
def test_scrubs_separate_hits(memory, ages, good_copy, itself):
    space = memory(1)
    upsets = hit(space, [3, 4], ages={0: np.array(ages)})
    left = {"detected": FaultSet([], [], range(6)), "mended": FaultSet()}
    assert SECDED(range(6), 10).on(space).residual(upsets) == left[good_copy]
    assert SECDED(range(6), 10, "itself").on(space).residual(upsets) == left[itself]


def test_what_was_mended_wrongly_stays_for_good(memory):
    """Three hits long ago become a codeword; a hit on it later is mended, and the three stay."""
    space = memory(1)
    upsets = hit(space, [0, 1, 2, 5], ages={0: np.array([0.75, 0.76, 0.77, 0.05])})
    assert SECDED(range(6), 10, "itself").on(space).residual(upsets) == FaultSet([0, 1, 2])
    assert SECDED(range(6), 10).on(space).residual(upsets) == FaultSet()


MODELS = [
    BitErrorRate(0.08, exposure_seconds=100),
    Exposure(100, upsets_per_bit_second=0.001),
]


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("covered", [range(120), range(0, 120, 2), [0, *range(6, 60)]], ids=["words", "parts", "mixed"])
@pytest.mark.parametrize("make", [Parity, SECDED, lambda bits: SECDED(bits, 50), lambda bits: Parity(bits, 50)])
def test_simulated_and_computed_numbers_agree(memory, make, covered, model):
    space, trials = memory(20), 300
    coded = make(covered).on(space)
    found = np.array([coded.counts(trial_upsets(space, model, 5, i)) for i in range(trials)])
    expected = coded.expected_words(model, 120)
    for counted, mean in zip(found.T, (expected.detected, expected.silent), strict=True):
        assert abs(counted.mean() - mean) < 5 * max(counted.std(), 0.05) / trials**0.5


def test_parity_and_secded_by_hand(memory):
    """Parity of 6 + 1 cells: (1 - (1 - 2p)^7) / 2 detected. SECDED of 6 + 5: lost with two wrong cells."""
    space, p = memory(20), 0.08
    parity = Parity(range(120)).on(space).expected_words(BitErrorRate(p), 120)
    assert parity.detected == pytest.approx(20 * (1 - (1 - 2 * p) ** 7) / 2)
    assert parity.detected + parity.silent == pytest.approx(20 * (1 - (1 - p) ** 7))
    secded = SECDED(range(120)).on(space).expected_words(BitErrorRate(p), 120)
    assert secded.detected + secded.silent == pytest.approx(20 * (1 - (1 - p) ** 11 - 11 * p * (1 - p) ** 10))


def test_no_formula_where_there_is_none(memory):
    space = memory(4)
    assert SECDED(range(24)).on(space).expected_words(FlipCount(3), 24) is None
    scrubbed = SECDED(range(24), 10, "itself").on(space)
    assert scrubbed.expected_words(Exposure(100, upsets_per_second=1), 24) is None
    wide = memory(2, 32)
    assert SECDED(range(64)).on(wide).expected_words(BitErrorRate(0.1), 64) is None


def test_words_longer_than_an_array_s_have_check_bits_in_a_second(memory):
    """One bit of a word of one bit needs three check cells: in three further arrays."""
    space = memory(4, 1)
    coded = SECDED(range(4)).on(space)
    draws = [draw_of(np.array(hits, np.int64)) for hits in ([0], [1], [2], [0])]
    upsets = Upsets(space, draws[0], lambda plane: draws[plane])
    assert coded.counts(upsets) == (1, 0)
    assert coded.residual(upsets) == FaultSet([], [], [0])


def test_what_it_costs(memory):
    space = memory(20)
    assert Parity(range(120)).on(space).extra_bits == 20
    assert SECDED(range(120)).on(space).extra_bits == 100
    assert SECDED(range(0, 120, 6)).on(space).extra_bits == 60
    assert SECDED(BitSet(range(120), label="all"), 60).on(space).describe(120) == (
        "all: 120 bits of 20 words under SECDED, 100 extra bits (overhead 83.3%), hit like the others, scrubbed every "
        "60 s from a good copy, a word found wrong reads 0"
    )
    assert Parity([0], on_detected="reload").on(space).describe(120).endswith("a word found wrong is loaded again")
    nothing = SECDED([]).on(space)
    assert (nothing.extra_bits, nothing.is_perfect) == (0, True)
    assert nothing.residual(Upsets.alone(space, FaultSet([3]))) == FaultSet([3])


def test_a_campaign_s_protection_is_made_for_its_memory(memory):
    assert protection(SECDED([0]), memory(1)).extra_bits == 3
    assert isinstance(protection(TMR([0]), memory(1)), TMR)


def test_words_that_do_not_read_zero(memory):
    zeros = np.zeros(2, np.uint32)
    values = np.ones(2, np.float32)
    space = BitSpace((WordTensor("shift/kernel", (2,), PowerOfTwo(4), zeros, values, values),))
    with pytest.raises(InputError, match=r"a word of zeros in tensor 'shift/kernel' .* does not mean 0; write on_det"):
        protection(Parity([0]), space)
    assert protection(Parity([0], on_detected="reload"), space).extra_bits == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Parity([0], on_detected="crash"), "on_detected is 'crash'; allowed are 'zero', 'reload', 'keep'"),
        (lambda: SECDED([0], 0), "scrub_interval_seconds is 0"),
        (lambda: SECDED([0], scrub_from="itself"), "says nothing without scrub_interval_seconds"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
