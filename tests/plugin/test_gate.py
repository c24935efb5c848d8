"""The gate: exit codes and outcomes, alike however the session is run."""

from __future__ import annotations

import math

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
WAYS = {
    "plain": [],
    "xdist": ["-n2"],
    "loadgroup": ["-n2", "--dist=loadgroup"],
    "no terminal": ["-p", "no:terminal"],
    "no cache": ["-p", "no:cacheprovider"],
    "no summary": ["--no-summary"],
    "no xdist": ["-p", "no:xdist"],
    "quiet": ["-qq"],
}


@pytest.mark.parametrize("flags", WAYS.values(), ids=list(WAYS))
def test_a_missed_budget_exits_1_however_the_session_is_run(project, write_test, flags):
    write_test(PASSING + FAILING)
    assert project.runpytest_inprocess(*flags).ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("flags", WAYS.values(), ids=list(WAYS))
def test_a_kept_budget_exits_0_however_the_session_is_run(project, write_test, flags):
    write_test(PASSING)
    assert project.runpytest_inprocess(*flags).ret == pytest.ExitCode.OK


def test_one_passes_and_one_fails(project, write_test):
    write_test(PASSING + FAILING)
    project.runpytest_inprocess().assert_outcomes(passed=1, failed=1)


def test_a_missed_budget_fails_without_a_traceback(project, write_test):
    write_test(FAILING)
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*FAIL: * of * trials over the limit, share above *",
            "*required * max_mse=1e-09 in at least 95 % of trials, at 0.95 confidence",
            "*faults * 3 distinct bits, uniform over 32; seed 0",
            "*again * python -m pytest test_budgets.py::test_fails*",
            "FAILED test_budgets.py::test_fails - BudgetExceeded: FAIL: *",
        ]
    )
    result.stdout.no_fnmatch_line("*pytest_fkeras/gate.py*")
    result.stdout.no_fnmatch_line("*def test_fails*")


def test_a_campaign_that_crashes_is_an_error(project, write_test):
    write_test("""
        def broken(y, outputs):
            raise RuntimeError("no such thing")

        @pytest.fixture(scope="module")
        def fkeras_metrics():
            return {"mine": fkeras.metrics.sample_metric(broken, "mine", "lower")}

        @fault_budget(bits=3, max_mine=1)
        def test_crashes():
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_body_that_fails_is_reported_beside_the_missed_budget(project, write_test):
    write_test("""
        @fault_budget(bits=3, max_mse=1e-9)
        def test_both():
            assert "left" == "right"
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert 'left' == 'right'*", "*fault budget*", "*max_mse=1e-09*"])


def test_a_body_that_fails_fails_though_the_budget_is_kept(project, write_test):
    write_test("""
        @fault_budget(bits=3, max_mse=1e6)
        def test_body():
            assert False
    """)
    project.runpytest_inprocess().assert_outcomes(failed=1)


def test_a_skip_inside_the_body_does_not_hide_a_missed_budget(project, write_test):
    write_test("""
        @fault_budget(bits=3, max_mse=1e-9)
        def test_skips():
            pytest.skip("not today")
    """)
    project.runpytest_inprocess().assert_outcomes(failed=1)


def test_one_ulp_past_the_limit_fails(project, write_test, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    worst = _worst_single_flip(project)
    write_test(f"""
        # Two flips (a sign in each column) do the same, largest, damage.
        @fault_budget(bits=1, trials="all", max_failure_rate=0.0, max_mse={worst!r})
        def test_at_the_limit():
            pass

        @fault_budget(bits=1, trials="all", max_failure_rate=0.0, max_mse={math.nextafter(worst, 0)!r})
        def test_one_ulp_past_it():
            pass
    """)
    result = project.runpytest_inprocess("-v", "--junitxml=out.xml")
    result.stdout.fnmatch_lines_random(["*::test_at_the_limit PASSED*", "*::test_one_ulp_past_it FAILED*"])
    result.stdout.fnmatch_lines_random(
        [
            "test_at_the_limit * 0/32 exact, 0 % allowed  PASS",
            "test_one_ulp_past_it * 2/32 exact, 0 % allowed  FAIL",
        ]
    )
    junit = (project.path / "out.xml").read_text()
    assert 'failures="1"' in junit
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def _worst_single_flip(project: pytest.Pytester) -> float:
    project.makepyfile(
        test_probe="""
        def test_worst(resilience):
            with open("worst.txt", "w") as file:
                file.write(repr(float(resilience.oracle("mse").values.max())))
    """
    )
    project.runpytest_inprocess("test_probe.py").assert_outcomes(passed=1)
    (project.path / "test_probe.py").unlink()
    return float((project.path / "worst.txt").read_text())


def test_a_budget_whose_campaign_fixture_is_overridden_does_not_pass(project, write_test):
    write_test("""
        @pytest.fixture
        def fkeras_campaign():
            return None

        @fault_budget(bits=1, max_mse=1.0)
        def test_unmeasured():
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["NOT_RUN: test_unmeasured states a fault_budget and nothing measured it: *fkeras_campaign*another name*"]
    )


def test_a_budget_on_a_doctest_does_not_pass(project, write_test):
    project.makepyfile(documented='"""\n>>> 1\n1\n"""')
    source = (project.path / "conftest.py").read_text()
    (project.path / "conftest.py").write_text(
        source
        + """

def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.fault_budget(bits=1, max_mse=1.0))
"""
    )
    result = project.runpytest_inprocess("--doctest-modules", "documented.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["NOT_RUN: documented states a fault_budget and nothing measured it*"])


def test_an_undecided_budget_says_how_many_trials_would_do_and_where_to_ask_for_them(project, write_test):
    write_test("""
        @fault_budget(bits=1, max_mse=100, trials=20)
        def test_fixed():
            pass

        @fault_budget(bits=1, max_mse=100, max_trials=20)
        def test_until():
            pass
    """)
    project.runpytest_inprocess().stdout.fnmatch_lines(
        [
            "INCONCLUSIVE: 0 of 20 trials *: about 39 more trials would decide*",
            "  more trials trials= in the budget, or --fkeras-trials=N",
            "INCONCLUSIVE: 0 of 20 trials *: about 49 more trials would decide*",
            "  more trials max_trials= in the budget, or --fkeras-max-trials=N",
        ]
    )


def test_faults_are_injected_into_keras_models_only(project, write_test):
    write_test("""
        def test_view(fault_injector):
            with fault_injector([0]):
                pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*fault_injector writes * Keras model, and fkeras_model gave a Linear*metric_under*"])
