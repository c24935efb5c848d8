"""The cache: computed once, reused in later runs and by all workers, and off when told so."""

from __future__ import annotations

import errno
import json
import os
import re

# In-process sessions forget the modules that they import; compiled ones cannot be imported twice.
import pytest

import fkeras.runs.identity
import fkeras.runs.stored
import fkeras.sensitivity.ranking  # noqa: F401
from fkeras.store import disk

TESTS = """
    @fault_budget(bits=3, protected=ranking("msb")[:8], max_mse=1000)
    def test_limit():
        pass

    @fault_budget(bits=3, protected=ranking("msb")[:8], trials=20)
    def test_fixture(fkeras_campaign):
        assert len(fkeras_campaign["mse"]) == 20

    def test_by_hand(resilience):
        assert len(resilience.oracle("mse")) == 32

    @fault_budget(bits=1, trials="all", max_mse=1000)
    def test_every_bit():
        pass
"""
IDENTITY = """

def pytest_fkeras_model_identity(model):
    return "1"
"""


@pytest.fixture
def calls(project, write_test):
    """What was computed since the last call: engines started and rankings made, in all processes."""
    conftest = project.path / "conftest.py"
    log = project.path / "calls.txt"
    source = conftest.read_text().replace("CALLS = []", "")
    noting = (
        f"def note(what):\n    with open({str(log)!r}, 'a') as file:\n        file.write(str(what) + chr(10))\n\n\n"
    )
    body = source.replace("CALLS.append(", "note(")
    conftest.write_text(body.replace("class Linear", noting + "class Linear", 1) + IDENTITY)
    write_test(TESTS)

    def since():
        found = sorted(log.read_text().splitlines()) if log.exists() else []
        log.unlink(missing_ok=True)
        return found

    return since


def test_a_budget_that_failed_is_explained_again_without_a_measurement(project, calls, write_test):
    conftest = project.path / "conftest.py"
    inject = "    def outputs(self, faults):\n"
    conftest.write_text(conftest.read_text().replace(inject, f"{inject}        len(faults) and note('injected')\n", 1))
    write_test("""
        @fault_budget(bits=6, protected=ranking("msb")[:4], max_mse=0.05)
        def test_fails():
            pass
    """)
    cold = project.runpytest("-n0", "--fkeras-json=r.json")
    cold.assert_outcomes(failed=1)
    assert calls().count("injected") > 50
    warm = project.runpytest("-n0", "--fkeras-json=r.json")
    warm.assert_outcomes(failed=1)
    assert calls() == ["['mse']"]
    cold.stdout.fnmatch_lines(["*would pass*ranking('msb')*"])
    warm.stdout.fnmatch_lines(["*would pass*ranking('msb')*"])


def test_the_second_run_computes_the_golden_values_only_and_says_so(project, calls):
    project.runpytest("-n0", "--fkeras-json=r.json").assert_outcomes(passed=4)
    assert calls() == ["['mse']", "rank msb"]
    result = project.runpytest("-n0", "--fkeras-json=r.json")
    result.assert_outcomes(passed=4)
    assert calls() == ["['mse']"]
    report = json.loads((project.path / "r.json").read_text())
    cached = {test["nodeid"].rpartition("::")[2]: test["cached"] for test in report["tests"]}
    assert cached["test_limit"] == ["ranking 'msb'", "69 of 69 trials"]
    assert cached["test_fixture"] == ["ranking 'msb'", "20 of 20 trials"]
    assert cached["test_every_bit"] == ["32 of 32 trials"]
    assert re.search(r"cached: ranking 'msb'; [^:]*69\s+of\s+69\s+trials", result.stdout.str())


def test_the_report_is_the_same_from_the_cache(project, calls):
    reports = []
    for name in ("a.json", "b.json"):
        # Without the oracle: a stored one is shown in later reports.
        project.runpytest("-n0", "-k", "test_limit or test_fixture", f"--fkeras-json={name}")
        reports.append(json.loads((project.path / name).read_text())["tests"])
    cached = [[test.pop("cached") for test in tests] for tests in reports]
    for fresh, again in zip(*reports, strict=True):
        assert {key for key in fresh if fresh[key] != again[key]} == set()
    assert cached[0] != cached[1]
    assert all(cached[1])


