"""Stored rows count only where they can be what is measured now; what cannot is left out, said, and measured again."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.campaigns import FixedTrials, Setting, measure_oracle, run_campaign
from fkeras.engine import GoldenScore
from fkeras.errors import ChangedError
from fkeras.faults import FaultSet, FlipCount, protection
from fkeras.progress import silent
from fkeras.runs.identity import Keeper, Subject
from fkeras.runs.stored import stored_answers
from fkeras.runs.stored_sets import StoredSets
from fkeras.store import Store
from fkeras.store.parts import read_part, write_part

BITS = np.arange(100)


def damage(bits):
    return float(np.sum(1.0 / (3 + bits))) + 0.25


@pytest.fixture
def run(function_run):
    return function_run(damage)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def keeper_of(run, store, require_unchanged=lambda: None):
    return Keeper(store, Subject({"weights": "aa"}, run.space, "bb", "function"), require_unchanged)


def oracle(run, keeper):
    return measure_oracle(run, "mse", BITS, silent, keeper.oracle(run)).values


def campaign(run, keeper):
    setting = Setting(FlipCount(6), protection(None, run.space), 7, run.engine, 1, run.space)
    return run_campaign(run, setting, FixedTrials(100), silent, keeper.campaign(run, setting)).values


def fault_sets(run, keeper):
    with StoredSets(run, keeper.fault_sets(run)) as sets:
        return sets.fault_sets([FaultSet([bit]) for bit in BITS])["mse"].values


def sensitive_bits(run, keeper):
    def ask(bits):
        return np.array([damage(np.array([bit])) > 0.3 for bit in bits]) & (run.fault_sets([FaultSet([0])]) != {})

    return stored_answers(keeper.sensitive_bits(run.golden["mse"].value), BITS, ask)


WAYS = {"oracle": oracle, "campaign": campaign, "fault_sets": fault_sets, "sensitive_bits": sensitive_bits}


def tamper(store, kind, change):
    """Write the parts of a kind of result anew, each under the name that fits its content."""
    for path in store.path.glob(f"{kind}/*/rows/*.parquet"):
        identity = path.parents[1].name
        table = read_part(path, identity)
        path.unlink()
        write_part(path.parent, change(table), identity)


def without(name):
    return lambda table: {column: values for column, values in table.items() if column != name}


def put(name, value):
    return lambda table: {**table, name: np.full_like(table[name], value)}


CHANGES = {
    "another golden value": (put("golden", 100.0), "gave 100, which gives 0.25 here are left out"),
    "a golden value that is none": (put("golden", np.nan), "gave nan, which gives 0.25 here are left out"),
    "no golden value": (without("golden"), "it has the columns "),
    "text for numbers": (lambda table: {**table, "golden": table["golden"].astype(str)}, "golden (U), not "),
    "one column more": (lambda table: {**table, "more": table["golden"]}, "more (f), not "),
}
OF_VALUES = {
    "no value": (put("value", np.nan), "100 rows with impossible numbers are left out"),
    "better than can be": (put("value", -np.inf), "100 rows with impossible numbers are left out"),
    "a negative count": (put("undefined", -1), "100 rows with impossible numbers are left out"),
    "no column value": (without("value"), "it has the columns "),
    "no column undefined": (without("undefined"), "it has the columns "),
}


@pytest.mark.parametrize(
    ("way", "change"),
    [(way, change) for way in WAYS for change in (CHANGES if way == "sensitive_bits" else {**CHANGES, **OF_VALUES})],
)
def test_rows_that_cannot_be_are_measured_again_and_said(run, store, way, change):
    measured = WAYS[way]
    expected = measured(run, keeper_of(run, store))
    run.evaluations = 0
    assert measured(run, keeper_of(run, store)).tolist() == expected.tolist()
    assert (run.evaluations, store.notices) == (0, []), "what is intact is read"
    altered, said = {**CHANGES, **OF_VALUES}[change]
    tamper(store, way, altered)
    assert measured(run, keeper_of(run, store)).tolist() == expected.tolist()
    assert run.evaluations > 0
    assert any(said in notice for notice in store.notices), store.notices
    healed, run.evaluations = Store(store.path), 0
    assert measured(run, keeper_of(run, healed)).tolist() == expected.tolist()
    assert run.evaluations in (0, 100), "fault sets are not joined, so their old parts stay"
    assert healed.notices == [] or way == "fault_sets"


@pytest.mark.parametrize("way", WAYS)
def test_a_metric_that_changed_under_one_identity_is_measured_again(run, function_run, store, way):
    measured = WAYS[way]
    measured(run, keeper_of(run, store))
    other = function_run(lambda bits: damage(bits) + 0.1)
    measured(other, keeper_of(other, store))
    assert other.evaluations > 0
    assert any("gave 0.25, which gives 0.35 here" in notice for notice in store.notices)


def test_a_last_digit_of_another_processor_is_no_other_golden_value(run, store):
    campaign(run, keeper_of(run, store))
    run.golden["mse"] = GoldenScore(run.golden["mse"].value + 1e-9, 0.0, 0, None)
    run.evaluations = 0
    campaign(run, keeper_of(run, store))
    assert run.evaluations == 0


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_stored_once_the_subject_has_changed(run, store, way):
    def changed():
        raise ChangedError("the data changed")

    with pytest.raises(ChangedError):
        WAYS[way](run, keeper_of(run, store, changed))
    assert list(store.path.glob("*/*/rows/*.parquet")) == []


def test_a_part_that_is_no_table_is_left_out(run, store):
    expected = oracle(run, keeper_of(run, store))
    from fkeras.store.parts import name_of

    for path in store.path.glob("oracle/*/rows/*.parquet"):
        path.unlink()
        (path.parent / name_of(b"no table")).write_bytes(b"no table")
    assert oracle(run, keeper_of(run, store)).tolist() == expected.tolist()
    assert any("it is no table of results" in notice for notice in store.notices)
