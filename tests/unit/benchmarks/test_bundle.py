"""Bundles come back as they were written, and say when they were not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.paper.bundle import Bundle, oracle_bundle, oracle_of
from benchmarks.paper.provenance import provenance
from fkeras.campaigns import Oracle
from fkeras.errors import InputError

FACTS = {"seed": 3, "sizes": [1, 2], "nested": {"digest": "ab"}, "golden": 0.1}
ARRAYS = {"values": np.array([0.1, np.inf, -0.0]), "bits": np.arange(3), "model/names": np.array(["a", "bc"])}


def oracle(group_deltas=None) -> Oracle:
    whole = np.arange(3)
    values = np.array([1.0, 2.0, 0.1 + 0.2])
    return Oracle(
        "emd", "lower", False, whole, whole, values, whole * 0, whole, 0.1, 0.01, 7, 3, "l", "c", "cpu", group_deltas
    )


def test_arrays_and_facts_come_back(tmp_path):
    bundle = Bundle(ARRAYS, FACTS)
    bundle.write(tmp_path / "deep" / "one.npz")
    again = Bundle.read(tmp_path / "deep" / "one.npz")
    assert again.facts == FACTS
    assert again.digest == bundle.digest
    assert again.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert again.arrays[name].dtype == array.dtype
        assert np.array_equal(again.arrays[name], array)
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["one.json", "one.npz"]
    assert json.loads((tmp_path / "deep" / "one.json").read_text())["digest"] == bundle.digest


@pytest.mark.parametrize(
    "other",
    [
        Bundle({**ARRAYS, "bits": np.array([0, 1, 3])}, FACTS),
        Bundle({**ARRAYS, "bits": np.arange(3).astype(np.int32)}, FACTS),
        Bundle(ARRAYS, {**FACTS, "seed": 4}),
        Bundle({"other": ARRAYS["values"], "bits": ARRAYS["bits"], "model/names": ARRAYS["model/names"]}, FACTS),
    ],
)
def test_the_digest_knows_values_types_names_and_facts(other):
    assert other.digest != Bundle(ARRAYS, FACTS).digest


def test_a_changed_bundle_is_refused(tmp_path):
    path = tmp_path / "one.npz"
    Bundle(ARRAYS, FACTS).write(path)
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(path, **{**arrays, "bits": np.array([9, 9, 9])})
    with pytest.raises(InputError, match="changed after it was written"):
        Bundle.read(path)


def test_what_is_no_bundle_is_refused(tmp_path):
    np.savez(tmp_path / "foreign.npz", a=np.ones(2))
    with pytest.raises(InputError, match=r"no bundle of format fkeras-bundle/1"):
        Bundle.read(tmp_path / "foreign.npz")
    with pytest.raises(InputError, match="no bundle at"):
        Bundle.read(tmp_path / "missing.npz")
    with pytest.raises(InputError, match=r"ends in \.npz"):
        Bundle.read(tmp_path / "bundle.json")
    with pytest.raises(InputError, match="called 'facts'"):
        Bundle({"facts": np.ones(1)}, {}).write(tmp_path / "one.npz")


@pytest.mark.parametrize("group_deltas", [None, np.array([[0.5, 1.0], [0.0, 0.0], [-1.0, 1.0]])])
def test_an_oracle_comes_back(tmp_path, group_deltas):
    first = oracle(group_deltas)
    oracle_bundle(first, provenance()).write(tmp_path / "oracle.npz")
    bundle = Bundle.read(tmp_path / "oracle.npz")
    again = oracle_of(bundle)
    assert (again.metric, again.better, again.golden, again.engine, again.n_samples) == ("emd", "lower", 0.1, "cpu", 7)
    assert np.array_equal(again.delta, first.delta)
    assert np.array_equal(again.order, first.order)
    assert (again.group_deltas is None) == (group_deltas is None)
    if group_deltas is not None:
        assert np.array_equal(again.group_deltas, group_deltas)
    assert set(bundle.facts["versions"]) >= {"numpy", "tensorflow", "pytest-fkeras"}


def test_a_bundle_without_an_oracle_says_what_it_holds():
    with pytest.raises(InputError, match="no oracle but values, bits, model/names"):
        oracle_of(Bundle(ARRAYS, FACTS))
