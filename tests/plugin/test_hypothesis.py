"""fault_sets and bit_addresses draw from the model under test, without one at import."""

from __future__ import annotations


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
