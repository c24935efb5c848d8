"""--fkeras-seed, --fkeras-trials, --fkeras-max-trials, --fkeras-engine and their ini keys."""

from __future__ import annotations

import pytest

READS = """
    @fault_budget(bits=3, max_mse=1e6)
    def test_reads(fkeras_campaign):
        print("trials", len(fkeras_campaign), "seed", fkeras_campaign.result.setting.seed)
"""


@pytest.mark.parametrize(
    ("ini", "flags", "printed"),
    [
        ("", [], "trials 69 seed 0"),
        ("fkeras_seed = 5", [], "trials 69 seed 5"),
        ("fkeras_seed = 5", ["--fkeras-seed=6"], "trials 69 seed 6"),
        ("fkeras_trials = 80", [], "trials 80 seed 0"),
        ("fkeras_trials = 80", ["--fkeras-trials", "90"], "trials 90 seed 0"),
        ("fkeras_max_trials = 70", [], "trials 69 seed 0"),
    ],
)
def test_options_set_seed_and_trials(project, write_test, ini, flags, printed):
    project.makeini(f"[pytest]\n{ini}\n")
    write_test(READS)
    result = project.runpytest_inprocess("-s", *flags)
    result.assert_outcomes(passed=1)
    assert printed in result.stdout.str()


@pytest.mark.parametrize("flags", [["--fkeras-max-trials=10"], ["--fkeras-trials=10"], ["-o", "fkeras_max_trials=10"]])
def test_too_few_trials_are_no_pass(project, write_test, flags):
    write_test(READS)
    result = project.runpytest_inprocess(*flags)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["INCONCLUSIVE: 0 of 10 trials*"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--fkeras-seed=x"], "--fkeras-seed is 'x'; allowed are whole numbers from 0 up"),
        (["--fkeras-max-trials=0"], "--fkeras-max-trials is '0'; allowed are whole numbers from 1 up"),
        (["-o", "fkeras_max_trials=0"], "the ini option fkeras_max_trials is '0'; allowed are whole numbers from 1 up"),
        (["--fkeras-trials=3", "--fkeras-max-trials=3"], "*keep one of them"),
    ],
)
def test_misconfiguration_exits_4(project, write_test, flags, message):
    write_test(READS)
    result = project.runpytest_inprocess(*flags)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}*"])


def test_the_engine_reaches_the_backend(project, write_test):
    project.makeconftest(
        (project.path / "conftest.py").read_text()
        + """
@pytest.hookimpl(tryfirst=True)
def pytest_fkeras_start_run(engine):
    print("engine", engine)
"""
    )
    write_test(READS)
    assert "engine framework" in project.runpytest_inprocess("-s", "--fkeras-engine=framework").stdout.str()


def test_the_same_seed_draws_the_same_faults_in_any_order(project, write_test):
    write_test("""
        SEEN = {}

        @pytest.mark.parametrize("turn", range(3))
        @fault_budget(bits=3, trials=10, seed=4)
        def test_turns(fkeras_campaign, turn):
            values = tuple(fkeras_campaign.values)
            assert SEEN.setdefault("values", values) == values

        @fault_budget(bits=3, trials=10, seed=5)
        def test_other_seed(fkeras_campaign):
            assert tuple(fkeras_campaign.values) != SEEN["values"]
    """)
    project.runpytest_inprocess("-p", "no:xdist").assert_outcomes(passed=4)
