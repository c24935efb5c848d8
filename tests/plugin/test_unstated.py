"""What a verdict rests on is said: in the terminal and in GitHub's step summary, in a line each."""

from __future__ import annotations

import pytest


@pytest.fixture
def said(project, write_test, monkeypatch):
    """said(test, conftest="", **outcomes): terminal and step summary of a session, in one line each."""

    def run(test, conftest="", metrics=None, **outcomes):
        summary = project.path / "summary.md"
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
        path = project.path / "conftest.py"
        source = path.read_text()
        if metrics:
            source = source.replace('{"mse": fkeras.metrics.mean_squared_error()}', metrics)
        path.write_text(source + conftest)
        write_test(test)
        result = project.runpytest("-n0")
        result.assert_outcomes(**outcomes)
        return " ".join(result.stdout.str().split()), summary.read_text()

    return run


def test_the_allowed_share_where_it_is_not_the_usual_one(said):
    terminal, summary = said(
        """
        @fault_budget(bits=3, max_mse=1000, max_failure_rate=0.2)
        def test_one():
            pass

        @fault_budget(bits=1, trials="all", max_mse=1000, max_failure_rate=0.25)
        def test_each():
            pass

        @fault_budget(bits=3, max_mse=1000)
        def test_usual():
            pass
        """,
        passed=3,
    )
    for text in (terminal, summary):
        assert "%, 20 % allowed" in text
        assert "exact, 25 % allowed" in text
        assert text.count("20 % allowed") == text.count("25 % allowed") == 1
    assert "over limit: 5 % allowed, " in terminal


def test_every_bit_protected_is_said_and_passes(said):
    test = "\n@fault_budget(bits=3, max_mse=1000, protected=range(32))\ndef test_one():\n    pass\n"
    for text in said(test, passed=1):
        assert "every bit is protected" in text


def test_a_check_of_every_word_that_lets_errors_through_protects_no_bit(said):
    test = "\nfrom pytest_fkeras import RangeCheck\n@fault_budget(bits=3, max_mse=1000, protected=RangeCheck())"
    for text in said(test + "\ndef test_one():\n    pass\n", passed=1):
        assert "RangeCheck()" in text
        assert "every bit is protected" not in text


CHANGES_NOTHING = {
    "a fault model that draws nothing": ("faults=Nothing()", "nothing was hit in any of 69 trials"),
    "a rate that never hits": ("ber=1e-9", "nothing was hit in any of 69 trials"),
    "a metric that sees nothing": ("bits=3", "no trial of 69 changed anything"),
    "faults that a check of every word lets through, and the metric sees nothing": (
        'bits=9, protected=fkeras.RangeCheck("clamp", margin=1)',
        "no trial of 69 changed anything",
    ),
    "every bit alone, and the metric sees nothing": ('bits=1, trials="all"', "no trial of 32 changed anything"),
}


@pytest.mark.parametrize("case", CHANGES_NOTHING)
def test_what_changes_nothing_is_inconclusive_and_said(said, case):
    faults, expected = CHANGES_NOTHING[case]
    helpers = """
from dataclasses import dataclass
from fkeras.faults.fault_models import Draw


@dataclass(frozen=True)
class Nothing:
    def draw(self, n_bits, stream):
        return Draw(fkeras.FaultSet.EMPTY, 0)

    def describe(self, n_bits):
        return "nothing"
"""
    blind_metric = '{"mse": fkeras.metrics.sample_metric(lambda y, z: 0 * z[:, 0], "mse", "lower")}'
    terminal, summary = said(
        f"{helpers}\n\n@fault_budget({faults}, max_mse=1000)\ndef test_one():\n    pass\n",
        "",
        blind_metric if "metric" in case else None,
        failed=1,
    )
    for text in (terminal, summary):
        assert "INCONCLUSIVE" in text
        assert expected in text
    assert "but no trial changed anything, so nothing shows that faults reach the outputs: draw more faults" in terminal


def test_a_metric_of_the_projects_own_under_a_built_in_name(said):
    own = '{"accuracy": fkeras.metrics.sample_metric(lambda y, z: z[:, 0], "accuracy", "higher")}'
    test = "\n@fault_budget(bits=3, min_accuracy=-1000)\ndef test_one():\n    pass\n"
    for text in said(test, "", own, passed=1):
        assert "accuracy is what fkeras_metrics calls so, not the built-in metric" in text


@pytest.mark.parametrize("where", ["x", "y"])
def test_masked_arrays_are_refused(said, where):
    conftest = f"""

import numpy as np


@pytest.fixture(scope="session")
def fkeras_data():
    x = np.random.default_rng(1).normal(size=(64, 4))
    y = x @ Linear().kernel.reshape(4, 2)
    {where} = np.ma.masked_greater({where}, 0.5)
    return x, y
"""
    test = "\n@fault_budget(bits=3, max_mse=1000)\ndef test_one():\n    pass\n"
    terminal, _ = said(test, conftest, errors=1)
    assert f"{where}: " in terminal
    assert "values are masked, and masks are not looked at; leave those samples out" in terminal
