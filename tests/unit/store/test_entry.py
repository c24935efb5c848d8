"""Entries: rows that are there stay there, and damage is noticed."""

from __future__ import annotations

import errno
import os
import random
import shutil

import numpy as np
import pytest

from fkeras.errors import InputError, StoreError
from fkeras.store import Identity, Store
from fkeras.store import disk as disk_module
from fkeras.store import entry as entry_module
from tests.unit.store.conftest import IDENTITY, rows


def parts(entry):
    return sorted((entry.folder / "rows").glob("*.parquet"))


def equal(table, wanted):
    assert list(table) == list(wanted)
    for name, column in wanted.items():
        assert table[name].dtype == column.dtype
        assert table[name].tolist() == column.tolist()


def test_rows_come_back_by_key_with_their_types(entry):
    assert entry.known() == {}
    entry.append(rows(5, 3))
    entry.append(rows(4))
    equal(entry.known(), rows(3, 4, 5))


def test_text_and_special_numbers_come_back(entry):
    table = {"row": np.array([0]), "value": np.array([np.nan]), "worst": np.array([-np.inf]), "name": np.array(["émd"])}
    entry.append(table)
    entry.append({**table})
    found = entry.known()
    assert np.isnan(found["value"][0])
    assert found["worst"][0] == -np.inf
    assert found["name"].tolist() == ["émd"]
    assert len(parts(entry)) == 1, "the same rows are the same file"


