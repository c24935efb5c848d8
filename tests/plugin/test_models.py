"""Which model, data and metrics are under test: fixtures, files, several models in one session."""

from __future__ import annotations

import pytest

BARE = """
    import pytest
    from pytest_fkeras import fault_budget
"""


def test_the_defaults_show_what_to_write(pytester):
    pytester.makepyfile(
        BARE
        + """
    @fault_budget(bits=3, max_accuracy_drop=0.1)
    def test_nothing_is_set_up():
        pass

    @pytest.fixture(scope="module")
    def fkeras_model_():
        return object()
    """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "fkeras does not know which model to test; write in conftest.py",
            "    import fkeras, pytest",
            '    @pytest.fixture(scope="session")',
            "    def fkeras_model():",
            '        return fkeras.load_model("model.h5")',
            "or in the ini file: fkeras_model = model.h5",
        ]
    )
    result.stdout.no_fnmatch_line("*fixtures.py*")


def test_data_has_its_own_hint(pytester):
    pytester.makepyfile(
        BARE
        + """
    @pytest.fixture(scope="session")
    def fkeras_model():
        return object()

    @fault_budget(bits=3, max_accuracy_drop=0.1)
    def test_no_data():
        pass
    """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["    def fkeras_data():", "or in the ini file: fkeras_data = data.npz (arrays x and y)"]
    )


def test_ini_files_that_are_missing_are_named(pytester):
    pytester.makeini("[pytest]\nfkeras_model = nowhere.h5\n")
    pytester.makepyfile(
        BARE
        + """
    @fault_budget(bits=3, max_accuracy_drop=0.1)
    def test_missing():
        pass
    """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["the ini option fkeras_model names *nowhere.h5, which does not exist"])


def test_data_and_metrics_from_ini(project, write_test):
    import numpy as np

    np.savez(project.path / "data.npz", x=np.ones((5, 4)), y=np.zeros((5, 2)))
    project.makeini("[pytest]\nfkeras_data = data.npz\nfkeras_metrics = mean_squared_error, accuracy\n")
    conftest = (project.path / "conftest.py").read_text()
    head, _, _ = conftest.partition('@pytest.fixture(scope="session")\ndef fkeras_data')
    project.makeconftest(head)
    write_test("""
        def test_ini(resilience, fkeras_data, fkeras_metrics):
            assert fkeras_data[0].shape == (5, 4)
            assert list(fkeras_metrics) == ["mean_squared_error", "accuracy"]
            assert resilience.campaign("mean_squared_error", faults=3, trials=4).values.shape == (4,)
    """)
    project.runpytest_inprocess().assert_outcomes(passed=1)


def test_several_inputs_from_ini(pytester):
    import numpy as np

    pytester.makeini("[pytest]\nfkeras_data = data.npz\n")
    pytester.makepyfile("""
        def test_ini(fkeras_data):
            (a, b), y = fkeras_data
            assert (a.shape, b.shape, sorted(y)) == ((5, 2), (5, 3), ["kind", "size"])
    """)
    np.savez(pytester.path / "data.npz", x1=np.ones((5, 3)), x0=np.ones((5, 2)), y_kind=np.ones(5), y_size=np.ones(5))
    pytester.runpytest_inprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": [1], "y": [1]}, "has no array 'x'; it holds a, y"),
        ({"x0": [1], "x2": [1], "y": [1]}, "has no array 'x1'; it holds x0, x2, y"),
        ({"x": [1], "x1": [1], "y": [1]}, "holds x, x1, y; which of them are x?"),
        ({"x": [1, 2], "y": [1]}, "x has 2 samples, y has 1"),
    ],
)
def test_data_in_the_ini_that_cannot_be_used(pytester, arrays, message):
    import numpy as np

    np.savez(pytester.path / "data.npz", **arrays)
    pytester.makeini("[pytest]\nfkeras_data = data.npz\n")
    pytester.makepyfile("def test_ini(fkeras_data): pass")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    assert f"the ini option fkeras_data: {pytester.path / 'data.npz'}: {message}" in result.stdout.str()


def test_each_folder_can_have_its_own_model(project):
    for name, kernel in (("a", 0.5), ("b", -0.25)):
        project.mkdir(name)
        (project.path / name / "conftest.py").write_text(
            f"""
import pytest

@pytest.fixture(scope="session")
def fkeras_model(request):
    from {"conftest"} import Linear
    return Linear("model_{name}", [{kernel}] * 8)
""".replace("from conftest import Linear", "Linear = request.config.pluginmanager.get_plugin(LINEAR).Linear").replace(
                "LINEAR", repr(str(project.path / "conftest.py"))
            )
        )
        (project.path / name / f"test_{name}.py").write_text(f"""
import pytest
from pytest_fkeras import fault_budget, ranking

def test_space(fault_space, resilience):
    assert set(fault_space.tensors[0].golden.tolist()) == {{{kernel}}}
    assert resilience.model.name == "model_{name}"

@fault_budget(bits=3, protected=ranking[:4], max_mse=1e6)
def test_budget(fkeras_campaign, fault_space):
    assert fkeras_campaign.space is fault_space
""")
    project.makepyfile(
        test_z="""
        def test_back_at_the_root(fault_space):
            assert fault_space.tensors[0].golden[0] == 0.5
    """
    )
    result = project.runpytest_inprocess("--import-mode=importlib")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["model model_a *", "model model_b *"])


def test_a_parametrized_model_gives_one_verdict_per_model(project, write_test):
    write_test("""
        from conftest import Linear

        @pytest.fixture(scope="session", params=[0.5, 0.125])
        def fkeras_model(request):
            return Linear("m", [request.param] * 8)

        @fault_budget(bits=3, max_mse=1e6)
        def test_budget(fkeras_campaign, fkeras_model):
            assert (fkeras_campaign.space.tensors[0].golden == fkeras_model.kernel[0]).all()

        @pytest.mark.fault_budget(bits=3, max_mse=1e-9)
        def test_raw():
            pass

        def test_space(fault_space, fkeras_model):
            assert (fault_space.tensors[0].golden == fkeras_model.kernel[0]).all()
    """)
    project.runpytest_inprocess().assert_outcomes(passed=4, failed=2)


def test_wrong_fixture_values_are_named(project, write_test):
    write_test("""
        @pytest.fixture(scope="module")
        def fkeras_metrics():
            return ["mse"]

        @fault_budget(bits=3, max_mse=1)
        def test_list():
            pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["the fkeras_metrics fixture gave list; it is a dict of name to metric, *"])
