"""The terminal report, from one process and from workers."""

from __future__ import annotations

import json
import re

import pytest

TWO = """
    @fault_budget(bits=3, protected=ranking("msb")[:8], max_mse=1e3)
    def test_kept():
        pass

    @fault_budget(bits=3, max_mse=1e-9)
    def test_missed():
        pass
"""
TITLE = "fkeras resilience"


def section(result: pytest.RunResult) -> list[str]:
    lines = result.stdout.str().splitlines()
    starts = [i for i, line in enumerate(lines) if TITLE in line]
    assert len(starts) == 1
    body = lines[starts[0] + 1 :]
    return body[: next((i for i, line in enumerate(body) if line.startswith("===")), len(body))]


@pytest.mark.parametrize("flags", [[], ["-n2"]])
def test_the_report_says_what_was_measured(project, write_test, monkeypatch, flags):
    monkeypatch.setenv("COLUMNS", "160")
    write_test(TWO)
    head, header, *rest = section(project.runpytest_inprocess(*flags))
    assert head == "model linear  32 bits  64 samples  seed 0  engine numpy"
    names = ["test", "flips", "protected", "metric", "golden", "mean", "limit", "over limit", "verdict"]
    assert re.split(r"\s{2,}", header) == names
    rows = {line.split()[0]: line for line in rest[:2]}
    assert rows["test_kept"].split()[1:4] == ["3", "ranking('msb')[:8]", "mse"]
    assert rows["test_kept"].endswith("0/69 <4.9 %  PASS")
    assert "<=1e-09  2/2 >12.4 %" in rows["test_missed"]
    assert rows["test_missed"].endswith("FAIL")
    assert rest[2].split("  ") == [
        "not covered: 2 values (no bias)",
        "golden: mse 0 +- 0 (data)",
        "over limit: 5 % allowed, one-sided 95 % bounds for this data",
    ]
    assert re.fullmatch(r"test_missed: 1 of 3 faults of trial \d is enough: \S+:\d.*", rest[3])


def test_details_say_what_was_assumed(project, write_test, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    write_test(TWO)
    text = section(project.runpytest_inprocess("-v"))
    assert re.fullmatch(r"model linear .* content [0-9a-f]{8}  layout [0-9a-f]{8}", text[0])
    kept = text.index("test_kept")
    assert text[kept + 1] == "  faults: 3 distinct bits, uniform over 32, seed 0"
    assert text[kept + 2].startswith("  protection: ranking('msb')[:8]: 8 bits (25.0%) assumed immune; ranked anew")
    assert "  allowed: 5 % of trials, decided after 69 of up to 1,000" in text[kept:]
    assert any(line.startswith("not covered: second/bias (2 values: no bias)") for line in text)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_narrow_terminals(project, write_test, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    write_test(TWO)
    text = section(project.runpytest_inprocess())
    assert max(map(len, text)) <= columns
    joined = " ".join(" ".join(text).split())
    assert "0/69 <4.9 %" in joined
    assert any(line.split()[:2] == ["metric", "golden"] for line in text) == (columns == 80)
    assert any(line.split()[:2] == ["test", "flips"] for line in text) == (columns == 200)
    assert "PASS" in joined


def test_no_budget_no_report(project, write_test):
    write_test("def test_plain(): pass")
    result = project.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    assert TITLE not in result.stdout.str()


def test_junit_gets_no_properties(project, write_test):
    write_test(TWO)
    project.runpytest_inprocess("--junitxml=out.xml", "-o", "junit_family=xunit2")
    junit = (project.path / "out.xml").read_text()
    assert "properties" not in junit
    assert "fkeras_record" not in junit
    assert 'message="BudgetExceeded: FAIL: 2 of 2 trials over the limit' in junit


def test_a_killed_worker_fails_the_run_and_the_rest_is_reported(project, write_test):
    write_test("""
        import os

        def die(y, outputs):
            if len(outputs) and (outputs != y).any():
                os._exit(9)
            return abs(outputs - y).sum(axis=1)

        @pytest.fixture(scope="module")
        def fkeras_metrics():
            return {"deadly": fkeras.metrics.sample_metric(die, "deadly", "lower"), "mse": "mean_squared_error"}

        @fault_budget(bits=3, max_mse=1e3)
        def test_first():
            pass

        @fault_budget(bits=3, max_deadly=1)
        def test_kills():
            pass
    """)
    result = project.runpytest_inprocess("-n1")
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert any("test_first" in line for line in section(result))


@pytest.mark.parametrize("flags", [(), ("-n2",)], ids=["plain", "xdist"])
def test_a_project_adds_lines_of_its_own(project, write_test, flags):
    conftest = project.path / "conftest.py"
    source = conftest.read_text()
    conftest.write_text(
        source
        + """

def pytest_fkeras_report_lines(record):
    if record.verdict == "PASS":
        return [f"{record.trials} trials, signed off"]
"""
    )
    write_test("""
        @fault_budget(bits=1, max_mse=1000)
        def test_fine():
            pass

        @fault_budget(bits=1, max_mse=1e-9)
        def test_worse():
            pass
    """)
    result = project.runpytest_inprocess("--fkeras-json=run.json", *flags)
    result.stdout.fnmatch_lines(["test_fine: 69 trials, signed off"])
    tests = json.loads((project.path / "run.json").read_text())["tests"]
    assert [one["lines"] for one in tests] == [["69 trials, signed off"], []]
    conftest.write_text(source + "\n\ndef pytest_fkeras_report_lines(record):\n    return 'one'\n")
    wrong = project.runpytest_inprocess("-W", "ignore", *flags)
    assert wrong.ret == pytest.ExitCode.USAGE_ERROR
    assert "gave the text 'one'; it returns a list of lines, as in ['one']" in wrong.stderr.str() + wrong.stdout.str()
