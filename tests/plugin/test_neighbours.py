"""Beside other plugins, and under every way of distributing tests, verdicts are the same."""

from __future__ import annotations

import re

import pytest

PASSING = """
    @fault_budget(bits=3, max_mse=1e6)
    def test_passes():
        pass
"""
FAILING = """
    @fault_budget(bits=3, max_mse=1e-9)
    def test_fails():
        pass
"""
UNDECIDED_BODY = """
    TRIES = []

    @fault_budget(bits=3, trials=5)
    def test_flaky(fkeras_campaign):
        TRIES.append(fkeras_campaign["mse"].values.tolist())
        print("drew", TRIES[-1])
        assert len(TRIES) == 3
"""
NEVER_ENDING = """
    import time

    def slow(y, outputs):
        time.sleep(30)
        return ((y - outputs) ** 2).mean(axis=1)

    @pytest.fixture(scope="module")
    def fkeras_metrics():
        return {"mine": fkeras.metrics.sample_metric(slow, "mine", "lower")}

    @fault_budget(bits=3, max_mine=1e6)
    def test_never_ends():
        pass
"""
KILLED = """
    import os

    def deadly(y, outputs):
        os.kill(os.getpid(), 9)

    @pytest.fixture(scope="module")
    def fkeras_metrics():
        return {"mine": fkeras.metrics.sample_metric(deadly, "mine", "lower")}

    @fault_budget(bits=3, max_mine=1e6)
    def test_out_of_memory():
        pass
"""
DISTRIBUTIONS = ("load", "loadscope", "loadfile", "loadgroup", "worksteal", "each", "no")


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_every_distribution_gives_the_same_verdicts(project, write_test, distribution):
    write_test(PASSING, "test_a")
    write_test(FAILING, "test_b")
    result = project.runpytest_inprocess("-n2", f"--dist={distribution}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = result.stdout.str()
    assert re.search(r"test_passes .* PASS", text)
    assert re.search(r"test_fails .* FAIL", text)


def test_a_killed_worker_fails_the_run_and_the_others_verdicts_are_reported(project, write_test):
    write_test(KILLED, "test_a")
    write_test(PASSING, "test_b")
    result = project.runpytest_inprocess("-n2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = result.stdout.str()
    assert re.search(r"test_passes .* PASS", text)
    assert re.search(r"NOT_RUN test_out_of_memory", text)


def test_a_rerun_draws_the_same_faults(project, write_test):
    write_test(UNDECIDED_BODY)
    result = project.runpytest_subprocess("--reruns=3", "-s")
    assert result.parseoutcomes() == {"passed": 1, "rerun": 2}
    drawn = re.findall(r"drew (\[.*\])", result.stdout.str())
    assert len(drawn) == 3
    assert len(set(drawn)) == 1


def test_a_failing_verdict_fails_again_on_each_rerun(project, write_test):
    write_test(FAILING)
    result = project.runpytest_subprocess("--reruns=2")
    assert result.parseoutcomes() == {"failed": 1, "rerun": 2}


@pytest.mark.parametrize("flags", [[], ["-n2"]])
def test_a_timeout_is_no_verdict(project, write_test, flags):
    write_test(NEVER_ENDING)
    result = project.runpytest_subprocess("--timeout=2", *flags)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert re.search(r"NOT_RUN test_never_ends: Failed: Timeout", result.stdout.str())


def test_a_random_order_changes_no_draw(project, write_test, monkeypatch):
    write_test(PASSING + FAILING + UNDECIDED_BODY.replace("== 3", "== 1"))
    in_order = project.runpytest_subprocess("-s")
    monkeypatch.delenv("PYTEST_ADDOPTS")
    shuffled = project.runpytest_subprocess("-s", "--randomly-seed=1")
    assert "Using --randomly-seed" in shuffled.stdout.str()
    for pattern in (r"drew (\[.*\])", r"FAIL: (.*)\n"):
        assert re.findall(pattern, shuffled.stdout.str()) == re.findall(pattern, in_order.stdout.str()) != []


def test_coverage_is_measured_beside_a_budget(project, write_test):
    write_test(PASSING + FAILING)
    result = project.runpytest_subprocess("--cov=test_budgets", "--cov-report=term")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*test_budgets.py * 100%*"])
    assert re.search(r"test_fails .* FAIL", result.stdout.str())
