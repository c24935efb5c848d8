"""Merging: the union, or the difference by name."""

from __future__ import annotations

import pytest

from fkeras.errors import IdentityError, InputError
from fkeras.store import Identity, Store, merge
from tests.unit.store.conftest import IDENTITY, rows


def store_with(path, *bits, identity=IDENTITY):
    store = Store(path)
    entry = store.entry(identity)
    entry.append(rows(*bits))
    entry.finish()
    return store


OTHER = Identity("oracle", {**IDENTITY.values, "data": "cc", "seed": 2})


def test_shares_add_up_to_the_bytes_of_the_whole(tmp_path):
    whole = store_with(tmp_path / "whole", *range(10)).entry(IDENTITY)
    store_with(tmp_path / "1", *range(0, 10, 2))
    store_with(tmp_path / "2", *range(1, 10, 2))
    merged = merge([tmp_path / "1", str(tmp_path / "2")], into=tmp_path / "both")
    assert [(one.identity.digest, one.n_rows, one.n_new) for one in merged] == [(IDENTITY.digest, 10, 10)]
    both = Store(tmp_path / "both").entry(IDENTITY)
    (mine,), (expected,) = ((entry.folder / "rows").iterdir() for entry in (both, whole))
    assert (mine.name, mine.read_bytes()) == (expected.name, expected.read_bytes())


def test_again_changes_nothing_and_sources_stay(tmp_path):
    store_with(tmp_path / "1", 1, 2)
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "1").rglob("rows/*"))
    merge([tmp_path / "1"], into=tmp_path / "2")
    assert [one.n_new for one in merge([tmp_path / "1"], into=tmp_path / "2")] == [0]
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "1").rglob("rows/*")) == before


def test_single_results_of_different_things_are_refused_by_name(tmp_path):
    store_with(tmp_path / "1", 1)
    store_with(tmp_path / "2", 2, identity=OTHER)
    with pytest.raises(IdentityError, match=r"(?s)do not add up:\n  data: bb against cc\n  seed: 1 against 2\nto keep"):
        merge([tmp_path / "1", tmp_path / "2"], into=tmp_path / "3")
    assert not (tmp_path / "3").exists()


def test_stores_of_several_results_stay_side_by_side(tmp_path):
    store = store_with(tmp_path / "1", 1)
    store.entry(OTHER).append(rows(5))
    store_with(tmp_path / "2", 2, identity=OTHER)
    merged = merge([store, tmp_path / "2"], into=tmp_path / "3")
    assert sorted((one.identity.values["data"], one.n_rows) for one in merged) == [("bb", 1), ("cc", 2)]


def test_one_after_the_other_keeps_both(tmp_path):
    store_with(tmp_path / "1", 1)
    store_with(tmp_path / "2", 2, identity=OTHER)
    for source in ("1", "2"):
        merge([tmp_path / source], into=tmp_path / "3")
    assert len(list(Store(tmp_path / "3").entries())) == 2


def test_the_folder_of_one_result_is_a_source(tmp_path):
    store = store_with(tmp_path / "1", 1)
    other = store.entry(OTHER)
    other.append(rows(2))
    (merged,) = merge([other.folder], into=tmp_path / "2")
    assert merged.identity.digest == OTHER.digest


def test_a_damaged_source_is_noticed_and_the_rest_is_kept(tmp_path):
    store = store_with(tmp_path / "1", 1)
    entry = store.entry(IDENTITY)
    entry.append(rows(2))
    next((entry.folder / "rows").glob("*.parquet")).write_bytes(b"PAR1")
    target = Store(tmp_path / "2")
    (merged,) = merge([tmp_path / "1"], into=target)
    assert merged.n_rows == 1
    assert "truncated or altered" in target.notices[0]


@pytest.mark.parametrize(("sources", "message"), [([], "nothing to merge"), (["none"], "none does not exist")])
def test_nothing_to_merge_is_an_error(tmp_path, monkeypatch, sources, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        merge(sources, into="into")
