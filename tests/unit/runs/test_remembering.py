"""A remembering run gives the run's own scores, asks for each fault set once, and stops where it was told to."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.faults import FaultSet
from fkeras.runs import remembering
from fkeras.runs.remembering import OutOfEvaluations, RememberingRun


def test_scores_are_the_run_s_own_and_measured_once(function_run):
    run = function_run(lambda bits: float(bits.sum()), batch_size=2)
    remembering_run = RememberingRun(run)
    sets = [FaultSet([3]), FaultSet([5]), FaultSet([3]), FaultSet([1, 2, 4]), FaultSet.EMPTY]
    for _ in range(2):
        assert remembering_run.fault_sets(sets)["mse"].values.tolist() == [3, 5, 3, 7, 0]
    assert (run.evaluations, remembering_run.evaluations, run.batches_asked) == (3, 3, [2, 1])
    assert remembering_run.flips(np.array([5, 6]))["mse"].values.tolist() == [5, 6]
    assert run.evaluations == 4


def test_no_more_than_the_most_is_measured(function_run):
    run = function_run(lambda bits: float(bits.sum()))
    remembering_run = RememberingRun(run, most=3)
    remembering_run.fault_sets([FaultSet([1]), FaultSet([2])])
    with pytest.raises(OutOfEvaluations, match="2 more evaluations are needed, and 1 are left"):
        remembering_run.fault_sets([FaultSet([3]), FaultSet([4])])
    assert remembering_run.fault_sets([FaultSet([2]), FaultSet([3])])["mse"].values.tolist() == [2, 3]
    assert (run.evaluations, remembering_run.left) == (3, 0)


def test_what_was_used_longest_ago_is_forgotten(function_run, monkeypatch):
    monkeypatch.setattr(remembering, "KEPT", 2)
    run = function_run(lambda bits: float(bits.sum()))
    remembering_run = RememberingRun(run)
    for bit in (1, 2, 3, 3, 1):
        assert remembering_run.fault_sets([FaultSet([bit])])["mse"].values.tolist() == [bit]
    assert run.evaluations == 4
