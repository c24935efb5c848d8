"""Protections say what they cover and cost; bits of another memory are refused."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError, LayoutError
from fkeras.faults import TMR, AssumedImmune, FaultSet, KnownWords, RangeCheck, Recoded, Upsets, protection
from fkeras.faults.protections import account
from fkeras.memory import BitSet, BitSpace, FixedPoint, Register, WordTensor


def test_assumed_immune_bits_never_fail_whatever_hits_them(memory):
    upsets = Upsets.alone(memory(1), FaultSet([0, 3], [1, 4], [2, 5]))
    assert AssumedImmune(BitSet([0, 1, 2])).residual(upsets) == FaultSet([3], [4], [5])


def test_assumed_immune_costs_nothing():
    immune = AssumedImmune(BitSet([1, 2], label="msb"))
    assert immune.describe(20) == "msb: 2 bits (10.0%) assumed immune"
    assert (immune.extra_bits, immune.is_perfect) == (0, True)


def test_reports_say_that_an_area_is_assumed_unless_it_was_measured(memory):
    tmr, immune = TMR(range(5)), AssumedImmune(range(5))
    space = memory(5, 2)
    assert account(tmr, space) == f"{tmr.describe(10)}; area +100.0%, assumed to be that of the extra bits"
    assert account(tmr, space, "area +140.0%, measured") == f"{tmr.describe(10)}; area +140.0%, measured"
    assert account(immune, space) == immune.describe(10)
    assert account(protection(None, space), space) == "none"


def mixed(words=(1, 1, 3)):
    """Weights of 12 bits, biases of 4, activations of 20, inputs of 8."""
    codec = FixedPoint(4, 0)
    tensors = tuple(
        WordTensor(
            path, (len(part),), codec, np.array(part, np.uint32), np.ones(len(part), "f4"), np.zeros(len(part), "f4")
        )
        for path, part in (("d/kernel", words), ("d/bias", words[:1]))
    )
    registers = (
        Register("d/activation", (5,), codec, "activations", "d/activation"),
        Register("x/input", (2,), codec, "inputs", "x"),
    )
    return BitSpace(tensors, registers=registers)


@pytest.mark.parametrize(
    ("protected", "says"),
    [
        (KnownWords(), "covers 12 of 12 bits of weights, 4 of 4 bits of biases, 0 of 20 bits of activations, 0 of 8 "),
        (Recoded(), "covers 12 of 12 bits of weights, 4 of 4 bits of biases, 0 of 20 bits of activations, 0 of 8 bits"),
        (TMR(range(10, 20)), "covers 2 of 12 bits of weights, 4 of 4 bits of biases, 4 of 20 bits of activations, 0 "),
        ([0, 43], "covers 1 of 12 bits of weights, 0 of 4 bits of biases, 0 of 20 bits of activations, 1 of 8 bits of"),
        ([KnownWords(), TMR(range(16, 21))], "12 of 12 bits of weights, 4 of 4 bits of biases, 5 of 20 bits of activ"),
    ],
)
def test_of_several_memories_it_is_said_what_is_covered_of_each(protected, says):
    space = mixed()
    assert says in account(protection(protected, space), space)


def test_registers_that_are_read_through_limits_are_covered_by_the_range_check():
    check, space = RangeCheck("clamp"), mixed()
    seen = {one.path: (np.zeros(one.size, np.uint32), np.ones(one.size, np.uint32)) for one in space.registers}
    limited = check.limited(space, seen)
    assert "20 of 20 bits of activations, 8 of 8 bits of inputs" in account(protection(check, limited), limited)
    assert "0 of 20" in account(protection(range(3), space), space)


@pytest.mark.parametrize("check", [KnownWords(), Recoded(seed=3), [KnownWords(), TMR([0])]])
def test_a_check_of_stored_words_alone_is_refused_where_there_are_none(check):
    registers = BitSpace((), registers=mixed().registers)
    with pytest.raises(
        InputError,
        match=r"which words are stored, and this memory is of activations, inputs alone, .*"
        r"cover their bits with fkeras.TMR, or read them through fkeras.RangeCheck\('clamp'\)",
    ):
        protection(check, registers)
    assert "covers 1 of 20" in account(protection(TMR([0]), registers), registers)


def test_reports_say_where_the_bits_come_from():
    bits = BitSet([1], label="ranking[:1]", origin="ranked for these weights")
    assert AssumedImmune(bits).describe(10) == "ranking[:1]: 1 bits (10.0%) assumed immune; ranked for these weights"
    assert TMR(bits).describe(10).endswith("never scrubbed; ranked for these weights")
    frozen = BitSet([2], label="mask('m.json')", origin="frozen in m.json")
    assert (bits | frozen | bits).origin == "ranked for these weights; frozen in m.json"


def test_bits_lists_arrays_and_protections_are_taken(memory):
    space, tmr = memory(5), TMR(BitSet([3]))
    assert protection(tmr, space) is tmr
    assert [protection(given, space).bits.bits.tolist() for given in (None, [2, 1], np.array([4]), BitSet([5]))] == [
        [],
        [1, 2],
        [4],
        [5],
    ]
    assert protection(None, space).describe(20) == "nothing: 0 bits (0.0%) assumed immune"


def test_bits_of_another_memory_are_refused(memory):
    with pytest.raises(LayoutError, match="the protected set belongs to a memory of layout elsewhere"):
        protection(BitSet([1], "elsewhere"), memory(1))
    with pytest.raises(InputError, match="bit 20 does not exist"):
        protection([20], memory(1))


def test_other_objects_are_refused(memory):
    with pytest.raises(InputError, match="protected=3: allowed are bits"):
        protection(3, memory(1))
