"""Workers of one run share out the processors, where the project uses fkeras and the user says nothing else."""

from __future__ import annotations

import os

import pytest

from fkeras.threads import THREAD_VARIABLES as VARIABLES
from pytest_fkeras.session import share_threads

SHOW = f"""
import os

def test_seen():
    with open(os.environ.get("PYTEST_XDIST_WORKER", "main") + ".txt", "w") as file:
        file.write(str([os.environ.get(name) for name in {VARIABLES!r}]))
"""


@pytest.mark.parametrize(("workers", "share"), [(1, "8"), (3, "2"), (8, "1"), (20, "1")])
def test_the_share_is_that_of_the_processors_this_process_may_use(monkeypatch, workers, share):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", str(workers))
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "5")
    share_threads()
    assert [os.environ[name] for name in VARIABLES] == [share, share, "5", share]


@pytest.mark.parametrize(("ini", "flags"), [("fkeras_seed = 1", ["-n1"]), ("", ["-n1"]), ("fkeras_seed = 1", ["-n0"])])
def test_only_on_workers_of_a_project_that_uses_fkeras(pytester, monkeypatch, ini, flags):
    for name in (*VARIABLES, "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):  # these tests may run on a worker
        monkeypatch.delenv(name, raising=False)
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.makepyfile(SHOW)
    pytester.runpytest_subprocess(*flags, "-p", "no:randomly").assert_outcomes(passed=1)
    is_shared = bool(ini) and flags == ["-n1"]
    expected = [str(len(os.sched_getaffinity(0))) if is_shared else None] * len(VARIABLES)
    assert [path.read_text() for path in pytester.path.glob("*.txt")] == [str(expected)]
