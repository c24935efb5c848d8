"""What protections leave wrong: simulated and computed numbers agree."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.faults import TMR, Exposure, FlipCount, Parity
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.protection import wrong_bits


@pytest.fixture
def memory() -> BitSpace:
    """2,120 words of 6 bits, as many as ECON-T Medium has."""
    words = np.arange(2120, dtype=np.uint32) % 64
    values = FixedPoint(6, 1).decode(words).astype(np.float32)
    return BitSpace((WordTensor("k", (2120,), FixedPoint(6, 1), words, np.ones(2120, np.float32), values),))


def test_unscrubbed_tmr_leaves_66_of_4040_bits_wrong(memory):
    found = wrong_bits(memory, 960, TMR(range(4040)), trials=200)
    assert found.expected == pytest.approx(65.56, abs=0.01)
    assert found.mean.low < found.expected < found.mean.high
    assert abs(found.counts.mean() - found.expected) < 5 * found.counts.std() / 200**0.5
    assert found.any_wrong.best == 1.0
    assert found.expected_any is None
    assert str(found).startswith("bits: 4,040 bits under TMR, 8,080 extra bits (overhead 63.5%), hit like the others")
    assert "in 200 trials, 65.56 by formula" in str(found)


def test_scrubbed_every_minute_it_leaves_none(memory):
    hits = FlipCount(960, exposure_seconds=4 * 3600)
    found = wrong_bits(memory, hits, TMR(range(4040), scrub_interval_seconds=60), trials=200)
    assert found.expected == pytest.approx(0.0012, abs=0.00001)
    assert found.any_wrong.low <= found.expected <= found.any_wrong.high
    assert found.counts.sum() <= 3


def test_the_share_of_trials_with_any_wrong_bit(memory):
    exposure = Exposure(100, upsets_per_bit_second=1e-5)
    found = wrong_bits(memory, exposure, TMR(range(12_720), 50), trials=300, seed=2)
    assert found.expected_any == pytest.approx(-np.expm1(-found.expected), rel=1e-3)
    assert found.any_wrong.low < found.expected_any < found.any_wrong.high


def test_immune_bits_are_never_wrong_and_others_do_not_count(memory):
    assert wrong_bits(memory, 960, range(4040), trials=20).counts.tolist() == [0] * 20
    assert wrong_bits(memory, 960, None, trials=20).counts.tolist() == [0] * 20


def test_a_word_that_reads_zero_is_wrong_where_it_was_one(memory):
    """Words 0 and 63 lose 0 and 6 ones."""
    found = wrong_bits(memory, FlipCount(1), Parity(range(6 * 64)), trials=2000)
    assert set(found.counts.tolist()) <= set(range(7))
    # One hit somewhere on 12,720 cells and one on as many check cells; a word of the 64 has 3 ones on average.
    assert found.counts.mean() == pytest.approx(3 * (384 + 64) / 12_720, rel=0.5)


def test_no_trials_are_no_estimate(memory):
    with pytest.raises(InputError, match="trials is 0; allowed are whole numbers from 1 up"):
        wrong_bits(memory, 3, [1], trials=0)
