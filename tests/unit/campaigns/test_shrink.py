"""Shrinking ends at a set from which nothing can be left out, whatever the damage looks like."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fkeras.campaigns import FixedTrials, Limit, Setting, minimal_faults, run_campaign
from fkeras.campaigns.shrink import shrink
from fkeras.errors import InputError
from fkeras.faults import TMR, FaultSet, FlipCount, KnownWords, RangeCheck, protection
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.progress import silent
from fkeras.report.failure import example_line

ORDER = np.arange(400)
CODEC = FixedPoint(4, 0)
VALUES = np.resize(np.array([0.25, -0.25, 0.0], np.float32), 25)
VARIED = BitSpace((WordTensor("d/kernel", (25,), CODEC, CODEC.encode(VALUES), np.ones(25, np.float32), VALUES),))
"""The memory of `function_run`, with words that differ."""


def counted(breaks):
    """`breaks` of one set as a batch question, and the list of batch sizes asked."""
    asked = []

    def ask(sets):
        asked.append(len(sets))
        return np.array([breaks(set(one.flips.tolist())) for one in sets])

    return ask, asked


def test_one_bit_among_many_is_found_in_a_few_evaluations():
    for culprit in (0, 77, 399):
        ask, asked = counted(lambda bits, culprit=culprit: culprit in bits)
        assert shrink(FaultSet(range(400)), ask, ORDER) == (FaultSet([culprit]), True)
        assert sum(asked) <= 60


def test_the_top_of_the_ranking_is_kept():
    # Any three faults break: the three that are ranked highest are left.
    ask, _ = counted(lambda bits: len(bits) >= 3)
    assert shrink(FaultSet(range(100)), ask, ORDER[::-1]) == (FaultSet([97, 98, 99]), True)


def test_damage_that_others_undo_is_isolated():
    # 5 and 300 break together; 6 undoes them unless 7 is there too: prefixes are no guide.
    def breaks(bits):
        return {5, 300} <= bits and not (6 in bits and 7 not in bits)

    ask, _ = counted(breaks)
    assert shrink(FaultSet(range(400)), ask, ORDER) == (FaultSet([5, 300]), True)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 9))
def test_the_result_breaks_and_no_single_fault_can_be_left_out(seed, n):
    # A random yes or no for every subset: nothing is monotone.
    answers = np.random.default_rng(seed).random(2**n) < 0.4
    answers[0], answers[-1] = False, True

    def breaks(bits):
        return bool(answers[sum(1 << bit for bit in bits)])

    ask, asked = counted(breaks)
    small, is_minimal = shrink(FaultSet(range(n)), ask, np.random.default_rng(seed).permutation(n), 500)
    kept = set(small.flips.tolist())
    assert breaks(kept)
    assert is_minimal == (not any(breaks(set(rest)) for rest in itertools.combinations(sorted(kept), len(kept) - 1)))
    assert is_minimal
    assert sum(asked) <= 500


@pytest.mark.parametrize("most", [1, 2, 5, 9, 20, 60])
def test_when_evaluations_run_out_the_result_breaks_and_says_so(most):
    needed = set(range(0, 400, 20))
    ask, asked = counted(lambda bits: needed <= bits)
    small, is_minimal = shrink(FaultSet(range(400)), ask, ORDER, most)
    assert needed <= set(small.flips.tolist())
    assert not is_minimal
    assert sum(asked) <= most


def test_stuck_bits_are_faults_too():
    faults = FaultSet([1, 2], set_to_1=[3], set_to_0=[4, 5], layout_digest="x")
    small, is_minimal = shrink(faults, lambda sets: np.array([4 in s.set_to_0 and 2 in s.flips for s in sets]), ORDER)
    assert (small, is_minimal, small.layout_digest) == (FaultSet([2], set_to_0=[4]), True, "x")


def test_at_least_one_evaluation():
    with pytest.raises(InputError, match="max_evaluations is 0; allowed are whole numbers from 1 up"):
        shrink(FaultSet([1]), lambda sets: np.zeros(len(sets), bool), ORDER, 0)


def campaign(run, n_faults, protected=None):
    setting = Setting(FlipCount(n_faults), protection(protected, run.space), 3, "function", 1, run.space)
    return run_campaign(run, setting, FixedTrials(20), silent)


def test_the_worst_trial_of_a_campaign_is_shrunk_in_batches(function_run):
    run = function_run(lambda bits: float(len(set(bits.tolist()) & {8, 12, 40})))
    result = campaign(run, 50)
    run.batches_asked.clear()
    found = minimal_faults(result, run, (Limit("mse", "max", 1.5),))
    worst = int(np.argmax(result.values))
    assert result.values[worst] == 3
    assert (found.trial, found.n_faults, found.is_minimal) == (worst, 50, True)
    # Of the pairs that break, the two with the higher rank (bit 0 of their words, then by place).
    assert (found.faults, found.values) == (FaultSet([8, 12]), {"mse": 2.0})
    assert max(run.batches_asked) <= run.batch_size
    assert found.evaluations == sum(run.batches_asked) <= 300
    assert minimal_faults(result, run, (Limit("mse", "max", 1.5),)) == found
    assert found.record(run.space).faults == ("d/kernel[2]:0", "d/kernel[3]:0")


def test_only_faults_that_got_through_are_named(function_run):
    run = function_run(lambda bits: float(len(bits)))
    found = minimal_faults(campaign(run, 50, protected=range(40)), run, (Limit("mse", "max", 0.5),))
    (bit,) = found.faults.flips.tolist()
    assert bit >= 40
    assert run.space.bit_positions[bit] == 0


@pytest.mark.parametrize(
    ("protected", "what"),
    [
        (None, "faults of"),
        (range(40), "faults of"),
        (TMR(range(40)), "bits read wrongly in"),
        (KnownWords(of=VARIED), "bits read wrongly in"),
        ([RangeCheck(of=VARIED), TMR(range(40))], "bits read wrongly in"),
    ],
    ids=str,
)
def test_bits_behind_a_protection_are_those_that_are_read_wrongly(function_run, protected, what):
    run = function_run(lambda bits: float(len(bits)))
    result = campaign(run, 50, protected=protected)
    found = minimal_faults(result, run, (Limit("mse", "max", 0.5),))
    assert found.record(run.space).of_how_many == f"1 of {found.n_faults} {what} trial {found.trial}"
    line, comment = example_line(found), "  # as read: without the protection"
    assert line.endswith(comment) == (what != "faults of")
    assert line.removesuffix(comment) == f"@example(faults=fkeras.{found.faults!r})"


def test_there_is_nothing_to_shrink_without_a_failing_trial_or_with_a_golden_failure(function_run):
    run = function_run(lambda bits: 2.0 + len(bits))
    assert minimal_faults(campaign(run, 3), run, (Limit("mse", "max", 9.0),)) is None
    assert minimal_faults(campaign(run, 3), run, (Limit("mse", "max", 1.0),)) is None
