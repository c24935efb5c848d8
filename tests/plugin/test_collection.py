"""Wrong budgets are refused before anything runs, where they stand."""

from __future__ import annotations

import pytest

RAW = "@pytest.mark.fault_budget"


def test_wrong_arguments_fail_at_import(project, write_test):
    write_test("""
        @fault_budget(bits=3, protect=ranking[:4], max_mse=1)
        def test_typo():
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_budgets.py:*", "*unknown keyword protect=; did you mean protected=?*"])
    assert result.ret == pytest.ExitCode.INTERRUPTED


@pytest.mark.parametrize("flags", [[], ["-n2"]])
def test_raw_marks_go_through_the_same_checks(project, write_test, flags):
    write_test(f"""
        {RAW}(bits=3, protect=ranking[:4], max_mse=1)
        def test_typo():
            pass
    """)
    result = project.runpytest_inprocess(*flags)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_budgets.py:*: test_typo: fault_budget: unknown keyword protect=*"])
    assert result.ret != 0


def test_a_raw_mark_requests_the_campaign(project, write_test):
    write_test(f"""
        {RAW}(bits=3, max_mse=1e-9)
        def test_fails():
            pass

        {RAW}(bits=3, max_mse=1e-9)
        class TestClass:
            def test_fails_too(self):
                pass
    """)
    project.runpytest_inprocess("--strict-markers").assert_outcomes(failed=2)


def test_a_mark_on_a_module_counts(project, write_test):
    write_test("""
        pytestmark = pytest.mark.fault_budget(bits=3, max_mse=1e-9)

        def test_fails():
            pass
    """)
    project.runpytest_inprocess().assert_outcomes(failed=1)


def test_a_mark_added_after_collection_counts(project, write_test):
    project.makeconftest(
        (project.path / "conftest.py").read_text()
        + """
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.fault_budget(bits=3, max_mse=1e-9))
"""
    )
    write_test("""
        def test_fails():
            pass
    """)
    project.runpytest_inprocess().assert_outcomes(failed=1)


def test_a_budget_that_could_not_fail_is_refused(project, write_test):
    write_test("""
        @fault_budget(bits=3)
        def test_asserts_nothing():
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_budgets.py:*: test_asserts_nothing: fault_budget: this budget could not fail*"])


def test_two_budgets_on_one_test_are_refused(project, write_test):
    write_test("""
        @fault_budget(bits=3, max_mse=1)
        class TestClass:
            @fault_budget(bits=4, max_mse=1)
            def test_twice(self):
                pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_twice: fault_budget: a test has one budget, this one has 2*"])


def test_without_the_plugin_a_marked_test_errors(project, write_test):
    project.makeconftest("")
    write_test("""
        @fault_budget(bits=3, max_mse=1e6)
        def test_budget():
            pass
    """)
    result = project.runpytest_inprocess("-p", "no:fkeras", "-p", "no:warnings")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'fkeras_campaign' not found*"])


FORMS = {
    "decorator": "@fault_budget({0})\ndef test_one():\n    pass",
    "on a class": "@fault_budget({0})\nclass TestIt:\n    def test_one(self):\n        pass",
    "pytestmark": "pytestmark = fault_budget({0})\n\ndef test_one():\n    pass",
    "pytestmark, a list": "pytestmark = [pytest.mark.filterwarnings('default'), fault_budget({0})]\n\n"
    "def test_one():\n    pass",
    "pytestmark of a class": "class TestIt:\n    pytestmark = fault_budget({0})\n\n"
    "    def test_one(self):\n        pass",
    "pytest.param": "@pytest.mark.parametrize('n', [pytest.param(1, marks=fault_budget({0}))])\n"
    "def test_one(n):\n    pass",
    "pytest.param, a list": "@pytest.mark.parametrize('n', [pytest.param(1, marks=[fault_budget({0})])])\n"
    "def test_one(n):\n    pass",
    "add_marker": "@pytest.fixture(autouse=True)\ndef conf(request):\n    pass\n\n\ndef test_one():\n    pass",
}
ADDED = """

def pytest_collection_modifyitems(items):
    from pytest_fkeras import fault_budget

    for item in items:
        item.add_marker(fault_budget({0}))
"""


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_gated_and_errors_without_the_plugin(project, form):
    conftest = (project.path / "conftest.py").read_text()
    for budget, outcome in (("bits=3, max_mse=1e-9", "failed"), ("bits=3, max_mse=1e6", "passed")):
        added = ADDED.format(budget) if form == "add_marker" else ""
        project.makeconftest(conftest + added)
        head = "import pytest\nfrom pytest_fkeras import fault_budget\n\n\n"
        project.makepyfile(test_it=head + FORMS[form].format(budget) + "\n")
        chosen = [] if added else ["-m", "fault_budget"]
        result = project.runpytest_inprocess("--fkeras-cache=off", "-p", "no:cacheprovider", *chosen)
        result.assert_outcomes(**{outcome: 1})
        result.stdout.fnmatch_lines(["*32 bits  64 samples*"])
    project.makeconftest(added)
    result = project.runpytest_inprocess("-p", "no:fkeras", "-p", "no:warnings")
    result.assert_outcomes(errors=1)
    assert any(
        text in result.stdout.str() for text in ("fixture 'fkeras_campaign' not found", "fault_budget_needs_the_plugin")
    )


def test_unittest_methods_are_gated(project, write_test):
    write_test("""
        import unittest

        class TestCase(unittest.TestCase):
            @fault_budget(bits=3, max_mse=1e-9)
            def test_fails(self):
                pass

            @fault_budget(bits=3, max_mse=1e6)
            def test_passes(self):
                pass
    """)
    project.runpytest_inprocess().assert_outcomes(failed=1, passed=1)


def test_markers_are_registered(project, write_test):
    result = project.runpytest_inprocess("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.fault_budget(*"])


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ("max_emd=1", "no metric 'emd'; there are accuracy, mean_squared_error, mispredictions, mse"),
        ("max_mse=1, protected=ranking('msb')[:33]", "ranking('msb')[:33]: there are 32 bits; allowed are bounds"),
        ("max_mse=1, protected=ranking.layers('third')", "no layer matches 'third'; the model has first, second"),
        ("max_mse=1, protected=[32]", "bit 32 does not exist: the space has 32 bits"),
        ("max_mse=1, method='guess', protected=ranking[:3]", "no ranking method is called 'guess'"),
    ],
)
def test_what_only_the_model_can_tell_is_an_error_without_traceback(project, write_test, limits, message):
    write_test(f"""
        @fault_budget(bits=3, {limits})
        def test_wrong():
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    assert message in result.stdout.str()
    result.stdout.no_fnmatch_line("*Traceback*")


def test_more_flips_than_bits_is_an_error_without_traceback(project, write_test):
    write_test("""
        @fault_budget(bits=33, max_mse=1)
        def test_wrong():
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["fault_budget of test_wrong: 33 distinct faults do not fit into a memory of 32 bits;*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*SubRequest*")
