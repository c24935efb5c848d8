"""A network that is not sound without faults fails in words of its own, before anything is drawn."""

from __future__ import annotations

import json

import pytest

from fkeras.report.record import BudgetRecord

MARK = "\n@fault_budget(bits=3, max_mse=1000{more})\ndef test_one({argument}):\n    {body}\n"


@pytest.fixture
def session(project, write_test):
    """session(conftest="", more="", ini="", body="pass", argument="", **outcomes): (text, record) of one budget."""

    def run(conftest="", more="", ini="", body="pass", argument="", before="", test="", **outcomes):
        path = project.path / "conftest.py"
        golden = "        self.golden_outputs = self.outputs(fkeras.FaultSet.EMPTY)\n        self.golden ="
        path.write_text(path.read_text().replace("        self.golden =", golden) + conftest)
        project.makeini(f"[pytest]\nfkeras_json = out.json\nfkeras_cache = off\n{ini}")
        write_test(test or before + MARK.format(more=more, body=body, argument=argument))
        result = project.runpytest("-n0")
        result.assert_outcomes(**outcomes)
        (values,) = json.loads((project.path / "out.json").read_text())["tests"]
        return " ".join(result.stdout.str().split()), BudgetRecord.from_plain({**values, "bit_map": None})

    return run


SHUFFLED = """

@pytest.fixture(scope="session")
def fkeras_data():
    x = np.random.default_rng(1).normal(size=(64, 4))
    return x, np.random.default_rng(2).permutation(x @ Linear().kernel.reshape(4, 2))
"""
SCALED = """

@pytest.fixture(scope="session")
def fkeras_data():
    x = np.random.default_rng(1).normal(size=(64, 4))
    return 1.25 * x, x @ Linear().kernel.reshape(4, 2)
"""
CONSTANT = """

@pytest.fixture(scope="session")
def fkeras_metrics():
    return {"mse": fkeras.metrics.sample_metric(lambda y, z: np.full(len(y), 0.5), "mse", "lower")}
"""
BLIND = """

seeing = NumpyRun.outputs
NumpyRun.outputs = lambda self, faults: seeing(self, fkeras.FaultSet.EMPTY)
"""
HALF_DEAD = """

@pytest.fixture(scope="session")
def fkeras_data():
    x = np.random.default_rng(1).normal(size=(64, 4)) * [0, 0, 1, 1]
    return x, x @ Linear().kernel.reshape(4, 2)
"""


@pytest.mark.parametrize(
    ("conftest", "more", "words"),
    [
        (SHUFFLED, "", "is no better than chance, "),
        (SCALED, ", max_golden_mse=0.01", "breaks max_golden_mse=0.01: look at data, labels and model before faults"),
        (CONSTANT, "", "metric 'mse' is 0.5 whatever the outputs are, so it cannot tell what faults do"),
    ],
    ids=["shuffled labels", "scaled inputs", "a constant metric"],
)
def test_each_is_red_in_its_own_words_and_nothing_is_drawn(session, conftest, more, words):
    text, record = session(conftest, more, body="raise AssertionError('the body ran')", failed=1)
    assert words in text
    assert (record.verdict, record.trials, len(record.broken)) == ("FAIL", 0, 1)
    assert words in record.broken[0]
    assert record.text == f"FAIL: {record.broken[0]}"
    assert "the body ran" not in text


def test_a_memory_that_cannot_hurt_is_red_before_the_body_runs(session):
    text, record = session(BLIND, body="raise AssertionError('the body ran')", failed=1)
    assert (record.verdict, len(record.broken), len(record.dead)) == ("FAIL", 1, 2)
    assert record.broken[0].startswith("no flip of any bit changes an output, so there is nothing to survive")
    assert "the body ran" not in text


def test_without_the_limit_scaled_inputs_pass(session):
    _, record = session(SCALED, passed=1)
    assert (record.verdict, record.broken) == ("PASS", ())
    assert 0 < record.metrics["mse"].golden < record.metrics["mse"].chance


def test_chance_may_be_allowed(session):
    text, record = session(SHUFFLED, failed=1)
    assert record.broken[0].endswith("or allow it: fkeras_allow_chance = true in the ini file")
    assert "allow-chance" not in text
    _, record = session(SHUFFLED, ini="fkeras_allow_chance = true\n", passed=1)
    assert record.verdict == "PASS"
    assert record.metrics["mse"].chance < record.metrics["mse"].golden


def test_the_ini_file_says_it_for_all_tests_and_the_mark_wins(session):
    ini = "fkeras_golden = max_golden_mse=0.01\n"
    _, record = session(SCALED, ini=ini, failed=1)
    assert (record.verdict, record.golden_limits) == ("FAIL", ("max_golden_mse=0.01",))
    _, record = session(SCALED, ", max_golden_mse=0.5", ini, passed=1)
    assert (record.verdict, record.golden_limits) == ("PASS", ("max_golden_mse=0.5",))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("max_golden_mae=1", "the ini option fkeras_golden: max_golden_mae: no metric 'mae' here; there are accuracy"),
        ("max_mse=1", "'max_mse=1' is no limit on a fault-free value; write max_golden_NAME= or min_golden_NAME="),
        ("max_golden_mse=small", "'max_golden_mse=small' is no limit on a fault-free value"),
    ],
)
def test_a_wrong_ini_key_says_what_to_write(project, write_test, value, message):
    project.makeini(f"[pytest]\nfkeras_golden = {value}\n")
    write_test(MARK.format(more="", body="pass", argument=""))
    result = project.runpytest("-n0")
    assert message in " ".join((result.stdout.str() + result.stderr.str()).split())
    assert result.ret != 0


