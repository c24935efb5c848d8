"""fault_sets and bit_addresses draw from the model under test, without one at import."""

from __future__ import annotations

import re


def test_strategies_read_the_model_under_test_at_draw_time(project, write_test):
    write_test("""
        from hypothesis import given
        from fkeras.strategies import bit_addresses, fault_sets
        from conftest import Linear

        @pytest.fixture(scope="session", params=["a", "b"])
        def fkeras_model(request):
            model = Linear(request.param)
            return model

        @given(faults=fault_sets(max_faults=3), address=bit_addresses())
        def test_draws(fault_space, faults, address):
            assert 1 <= len(faults) <= 3
            assert faults.layout_digest == fault_space.layout_digest
            assert 0 <= fault_space.index(address) < 32
    """)
    project.runpytest_inprocess().assert_outcomes(passed=2)


def test_a_failure_shrinks_to_the_most_significant_bit(project, write_test):
    write_test("""
        from hypothesis import given
        from fkeras.strategies import fault_sets

        @given(faults=fault_sets(max_faults=5))
        def test_shrinks(fkeras_ranking, faults):
            assert not len(faults), f"smallest {faults!r} {fkeras_ranking.order[0]}"
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*AssertionError: smallest FaultSet([[]0]) 0*"])


CALLS_PER_FAULT_SET = """
TIMES = {}

def counted(self, faults, known=NumpyRun.fault_sets):
    for one in faults:
        TIMES[one] = TIMES.get(one, 0) + 1
    return known(self, faults)

NumpyRun.fault_sets = counted
"""


def add_to_conftest(project, source):
    project.makeconftest((project.path / "conftest.py").read_text() + source)


def test_the_metric_under_faults_is_exact_and_measured_once_per_fault_set(project, write_test):
    add_to_conftest(project, CALLS_PER_FAULT_SET)
    write_test("""
        from hypothesis import given
        from fkeras.strategies import fault_sets
        from conftest import TIMES

        @given(faults=fault_sets(max_faults=2))
        def test_draws(metric_under_faults, resilience, faults):
            value = metric_under_faults(faults)
            assert value == metric_under_faults(faults.text(resilience.space), "mse") == metric_under_faults(faults)

        def test_agrees_with_the_oracle(metric_under_faults, resilience):
            assert set(TIMES.values()) == {1}
            oracle = resilience.oracle("mse")
            assert [metric_under_faults([bit]) for bit in range(32)] == oracle.values.tolist()
            with pytest.raises(fkeras.InputError, match="bit 32 does not exist"):
                metric_under_faults([32])
    """)
    project.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=2)


def test_the_search_is_led_to_damage(project, write_test):
    write_test("""
        from hypothesis import given, settings
        from fkeras.strategies import fault_sets

        @settings(max_examples=30)
        @given(faults=fault_sets(max_faults=4))
        def test_climbs(metric_under_faults, faults):
            metric_under_faults(faults, "mse")
            metric_under_faults(faults, "mse")

        def test_targets(monkeypatch, metric_under_faults):
            import fkeras.strategies
            told = []
            monkeypatch.setattr(fkeras.strategies, "aim_at", lambda damage, label: told.append((damage, label)))
            assert told == [] and metric_under_faults([0], "mse") == told[0][0] > 0
            assert told[0][1] == "damage to mse"
    """)
    result = project.runpytest_inprocess("-p", "no:randomly", "--hypothesis-show-statistics")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*Highest target score: * (label='damage to mse')*"])


SLOW = """
import time

def slow_once(self, faults, known=NumpyRun.fault_sets):
    if not hasattr(self, "compiled"):
        self.compiled = True
        time.sleep(0.4)
    return known(self, faults)

NumpyRun.fault_sets = slow_once
"""
EVALUATES = """
    from hypothesis import HealthCheck, given, settings
    from fkeras.strategies import fault_sets

    @given(faults=fault_sets(max_faults=2))
    def test_evaluates(metric_under_faults, faults):
        assert metric_under_faults(faults) >= 0

    @settings(max_examples=3)
    @given(faults=fault_sets(max_faults=2))
    def test_has_settings_of_its_own(fkeras_model, faults):
        pass

    @given(faults=fault_sets(max_faults=2))
    def test_looks_at_draws_only(faults):
        pass

    def test_deadlines():
        deadlines = [
            test._hypothesis_internal_use_settings.deadline
            for test in (test_evaluates, test_has_settings_of_its_own, test_looks_at_draws_only)
        ]
        stock = settings.get_profile("default").deadline
        assert deadlines == [None, stock, stock]
        assert settings.default.deadline == stock
"""


def test_a_slow_first_evaluation_meets_no_deadline(project, write_test, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    add_to_conftest(project, SLOW)
    write_test(EVALUATES)
    project.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=4)


def test_a_deadline_that_a_profile_states_is_kept(project, write_test, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    add_to_conftest(
        project,
        SLOW
        + """
from hypothesis import settings
settings.register_profile("strict", deadline=100)
settings.load_profile("strict")
""",
    )
    write_test("""
        from hypothesis import given
        from fkeras.strategies import fault_sets

        @given(faults=fault_sets(max_faults=2))
        def test_evaluates(metric_under_faults, faults):
            metric_under_faults(faults)
    """)
    result = project.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*deadline*"])


def test_the_profile_can_be_loaded_by_name(project, write_test):
    write_test("""
        from hypothesis import settings

        def test_profile():
            assert settings.get_current_profile_name() == "fkeras"
            assert settings.default.deadline is None
    """)
    project.runpytest_subprocess("--hypothesis-profile=fkeras").assert_outcomes(passed=1)


def test_a_ranking_that_takes_long_is_no_slow_draw(project, write_test, monkeypatch):
    # Hypothesis allows a second for the first ten draws; a ranking may take minutes.
    monkeypatch.delenv("CI", raising=False)
    add_to_conftest(
        project,
        """
import time

def ranking_takes_long(method, space, known=make_ranking):
    time.sleep(1.3)
    return known(method, space)

make_ranking = ranking_takes_long
""",
    )
    write_test("""
        from hypothesis import given, strategies as st
        from fkeras.strategies import bit_addresses, fault_sets

        RUNS = []

        @given(faults=fault_sets(max_faults=2), address=bit_addresses())
        def test_draws(faults, address):
            assert len(faults) <= 2

        @given(data=st.data())
        def test_draws_inside(data):
            RUNS.append(1)
            assert len(data.draw(fault_sets(max_faults=2))) <= 2

        @given(faults=fault_sets(max_faults=2))
        def test_fails(faults):
            assert 0 not in faults.flips, faults
    """)
    result = project.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.no_fnmatch_line("*NotMadeYet*")
    result.stdout.fnmatch_lines(["*faults=FaultSet([[]0]),*"])


def test_what_hypothesis_prints_can_be_pasted(project, write_test):
    source = """
        from hypothesis import Phase, example, given, settings
        from fkeras import BitAddress, FaultSet
        from fkeras.strategies import bit_addresses, fault_sets
        {decorators}
        @given(faults=fault_sets(max_faults=3), address=bit_addresses())
        def test_falsified(metric_under_faults, fault_space, faults, address):
            assert metric_under_faults(faults) <= 0.5 or address.bit != 2
    """
    write_test(source.format(decorators=""))
    first = project.runpytest_subprocess("-p", "no:cacheprovider")
    first.assert_outcomes(failed=1)
    first.stdout.fnmatch_lines(["* fault_space=<BitSpace of 32 bits in 2 tensors, layout 08157e9a>,"])
    text = first.stdout.str()
    faults, address = (re.search(rf" {name}=(.*),\n", text)[1] for name in ("faults", "address"))
    pasted = f"@settings(phases=[Phase.explicit])\n        @example(faults={faults}, address={address})"
    write_test(source.format(decorators=pasted))
    again = project.runpytest_subprocess("-p", "no:cacheprovider")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines([f"*{faults.replace('[', '[[]')}*"])
