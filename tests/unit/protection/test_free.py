"""A check that costs no bit beside a mask: which is taken, and on which trials it is judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fkeras.protection.free as free
from fkeras.errors import InputError
from fkeras.faults import AssumedImmune, RangeCheck
from fkeras.memory import BitSpace
from fkeras.protection import choose_free
from tests.unit.protection.test_choice import weights

DANGEROUS = range(0, 24, 2)


@pytest.fixture
def space(space_of):
    """Words that are all 0."""
    return space_of(("a/kernel", (10,), 4), ("b/kernel", (15,), 4))


def test_the_cheapest_check_that_needs_no_bit_ends_the_search(space):
    choice = choose_free([weights(space, range(0, 80, 2), dangerous=DANGEROUS)], kind=AssumedImmune)
    found = choice.free
    assert repr(found.check) == "RangeCheck()"
    assert (found.n_bits, found.n_bits_without) == (0, 12)
    assert [tried.check for tried in found.tried] == ["no check", "RangeCheck()"]
    assert len(choice.mask.bits) == 0
    assert choice.outcome == "PASS"


def test_a_tensor_all_of_whose_words_are_in_use_gains_nothing(space_of):
    space = space_of(("a/kernel", (16,), 4))
    (tensor,) = space.tensors
    full = BitSpace((replace(tensor, words=np.arange(16, dtype=np.uint32)),))
    choice = choose_free([weights(full, range(12), dangerous=range(6))], kind=AssumedImmune)
    assert choice.free.check is None
    tried = [str(tried) for tried in choice.free.tried]
    assert tried == ["no check 6 bits", "Recoded(bit_error_rate=0.16) not 10% fewer"]
    assert choice.mask.bits.bits.tolist() == list(range(6))
    assert "no check saves 10% of the bits, 6 without a check" in str(choice)


def test_a_check_is_taken_only_where_it_saves_a_relevant_share_of_the_bits_needed_without(space, monkeypatch):
    """12 bits of 2,065 are what another seed changes, and no reason for a decoder in front of every word."""
    sizes = iter([40, 37, 36, 33, 32, 20])  # 4 are a tenth of the 40 without: 36 is enough fewer, then 32 would be

    def smallest(self, check, most):
        size = next(sizes)
        return size if size <= most else None

    monkeypatch.setattr(free._Search, "smallest", smallest)
    monkeypatch.setattr(free._Search, "judged", lambda self, check, n_units: n_units)
    found = choose_free([weights(space, range(100), dangerous=[])], kind=AssumedImmune).free
    assert [tried.n_bits for tried in found.tried] == [40, None, 36, None, 32, 20]
    assert "RangeCheck() not 10% fewer" in str(found)


@pytest.mark.parametrize(("n_rows", "is_tried"), [(40, True), (10, False)])
def test_limits_per_channel_are_tried_where_they_do_not_repeat_the_words(space_of, monkeypatch, n_rows, is_tried):
    """Two limits of 4 bits for as many words of a channel are a twentieth of its bits, or a fifth."""
    monkeypatch.setattr(free._Search, "smallest", lambda self, check, most: 20 if most >= 20 else None)
    monkeypatch.setattr(free._Search, "judged", lambda self, check, n_units: n_units)
    found = choose_free([weights(space_of(("a/kernel", (n_rows, 3), 4)), range(90), dangerous=[])], kind=AssumedImmune)
    checks = [tried.check for tried in found.free.tried]
    assert ("RangeCheck(per='channel')" in checks) is is_tried
    assert checks[:4] == ["no check", "RangeCheck()", "RangeCheck(outside='zero')", "RangeCheck(outside='clamp')"]


def test_what_a_check_saves_is_counted_in_bits_also_where_units_are_layers(space, monkeypatch):
    """One layer is enough with the check as without: 40 bits instead of 60."""
    monkeypatch.setattr(free._Search, "smallest", lambda self, check, most: 1 if most >= 1 else None)
    monkeypatch.setattr(free._Search, "judged", lambda self, check, n_units: n_units)
    monkeypatch.setattr(free, "ranking_behind", lambda *ranked: weights(space, range(40)).ranking)
    found = choose_free([weights(space, range(40, 100), dangerous=[])], kind=AssumedImmune, granularity="layer").free
    assert (found.n_bits_without, found.n_bits) == (60, 40)
    assert repr(found.check) == "RangeCheck()"


def test_what_protects_the_bits_may_be_a_list_and_may_not_bring_a_check_of_its_own(space):
    one = weights(space, range(0, 80, 2), dangerous=DANGEROUS)
    choice = choose_free([one], kind=lambda bits: [AssumedImmune(bits)])
    assert repr(choice.free.check) == "RangeCheck()"
    with pytest.raises(InputError, match="both say how words are read; keep one of them"):
        choose_free([one], kind=lambda bits: [RangeCheck("zero", per="channel"), AssumedImmune(bits)])


def test_the_first_size_that_does_not_pass_ends_the_sequence(space, monkeypatch):
    """What passes below it proves nothing: with a thousand sizes some would by luck."""
    search = free._Search([weights(space, range(100))], AssumedImmune, "bit", "mean")
    asked = []
    monkeypatch.setattr(free._Search, "passes", lambda self, check, n_units: asked.append(n_units) or n_units != 12)
    assert search.judged(None, 10) == 15
    assert asked == [100, 55, 32, 21, 15, 12]


def test_what_cannot_pass_at_all_is_refused(space, monkeypatch):
    monkeypatch.setattr(free._Search, "smallest", lambda self, check, most: None)
    with pytest.raises(InputError, match="with no check of words and not even with all bits protected: ask for fewer"):
        choose_free([weights(space, range(9), dangerous=[0])], kind=AssumedImmune)
