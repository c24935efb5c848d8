"""Oracles with a store: measured once, resumed after anything, shared out, always the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.campaigns import measure_oracle
from fkeras.campaigns.exhaustive import run_exhaustive
from fkeras.campaigns.shard import Shard
from fkeras.faults import protection
from fkeras.progress import silent
from fkeras.store import Identity, Store, merge
from fkeras.store import entry as entry_module

IDENTITY = Identity("oracle", {"n": 1})


def damage(bits):
    return float(np.sum(1.0 / (3 + bits))) + 0.25


@pytest.fixture
def run(function_run):
    return function_run(damage)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def measured(run, store, bits=None, **keywords):
    bits = np.arange(100) if bits is None else np.array(bits)
    return measure_oracle(run, "mse", bits, silent, {"mse": store.entry(IDENTITY)}, **keywords)


def table(store):
    (path,) = (store.entry(IDENTITY).folder / "rows").iterdir()
    return path.name, path.read_bytes()


def same(a, b):
    for name in ("bits", "positions", "values", "undefined", "harmed"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist()
    assert (a.golden, a.golden_standard_error, a.engine, a.n_samples) == (
        b.golden,
        b.golden_standard_error,
        b.engine,
        b.n_samples,
    )


def test_the_second_time_measures_nothing(run, store):
    fresh = measure_oracle(run, "mse", np.arange(100), silent)
    first = measured(run, store)
    assert run.evaluations == 200
    second = measured(run, store)
    assert run.evaluations == 200
    assert (fresh.reused, first.reused, second.reused) == (0, 0, 100)
    same(first, fresh)
    same(second, fresh)


def test_only_missing_bits_are_measured(run, store):
    measured(run, store, [7, 3, 3, 50])
    assert run.evaluations == 4
    found = measured(run, store)
    assert (run.evaluations, found.reused) == (101, 3)
    same(found, measure_oracle(run, "mse", np.arange(100), silent))
    some = measured(run, store, [99, 3, 3])
    assert some.values.tolist() == found.values[[99, 3, 3]].tolist()


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError("out of memory")])
def test_what_was_measured_before_an_interruption_is_kept(run, store, interruption):
    flips, left = run.flips, [5]

    def flips_for_a_while(bits):
        if not left[0]:
            raise interruption
        left[0] -= 1
        return flips(bits)

    run.flips = flips_for_a_while
    with pytest.raises((KeyboardInterrupt, RuntimeError)):
        measured(run, store)
    before = run.evaluations
    run.flips = flips
    found = measured(run, store)
    assert (found.reused, run.evaluations) == (before, 100)
    whole = Store(store.path.parent / "whole")
    same(found, measured(run, whole))
    assert table(store) == table(whole)


def test_shares_in_one_store_or_merged_are_the_whole_to_the_byte(run, store, tmp_path):
    whole = Store(tmp_path / "whole")
    expected = measured(run, whole)
    bits = np.arange(100)
    for number in (3, 1, 2):
        share = Shard(number, 3)
        part = share.of_bits(run.space, bits)
        assert measured(run, store, part, who=f"-{share.number}").bits.tolist() == part.tolist()
        measured(run, Store(tmp_path / str(number)), part)
    assert table(store) == table(whole)
    merge([tmp_path / "1", tmp_path / "2", tmp_path / "3"], into=tmp_path / "merged")
    assert table(Store(tmp_path / "merged")) == table(whole)
    run.evaluations = 0
    found = measured(run, store)
    assert (run.evaluations, found.reused) == (0, 100)
    same(found, expected)


def test_a_lost_share_is_all_that_is_measured_again(run, store):
    for number in (1, 3):
        measured(run, store, Shard(number, 3).of_bits(run.space, np.arange(100)))
    before = run.evaluations
    measured(run, store)
    assert run.evaluations == 100 > before


def test_a_kill_before_the_parts_were_joined_leaves_the_same_bytes(run, store, tmp_path):
    whole = Store(tmp_path / "whole")
    expected = measured(run, whole)
    table_of = whole.entry(IDENTITY).known()
    for half in (slice(0, 50), slice(50, 100)):
        store.entry(IDENTITY).append({name: column[half] for name, column in table_of.items()})
    before = run.evaluations
    same(measured(run, store), expected)
    assert run.evaluations == before
    assert table(store) == table(whole)


def test_parts_are_written_while_measuring(run, store, monkeypatch):
    monkeypatch.setattr(entry_module, "FLUSH_SECONDS", 0.0)
    flips, seen = run.flips, []

    def looking(bits):
        seen.append(len(store.entry(IDENTITY).known().get("bit", ())))
        return flips(bits)

    run.flips = looking
    measured(run, store)
    sizes = [len(part) for part in run.batches(np.arange(100))]
    assert seen == np.cumsum([0, *sizes])[:-1].tolist()


def test_the_exhaustive_campaign_reads_the_oracle(run, store):
    measured(run, store)
    covered = protection([1, 2], run.space)
    entries = {"mse": store.entry(IDENTITY)}
    before = run.evaluations
    found = run_exhaustive(run, covered, silent, entries)
    assert (run.evaluations, found.reused) == (before, 98)
    expected = run_exhaustive(run, covered, silent)
    assert found.values.tolist() == expected.values.tolist()
    assert found.hits.tolist() == expected.hits.tolist()


def test_two_metrics_share_their_engine_calls(function_run, store):
    run = function_run(damage)
    run.metrics["other"] = run.metrics["mse"]
    run.golden["other"] = run.golden["mse"]
    fault_sets = run.fault_sets
    run.fault_sets = lambda faults: {name: fault_sets(faults)["mse"] for name in run.metrics}
    entries = {name: store.entry(Identity("oracle", {"metric": name})) for name in ("mse", "other")}
    measure_oracle(run, "mse", np.arange(10), silent, {"mse": entries["mse"]})
    found = run_exhaustive(run, protection(None, run.space), silent, entries)
    assert found.reused == 0, "a bit counts as stored when all metrics have it"
    assert entries["other"].known()["bit"].size == 100
    assert entries["mse"].known()["value"].tolist() == found["mse"].values.tolist()
