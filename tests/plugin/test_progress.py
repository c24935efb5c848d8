"""A bar reaches the terminal through the capture of pytest, says what is measured, and is in nobody's output."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

TEST = """
    import time

    from pytest_fkeras import progress

    @pytest.fixture(scope="session", autouse=True)
    def impatient():
        progress.progress_in.__defaults__ = (0.0,)

    @fault_budget(bits=1, trials="all", max_mse=1000)
    def test_one(capfd):
        print("mine")
        assert capfd.readouterr() == ("mine\\n", "")
"""


@pytest.mark.parametrize("capture", ["fd", "sys", "no"])
def test_a_terminal_gets_a_bar(project, write_test, capture):
    write_test(TEST.replace("capfd", "capsys" if capture == "sys" else "capfd"))
    ours, theirs = pty.openpty()
    line = [sys.executable, "-m", "pytest", "-p", "no:randomly", f"--capture={capture}", "-n0"]
    with subprocess.Popen(line, stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs, cwd=project.path) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
    os.close(ours)
    assert process.returncode == 0
    assert "each of 32 bits flipped alone" in shown.decode()


def test_no_terminal_gets_none(project, write_test):
    write_test(TEST)
    result = project.runpytest_subprocess("-n0")
    result.assert_outcomes(passed=1)
    assert "bits flipped alone:" not in result.stderr.str() + result.stdout.str()
