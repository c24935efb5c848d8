"""Budgets on single flips: critical bits, sensitive shares, and what they compare with."""

from __future__ import annotations

import re

import pytest


def test_critical_bits_are_counted_exactly(project, write_test):
    write_test("""
        def count(resilience, **limits):
            return len(resilience.oracle("mse").critical(**limits))

        def test_there_are_some(resilience):
            assert count(resilience, max_mse=0.05) == 16

        @fault_budget(max_critical_bits=16, max_mse=0.05)
        def test_kept():
            pass

        @fault_budget(bits=1, trials="all", max_critical_bits=15, max_mse=0.05)
        def test_missed():
            pass
    """)
    result = project.runpytest_inprocess("-rpf")
    result.stdout.fnmatch_lines(
        [
            "*FAIL: 16 of 32 trials over the limit, exact (every single flip *): 16 of 15 allowed critical bits*",
            "*required    at most 15 bits critical: one flip alone breaks max_mse=0.05",
            "*would pass  protected=ranking[[]:?[]], on the same faults; you have nothing protected*",
            "*test_missed *16 of 15 allowed*FAIL*",
            "*test_kept *16 of 16 allowed*PASS*",
            "PASSED *test_there_are_some",
            "PASSED *test_kept",
            "FAILED *test_missed*",
        ]
    )


@pytest.mark.parametrize("flags", [[], ["-n2"]])
def test_a_sensitive_share_counts_harm_from_min_change_on(project, write_test, flags):
    write_test("""
        def test_shares(resilience):
            delta = resilience.oracle("mse").delta
            assert ((delta > 0.05).sum(), (delta > 0).sum()) == (16, 32)

        @fault_budget(max_sensitive_fraction=16 / 32, min_change=0.05)
        def test_kept():
            pass

        @fault_budget(max_sensitive_fraction=15.9 / 32, min_change=0.05)
        def test_missed():
            pass

        @fault_budget(max_sensitive_fraction=0.99, min_change=0)
        def test_every_harm_counts():
            pass

        @fault_budget(max_sensitive_fraction=16 / 32, max_mse_increase=0.05)
        def test_with_a_limit():
            pass
    """)
    result = project.runpytest_inprocess("-rf", *flags)
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "FAILED *test_missed*",
            "FAILED *test_every_harm_counts*",
            "*at most 49.6875 % of bits sensitive: one flip alone breaks max_mse_increase=0.05",
        ]
    )


def test_what_only_the_model_can_tell(project, write_test):
    write_test("""
        @fault_budget(max_critical_bits=32, max_mse=0.05)
        def test_all():
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*max_critical_bits=32 could not fail: the memory has 32 bits; allowed are 0 to 31*"])


def test_min_change_needs_one_metric(project, write_test):
    write_test("""
        @pytest.fixture(scope="session")
        def fkeras_metrics():
            return {"one": "mean_squared_error", "two": "mean_squared_error"}

        @fault_budget(max_sensitive_fraction=0.5, min_change=0.05)
        def test_which():
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*min_change=0.05 of which metric? there are *one, two; write a limit instead*"])


def test_the_smallest_protection_is_exact_and_the_seed_the_sessions(project, write_test):
    source = """
        @fault_budget(max_critical_bits=3, max_mse=0.05{more})
        def test_one(resilience):
            pass
    """
    write_test(source.format(more=""))
    result = project.runpytest_inprocess("--fkeras-seed=7")
    text = result.stdout.str()
    assert "each of 32 bits flipped alone; seed 7" in text
    k = int(re.search(r"would pass  protected=ranking\[:(\d+)\]", text)[1])
    for n, outcome in ((k, "passed"), (k - 1, "failed")):
        write_test(source.format(more=f", protected=ranking[:{n}]"))
        project.runpytest_inprocess("--fkeras-seed=7").assert_outcomes(**{outcome: 1})
