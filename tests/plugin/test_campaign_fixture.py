"""fkeras_campaign: what a test may read of its budget, and what is measured when."""

from __future__ import annotations

import pytest


def test_the_result_can_be_asserted_on(project, write_test):
    write_test("""
        @fault_budget(bits=3, trials=20)
        def test_reads(fkeras_campaign):
            assert fkeras_campaign.values.shape == (20,) == (len(fkeras_campaign),)
            assert fkeras_campaign.failure_rate(max_mse=1e-9).low > 0.5
            assert fkeras_campaign.failure_rate(1e-9) == fkeras_campaign.failure_rate(max_mse=1e-9)
            assert fkeras_campaign["mse"].values.tolist() == fkeras_campaign.values.tolist()
            assert fkeras_campaign.estimate.best == pytest.approx(fkeras_campaign.values.mean())
            assert fkeras_campaign.golden.value == 0
            assert fkeras_campaign.verdict is None
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*test_reads *20 trials*ASSERTED"])


def test_it_equals_the_library_s_own_campaign(project, write_test):
    write_test("""
        from fkeras.campaigns import FixedTrials, Setting, run_campaign
        from fkeras.progress import silent
        from fkeras.faults import FlipCount, protection

        @fault_budget(bits=5, trials=12, protected=ranking("msb")[:8], seed=11)
        def test_same(fkeras_campaign, fault_space, fkeras_model, fkeras_data, fkeras_metrics, pytestconfig):
            run = pytestconfig.hook.pytest_fkeras_start_run(
                model=fkeras_model, data=fkeras_data, metrics=fkeras_metrics, space=fault_space, engine="auto")
            protected = [bit for bit in range(32) if fault_space.address(bit).bit == 0]
            setting = Setting(FlipCount(5), protection(protected, fault_space), 11, "numpy", 64, fault_space)
            by_hand = run_campaign(run, setting, FixedTrials(12), silent)
            assert fkeras_campaign.values.tolist() == by_hand.values.tolist()
            assert fkeras_campaign.result.residual.tolist() == by_hand.residual.tolist()
    """)
    project.runpytest_inprocess().assert_outcomes(passed=1)


def test_metrics_are_evaluated_only_when_named_or_read(project, write_test):
    write_test("""
        CALLS = []

        def counted(name):
            def function(y, outputs):
                CALLS.append(name)
                return abs(outputs - y).sum(axis=1)
            return fkeras.metrics.sample_metric(function, name, "lower")

        @pytest.fixture(scope="module")
        def fkeras_metrics():
            return {"one": counted("one"), "two": counted("two")}

        @fault_budget(bits=3, max_one=1e6)
        def test_one():
            assert set(CALLS) == {"one"}

        @fault_budget(bits=3, trials=100, max_one=1e-9, max_failure_rate=0.99)
        def test_two_when_read(fkeras_campaign):
            assert "two" not in CALLS
            first = fkeras_campaign["one"].values
            assert fkeras_campaign["two"].values.tolist() == first.tolist()
            assert "two" in CALLS
            assert fkeras_campaign.failure_rate(max_one=1e-9, max_two=1e-9).best > 0.5
    """)
    result = project.runpytest_inprocess("-rf")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED *test_two_when_read - Undecided: INCONCLUSIVE*"])


def test_with_several_metrics_one_must_be_chosen(project, write_test):
    write_test("""
        @pytest.fixture(scope="module")
        def fkeras_metrics():
            return {"one": "mean_squared_error", "two": "mean_squared_error"}

        @fault_budget(bits=3)
        def test_ambiguous(fkeras_campaign):
            with pytest.raises(pytest.UsageError, match=r"which metric\\? there are .*one, two; choose one"):
                fkeras_campaign.values
            assert fkeras_campaign["two"].values.size == 100
    """)
    project.runpytest_inprocess().assert_outcomes(passed=1)


def test_a_test_without_a_budget_cannot_ask_for_its_result(project, write_test):
    write_test("""
        def test_bare(fkeras_campaign):
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["fkeras_campaign is the result of a fault budget, and test_bare has none; *"])


def test_golden_space_and_rankings_are_computed_once(project, write_test):
    write_test("""
        from conftest import CALLS

        @pytest.mark.parametrize("flips", [1, 2, 3])
        @fault_budget(bits=3, protected=ranking[:4], max_mse=1e6)
        def test_budget(flips):
            pass

        def test_count(fkeras_ranking):
            assert [call for call in CALLS if call == "rank None"] == ["rank None"]
            assert CALLS.count(["mse"]) == 1
    """)
    project.runpytest_inprocess("-p", "no:xdist").assert_outcomes(passed=4)


@pytest.mark.parametrize(
    "faults",
    [
        "ber=0.1",
        "upsets_per_second=0.5, exposure_seconds=8",
        "upsets_per_bit_second=0.01, exposure_seconds=8",
        "faults=fkeras.FlipCount(3)",
        "bits=3, layers='*', biases=False",
        "bits=3, protected=ranking[:4].under(fkeras.TMR)",
        "bits=3, protected=[1, 2]",
        "bits=3, protected=fkeras.TMR([1, 2])",
        "bits=3, protected=ranking.layers('first')",
        "bits=3, protected=ranking[:4] | ranking('random').fraction(0.1)",
        "bits=1, trials='all'",
        "bits=1, margin=0.05",
    ],
)
def test_every_way_to_state_faults_and_protection(project, write_test, faults):
    write_test(f"""
        @fault_budget({faults}, max_mse=1e6, max_failure_rate=0.2)
        def test_passes():
            pass

        @fault_budget({faults}, max_mse=1e-9)
        def test_fails():
            pass
    """)
    project.runpytest_inprocess().assert_outcomes(passed=1, failed=1)


def test_a_fully_protected_memory_is_an_exact_pass(project, write_test):
    write_test("""
        @fault_budget(bits=32, protected=ranking.fraction(1.0), max_mse=0.0, max_failure_rate=0.0)
        def test_immune(fkeras_campaign):
            assert fkeras_campaign.verdict.exact
    """)
    project.runpytest_inprocess().assert_outcomes(passed=1)


def test_relative_limits_compare_with_golden(project, write_test):
    write_test("""
        @fault_budget(bits=1, trials="all", max_mse_increase=0.0, max_failure_rate=0.99)
        def test_kept():
            pass

        @fault_budget(bits=1, trials="all", max_mse_increase=0.0)
        def test_missed():
            pass
    """)
    project.runpytest_inprocess().assert_outcomes(failed=2)


def test_a_campaign_without_faults_is_exact(project, write_test):
    write_test("""
        @fault_budget(ber=0, trials=3)
        def test_no_faults(fkeras_campaign):
            estimate = fkeras_campaign.estimate
            assert (estimate.low, estimate.high, estimate.confidence) == (0.0, 0.0, 1.0)
            assert fkeras_campaign.failure_rate(max_mse=1).high == 0.0
    """)
    project.runpytest_inprocess().assert_outcomes(passed=1)
