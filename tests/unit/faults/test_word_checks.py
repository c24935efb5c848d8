"""Range checks, known words and recoded words: what they read, cost, say and refuse."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.campaigns.bit_map import map_of_protection
from fkeras.errors import InputError, LayoutError
from fkeras.faults import (
    SECDED,
    TMR,
    AssumedImmune,
    FaultSet,
    FlipCount,
    KnownWords,
    Parity,
    RangeCheck,
    Recoded,
    Upsets,
    protection,
    trial_upsets,
)
from fkeras.faults.fault_models import draw_of
from fkeras.memory import Binary, BitSet, BitSpace, FixedPoint, PowerOfTwo, WordTensor

CHECKS = [RangeCheck, KnownWords, Recoded]


def space_of(*words, codec=None, shape=None):
    """A tensor of each list of values, of 4-bit words: -8 ... 7 unless told."""
    tensors = []
    for number, values in enumerate(words):
        codec_of = codec or FixedPoint(4, 3)
        stored = codec_of.encode(values)
        golden = np.array(values, np.float32)
        tensors.append(WordTensor(f"t{number}", shape or stored.shape, codec_of, stored, golden * 0 + 1, golden))
    return BitSpace(tuple(tensors))


def read(guard, bits):
    """The values of tensor 0 after these flips."""
    left = guard.residual(Upsets.alone(guard.space, FaultSet(bits)))
    values = guard.space.tensors[0].golden.copy()
    for patch in left.patches(guard.space):
        values[patch.elements] = patch.values
    return values.tolist()


@pytest.mark.parametrize(
    ("outside", "values"),
    [
        ("undo", [1, 2, 3]),  # 1 - 8: the sign undone
        ("zero", [0, 2, 3]),
        ("clamp", [1, 2, 3]),  # -7 is below 1
    ],
)
def test_a_word_outside_the_range_is_known_to_be_wrong(outside, values):
    assert read(RangeCheck(outside).on(space_of([1, 2, 3])), [0]) == values


def test_undo_takes_the_highest_bit_and_else_what_is_nearest_to_zero():
    guard = RangeCheck("undo").on(space_of([1, 2, 3]))
    assert read(guard, [1]) == [1, 2, 3]  # 1 + 4
    assert read(guard, [0, 1]) == [1, 2, 3]  # -3: neither bit alone brings it back
    assert read(guard, [3]) == [2, 2, 3]  # 0 is below the range
    assert read(guard, [2, 3]) == [2, 2, 3]  # in the range: nobody knows


def test_limits_of_channels_are_closer():
    space = space_of([1, 5, 2, 6], shape=(2, 2))
    assert read(RangeCheck("clamp").on(space), [1]) == [5, 5, 2, 6]
    assert read(RangeCheck("clamp", per="channel").on(space), [1]) == [2, 5, 2, 6]
    assert RangeCheck(per="channel").on(space).constant_bits == 2 * 2 * 4


def test_a_margin_widens_limits_and_what_is_known():
    space = space_of([1, 2, 3])
    assert read(RangeCheck("clamp", margin=2).on(space), [1]) == [5, 2, 3]
    assert read(RangeCheck("clamp", margin=99).on(space), [0]) == [-7, 2, 3]
    assert read(KnownWords(margin=2).on(space), [1]) == [5, 2, 3]


def test_known_words_read_the_mean_of_what_may_have_been_meant():
    """0101 is one flip from 0001 (1, twice) and 0111 (7, once): a mean of 3, and from no other stored word."""
    space = space_of([1, 1, 7])
    assert read(KnownWords().on(space), [1]) == [3, 1, 7]
    assert read(KnownWords(importance=[1, 1, 10]).on(space), [1]) == [6, 1, 7]


def test_what_matters_may_come_from_a_ranking():
    class Scored:
        scores, layout_digest = np.array([1.0, 0, 0, 0] * 2 + [10.0, 0, 0, 0]), None

    space = space_of([1, 1, 7])
    same = KnownWords(importance=[1, 1, 10]).on(space)
    assert (KnownWords(importance=Scored()).on(space).readings[0].constants == same.readings[0].constants).all()
    Scored.layout_digest = "elsewhere"
    with pytest.raises(LayoutError):
        KnownWords(importance=Scored()).on(space)


def test_a_few_words_are_placed_as_in_a_code_that_mends_every_single_flip():
    space = space_of([-8, -1, 0, 1, 7, 3, 5, -4], codec=FixedPoint(7, 6))
    guard = Recoded().on(space)
    assert all(guard.residual(Upsets.alone(space, FaultSet([bit]))) == FaultSet.EMPTY for bit in range(len(space)))
    patterns = guard.readings[0].patterns
    assert min((int(a) ^ int(b)).bit_count() for a in patterns for b in patterns if a != b) >= 3


def test_the_search_is_the_same_again_and_another_with_another_seed():
    space = space_of(list(range(-8, 5)) * 3)
    first, again, other = (Recoded(seed=seed).on(space).readings[0].patterns.tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_all_words_in_use_leave_nothing_to_know_and_reports_say_so():
    space = space_of(list(range(-8, 8)))
    for check in (RangeCheck(), KnownWords()):
        guard = check.on(space)
        assert not len(guard.bits)
        assert "nothing to gain in t0, all of whose words are in use" in guard.describe(64)
        assert guard.residual(Upsets.alone(space, FaultSet([3]))) == FaultSet([3])
    often_0 = space_of([0] * 100 + list(range(-8, 8)))
    assert len(Recoded().on(often_0).bits) == len(often_0)  # all in use, and yet better placed


@pytest.mark.parametrize("check", CHECKS)
def test_a_tensor_without_words_has_nothing_to_know(check):
    guard = check().on(space_of([], [1, 2, 3]))
    assert guard.bits.bits.tolist() == list(range(12))
    assert guard.residual(Upsets.alone(guard.space, FaultSet([0]))).n_stuck == 0


def test_costs_are_told():
    space = space_of([1, 2, 3], list(range(-8, 8)))
    assert KnownWords().on(space).describe(76) == (
        "known words of these weights: a word that is never stored reads the expected value of what was meant; "
        "words in use: t0 3 of 16; nothing to gain in t1, all of whose words are in use; "
        "no extra bit, 64 bits of limits and tables as constants of the logic; "
        "a decoder per read port: 1 with a port per tensor, 3 with all words in parallel; never scrubbed"
    )
    stored = RangeCheck(stored=True, of=space, scrub_interval_seconds=60).on(space)
    assert "range check of 1 memories, frozen: " in stored.describe(76)
    assert "8 extra bits of limits and tables (overhead 10.5%), hit like the others" in stored.describe(76)
    assert (stored.extra_bits, KnownWords().on(space).extra_bits) == (8, 0)
    assert stored.short == "RangeCheck(of=<1 memories>, stored=True, scrub_interval_seconds=60.0)"
    assert [repr(check()) for check in CHECKS] == ["RangeCheck()", "KnownWords()", "Recoded()"]


def test_tables_that_are_stored_are_hit_and_words_that_were_not_read_wrongly():
    space = space_of([1, 1, 3])
    guard = KnownWords(stored=True).on(space)
    planes = {4: [1 * 4 + 2], 5: []}  # bit 2 of the entry of word 1: it reads 3; the next array holds the other entries

    def upsets(hits):
        draws = {number: draw_of(np.array(bits, np.int64)) for number, bits in hits.items()}
        return Upsets(
            space, draw_of(np.zeros(0, np.int64)), lambda plane: draws.get(plane, draw_of(np.zeros(0, np.int64)))
        )

    assert guard.residual(upsets(planes)) == FaultSet([2, 6])
    assert guard.residual(upsets({4: [], 5: [0]})) == FaultSet([8 + 0])  # cell 12: the first of entry 3
    assert KnownWords().on(space).residual(upsets(planes)) == FaultSet.EMPTY
    limits = RangeCheck("clamp", stored=True).on(space)
    assert limits.residual(upsets({4: [2]})) == FaultSet([2, 6])  # the lower limit is 3


def test_stored_tables_are_hit_as_often_as_the_memory():
    space = space_of([1, 1, 3] * 100)
    guard = KnownWords(stored=True).on(space)
    hit = [guard._hit(trial_upsets(space, FlipCount(120), 3, trial))[0].constants for trial in range(200)]
    n_wrong = sum(word.bit_count() for one in hit for word in (one ^ guard.readings[0].constants).tolist())
    assert n_wrong / 200 == pytest.approx(64 * 0.1, rel=0.1)


def test_a_scrubber_that_reads_through_the_check_separates_hits():
    space = space_of([1, 2, 3])
    hits = draw_of(np.array([0, 1]))
    upsets = Upsets(space, hits, None, 100.0, lambda plane, n: np.array([0.95, 0.05])[:n])
    for source in ("good copy", "itself"):
        guard = RangeCheck("undo", scrub_interval_seconds=10, scrub_from=source).on(space)
        assert guard.wrong_cells(upsets) == FaultSet([1])


@pytest.mark.parametrize("check", CHECKS)
def test_new_weights_that_a_frozen_check_would_read_wrongly_are_refused_by_name(check):
    first, second = space_of([1, 2, 3]), space_of([1, 2, 6])
    with pytest.raises(InputError) as refused:
        check(of=first).on(second)
    assert str(refused.value) == (
        f"{check.__name__}(of=<1 memories>): 1 of 3 words of tensor 't0' are not known to it, the first is t0[2], "
        "whose value is 6; make it from these weights too, as in of=[first, second], give a larger margin=, or leave "
        "out of="
    )
    for fitting in (check(of=[first, second]), check(of=first, margin=3), check()):
        assert fitting.on(second).residual(Upsets.alone(second, FaultSet.EMPTY)) == FaultSet.EMPTY


@pytest.mark.parametrize("check", CHECKS)
def test_memories_must_have_one_layout_and_one_kind_of_words(check):
    space = space_of([1, 2, 3])
    with pytest.raises(LayoutError, match="belongs to a memory of layout"):
        check(of=space_of([1, 2])).on(space)
    with pytest.raises(InputError, match=r"words of tensor 't0' are FixedPoint.width=4, integer=3.*same quantizers"):
        check(of=space_of([0.5, 0.25, 0], codec=FixedPoint(4, 0))).on(space)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RangeCheck("wrap"), "outside='wrap'; allowed are 'undo', 'zero', 'clamp'"),
        (lambda: RangeCheck(per="layer"), "per='layer'; allowed are 'tensor', 'channel'"),
        (lambda: RangeCheck(margin=-1), "margin is -1; allowed are whole numbers from 0 up"),
        (lambda: KnownWords(margin=0.5), "margin is 0.5; allowed are whole numbers from 0 up"),
        (lambda: KnownWords(0.5), "bit_error_rate=0.5; allowed are probabilities above 0 and below 0.5"),
        (lambda: KnownWords(stored=1), "stored=1; allowed are True and False"),
        (lambda: KnownWords(of=3), "of=3: allowed are memories: fkeras.bit_space(model), or a list of them"),
        (lambda: KnownWords(of=[]), "of=[]: allowed are memories: fkeras.bit_space(model), or a list of them"),
        (lambda: KnownWords(scrub_from="itself"), "scrub_from='itself' says nothing without scrub_interval_seconds"),
        (lambda: Recoded(seed=0.5), "seed is 0.5; allowed are whole numbers"),
        (
            lambda: KnownWords(stored=True, scrub_interval_seconds=1, scrub_from="itself"),
            "stored=True with scrub_from='itself' is not modelled",
        ),
    ],
)
def test_what_means_nothing_is_refused(make, message):
    with pytest.raises(InputError) as refused:
        make()
    assert message in str(refused.value)


def test_words_too_wide_for_a_table_and_words_without_a_zero_are_refused():
    wide = space_of([1, 2, 3], codec=FixedPoint(24, 8))
    for check in (KnownWords, Recoded):
        with pytest.raises(InputError, match=r"'t0' has 24-bit words.*up to 16 bits: use fkeras.RangeCheck, or leave"):
            check().on(wide)
    assert read(RangeCheck("clamp", margin=1).on(wide), [0]) == [1 - 2.0**-15, 2, 3]
    powers = space_of([1, 2], codec=PowerOfTwo(4))
    with pytest.raises(InputError, match=r"no word of tensor 't0'.*means 0; write outside='undo' or outside='clamp'"):
        RangeCheck("zero").on(powers)
    assert not len(RangeCheck("zero").on(space_of([-1, 1], codec=Binary())).bits)


def test_words_of_sixteen_bits_are_recoded_so_that_no_single_flip_is_lost():
    space = space_of([1.5, -2, 3], codec=FixedPoint(16, 8))
    guard = Recoded().on(space)
    assert all(guard.residual(Upsets.alone(space, FaultSet([bit]))) == FaultSet.EMPTY for bit in range(48))


@pytest.mark.parametrize("importance", [[1, 2], [1, 2, -3], [1, 2, np.nan], [0, 0, 0], np.ones((3, 1))])
def test_importance_is_a_number_per_word(importance):
    with pytest.raises(InputError, match="allowed are one per word, finite and from 0 up, not all of them 0, or a ran"):
        KnownWords(importance=importance).on(space_of([1, 2, 3]))


def test_several_protections_are_joined():
    space = space_of([1, 2, 3])
    joined = protection([BitSet([0], label="msb"), TMR([4]), KnownWords()], space)
    assert joined.short == "msb, TMR(1 bits), KnownWords()"
    assert (joined.name, joined.extra_bits) == ("assumed immune and TMR and known words", 2)
    assert not joined.is_perfect
    assert joined.bits.bits.tolist() == list(range(12))
    assert "msb: 1 bits" in joined.describe(12)
    assert "known words of these weights" in joined.describe(12)
    assert isinstance(protection([KnownWords()], space).stated, KnownWords)
    assert protection([[0, 1], TMR([4])], space).residual(Upsets.alone(space, FaultSet([0, 4, 8]))) == FaultSet([8])


def test_a_word_that_a_code_found_wrong_reads_0_whatever_the_check_would_make_of_it():
    space = space_of([1, 2, 3])
    joined = protection([Parity(range(4)), KnownWords()], space)
    assert joined.residual(Upsets.alone(space, FaultSet([0, 4]))) == FaultSet([], [], [0, 1, 2, 3])
    kept = protection([Parity(range(4), on_detected="keep"), RangeCheck()], space)
    assert kept.residual(Upsets.alone(space, FaultSet([0]))) == FaultSet.EMPTY


def test_only_cells_that_nothing_else_covers_are_scrubbed_by_the_check():
    space = space_of([1, 2, 3])
    check = RangeCheck(scrub_interval_seconds=10)
    upsets = Upsets(space, draw_of(np.array([2, 3])), None, 100.0, lambda plane, n: np.full(n, 0.5))
    tmr = Upsets(
        space, draw_of(np.array([2, 3])), lambda plane: draw_of(np.array([2])), 100.0, lambda plane, n: np.full(n, 0.5)
    )
    assert protection([TMR([2]), check], space).residual(upsets) == FaultSet.EMPTY
    assert protection([TMR([2]), check], space).residual(tmr) == FaultSet([2])
    assert protection([AssumedImmune([2]), check], space).residual(upsets) == FaultSet.EMPTY


def test_what_a_scrubber_wrote_while_a_vote_was_wrong_stays():
    # 100 is read as the frequent 111, which is written into the bits that TMR leaves alone; 011 then reads so, too.
    space = space_of([0, *[7] * 60], codec=FixedPoint(3, 3, False))
    check = KnownWords(bit_error_rate=0.2, scrub_interval_seconds=10, scrub_from="itself")
    nothing = draw_of(np.zeros(0, np.int64))
    hit = {1: draw_of(np.array([0])), 2: draw_of(np.array([0]))}
    upsets = Upsets(space, nothing, lambda plane: hit.get(plane, nothing), 100.0, lambda plane, n: np.full(n, 0.75))
    assert protection([TMR([0]), check], space).residual(upsets) == FaultSet([0, 1, 2])
    assert protection([TMR([0], 20), check], space).residual(upsets) == FaultSet([0, 1, 2])
    assert protection([TMR([0], 72), check], space).residual(upsets) == FaultSet.EMPTY
    # A scrub of the copies at the same time comes after what the check writes.
    assert protection([TMR([0], 70), check], space).residual(upsets) == FaultSet([0, 1, 2])


def test_all_words_are_seen_at_moments_of_their_own_together(monkeypatch):
    space = space_of([1, 2, 3] * 40)
    hits = draw_of(np.arange(0, 480, 4))
    upsets = Upsets(space, hits, lambda plane: hits, 1200.0, lambda plane, n: (np.arange(n) + 0.5) / 120)
    seen, before = [], Upsets.before
    monkeypatch.setattr(Upsets, "before", lambda *its: seen.append(its) or before(*its))
    check = RangeCheck(scrub_interval_seconds=10, scrub_from="itself")
    protection([TMR(range(0, 480, 4)), check], space).residual(upsets)
    assert len(seen) == 1  # 120 scrubs, each after a hit on another word
    protection([TMR(range(0, 480, 4), 15), check], space).residual(upsets)
    assert len(seen) == 1 + 3


def test_what_cannot_be_joined_is_refused():
    space = space_of([1, 2, 3])
    for parts, message in [
        ([KnownWords(), RangeCheck()], "known words and range check both say how words are read; keep one of them"),
        ([TMR([1, 2]), SECDED([2, 3])], "TMR and SECDED both cover 1 bits, the first is bit 2; take them out of one"),
        ([KnownWords(), 3], "protected=3: allowed are bits"),
    ]:
        with pytest.raises(InputError) as refused:
            protection(parts, space)
        assert message in str(refused.value)


@pytest.mark.parametrize("check", CHECKS)
def test_no_map_calls_bits_protected_that_are_only_read_differently(check):
    space = space_of([1, 2, 3])
    mask = BitSet.of([0, 5])
    assert map_of_protection(protection(check(), space), space) is None
    for mended in (mask, TMR(mask)):
        drawn = [map_of_protection(protection(stated, space), space) for stated in (mended, (mended, check()))]
        assert drawn[0] == drawn[1]
        assert drawn[0] is not None
        assert sum(value for row in drawn[0].picture for value in row) == 2


def test_no_map_tells_what_is_true_of_every_bit():
    space = space_of([1, 2, 3])
    for bits in ([], range(len(space))):
        assert map_of_protection(protection(BitSet.of(list(bits)), space), space) is None
