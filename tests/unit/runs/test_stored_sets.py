"""Fault sets in a store: what a search measured is read by the next one, whatever either asked for."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from fkeras.campaigns import Limit, Requirement
from fkeras.campaigns.accumulation import OneByOne
from fkeras.campaigns.endurance_campaign import measure_endurance
from fkeras.faults import FaultSet, protection
from fkeras.progress import silent
from fkeras.runs.stored_sets import StoredSets
from fkeras.store import Identity, Store

IDENTITY = Identity("fault_sets", {"n": 1})
SETS = [FaultSet([3]), FaultSet([5]), FaultSet(set_to_1=[3]), FaultSet([1, 2, 4])]


@pytest.fixture
def run(function_run):
    return function_run(lambda bits: float(bits.sum()), batch_size=2)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def measured(run, store, faults):
    with StoredSets(run, {"mse": store.entry(IDENTITY)}) as sets:
        return sets.fault_sets(faults)["mse"].values.tolist()


def test_what_is_there_is_not_measured_again(run, store):
    assert measured(run, store, SETS[:3]) == [3, 5, 0]
    assert measured(run, store, SETS[::-1]) == [7, 0, 5, 3]
    assert run.batches_asked == [3, 1]
    assert len(store.entry(IDENTITY).known()["faults"]) == 4


def test_nothing_to_measure_writes_nothing(run, store):
    with StoredSets(run, {"mse": store.entry(IDENTITY)}) as sets:
        assert sets.fault_sets([])["mse"].values.size == 0
    assert not store.path.exists()


def test_without_an_entry_everything_is_measured(run):
    with StoredSets(run, {}) as sets:
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
    with StoredSets(run, {"mse": store.entry(IDENTITY)}) as sets:
        sets.fault_sets(SETS[:2])
        with pytest.raises(KeyboardInterrupt):
            sets.fault_sets(SETS[2:])
    run.fault_sets, run.evaluations = usual, 0
    assert measured(run, store, SETS) == [3, 5, 0, 7]
    assert run.evaluations == 2


def test_two_at_a_time_do_not_wait_and_what_they_leave_is_one_table(run, store):
    with StoredSets(run, {"mse": store.entry(IDENTITY)}) as sets:
        assert measured(run, store, SETS[:2]) == [3, 5]
        assert sets.fault_sets(SETS)["mse"].values.tolist() == [3, 5, 0, 7]
    assert len(store.entry(IDENTITY).known()["faults"]) == 4
    assert len([*store.path.glob("*/*/rows/part-*")]) == 1


def test_parts_of_those_who_were_interrupted_are_joined_by_one_who_only_reads(run, store):
    entry = store.entry(IDENTITY)
    for one in SETS[:2]:
        with suppress(KeyboardInterrupt), StoredSets(run, {"mse": entry}) as sets:
            sets.fault_sets([one])
            raise KeyboardInterrupt
    assert len([*store.path.glob("*/*/rows/part-*")]) == 2
    assert measured(run, store, SETS[:2]) == [3, 5]
    assert run.evaluations == 2
    assert len([*store.path.glob("*/*/rows/part-*")]) == 1


def test_endurance_with_a_store_is_endurance(run, store):
    requirement = Requirement((Limit("mse", "max", 900),), 0.1)

    def endurance(kept):
        return measure_endurance(
            kept, "mse", OneByOne(), protection(None, run.space), 3, requirement, silent, trials=60
        )

    expected = endurance(run)
    cost, run.evaluations = run.evaluations, 0
    for evaluations in (cost, 0):
        with StoredSets(run, {"mse": store.entry(IDENTITY)}) as sets:
            assert endurance(sets).to_dict() == expected.to_dict()
        assert run.evaluations == evaluations
        run.evaluations = 0
