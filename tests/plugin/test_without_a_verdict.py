"""INCONCLUSIVE and NOT_RUN are no results: they fail, and no xfail swallows them; FAIL can be expected."""

from __future__ import annotations

import pytest

UNDECIDED = "@fault_budget(bits=3, max_trials=2, max_mse=1e6)"


def test_undecided_fails_and_says_how_many_more_trials(project, write_test):
    write_test(f"""
        {UNDECIDED}
        def test_undecided():
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["INCONCLUSIVE: 0 of 2 trials over the limit*about * more trials would decide*"])


@pytest.mark.parametrize(
    "mark",
    ["xfail", "xfail(strict=True)", "xfail(raises=Exception, strict=True)", "xfail(raises=fkeras.BudgetExceeded)"],
)
def test_undecided_is_no_expected_failure(project, write_test, mark):
    write_test(f"""
        @pytest.mark.{mark}
        {UNDECIDED}
        def test_undecided():
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*INCONCLUSIVE: *"])


@pytest.mark.parametrize("mark", ["xfail", "xfail(raises=Exception, strict=True)", "xfail(run=False)"])
def test_a_crash_in_set_up_is_no_expected_failure(project, write_test, mark):
    write_test(f"""
        @pytest.fixture(scope="module")
        def fkeras_data():
            raise OSError("disk on fire")

        @pytest.mark.{mark}
        @fault_budget(bits=3, max_mse=1)
        def test_crashes():
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["NOT_RUN: *"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_missed_budget_can_be_expected(project, write_test):
    write_test("""
        @pytest.mark.xfail(raises=fkeras.BudgetExceeded, strict=True)
        @fault_budget(bits=3, max_mse=1e-9)
        def test_unprotected():
            pass
    """)
    project.runpytest_inprocess().assert_outcomes(xfailed=1)


def test_a_kept_budget_that_should_fail_is_an_unexpected_pass(project, write_test):
    write_test("""
        @pytest.mark.xfail(raises=fkeras.BudgetExceeded, strict=True)
        @fault_budget(bits=3, max_mse=1e6)
        def test_unprotected():
            pass
    """)
    project.runpytest_inprocess().assert_outcomes(failed=1)


def test_a_budget_nobody_reads_is_not_run(project, write_test):
    write_test("""
        @fault_budget(bits=3)
        def test_ignores_its_result(fkeras_campaign):
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["NOT_RUN: the budget has no limit and the test read no result; *"])


def test_a_skipped_budget_is_skipped_and_listed(project, write_test):
    write_test("""
        @pytest.mark.skip(reason="the chip is not there yet")
        @fault_budget(bits=3, max_mse=1)
        def test_skipped():
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["NOT_RUN test_skipped: *the chip is not there yet"])
    assert result.ret == pytest.ExitCode.OK


def test_a_broken_environment_is_a_message_without_a_traceback(project, write_test):
    write_test("""
        @pytest.fixture(scope="session")
        def fkeras_model():
            raise fkeras.EnvironmentSetupError("the package qkeras is that of HGQ2")

        @fault_budget(bits=3, max_mse=1)
        def test_with_a_budget():
            pass

        def test_without_one(fkeras_model):
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=2)
    assert result.stdout.str().count("the package qkeras is that of HGQ2") >= 2
    result.stdout.no_fnmatch_line("*def fkeras_model*")
