"""What fkeras refuses is said without its internals; what hypothesis finds, by address; what only collects, nothing."""

from __future__ import annotations

import pytest


def test_a_refusal_in_a_fixture_is_its_message_alone(project, write_test):
    write_test("""
        @pytest.fixture
        def mine(resilience):
            return fkeras.FaultSet.parse("nowhere/kernel[0]:0", resilience.space)

        def test_one(mine):
            pass
    """)
    result = project.runpytest("-n0")
    result.assert_outcomes(errors=1)
    text = result.stdout.str()
    assert "no tensor 'nowhere/kernel' in this space" in text
    assert "fault_set.py" not in text
    assert len(text.splitlines()) < 20


def test_a_model_file_of_keras_3_is_refused_in_a_few_lines(project, write_test):
    project.makeini("[pytest]\nfkeras_model = none.keras\nfkeras_data = d.npz\n")
    (project.path / "none.keras").write_text("no model")
    (project.path / "conftest.py").write_text("")
    __import__("numpy").savez(project.path / "d.npz", x=[[1.0]], y=[1.0])
    write_test("@fault_budget(bits=3, max_mean_squared_error=1)\ndef test_one():\n    pass\n")
    result = project.runpytest("-n0")
    result.assert_outcomes(errors=1)
    text = result.stdout.str()
    assert "none.keras" in text
    assert "loading.py" not in text


def test_hypothesis_prints_addresses(project, write_test):
    write_test("""
        from hypothesis import given
        from fkeras.strategies import fault_sets

        @given(faults=fault_sets(max_faults=1))
        def test_one(metric_under_faults, faults):
            assert metric_under_faults(faults) == 0
    """)
    result = project.runpytest("-n0")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r".*mse [\d.]+ under (first|second)/kernel\[\d,\d\]:0 \(sign\)"])


def test_collecting_says_and_writes_nothing_of_budgets(project, write_test):
    write_test("@fault_budget(bits=3, max_mse=1)\ndef test_one():\n    pass\n")
    (project.path / "r.json").write_text("earlier")
    result = project.runpytest("-n0", "--collect-only", "--fkeras-json=r.json", "--fkeras-force")
    assert "NOT_RUN" not in result.stdout.str()
    assert "test_one" in result.stdout.str()
    assert (project.path / "r.json").read_text() == "earlier"


def test_a_conftest_that_is_refused_shows_its_own_line_and_the_message(project, write_test):
    (project.path / "conftest.py").write_text("import fkeras\n\nMODEL = fkeras.load_model('none.keras')\n")
    (project.path / "none.keras").write_text("no model")
    write_test("def test_one():\n    pass\n")
    result = project.runpytest_subprocess("-n0")
    text = result.stderr.str()
    assert "MODEL = fkeras.load_model('none.keras')" in text
    assert "none.keras" in text.splitlines()[-1]
    assert "loading.py" not in text
    assert "api.py" not in text


@pytest.mark.parametrize(
    "line", ["TEST = fault_budget(bits=-1, max_mse=1)", "PROTECTED = ranking[0]"], ids=["budget", "selection"]
)
def test_a_module_that_is_refused_shows_its_own_line_and_the_message(project, write_test, line: str):
    write_test(f"from pytest_fkeras import ranking\n\n{line}\n")
    result = project.runpytest("-n0")
    result.assert_outcomes(errors=1)
    text = result.stdout.str()
    assert line in text
    assert "Error: " in text
    assert "marks.py" not in text
    assert "selection.py" not in text
    assert len(text.splitlines()) < 20
