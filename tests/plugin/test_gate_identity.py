"""What did not change passes the gate whatever the number of trials, and what did is told apart; without TensorFlow."""

from __future__ import annotations

import json

import pytest

from fkeras.report import compare_reports, read_report
from fkeras.statistics.tolerance import parse_tolerances

BUDGET = """
    @fault_budget(bits=3, trials={trials})
    def test_mission(fkeras_campaign):
        assert fkeras_campaign["mse"].values.max() <= 10
"""
STRICT = "--fkeras-compare-fail=mse:0.000001"
TOLERANCE = parse_tolerances("mse:0.000001")
IDENTITY = """

def pytest_fkeras_model_identity(model):
    return model.kernel.tobytes().hex() if isinstance(model, Linear) else None
"""


@pytest.fixture
def identified(project, monkeypatch):
    """A project whose model says what it is; `set_last(x)` retrains it: its last weight becomes x."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("BUILD_NUMBER", raising=False)
    monkeypatch.setenv("COLUMNS", "250")
    conftest = project.path / "conftest.py"
    model = 'def fkeras_model():\n    return Linear(kernel=(*Linear().kernel[:7], float(np.loadtxt("last.txt"))))'
    conftest.write_text(conftest.read_text().replace("def fkeras_model():\n    return Linear()", model) + IDENTITY)

    def set_last(value: float) -> None:
        (project.path / "last.txt").write_text(str(value))

    set_last(-0.125)
    return set_last


def run(project, *flags):
    return project.runpytest_inprocess("--fkeras-baseline=base", "-p", "no:cacheprovider", *flags)


def comparison(project, *flags):
    run(project, "--fkeras-json=out.json", *flags)
    return json.loads((project.path / "out.json").read_text())["tests"][0]["comparison"]


@pytest.mark.parametrize("trials", [1, 1000, '"all"'], ids=str)
@pytest.mark.parametrize("flags", [(), ("-n2",)], ids=["plain", "xdist"])
def test_an_unchanged_network_passes_with_1_trial_as_with_1000(project, write_test, identified, trials, flags):
    budget = BUDGET.format(trials=trials)
    write_test(budget.replace("bits=3", "bits=1") if trials == '"all"' else budget)
    run(project, "--fkeras-baseline-update").assert_outcomes(passed=1)
    run(project, STRICT, *flags).assert_outcomes(passed=1)
    for cached in ("--fkeras-cache=off", "--fkeras-cache=elsewhere"):
        (one,) = comparison(project, STRICT, cached, *flags)["metrics"]
        assert (one["is_unchanged"], one["outcome"], one["difference"]) == (True, "PASS", 0)


def test_longer_and_shorter_baselines_of_the_same_are_unchanged(project, write_test, identified):
    write_test(BUDGET.format(trials=20))
    run(project, "--fkeras-baseline-update")
    for trials in (3, 50):
        assert comparison(project, STRICT, f"--fkeras-trials={trials}")["metrics"][0]["is_unchanged"]


CHANGED = {
    "retrained": lambda path: (path / "last.txt").write_text("-0.25"),
    "other metric": lambda path: _edit(path, "fkeras.metrics.mean_squared_error()", "OTHER"),
    "other code": lambda path: _edit(path, "model.kernel.tobytes().hex()", '"a new engine"'),
}


def _edit(path, old, new):
    other = "fkeras.metrics.sample_metric(lambda y, o: ((y - o) ** 2).mean(axis=1), 'mse', 'lower', identity='mine')"
    text = (path / "conftest.py").read_text()
    assert old in text
    (path / "conftest.py").write_text(text.replace(old, other if new == "OTHER" else new))


@pytest.mark.parametrize("change", CHANGED.values(), ids=list(CHANGED))
def test_whatever_computes_otherwise_is_not_unchanged(project, write_test, identified, change):
    write_test(BUDGET.format(trials=3))
    run(project, "--fkeras-baseline-update")
    change(project.path)
    (one,) = comparison(project, STRICT)["metrics"]
    assert (one["is_unchanged"], one["rule"], one["outcome"] in ("INCONCLUSIVE", "FAIL")) == (False, "draws", True)


def test_other_bits_under_an_equal_protection_are_not_unchanged(project, write_test, identified):
    # The baseline is found by how many bits are protected; what computes is told apart by which.
    write_test(BUDGET.format(trials=3).replace("bits=3", "bits=3, protected=[0, 1]"))
    run(project, "--fkeras-baseline-update")
    write_test(BUDGET.format(trials=3).replace("bits=3", "bits=3, protected=[30, 31]"))
    assert not comparison(project, STRICT)["metrics"][0]["is_unchanged"]


def test_an_identity_that_hides_a_change_is_named(project, write_test, identified):
    _edit(project.path, "model.kernel.tobytes().hex()", '"always the same"')
    _edit(project.path, "tensors.append(WordTensor(f", "part = part * 1.0; tensors.append(WordTensor(f")
    write_test(BUDGET.format(trials=69))
    run(project, "--fkeras-baseline-update")
    _edit(project.path, "return self.x @", "return 1.25 * self.x @")
    result = run(project, STRICT, "--fkeras-cache=off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*notice: network, data and metric have the baseline's identity, yet 69 of 69 trials came out otherwise: *"]
    )


def test_without_an_identity_an_undecided_run_says_what_is_missing(project, write_test, identified):
    _edit(project.path, "return model.kernel.tobytes().hex() if isinstance(model, Linear) else None", "return None")
    write_test(BUDGET.format(trials=3))
    run(project, "--fkeras-baseline-update")
    result = run(project, STRICT)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "INCONCLUSIVE against base/*",
            "  unchanged?  that cannot be told: *has no identity*implement pytest_fkeras_model_identity",
        ]
    )


def test_old_baselines_without_identities_are_read_and_judged_by_statistics(project, write_test, identified):
    from fkeras.campaigns.measured_campaign import _checksum

    write_test(BUDGET.format(trials=69))
    run(project, "--fkeras-baseline-update")
    (path,) = (project.path / "base").glob("*.json")
    content = json.loads(path.read_text())
    del content["metrics"]["mse"]["identity"]
    path.write_text(json.dumps({**content, "checksum": _checksum(content)}))
    (one,) = comparison(project, STRICT)["metrics"]
    assert (one["outcome"], one["rule"], one["is_unchanged"], one["pairs"]["worse"]) == ("PASS", "draws", False, 0)
    (one,) = comparison(project, STRICT, "--fkeras-trials=20")["metrics"]
    assert (one["outcome"], one["more_trials"]) == ("INCONCLUSIVE", 49)


def test_reports_and_anchors_know_what_did_not_change(project, write_test, identified):
    write_test(BUDGET.format(trials=2))
    for name in ("main.json", "branch.json"):
        project.runpytest_inprocess(f"--fkeras-json={name}").assert_outcomes(passed=1)
    found = compare_reports(*(read_report(project.path / name) for name in ("main.json", "branch.json")), TOLERANCE)
    assert (found.outcome, found.tests[0][1].is_unchanged) == ("PASS", True)
    project.runpytest_inprocess("--fkeras-baseline=main.json", STRICT).assert_outcomes(passed=1)

    run(project, "--fkeras-baseline-update")
    (project.path / "base").rename(project.path / "anchor")
    (project.path / "base").mkdir()
    (project.path / "anchor").rename(project.path / "base" / "anchor")
    run(project, "--fkeras-baseline-update", "--fkeras-json=out.json")
    run(project, "--fkeras-json=out.json")
    (test,) = json.loads((project.path / "out.json").read_text())["tests"]
    assert test["drift"]["metrics"][0]["is_unchanged"]
    assert (test["drift"]["baseline"].split("/")[:2], test["comparison"]["baseline"].split("/")[0]) == (
        ["base", "anchor"],
        "base",
    )
