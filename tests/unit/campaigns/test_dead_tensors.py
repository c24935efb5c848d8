"""Which tensors cannot hurt: proven from the words, or on the samples at hand; nothing is claimed of a live one."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.campaigns import dead_tensors as module
from fkeras.campaigns.dead_tensors import DeadTensor, alive_by_trials, dead_by_construction, dead_tensors
from fkeras.campaigns.fault_free import FaultFree
from fkeras.engine import GoldenScore, Scores
from fkeras.faults import FaultSet, SampleFlips
from fkeras.memory import BitSpace, FixedPoint, Register, Ternary, WordTensor
from fkeras.metrics.changed import changed_outputs
from fkeras.progress import silent

CODEC = FixedPoint(4, 0)


def tensor(path, n_words, scale=1.0):
    words, scales = np.arange(n_words, dtype=np.uint32) % 8, np.full(n_words, scale, np.float32)
    return WordTensor(path, (n_words,), CODEC, words, scales, (CODEC.decode(words) * scale).astype(np.float32))


SPACE = BitSpace((tensor("a/kernel", 6), tensor("b/kernel", 300), tensor("c/kernel", 5, scale=0.0)))


class Outputs:
    """Sample i sees a flip where `sees(i, bit)`; counts what it is asked."""

    engine = "outputs"

    def __init__(self, sees, samples):
        self.sees, self.samples, self.flipped = sees, samples, 0
        self.space, self.metrics, self.n_samples = SPACE, {"changed": changed_outputs()}, len(samples)
        self.golden = {"changed": GoldenScore(0.0, 0.0, 0, None)}

    def batches(self, bits):
        return iter(np.array_split(np.arange(len(bits)), max(1, len(bits) // 64)))

    def fault_sets(self, faults):
        self.flipped += len(faults)
        shares = [
            np.mean([any(self.sees(i, bit) for bit in one.flips.tolist()) for i in self.samples]) for one in faults
        ]
        zeros = np.zeros(len(faults), np.int64)
        return {"changed": Scores(np.array(shares, float), zeros, zeros)}

    def flips(self, bits):
        return self.fault_sets([FaultSet([bit]) for bit in bits])


def found(sees, n_samples=100):
    runs = []

    def start(rows):
        runs.append(Outputs(sees, rows.tolist()))
        return runs[-1]

    return dead_tensors(SPACE, start, n_samples, silent), runs


C = DeadTensor("c/kernel", 20, 20)


def test_a_scale_of_zero_is_proven_from_the_words():
    assert dead_by_construction(SPACE) == (C,)
    assert str(C) == (
        "c/kernel: no flip of its 20 bits changes a value that the network computes with, whatever the data"
    )


def test_two_words_of_one_value_are_not_enough():
    words = np.array([1], np.uint32)
    space = BitSpace((WordTensor("t", (1,), Ternary(), words, np.ones(1, np.float32), np.ones(1, np.float32)),))
    assert dead_by_construction(space) == ()


def test_live_tensors_cost_a_flip_each_on_a_few_samples():
    dead, runs = found(lambda sample, bit: True)
    assert dead == (C,)
    assert [(run.flipped, run.n_samples) for run in runs] == [(2, 32)]


def test_a_bit_that_a_late_sample_sees_is_enough_to_live():
    dead, _ = found(lambda sample, bit: bit < 24 or (sample == 99 and bit == 24 + 4 * 299))
    assert dead == (C,)


def test_a_tensor_that_no_sample_sees_is_dead_on_these_samples():
    dead, _ = found(lambda sample, bit: bit >= 24)
    assert dead == (DeadTensor("a/kernel", 24, 24, 100), C)
    assert str(dead[0]) == "a/kernel: no flip of its 24 bits changes an output on these 100 samples"


def test_of_a_large_one_it_is_said_how_many_were_tried():
    dead, _ = found(lambda sample, bit: bit < 24)
    assert dead == (DeadTensor("b/kernel", 1200, module.MOST_FLIPS, 100), C)
    assert "no flip of 512 of its 1,200 bits changes an output" in str(dead[0])


def test_where_all_look_dead_every_bit_is_looked_at():
    dead, _ = found(lambda sample, bit: False)
    assert [one.n_tried for one in dead] == [24, 1200, 20]
    assert FaultFree().with_dead(dead, SPACE).is_all_dead
    hidden = 24 + 4 * 150 + 3
    dead, _ = found(lambda sample, bit: bit == hidden)
    assert not FaultFree().with_dead(dead, SPACE).is_all_dead


@pytest.mark.parametrize("changed", [np.nan, np.inf, 2.0, 1.1])
def test_an_output_is_changed_where_any_element_is(changed):
    golden = np.ones((3, 2, 2), np.float32)
    scorer = changed_outputs().bind(None, golden)
    outputs = golden.copy()
    outputs[1, 0, 1] = changed
    assert scorer.score(outputs, slice(None)).values.tolist() == [0, 1, 0]
    assert scorer.score((outputs[1:2]), np.array([1])).values.tolist() == [1]
    assert scorer.score(golden + np.float32(1e-7), slice(None)).values.tolist() == [0, 0, 0]
    several = changed_outputs().bind(None, (golden, golden))
    assert several.score((golden, outputs), slice(None)).values.tolist() == [0, 1, 0]


def test_a_change_under_faults_of_registers_too_shows_no_tensor_to_be_alive():
    space = BitSpace(SPACE.tensors, registers=(Register("a/activation", (2,), CODEC, "activations", "a/activation"),))
    held = len(SPACE)
    faults = [
        FaultSet([0, held]),
        FaultSet([1], in_samples=SampleFlips([3], [held + 1])),
        FaultSet([24], in_samples=SampleFlips([], [])),
    ]
    assert alive_by_trials(space, np.ones(3, np.bool_), np.array([2, 2, 1]), faults.__getitem__) == {1}


def test_trials_of_many_faults_are_not_drawn_again_to_show_a_tensor_alive():
    drawn = []

    def residual(trial):
        drawn.append(trial)
        return FaultSet([0] if trial == 3 else [0, 24])

    changed, n_faults = np.array([True, True, False, True, True]), np.array([900, 2, 1, 1, 17])
    assert alive_by_trials(SPACE, changed, n_faults, residual) == {0}
    assert drawn == [3, 1]
    drawn.clear()
    assert alive_by_trials(SPACE, changed[:1], n_faults[:1], residual) == set()
    assert drawn == [0], "the one there is"