def test_equal_rows_make_one_file_of_equal_bytes_however_they_came(tmp_path):
    contents = set()
    for seed in range(5):
        entry = Store(tmp_path / str(seed)).entry(IDENTITY)
        bits = list(range(100))
        random.Random(seed).shuffle(bits)
        while bits:
            size = random.Random(len(bits)).randint(1, 30)
            entry.append(rows(*bits[:size], *bits[: size // 2]))
            bits = bits[size:]
            if seed % 2:
                entry.finish()
        joined = entry.finish()
        assert parts(entry) == [joined]
        contents.add((joined.name, joined.read_bytes()))
    assert len(contents) == 1


def test_others_read_it(entry):
    import pyarrow.parquet

    entry.append(rows(1, 2))
    entry.append(rows(3))
    (entry.folder / "rows" / ".tmp-1").write_bytes(b"half a file")
    read = pyarrow.parquet.read_table(entry.folder / "rows")  # as pandas does
    assert sorted(read["bit"].to_pylist()) == [1, 2, 3]


def test_nothing_is_written_before_the_first_row(entry, store):
    entry.append({})
    entry.append(rows())
    assert entry.finish() is None
    assert not store.path.exists()


@pytest.mark.parametrize("damage", ["truncated", "empty", "changed"])
def test_a_damaged_part_is_left_out_noticed_and_measured_again(entry, store, damage):
    entry.append(rows(1, 2))
    entry.append(rows(3))
    path = next(path for path in parts(entry) if path.stat().st_size > 0 and 2 in _bits(entry, path))
    content = path.read_bytes()
    path.write_bytes({"truncated": content[:-7], "empty": b"", "changed": content[:50] + b"!" + content[51:]}[damage])
    equal(entry.known(), rows(3))
    assert store.notices == [
        f"{path}: left out, its content does not match its name: truncated or altered; its rows are measured again"
    ]
    entry.append(rows(1, 2))
    entry.finish()
    equal(Store(store.path).entry(IDENTITY).known(), rows(1, 2, 3))
    assert len(parts(entry)) == 1


def _bits(entry, path):
    from fkeras.store.parts import read_part

    return read_part(path, entry.identity.digest)["bit"].tolist()


def test_foreign_files_are_left_alone(entry, store):
    entry.append(rows(1))
    other = store.entry(Identity("oracle", {"data": "other"}))
    other.append(rows(2))
    stray = entry.folder / "rows" / parts(other)[0].name
    shutil.copy(parts(other)[0], stray)
    notes = entry.folder / "rows" / "notes.txt"
    notes.write_text("mine")
    equal(entry.known(), rows(1))
    assert f"it belongs to another result ({other.identity.digest[:12]})" in store.notices[1]
    assert store.notices[0] == f"{notes}: left out, it is no part of a result"
    entry.finish()
    assert notes.read_text() == "mine"
    assert stray.read_bytes() == parts(other)[0].read_bytes()


def test_a_damaged_identity_is_written_again(entry, store):
    entry.append(rows(1))
    (entry.folder / "identity.json").write_text("{")
    assert [found for found in store.entries()] == []
    assert "its identity.json does not say what it is" in store.notices[0]
    store.entry(IDENTITY).append(rows(2))
    assert Identity.parse((entry.folder / "identity.json").read_text()).digest == IDENTITY.digest
    assert "written again, it was damaged" in store.notices[1]
    equal(entry.known(), rows(1, 2))


def test_an_identity_that_is_no_text_is_written_again(entry, store):
    entry.append(rows(1))
    (entry.folder / "identity.json").write_bytes(b"\xff\xfe")
    store.entry(IDENTITY).append(rows(2))
    assert (entry.folder / "identity.json").read_text() == IDENTITY.readable
    assert "written again, it was damaged" in store.notices[0]


def test_a_writer_joins_its_own_parts_only_and_leaves_the_rest_to_the_end(entry, monkeypatch):
    monkeypatch.setattr(entry_module, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(entry_module, "MOST_PARTS", 3)
    others = {entry.append(rows(100)), entry.append(rows(101))}
    with entry.writer() as writer:
        for bit in range(7):
            writer.add(**rows(bit))
            assert others <= {*parts(entry)}
            assert len(parts(entry)) <= 2 + 3
        equal(entry.known(), rows(*range(7), 100, 101))
    assert others < {*parts(entry)}
    assert len(parts(entry)) == 2 + 1
    entry.settle()
    assert len(parts(entry)) == 1


def test_parts_that_another_process_joined_meanwhile_are_not_missed(entry):
    mine = [entry.append(rows(1)), entry.append(rows(2))]
    joined = entry.finish()
    assert entry.join(mine) is None
    assert parts(entry) == [joined]


def test_a_part_that_another_machine_removed_is_read_from_the_next_listing(entry, monkeypatch):
    entry.append(rows(1))
    entry.append(rows(2))
    usual, stale = entry_module.read_part, [parts(entry)[0]]

    def read(path, identity):
        if path in stale:
            stale.clear()
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return usual(path, identity)

    monkeypatch.setattr(entry_module, "read_part", read)
    equal(entry.known(), rows(1, 2))
    assert not stale


def test_rows_that_disagree_give_one_answer_whichever_came_first(tmp_path):
    answers = []
    for order in ((0, 1), (1, 0)):
        store = Store(tmp_path / f"{order[0]}")
        entry = store.entry(IDENTITY)
        tables = [rows(1, 2), {**rows(1, 2), "value": np.array([1 / 7, 0.2])}]
        for number in order:
            entry.append(tables[number])
        answers.append(entry.known()["value"].tolist())
        assert "1 rows were measured twice with different values" in store.notices[0]
        entry.finish()
        answers.append(entry.known()["value"].tolist())
    assert answers == [[1 / 7, 0.2]] * 4


def test_a_full_disk_says_so_and_loses_nothing(entry, monkeypatch):
    entry.append(rows(1))
    monkeypatch.setattr(disk_module.os, "fsync", _refusing(errno.ENOSPC))
    with pytest.raises(StoreError, match=r"writing .*: No space left on device; free some space and start again: what"):
        entry.append(rows(2))
    monkeypatch.undo()
    equal(entry.known(), rows(1))
    assert [path.name for path in (entry.folder / "rows").iterdir()] == [parts(entry)[0].name]


def test_a_full_disk_while_joining_keeps_the_parts(entry, monkeypatch):
    entry.append(rows(1))
    entry.append(rows(2))
    monkeypatch.setattr(disk_module.os, "replace", _refusing(errno.ENOSPC))
    with pytest.raises(StoreError, match="No space left"):
        entry.finish()
    equal(entry.known(), rows(1, 2))


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_can_be_read(entry, monkeypatch, number):
    entry.append(rows(1))
    monkeypatch.setattr("builtins.open", _refusing(number))
    with pytest.raises(StoreError, match="name a folder that"):
        entry.append(rows(2))
    monkeypatch.undo()
    equal(entry.known(), rows(1))


def _refusing(number):
    def refuse(*arguments, **keywords):
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_store_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "results.txt").write_text("")
    with pytest.raises(StoreError, match=r"reading .*results.txt: Not a directory; a store is a folder; name another"):
        Store(tmp_path / "results.txt")


def test_a_folder_with_other_things_in_it_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(InputError, match=r"is no store: it holds thesis.tex and no CACHEDIR.TAG; name a new or empty"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_leftovers_of_processes_that_died_are_swept_when_they_are_old(entry):
    entry.append(rows(1))
    old, new = (entry.folder / "rows" / f".tmp-{name}" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    entry.finish()
    assert [path.exists() for path in (old, new)] == [False, True]


def test_joining_by_another_process_while_reading_is_no_damage(entry, store, monkeypatch):
    for bit in range(4):
        entry.append(rows(bit))
    read_part, calls = entry_module.read_part, []

    def reading(path, identity):
        calls.append(path)
        if len(calls) == 2:
            monkeypatch.undo()
            Store(store.path).entry(IDENTITY).finish()
        return read_part(path, identity)

    monkeypatch.setattr(entry_module, "read_part", reading)
    equal(entry.known(), rows(0, 1, 2, 3))
    assert store.notices == []


def test_what_a_dead_process_did_not_join_is_joined_later(entry, store, monkeypatch):
    entry.append(rows(1, 2))
    entry.append(rows(3))
    with entry.alone("-1of2"):
        entry.settle()
        assert len(parts(entry)) == 2, "somebody is at work"
    monkeypatch.setattr(disk_module.os, "replace", _refusing(errno.EROFS))
    entry.settle()
    assert len(parts(entry)) == 2
    monkeypatch.undo()
    entry.settle()
    assert len(parts(entry)) == 1
    equal(entry.known(), rows(1, 2, 3))


def test_the_writer_writes_in_time_and_joins_many_parts(entry, monkeypatch):
    monkeypatch.setattr(entry_module, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(entry_module, "MOST_PARTS", 4)
    with entry.writer() as writer:
        for bit in range(10):
            writer.add(**rows(bit))
            assert len(entry.known()["bit"]) == bit + 1
        assert len(parts(entry)) == 3
    assert len(parts(entry)) == 1


def interrupted(entry, before_the_end=lambda: None):
    with entry.writer() as writer:
        writer.add(**rows(1, 2))
        before_the_end()
        raise KeyboardInterrupt


def test_the_writer_keeps_what_came_before_an_interruption(entry):
    with pytest.raises(KeyboardInterrupt):
        interrupted(entry)
    equal(entry.known(), rows(1, 2))


def test_an_interruption_on_a_full_disk_says_both(entry, monkeypatch):
    def fill():
        monkeypatch.setattr(disk_module.os, "replace", _refusing(errno.ENOSPC))

    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted(entry, fill)
    assert "what was measured last could not be stored" in caught.value.__notes__[0]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_never_opened(entry, store, make):
    entry.append(rows(1))
    strange = entry.folder / "rows" / f"part-{'0' * 32}.parquet"
    make(strange)
    identity = store.path / "oracle" / ("0" * 64) / "identity.json"
    identity.parent.mkdir()
    make(identity)
    equal(entry.known(), rows(1))
    assert [one.identity.digest for one in store.entries()] == [IDENTITY.digest]
    assert store.notices == [
        f"{strange}: left out, it is no part of a result",
        f"{identity.parent}: left out, its identity.json does not say what it is",
    ]
    entry.finish()
    assert strange.exists()
