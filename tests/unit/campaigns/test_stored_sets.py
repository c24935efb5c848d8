"""Fault sets in a store: what a search measured is read by the next one, whatever either asked for."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.campaigns import Limit, Requirement
from fkeras.campaigns.accumulation import OneByOne
from fkeras.campaigns.histories import measure_endurance
from fkeras.campaigns.progress import silent
from fkeras.campaigns.stored_sets import StoredSets
from fkeras.faults import FaultSet, protection
from fkeras.store import Identity, Store

IDENTITY = Identity("fault_sets", {"n": 1})
SETS = [FaultSet([3]), FaultSet([5]), FaultSet(set_to_1=[3]), FaultSet([1, 2, 4])]


@pytest.fixture
def run(function_run):
    return function_run(lambda bits: float(bits.sum()), batch_size=2)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def measured(run, store, faults, purpose="p"):
    with StoredSets(run, {"mse": store.entry(IDENTITY)}, purpose) as sets:
        return sets.fault_sets(faults)["mse"].values.tolist()


def test_what_is_there_is_not_measured_again(run, store):
    assert measured(run, store, SETS[:3]) == [3, 5, 0]
    assert measured(run, store, SETS[::-1], "another purpose") == [7, 0, 5, 3]
    assert run.batches_asked == [3, 1]
    assert len(store.entry(IDENTITY).known()["faults"]) == 4


def test_nothing_to_measure_writes_nothing(run, store):
    with StoredSets(run, {"mse": store.entry(IDENTITY)}, "p") as sets:
        assert sets.fault_sets([])["mse"].values.size == 0
    assert not store.path.exists()


def test_without_an_entry_everything_is_measured(run):
    with StoredSets(run, {}, "p") as sets:
        assert sets.fault_sets(SETS)["mse"].values.tolist() == [3, 5, 0, 7]
        assert sets.flips(np.array([9]))["mse"].values.tolist() == [9]
    assert run.evaluations == 5


def test_an_interruption_keeps_what_was_measured(run, store, monkeypatch):
    usual = run.fault_sets

    def failing(faults):
        if SETS[3] in faults:
            raise KeyboardInterrupt
        return usual(faults)

    run.fault_sets = failing
    with StoredSets(run, {"mse": store.entry(IDENTITY)}, "p") as sets:
        sets.fault_sets(SETS[:2])
        with pytest.raises(KeyboardInterrupt):
            sets.fault_sets(SETS[2:])
    run.fault_sets, run.evaluations = usual, 0
    assert measured(run, store, SETS) == [3, 5, 0, 7]
    assert run.evaluations == 2


def test_what_somebody_measured_meanwhile_is_read(run, store):
    with StoredSets(run, {"mse": store.entry(IDENTITY)}, "p") as sets:
        measured(run, store, SETS[:2], "q")
        assert sets.fault_sets(SETS)["mse"].values.tolist() == [3, 5, 0, 7]
    assert run.evaluations == 4


def test_endurance_with_a_store_is_endurance(run, store):
    requirement = Requirement((Limit("mse", "max", 900),), 0.1)

    def endurance(kept):
        return measure_endurance(
            kept, "mse", OneByOne(), protection(None, run.space), 3, requirement, silent, trials=60
        )

    expected = endurance(run)
    cost, run.evaluations = run.evaluations, 0
    for evaluations in (cost, 0):
        with StoredSets(run, {"mse": store.entry(IDENTITY)}, "p") as sets:
            assert endurance(sets).to_dict() == expected.to_dict()
        assert run.evaluations == evaluations
        run.evaluations = 0
