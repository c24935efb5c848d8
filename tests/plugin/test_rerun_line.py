"""The printed command fails again, in a fresh process."""

from __future__ import annotations

import re
import shlex
import sys

import pytest


@pytest.mark.parametrize("flags", [["--fkeras-seed=7"], ["-n2", "--fkeras-seed=7"], ["-o", "fkeras_seed=7"], []])
def test_the_rerun_line_fails_again(project, write_test, flags):
    write_test("""
        @pytest.mark.parametrize("limit", ["a b"])
        @fault_budget(bits=3, trials=30, max_mse=1e-9)
        def test_missed(limit):
            pass
    """)
    first = project.runpytest_inprocess(*flags)
    first.assert_outcomes(failed=1)
    line = re.search(r"again +python (.*)", first.stdout.str())
    assert line is not None
    again = project.run(sys.executable, *shlex.split(line[1]))
    again.assert_outcomes(failed=1)

    def told(result: pytest.RunResult) -> list[str]:
        return [text for text in result.stdout.lines if re.match(r"FAIL: |  (faults|mse)|    \w+/kernel", text)]

    assert len(told(first)) >= 4
    assert told(again) == told(first)