def test_it_lies_beside_the_ini_file_and_git_ignores_it(project, calls):
    project.makeini("[pytest]\n")
    inner = project.path / "inner"
    inner.mkdir()
    os.chdir(inner)
    project.runpytest("-n0", "-c", str(project.path / "tox.ini"), str(project.path)).assert_outcomes(passed=4)
    assert (project.path / ".fkeras_cache" / ".gitignore").read_text() == "*\n"
    assert list(inner.iterdir()) == []


@pytest.mark.parametrize("how", ["option", "ini"])
def test_another_folder(project, calls, how):
    if how == "ini":
        project.makeini("[pytest]\nfkeras_cache = kept/here\n")
    flags = [] if how == "ini" else ["--fkeras-cache=kept/here"]
    for expected in (["['mse']", "rank msb"], ["['mse']"]):
        project.runpytest("-n0", *flags).assert_outcomes(passed=4)
        assert calls() == expected
    assert not (project.path / ".fkeras_cache").exists()
    assert (project.path / "kept" / "here" / "CACHEDIR.TAG").exists()


@pytest.mark.parametrize("how", ["option", "ini"])
def test_off(project, calls, how):
    if how == "ini":
        project.makeini("[pytest]\nfkeras_cache = off\n")
    for _ in range(2):
        result = project.runpytest("-n0", *([] if how == "ini" else ["--fkeras-cache=off"]))
        result.assert_outcomes(passed=4)
        assert calls() == ["['mse']", "rank msb"]
    assert not (project.path / ".fkeras_cache").exists()
    assert "cache" not in result.stdout.str().replace("cachedir", "").replace("cacheprovider", "")


@pytest.mark.parametrize(
    ("dist", "flags"),
    [
        ("load", []),
        ("each", ["--fkeras-cache=off"]),
        ("load", ["-p", "no:cacheprovider"]),
        ("loadscope", ["--fkeras-cache=off"]),
        ("loadfile", []),
        ("loadgroup", ["--fkeras-cache=off"]),
        ("worksteal", ["--fkeras-cache=off"]),
    ],
)
def test_workers_share_one_ranking_and_one_oracle(project, calls, write_test, flags, dist):
    for name in ("test_b", "test_c", "test_d"):
        write_test(TESTS, name)
    result = project.runpytest("-n3", f"--dist={dist}", *flags)
    result.assert_outcomes(passed=48 if dist == "each" else 16)
    found = calls()
    assert found.count("rank msb") == 1
    assert found.count("['mse']") <= 3, "an engine per worker at most"
    assert (project.path / ".fkeras_cache").exists() == ("--fkeras-cache=off" not in flags)
    if "--fkeras-cache=off" not in flags:
        (oracle,) = (project.path / ".fkeras_cache" / "oracle").iterdir()
        assert len(list((oracle / "rows").iterdir())) == 1


def test_a_folder_with_other_things_is_a_usage_error(project, calls):
    (project.path / "thesis").mkdir()
    (project.path / "thesis" / "thesis.tex").write_text("")
    result = project.runpytest("-n0", "--fkeras-cache=thesis")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*--fkeras-cache: *thesis is no store: it holds thesis.tex and no CACHEDIR.TAG*"])


def test_a_folder_that_cannot_be_written_is_said_and_costs_nothing_else(project, calls, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    result = project.runpytest("-n0")
    result.assert_outcomes(passed=4)
    assert "cannot be written, so results are not kept for the next run" in " ".join(result.stdout.str().split())
    assert not (project.path / ".fkeras_cache").exists()


def test_a_full_disk_says_what_to_do(project, calls, monkeypatch):
    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "fsync", full)
        result = project.runpytest("-n0", "-k", "test_limit")
    result.assert_outcomes(errors=1)
    said = " ".join(result.stdout.str().split())
    assert "No space left on device; free some space and start again" in said
    assert "or do without, --fkeras-cache=off" in said
    project.runpytest("-n0", "-k", "test_limit").assert_outcomes(passed=1)


