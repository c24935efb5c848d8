"""Killed at any moment: what was stored stays, the rest is measured again, and the result is the uninterrupted one."""

from __future__ import annotations

import multiprocessing
import random
import runpy
import time
from pathlib import Path

import pytest

from fkeras.store import Store

PROGRAM = Path(__file__).parent / "kills.py"
N_ROWS = 800


@pytest.fixture(scope="module")
def start():
    """start(store, kind, result=None): a process that measures, forked from one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "fkeras.campaigns", "fkeras.api", "pyarrow.parquet", "filelock"])

    def started(store, kind, result=None):
        arguments = str(store), kind, str(result or store.parent / "unread.txt")
        keywords = {"init_globals": {"ARGUMENTS": arguments}, "run_name": "victim"}
        process = context.Process(target=runpy.run_path, args=(str(PROGRAM),), kwargs=keywords)
        process.start()
        return process

    return started


def wait_for_parts(process, store, n):
    """Until n more parts have been written, however slow the machine is."""
    seen = set(store.rglob("part-*"))
    while n > 0 and process.is_alive():
        time.sleep(0.001)
        new = set(store.rglob("part-*")) - seen
        seen |= new
        n -= len(new)


def finished(start, store, kind):
    """The digest of the result, and how much of it was stored."""
    result = store.parent / "result.txt"
    process = start(store, kind, result)
    process.join(60)
    assert process.exitcode == 0
    digest, reused = result.read_text().split()
    return digest, int(reused)


def contents(store):
    """Every result table of a store, and that nothing else is left in it."""
    tables = {}
    for entry in Store(store).entries():
        (path,) = (entry.folder / "rows").iterdir()
        tables[entry.identity.digest] = path.name, path.read_bytes()
    return tables


def n_rows(store):
    return sum(len(next(iter(entry.known().values()))) for entry in Store(store).entries() if entry.known())


@pytest.mark.parametrize(("kind", "n_kills"), [("oracle", 7), ("campaign", 3)])
def test_kills_at_random_moments(tmp_path, start, kind, n_kills):
    expected, _ = finished(start, tmp_path / "whole", kind)
    moments, rows = random.Random(kind), [0]
    for _ in range(n_kills):
        process = start(tmp_path / "killed", kind)
        wait_for_parts(process, tmp_path / "killed", moments.randint(0, 4))
        time.sleep(moments.uniform(0, 0.01))
        process.kill()
        process.join()
        rows.append(n_rows(tmp_path / "killed"))
    assert rows == sorted(rows), "nothing that was stored is lost"
    assert any(0 < n < N_ROWS for n in rows), f"the kills should have hit the middle of it: {rows}"
    assert finished(start, tmp_path / "killed", kind) == (expected, rows[-1])
    for path in (tmp_path / "killed").rglob(".tmp-*"):
        path.unlink()  # what was being written at that very moment; swept after an hour
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_processes_that_measure_the_same_measure_it_once(tmp_path, start):
    files = [tmp_path / f"{number}.txt" for number in range(3)]
    processes = [start(tmp_path / "one", "oracle", file) for file in files]
    for process in processes:
        process.join(60)
    results = [file.read_text().split() for file in files]
    assert {digest for digest, _ in results} == {finished(start, tmp_path / "whole", "oracle")[0]}
    assert sorted(int(reused) for _, reused in results) == [0, N_ROWS, N_ROWS]
    assert contents(tmp_path / "one") == contents(tmp_path / "whole")