def test_a_budget_that_its_test_judges_is_held_to_it_too(session):
    test = "\n@fault_budget(bits=3)\ndef test_one(fkeras_campaign):\n    assert fkeras_campaign.values.size == 100\n"
    _, record = session(SHUFFLED, test=test, failed=1)
    assert (record.verdict, record.trials) == ("FAIL", 0)


def test_a_metric_that_the_body_reads_is_held_to_it_too(session):
    metrics = (
        '\n\n@pytest.fixture(scope="session")\ndef fkeras_metrics():\n'
        '    return {"mse": fkeras.metrics.mean_squared_error(), "one": fkeras.metrics.sample_metric('
        'lambda y, z: np.ones(len(y)), "one", "lower")}\n'
    )
    _, record = session(metrics, body="fkeras_campaign['one'].values", argument="fkeras_campaign", failed=1)
    assert record.verdict == "FAIL"
    assert "metric 'one' is 1 whatever the outputs are" in record.text


@pytest.mark.parametrize("mark", ["xfail", "xfail(raises=fkeras.campaigns.BudgetExceeded)", "xfail(strict=True)"])
def test_no_expected_failure_covers_it(session, mark):
    text, record = session(SHUFFLED, before=f"\n@pytest.mark.{mark}", failed=1)
    assert record.verdict == "FAIL"
    assert "does not cover a network that is not sound without faults" in text


def test_a_limit_on_the_fault_free_value_alone_does_not_make_a_verdict(session):
    test = "\n@fault_budget(bits=3, max_golden_mse=1)\ndef test_one():\n    pass\n"
    text, record = session(test=test, failed=1)
    assert record.verdict == "NOT_RUN"
    assert "the budget has no limit and the test read no result" in text


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (", min_golden_mse=1", "did you mean max_golden_mse?"),
        (", max_golden_mae=1", "max_golden_mae: no metric 'mae'; there are"),
        (", min_golden_accuracy=97", "are not one-hot in row 0"),
    ],
)
def test_a_wrong_limit_on_a_fault_free_value_says_what_to_write(session, more, message):
    assert message in session(more=more, errors=1)[0]


def test_dead_tensors_are_named(session):
    words = "first/kernel: no flip of its 16 bits changes an output on these 64 samples"
    text, record = session(HALF_DEAD, passed=1)
    assert words in text
    assert [str(dead) for dead in record.dead] == [words]


def test_a_live_network_has_none(session):
    text, record = session(passed=1)
    assert "no flip of its" not in text
    assert record.dead == ()


NAMES = ("worst_mse", "golden_mse", "mse_drop", "quantile", "percentile_of_a", "maximum", "mean_mse")


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_metric_wins_over_words_that_mean_something(session, name):
    metrics = (
        '\n\n@pytest.fixture(scope="session")\ndef fkeras_metrics():\n'
        f'    return {{"mse": fkeras.metrics.mean_squared_error(), "{name}": fkeras.metrics.mean_squared_error()}}\n'
    )
    test = f"\n@fault_budget(bits=3, max_{name}=1000)\ndef test_one():\n    pass\n"
    _, record = session(metrics, test=test, passed=1)
    assert [str(limit) for limit in record.metrics[name].limits] == [f"max_{name}=1000"]
    assert record.golden_limits == ()


@pytest.mark.parametrize("name", ["worst_mse", "quantile", "percentile_of_a"])
def test_without_such_a_metric_they_say_what_to_write(session, name):
    test = f"\n@fault_budget(bits=3, max_{name}=1000)\ndef test_one():\n    pass\n"
    text, _ = session(test=test, errors=1)
    assert f"no metric '{name}'" in text
    assert "max_emd=1.25, max_failure_rate=0.01 is a 99 % quantile of at most 1.25" in text


@pytest.mark.parametrize(("name", "keyword"), [("trials", "max_trials=7"), ("failure_rate", "max_failure_rate=0.1")])
def test_a_metric_called_like_a_keyword_is_asked_to_change_its_name(session, name, keyword):
    metrics = (
        '\n\n@pytest.fixture(scope="session")\ndef fkeras_metrics():\n'
        f'    return {{"mse": fkeras.metrics.mean_squared_error(), "{name}": fkeras.metrics.mean_squared_error()}}\n'
    )
    text, _ = session(metrics, f", {keyword}", errors=1)
    assert f"is a keyword of fault_budget, and the fkeras_metrics fixture has a metric called {name}" in text