def test_damage_is_measured_again_and_said(project, calls):
    project.runpytest("-n0")
    calls()
    for part in (project.path / ".fkeras_cache").glob("campaign/*/rows/*.parquet"):
        part.write_bytes(part.read_bytes()[:-9])
    result = project.runpytest("-n0")
    result.assert_outcomes(passed=4)
    assert calls() == ["['mse']"]
    assert "truncated or altered" in " ".join(result.stdout.str().split())
    assert "truncated" not in project.runpytest("-n0").stdout.str()


CHANGES = {
    "identity": ('return "1"', 'return "2"'),
    "data": ("default_rng(1)", "default_rng(2)"),
    "words": ("0.375, 0.5", "0.375, 0.25"),
    "metric": (
        "fkeras.metrics.mean_squared_error()",
        "fkeras.metrics.on_output(0, fkeras.metrics.mean_squared_error())",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_is_measured_again(project, calls, change):
    project.runpytest("-n0")
    calls()
    conftest = project.path / "conftest.py"
    before, after = CHANGES[change]
    assert before in conftest.read_text()
    conftest.write_text(conftest.read_text().replace(before, after))
    project.runpytest("-n0")
    assert "['mse']" in calls()


def test_another_seed_draws_other_trials_and_keeps_the_oracle(project, calls):
    project.runpytest("-n0")
    calls()
    project.runpytest("-n0", "--fkeras-seed=5", "-k", "by_hand or every_bit").assert_outcomes(passed=2, deselected=2)
    assert calls() == ["['mse']"]
    project.runpytest("-n0", "--fkeras-seed=5").assert_outcomes(passed=4)
    assert calls() == ["['mse']", "rank msb"]


def test_more_trials_measure_the_difference(project, calls):
    project.runpytest("-n0", "-k", "limit")
    project.runpytest("-n0", "-k", "limit", "--fkeras-trials=100", "--fkeras-json=r.json")
    report = json.loads((project.path / "r.json").read_text())
    assert report["tests"][0]["cached"] == ["ranking 'msb'", "72 of 100 trials"], "whole batches"


def test_without_an_identity_nothing_is_kept_and_it_is_said(project, calls):
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace(IDENTITY, ""))
    for _ in range(2):
        result = project.runpytest("-n0")
        result.assert_outcomes(passed=4)
        assert calls() == ["['mse']", "rank msb"]
    said = " ".join(result.stdout.str().split())
    assert "not stored: model 'linear' has no identity (pytest_fkeras_start_run is implemented here); implement" in said


def test_a_users_ranking_is_kept_when_it_has_an_identity(project, calls, write_test):
    write_test(
        """
        def mine(space):
            with open("asked.txt", "a") as file:
                file.write("x")
            return [bit % 7 for bit in range(len(space))]

        mine.fkeras_identity = "1"

        @fault_budget(bits=3, protected=ranking(mine)[:6], max_mse=1000)
        def test_mine():
            pass
    """,
        "test_budgets",
    )
    for _ in range(2):
        result = project.runpytest("-n0", "-v")
        result.assert_outcomes(passed=1)
    assert (project.path / "asked.txt").read_text() == "x"
    assert "near-tie at 6: 4 bits share the score" in " ".join(result.stdout.str().split())
    module = project.path / "test_budgets.py"
    module.write_text(module.read_text().replace('mine.fkeras_identity = "1"', ""))
    for _ in range(2):
        result = project.runpytest("-n0")
    assert (project.path / "asked.txt").read_text() == "xxx"
    assert "the ranking method mine is code without an identity; set mine.fkeras_identity" in " ".join(
        result.stdout.str().split()
    )
