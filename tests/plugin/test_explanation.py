"""What a missed budget prints besides its verdict, and that all of it works when it is pasted into a fresh process."""

from __future__ import annotations

import re
import sys

import pytest

BUDGET = '@fault_budget(bits=6, protected=ranking("msb")[:4], max_mse=0.05)'


def run(project, write_test, source, *flags):
    write_test(source)
    result = project.runpytest_inprocess(*flags)
    return result, result.stdout.str()


@pytest.fixture
def missed(project, write_test):
    """The text of a session with one missed budget."""
    result, text = run(project, write_test, f"    {BUDGET}\n    def test_missed():\n        pass\n")
    result.assert_outcomes(failed=1)
    return text


def test_the_minimal_fault_set_is_printed(missed):
    assert re.search(
        r"  minimal     1 of 6 faults of trial 1 will do, it cannot be left out: mse 0\.418622\n"
        r"    second/kernel\[0,0\]:0 \(sign\): -0\.25 -> 0\.75\n"
        r"  example     @example\(faults=fkeras\.FaultSet\(\[16\]\)\)\n",
        missed,
    )


def test_the_example_line_fails_in_a_fresh_process(project, write_test, missed):
    (line,) = re.findall(r"example     (@example.*)", missed)
    write_test(
        f"""
        from hypothesis import Phase, example, given, settings
        from fkeras.strategies import fault_sets

        @settings(phases=[Phase.explicit], deadline=None)
        {line}
        @given(faults=fault_sets(max_faults=6))
        def test_pasted(metric_under_faults, faults):
            assert metric_under_faults(faults, "mse") <= 0.05
        """,
        "test_example",
    )
    again = project.run(sys.executable, "-m", "pytest", "test_example.py")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["*assert 0.4186* <= 0.05*"])


def test_the_smallest_protection_passes_and_the_one_below_does_not(project, write_test, missed):
    found = re.search(
        r"would pass  protected=(ranking.*), on the same faults; you have .*\[:4\]; (ranking.*) is (.*) after",
        missed,
    )
    assert found is not None
    write_test(
        f"""
        @fault_budget(bits=6, protected={found[1]}, max_mse=0.05)
        def test_would_pass():
            pass

        @fault_budget(bits=6, protected={found[2]}, max_mse=0.05)
        def test_does_not():
            pass
        """,
        "test_levels",
    )
    again = project.run(sys.executable, "-m", "pytest", "-rpf", "--fkeras-max-trials=200", "test_levels.py")
    again.assert_outcomes(passed=1, failed=1)
    again.stdout.fnmatch_lines(["PASSED *test_would_pass", f"FAILED *test_does_not*: {found[3]}: *"])


@pytest.mark.parametrize(
    ("protected", "you_have"),
    [
        ("ranking('msb').fraction(0.125)", "ranking('msb').fraction(0.125)"),
        ("ranking('msb')[:4].under(fkeras.AssumedImmune)", "ranking('msb')[:4].under(AssumedImmune)"),
        ("ranking('msb').layers('first')[:4]", "no protected="),
        ("[0, 4, 8, 12]", None),
        ("ranking('msb')[4:8]", None),
    ],
)
def test_what_would_pass_is_looked_for_along_the_ranking_that_is_used(project, write_test, protected, you_have):
    _, text = run(
        project, write_test, f"    @fault_budget(bits=6, protected={protected}, max_mse=0.05)\n    def test_a(): pass\n"
    )
    lines = [line for line in text.splitlines() if line.startswith("  would pass")]
    assert len(lines) == (you_have is not None)
    assert all(you_have in line for line in lines)
    assert "minimal     " in text


def test_an_exhaustive_budget_knows_the_smallest_protection_exactly(project, write_test):
    result, text = run(
        project,
        write_test,
        """
        @fault_budget(max_critical_bits=3, protected=ranking("msb")[:2], max_mse=0.05)
        def test_missed(fkeras_campaign):
            pass
        """,
    )
    result.assert_outcomes(failed=1)
    found = re.search(r"would pass  protected=ranking\('msb'\)\[:(\d+)\].*ranking\('msb'\)\[:(\d+)\] is FAIL", text)
    assert int(found[1]) == int(found[2]) + 1
    write_test(
        f"""
        @fault_budget(max_critical_bits=3, protected=ranking("msb")[:{found[1]}], max_mse=0.05)
        def test_passes(resilience, fkeras_campaign):
            protected = set(fkeras_campaign.protection.bits)
            critical = [bit for bit in resilience.oracle("mse").critical(max_mse=0.05) if bit not in protected]
            assert len(critical) == fkeras_campaign.verdict.failures == 3

        @fault_budget(max_critical_bits=3, protected=ranking("msb")[:{found[2]}], max_mse=0.05)
        def test_fails():
            pass
        """
    )
    project.runpytest_inprocess().assert_outcomes(passed=1, failed=1)


def test_survived_flips_are_counted(project, write_test):
    result, text = run(
        project,
        write_test,
        """
        @fault_budget(min_flips_survived=20, max_mse=0.7)
        def test_missed():
            pass

        @fault_budget(min_flips_survived=1, max_mse=0.7)
        def test_kept():
            pass
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    survived = re.search(r"survived    (\d+) flips of 20: none of 59 trials over a limit by then", text)
    assert 1 <= int(survived[1]) < 20


def test_a_golden_model_that_breaks_the_limit_needs_no_explanation(project, write_test):
    _, text = run(
        project, write_test, "    @fault_budget(bits=6, protected=ranking[:3], max_mse=-1)\n    def test_a(): pass\n"
    )
    assert "the golden model breaks the limit already" in text
    assert "minimal " not in text
    assert "would pass" not in text


def test_an_explanation_that_crashes_leaves_the_verdict(project, write_test):
    project.makeconftest(
        (project.path / "conftest.py").read_text()
        + """
    def fault_sets(self, faults, known=NumpyRun.fault_sets):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls > 1:
            raise RuntimeError("no more")
        return known(self, faults)

    NumpyRun.fault_sets = fault_sets
""".replace("\n    ", "\n")
    )
    result, text = run(project, write_test, f"    {BUDGET}\n    def test_missed():\n        pass\n")
    result.assert_outcomes(failed=1)
    assert "FAIL: 2 of 2 trials over the limit" in text
    assert "  not found   the minimal fault set: RuntimeError: no more" in text


def test_an_expected_failure_is_not_looked_into(project, write_test):
    result, _ = run(
        project,
        write_test,
        f"""
        CALLS = []

        def counted(y, outputs):
            CALLS.append(1)
            return ((outputs - y) ** 2).mean(axis=1)

        @pytest.fixture(scope="session")
        def fkeras_metrics():
            return {{"mse": fkeras.metrics.sample_metric(counted, "mse", "lower")}}

        @pytest.mark.xfail(raises=fkeras.BudgetExceeded)
        {BUDGET}
        def test_missed():
            CALLS.clear()

        def test_after():
            assert CALLS == []
        """,
    )
    result.assert_outcomes(xfailed=1, passed=1)


def test_the_report_has_what_the_message_says(project, write_test):
    import json

    run(project, write_test, f"    {BUDGET}\n    def test_missed():\n        pass\n", "--fkeras-json=out.json")
    (test,) = json.loads((project.path / "out.json").read_text())["tests"]
    assert test["minimal_faults"]["faults"] == ["second/kernel[0,0]:0"]
    assert test["minimal_faults"]["changes"] == ["-0.25 -> 0.75"]
    assert test["protection_curve"]["smallest"] == test["protection_curve"]["largest_failing"] + 1
