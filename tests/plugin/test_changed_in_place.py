"""Whatever a test does to model and data, a verdict belongs to what the fixtures gave."""

from __future__ import annotations

import pytest

BUDGET = """
    @fault_budget(bits=3, max_mse=1000)
    def test_budget():
        pass
"""


def edit(project, old, new):
    conftest = project.path / "conftest.py"
    assert old in conftest.read_text()
    conftest.write_text(conftest.read_text().replace(old, new))


@pytest.mark.parametrize("container", ["return x, y", "return [x, y]", 'return {"a": x}["a"], y', "return x, (y,)[0]"])
def test_data_are_handed_out_read_only(project, write_test, container):
    edit(
        project,
        "    return x, x @ Linear().kernel.reshape(4, 2)",
        f"    y = x @ Linear().kernel.reshape(4, 2)\n    {container}",
    )
    write_test(
        """
    @pytest.mark.parametrize("number", [0, 1])
    def test_writes(fkeras_data, number):
        with pytest.raises(ValueError, match="read-only"):
            fkeras_data[number][:] *= 0
    """
        + BUDGET
    )
    project.runpytest("-n0").assert_outcomes(passed=3)


WRITES = {
    "the array behind a view": ("fkeras_data", "import conftest; conftest.BEHIND *= 0"),
    "a list": ("fkeras_data", "fkeras_data[1] = fkeras_data[1] * 0"),
    "words of a model": ("fkeras_model", "fkeras_model.kernel *= 0"),
    "a model's own identity": ("fkeras_model", "fkeras_model.version = '2'"),
}


# The words of a model that is none of Keras' are read when they are first needed.
@pytest.mark.parametrize(
    ("write", "first"),
    [(write, first) for write in WRITES for first in (True, False) if not (first and write == "words of a model")],
)
def test_what_changed_is_an_error_that_names_the_test(project, write_test, write, first):
    fixture, line = WRITES[write]
    edit(
        project,
        "    return x, x @ Linear().kernel.reshape(4, 2)",
        "    global BEHIND\n    BEHIND = x\n    return [x, x @ Linear().kernel.reshape(4, 2)]",
    )
    edit(
        project,
        '@pytest.fixture(scope="session")\ndef fkeras_model',
        "def pytest_fkeras_model_identity(model):\n    return getattr(model, 'version', '1')\n\n\n"
        '@pytest.fixture(scope="session")\ndef fkeras_model',
    )
    before = "" if first else BUDGET.replace("test_budget", "test_earlier")
    write_test(before + f"\n    def test_writes({fixture}):\n        {line}\n" + BUDGET)
    result = project.runpytest("-n0", "-p", "no:cacheprovider", "--import-mode=prepend")
    result.assert_outcomes(passed=1 if first else 2, errors=1)
    said = " ".join(result.stdout.str().split())
    assert f"what {fixture} gave has changed since, as noticed in test_budgets.py::test_budget: this test" in said
    assert "let the test change a copy" in said
    again = project.runpytest("-n0", "test_budgets.py::test_budget")
    again.assert_outcomes(passed=1)
    assert ("cached" in again.stdout.str()) is not first, "what was measured before the change is good"


def test_a_change_during_a_campaign_stores_nothing(project, write_test):
    edit(
        project,
        "fkeras.metrics.mean_squared_error()",
        'fkeras.metrics.sample_metric(mse, "mse", "lower", identity="1")',
    )
    edit(
        project,
        "class Linear:",
        "BEHIND = []\n\n\ndef mse(y, z):\n    BEHIND[0][:] *= 0.9\n    return abs(y - z).mean(1)\n\n\nclass Linear:",
    )
    edit(project, "    return x, x @ Linear", "    BEHIND.append(x)\n    return x, x @ Linear")
    edit(project, "class Linear:", "def pytest_fkeras_model_identity(model):\n    return '1'\n\n\nclass Linear:")
    write_test(BUDGET)
    result = project.runpytest("-n0")
    result.assert_outcomes(errors=1)
    assert "what fkeras_data gave has changed since" in " ".join(result.stdout.str().split())
    assert list(project.path.glob(".fkeras_cache/campaign/*/rows/*")) == []
