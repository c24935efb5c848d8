"""The folder: ignored by git, capped, and never without what is in use."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.store import Identity, Store
from tests.unit.store.conftest import rows


def named(store, name):
    return store.entry(Identity("oracle", {"name": name}))


def filled(store, name, n=2000):
    entry = named(store, name)
    noise = np.random.default_rng(abs(hash(name)) % 1000).random(n)
    entry.append({"bit": np.arange(n), "value": noise})
    entry.finish()
    return entry


def test_git_and_backups_leave_it_out(store):
    named(store, "a").append(rows(1))
    subprocess.run(["git", "init", "-q", store.path.parent], check=True)
    found = subprocess.run(
        ["git", "-C", store.path.parent, "status", "--porcelain"], check=True, capture_output=True, text=True
    )
    assert found.stdout == ""
    assert (store.path / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


def test_a_path_from_a_user_may_begin_in_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store("~/results").path == tmp_path / "results"


def age(entry, seconds):
    os.utime(entry.folder / "identity.json", (seconds, seconds))


def test_a_home_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"~nouser-here/s: there is no such home folder .*; name a folder by its"):
        Store("~nouser-here/s")


def test_the_longest_unused_go_first(tmp_path):
    store = Store(tmp_path / "s")
    a, b, c = (filled(store, name) for name in "abc")
    size = sum(path.stat().st_size for path in a.folder.rglob("*"))
    for entry, when in ((a, 200), (b, 100), (c, 300)):
        age(entry, when)
    capped = Store(tmp_path / "s", max_bytes=int(3.5 * size))
    d = filled(capped, "d")
    assert [entry.folder.exists() for entry in (a, b, c, d)] == [True, False, True, True]
    age(a, 400)
    age(c, 300)
    named(capped, "c").touch()
    e = filled(capped, "e")
    assert [entry.folder.exists() for entry in (a, c, d, e)] == [False, True, True, True]


def test_what_is_in_use_stays(tmp_path):
    store = Store(tmp_path / "s", max_bytes=1)
    a = filled(store, "a")
    with a.alone("-1of2"):
        b = filled(store, "b")
        assert [entry.folder.exists() for entry in (a, b)] == [True, True]
    c = filled(store, "c")
    assert [entry.folder.exists() for entry in (a, b, c)] == [False, False, True]
    assert store.notices == []


def test_without_a_cap_everything_stays(tmp_path):
    store = Store(tmp_path / "s")
    entries = [filled(store, name) for name in "abc"]
    assert all(entry.folder.exists() for entry in entries)


def test_one_at_a_time_and_a_dead_one_does_not_block(store):
    import sys
    import textwrap

    program = textwrap.dedent(f"""
        import sys, time
        from fkeras.store import Identity, Store
        with Store({str(store.path)!r}).entry(Identity("oracle", {{"name": "a"}})).alone():
            print("held", flush=True)
            time.sleep(60)
    """)
    holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        entry = named(store, "a")
        assert entry.is_in_use()
        with entry.alone("-1of2"):
            pass  # another share does not wait
        holder.kill()
        holder.wait()
        assert not entry.is_in_use()
        with entry.alone():
            pass
    finally:
        holder.kill()
        holder.communicate()


def test_without_file_locks_work_goes_on_and_it_is_said(store, monkeypatch):
    import errno

    import filelock

    def refuse(self, *arguments, **keywords):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with named(store, "a").alone():
        named(store, "a").append(rows(1))
    assert "no file locks here, so two processes may measure the same" in store.notices[0]


@pytest.mark.parametrize("trouble", ["missing", "empty"])
def test_listing_needs_no_store(tmp_path, trouble):
    if trouble == "empty":
        (tmp_path / "s").mkdir()
    assert list(Store(tmp_path / "s").entries()) == []
