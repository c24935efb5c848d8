"""Budgets beside subtests, and a session that Ctrl-C ends under workers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

SUBTESTS = """
    @fault_budget(bits=3, {limit})
    def test_parts(subtests, fkeras_campaign):
        for part in range(2):
            with subtests.test(part=part):
                assert part < {parts}
"""
WAITING = """
    import pathlib, time

    def slow(y, outputs):
        pathlib.Path("started").touch()
        time.sleep(60)
        return ((y - outputs) ** 2).mean(axis=1)

    @pytest.fixture(scope="module")
    def fkeras_metrics():
        return {"mine": fkeras.metrics.sample_metric(slow, "mine", "lower")}

    @fault_budget(bits=3, max_mine=1e6)
    def test_waits():
        pass
"""


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="subtests came with pytest 9")
@pytest.mark.parametrize("flags", [[], ["-n1"]])
@pytest.mark.parametrize(
    ("limit", "parts", "verdict", "code"),
    [("max_mse=1e6", 2, "PASS", 0), ("max_mse=1e6", 1, "PASS", 1), ("max_mse=1e-9", 2, "FAIL", 1)],
)
def test_subtests_and_the_budget_are_each_judged(project, write_test, limit, parts, verdict, code, flags):
    write_test(SUBTESTS.format(limit=limit, parts=parts))
    assert project.runpytest_inprocess("--fkeras-json=r.json", *flags).ret == code
    report = json.loads((project.path / "r.json").read_text())
    assert [test["verdict"] for test in report["tests"]] == [verdict]
    assert report["summary"]["exit_code"] == code


def test_an_interrupted_run_with_workers_still_writes_its_report(project, write_test):
    write_test(WAITING)
    running = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-n2", "--fkeras-json=r.json"],
        cwd=project.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        # A shell's background jobs ignore Ctrl-C, and what they start inherits it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        end = time.monotonic() + 120
        while not (project.path / "started").exists() and time.monotonic() < end:
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == pytest.ExitCode.INTERRUPTED
    finally:
        running.kill()
    report = json.loads((project.path / "r.json").read_text())
    assert [test["verdict"] for test in report["tests"]] == ["NOT_RUN"]
    assert report["summary"]["exit_code"] == 2
