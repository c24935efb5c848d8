"""Law: blind scrubbing leaves the hits of the last interval, as every scrub from a good copy does to bare cells."""

from __future__ import annotations

import pytest

from fkeras.errors import InputError
from fkeras.faults import (
    TMR,
    BlindScrubbing,
    Exposure,
    FaultSet,
    FlipCount,
    KnownWords,
    Parity,
    RangeCheck,
    SampleFlips,
    Upsets,
    protection,
    trial_upsets,
)
from fkeras.memory import BitSet

MODELS = [FlipCount(9, exposure_seconds=100.0), Exposure(100.0, 0.01)]


@pytest.mark.parametrize("model", MODELS, ids=["flips", "upsets that cancel"])
def test_only_the_last_interval_is_left(memory, model):
    space = memory(5)
    every, some = range(30), range(3, 19)
    pairs = [
        (BlindScrubbing(some, 30), Parity(some, 30, "keep")),
        ([BlindScrubbing(every, 30), RangeCheck()], RangeCheck(scrub_interval_seconds=30)),
        ([BlindScrubbing(every, 30), KnownWords()], KnownWords(scrub_interval_seconds=30)),
        (BlindScrubbing(every, 100), None),
        ([BlindScrubbing(every, 1e-9), TMR([])], range(30)),
    ]
    n_left = 0
    for trial in range(40):
        upsets = trial_upsets(space, model, 0, trial)
        for scrubbed, same in pairs:
            left = protection(scrubbed, space).residual(upsets)
            assert left == protection(same, space).residual(upsets)
            n_left += len(left)
    assert n_left > 0


def test_it_adds_nothing_and_says_so(memory):
    scrubbed = protection(BlindScrubbing(BitSet(range(3, 19)), 30), memory(5))
    assert (scrubbed.extra_bits, scrubbed.is_perfect) == (0, False)
    assert (
        scrubbed.describe(30)
        == "bits: 16 bits under blind scrubbing, no extra bit, scrubbed every 30 s from a good copy"
    )
    assert protection(BlindScrubbing([], 30), memory(5)).is_perfect


def test_what_lasts_for_one_inference_is_not_scrubbed(memory):
    space = memory(1)
    faults = FaultSet([2, 3], in_samples=SampleFlips([0, 4], [2, 1]))
    assert BlindScrubbing(range(6), 30).residual(Upsets.alone(space, faults)) == faults


def test_what_makes_no_sense_is_refused(memory):
    with pytest.raises(InputError, match=r"say how often bits are written anew, as in scrub_interval_seconds=60$"):
        BlindScrubbing([1])
    with pytest.raises(InputError, match="scrub_interval_seconds is 0; allowed are finite numbers above 0"):
        BlindScrubbing([1], 0)
    with pytest.raises(InputError, match="blind scrubbing and TMR both cover 1 bits, the first is bit 3"):
        protection([BlindScrubbing([1, 3], 60), TMR([3])], memory(1))
    with pytest.raises(InputError, match="do not say how long they took to arrive; give exposure_seconds"):
        BlindScrubbing([1], 60).residual(trial_upsets(memory(1), FlipCount(2), 0, 0))
    with pytest.raises(InputError, match="bit 2 is stuck: only upsets"):
        BlindScrubbing([2], 60).residual(Upsets.alone(memory(1), FaultSet([0], [1], [2])))
