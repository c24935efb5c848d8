"""The merge gate in whole pytest runs: a baseline is made, compared with, missed, and never moves by itself."""

from __future__ import annotations

import json
import re

import pytest

BUDGET = """
    @fault_budget(bits=3, max_mse=0.99, max_trials=100)
    def test_mission():
        pass
"""
GATE = "--fkeras-compare-fail=mse:20%"


@pytest.fixture(autouse=True)
def _at_home(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("BUILD_NUMBER", raising=False)
    monkeypatch.setenv("COLUMNS", "250")


@pytest.fixture
def bounded(project, write_test):
    """A project whose metric has bounds; `set_noise(x)` makes the network's error larger by x, on every fault set."""
    source = (project.path / "conftest.py").read_text()
    metric = """
@pytest.fixture(scope="session")
def fkeras_metrics():
    extra = float(__import__("pathlib").Path("extra.txt").read_text())

    def error(y, outputs):
        return np.clip(np.abs(y - outputs).mean(axis=1) + extra, 0, 1)

    return {"mse": fkeras.metrics.sample_metric(error, "mse", "lower", bounds=(0.0, 1.0))}
"""
    start = source.index('@pytest.fixture(scope="session")\ndef fkeras_metrics')
    (project.path / "conftest.py").write_text(source[:start] + metric)

    def set_extra(value: float) -> None:
        (project.path / "extra.txt").write_text(str(value))

    set_extra(0.0)
    return set_extra


def files(project, folder="base"):
    return sorted(path.name for path in (project.path / folder).glob("*.json"))


def run(project, *flags):
    return project.runpytest_inprocess("--fkeras-baseline=base", "-p", "no:cacheprovider", *flags)


@pytest.mark.parametrize("flags", [(), ("-n2",)], ids=["plain", "xdist"])
def test_made_met_and_missed(project, write_test, bounded, flags):
    write_test(BUDGET)
    made = run(project, "--fkeras-baseline-update", *flags)
    made.assert_outcomes(passed=1)
    (name,) = files(project)
    made.stdout.fnmatch_lines([f"baseline: new base/{name}"])
    assert re.fullmatch(r"3-flips-[0-9a-f]{8}\.mse\.json", name)
    content = json.loads((project.path / "base" / name).read_text())
    assert (content["trials"], content["kept"]) == (100, 100)

    before = (project.path / "base" / name).read_bytes()
    met = run(project, GATE, "-v", *flags)
    met.assert_outcomes(passed=1)
    met.stdout.fnmatch_lines(
        [
            "  baseline: mse *; worse by more than 20 % in 0 of 69 pairs, at most 4.9 % of draws (5 % "
            "allowed): PASS; paired on 69 identical fault sets*"
        ]
    )

    bounded(0.3)
    missed = run(project, GATE, *flags)
    missed.assert_outcomes(failed=1)
    assert missed.ret == pytest.ExitCode.TESTS_FAILED
    missed.stdout.fnmatch_lines(
        [
            f"FAIL against base/{name}: mse fault-free 0 -> 0.3 (+*), under faults * -> * (+*); worse by more "
            "than 20 % in *: FAIL",
            "*compared * paired on * identical fault sets; one-sided bounds, each at 0.95 confidence*",
            "  loss        mse is worse by more than the tolerance without faults already",
            f"  again       python -m pytest test_budgets.py::test_mission --fkeras-baseline=base {GATE}",
            "  accept it   overwrites the baseline: python -m pytest test_budgets.py::test_mission "
            f"--fkeras-baseline=base {GATE} --fkeras-baseline-update",
            "*= fkeras resilience =*",
            f"FAILED test_budgets.py::test_mission - WorseThanBaseline: FAIL against base/{name}: *",
        ]
    )
    assert (project.path / "base" / name).read_bytes() == before


def verdicts(project, *flags):
    """Of each test: the verdict, and the comparison's outcome and reason."""
    run(project, "--fkeras-json=out.json", *flags)
    report = json.loads((project.path / "out.json").read_text())
    found = {}
    for one in report["tests"]:
        comparison = one["comparison"] or {"outcome": None, "reason": ""}
        found[one["nodeid"].rpartition("::")[2]] = (one["verdict"], comparison["outcome"], comparison["reason"])
    return found


WAYS = {
    "loadgroup": ["-n2", "--dist=loadgroup"],
    "no terminal": ["-p", "no:terminal"],
    "no summary": ["--no-summary"],
    "no xdist": ["-p", "no:xdist"],
    "quiet": ["-qq"],
}


@pytest.mark.parametrize("flags", WAYS.values(), ids=list(WAYS))
def test_a_worse_model_exits_1_however_the_session_is_run(project, write_test, bounded, flags):
    write_test(BUDGET)
    assert run(project, "--fkeras-baseline-update", *flags).ret == pytest.ExitCode.OK
    bounded(0.5)
    assert run(project, GATE, *flags).ret == pytest.ExitCode.TESTS_FAILED


def test_a_comparison_without_tolerance_informs_and_fails_nothing(project, write_test, bounded):
    write_test(BUDGET)
    run(project, "--fkeras-baseline-update")
    bounded(0.5)
    result = run(project, "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["  baseline: mse * -> * (+1* %); worse in 69, better in 0 of 69 pairs; paired on 69 identical fault sets*"]
    )


@pytest.mark.parametrize("ci", ["", "true"])
def test_a_missing_baseline_fails_the_gate_with_the_command_that_makes_it(
    project, write_test, bounded, monkeypatch, ci
):
    monkeypatch.setenv("CI", ci)
    write_test(BUDGET)
    result = run(project, GATE)
    result.assert_outcomes(failed=1)
    line = re.search(
        r"NOT_RUN against the baseline: \S+ has no .* make one(?: on your machine and commit it)?: python (.*)",
        result.stdout.str(),
    )
    assert line is not None
    assert not (project.path / "base").exists()
    monkeypatch.setenv("CI", "")
    import shlex
    import sys

    project.run(sys.executable, *shlex.split(line[1])).assert_outcomes(passed=1)
    run(project, GATE).assert_outcomes(passed=1)


def test_a_missing_baseline_without_a_gate_is_said(project, write_test, bounded):
    write_test(BUDGET)
    result = run(project)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*baseline: *base has no baseline for this budget; make one: *-update*"])


def test_nothing_is_written_in_ci_unless_told(project, write_test, bounded, monkeypatch):
    monkeypatch.setenv("CI", "1")
    write_test(BUDGET)
    for flag in ("--fkeras-baseline-update", "--fkeras-baseline-update-new-only"):
        result = run(project, flag)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [f"*{flag} is refused where the environment variable CI or BUILD_NUMBER is set*in-ci*"]
        )
        assert not (project.path / "base").exists()
    run(project, "--fkeras-baseline-update-in-ci").assert_outcomes(passed=1)
    assert len(files(project)) == 1


def test_new_only_adds_and_leaves_the_others_alone(project, write_test, bounded):
    write_test(BUDGET)
    run(project, "--fkeras-baseline-update")
    (old,) = files(project)
    before = (project.path / "base" / old).read_text()
    bounded(0.5)
    write_test(BUDGET + BUDGET.replace("bits=3", "bits=4").replace("test_mission", "test_longer"))
    result = run(project, "--fkeras-baseline-update-new-only", GATE)
    result.assert_outcomes(passed=1, failed=1)
    assert len(files(project)) == 2
    assert (project.path / "base" / old).read_text() == before
    run(project, "--fkeras-baseline-update")
    assert (project.path / "base" / old).read_text() != before
    assert verdicts(project, GATE) == {"test_mission": ("PASS", "PASS", ""), "test_longer": ("PASS", "PASS", "")}


def test_another_layout_is_compared_unpaired(project, write_test, bounded):
    write_test(BUDGET)
    run(project, "--fkeras-baseline-update")
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace('f"{name}/kernel"', 'f"{name}_layer/kernel"'))
    result = run(project, "-v", "--fkeras-compare-fail=mse:0.6")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "*at most 0.6 worse in the mean, for want of pairs: layout changed: PASS; unpaired "
            "(layout changed), * trials against 100*"
        ]
    )
    bounded(0.5)
    run(project, "--fkeras-compare-fail=mse:0.05").assert_outcomes(failed=1)


def test_another_seed_is_compared_unpaired(project, write_test, bounded):
    write_test(BUDGET)
    run(project, "--fkeras-baseline-update")
    result = run(project, "-v", "--fkeras-compare-fail=mse:0.6", "--fkeras-seed=9")
    result.stdout.fnmatch_lines(
        ["*for want of pairs: another seed: PASS; unpaired (another seed), * trials against 100*"]
    )


def test_other_data_are_not_compared(project, write_test, bounded):
    write_test(BUDGET)
    run(project, "--fkeras-baseline-update")
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace("default_rng(1)", "default_rng(2)"))
    ((verdict, outcome, reason),) = verdicts(project, GATE).values()
    assert (verdict, outcome) == ("NOT_RUN", "NOT_RUN")
    assert "the data changed since the baseline (64 samples: 64x4 float64, mean " in reason


def test_a_damaged_baseline_is_not_run_and_an_update_mends_it(project, write_test, bounded):
    write_test(BUDGET)
    run(project, "--fkeras-baseline-update")
    (name,) = files(project)
    path = project.path / "base" / name
    path.write_text(path.read_text().replace('"golden": 0.0', '"golden": 0.5'))
    ((verdict, outcome, reason),) = verdicts(project, GATE).values()
    assert (verdict, outcome) == ("NOT_RUN", "NOT_RUN")
    assert f"{name} is damaged, or was edited by hand" in reason
    run(project, "--fkeras-baseline-update")
    assert verdicts(project, GATE) == {"test_mission": ("PASS", "PASS", "")}


def test_an_unreached_decision_fails_unless_the_ini_file_says_otherwise(project, write_test, bounded):
    write_test(BUDGET.replace("max_trials=100", "max_trials=80"))
    strict = "--fkeras-compare-fail=mse.mean:5%"
    run(project, "--fkeras-baseline-update")
    result = run(project, strict)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "INCONCLUSIVE against base/*: mse *; at most 5 % worse in the mean: INCONCLUSIVE, about * more "
            "trials would decide",
            "*compared * paired on 80 identical fault sets*",
            "*more trials max_trials=*",
        ]
    )
    run(project, strict, "-o", "fkeras_inconclusive=pass").assert_outcomes(passed=1)
    bounded(0.5)
    run(project, strict, "-o", "fkeras_inconclusive=pass").assert_outcomes(failed=1)


def test_an_undecided_limit_fails_unless_the_ini_file_says_otherwise(project, write_test, bounded):
    write_test("""
        @fault_budget(bits=3, max_mse=0.99, max_trials=10)
        def test_short():
            pass
    """)
    run(project).assert_outcomes(failed=1)
    run(project, "-o", "fkeras_inconclusive=pass").assert_outcomes(passed=1)
    assert verdicts(project, "-o", "fkeras_inconclusive=pass")["test_short"][0] == "INCONCLUSIVE"
    result = run(project, "-o", "fkeras_inconclusive=maybe")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*fkeras_inconclusive is 'maybe'; allowed are fail and pass*"])


def test_an_expected_missed_limit_does_not_cover_a_regression(project, write_test, bounded):
    write_test("""
        @pytest.mark.xfail(raises=fkeras.BudgetExceeded, strict=True)
        @fault_budget(bits=3, max_mse=0.01, max_trials=100)
        def test_unprotected():
            pass
    """)
    run(project, "--fkeras-baseline-update").assert_outcomes(xfailed=1)
    run(project, GATE).assert_outcomes(xfailed=1)
    bounded(0.3)
    result = run(project, GATE)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*FAIL against base/*", "*FAIL: * trials over the limit*"])
    (project.path / "base" / files(project)[0]).unlink()
    run(project, GATE).assert_outcomes(failed=1)


def test_entries_of_no_test_are_reported_when_all_tests_ran(project, write_test, bounded):
    write_test(BUDGET + BUDGET.replace("bits=3", "bits=4").replace("test_mission", "test_longer"))
    run(project, "--fkeras-baseline-update")
    one, other = files(project)
    assert (one.startswith("3-"), other.startswith("4-")) == (True, True)
    for part in (["-k", "mission"], ["test_budgets.py::test_mission"], ["--deselect", "test_budgets.py::test_longer"]):
        assert "belongs to no test" not in run(project, *part).stdout.str()
    write_test(BUDGET)
    for whole in ([], [str(project.path)], ["-n2"]):
        result = run(project, *whole)
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines([f"baseline: {other} belongs to no test any more; delete it"])
    write_test(BUDGET + "        assert 1 / 0")
    assert "belongs to no test" in run(project).stdout.str()


def test_a_tolerance_that_judges_nothing_is_a_failure_when_all_tests_ran(project, write_test, bounded):
    write_test(BUDGET)
    run(project, "--fkeras-baseline-update")
    result = run(project, "--fkeras-compare-fail=accuracy:5%")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    message = "*--fkeras-compare-fail=accuracy:5 % judged nothing: no budget measures 'accuracy'; there are mse"
    result.stdout.fnmatch_lines([message])
    result.stderr.fnmatch_lines([message])
    assert run(project, "--fkeras-compare-fail=accuracy:5%", "-k", "mission").ret == pytest.ExitCode.OK


@pytest.mark.parametrize("part", [[], ["-k", "mission"], ["test_budgets.py"], ["-n2"], ["-p", "no:terminal"]], ids=str)
def test_a_misspelt_tolerance_fails_whatever_part_of_the_tests_ran(project, write_test, bounded, part):
    write_test(BUDGET)
    run(project, "--fkeras-baseline-update")
    result = run(project, "--fkeras-compare-fail=mze:5%", *part)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stderr.fnmatch_lines(
        ["*=mze:5 % judged nothing: no model under test has a metric 'mze'; there are accuracy, *mse*"]
    )


def test_a_part_of_the_tests_need_not_know_the_metrics_of_the_others(project, write_test, bounded):
    write_test(BUDGET)
    write_test(
        """
        @pytest.fixture(scope="session")
        def fkeras_metrics():
            return {"mae": fkeras.metrics.sample_metric(lambda y, o: abs(y - o).mean(axis=1), "mae", "lower", (0, 9))}

        @fault_budget(bits=3, max_mae=8, max_trials=100)
        def test_second():
            pass
        """,
        "test_second",
    )
    run(project, "--fkeras-baseline-update").assert_outcomes(passed=2)
    assert run(project, "--fkeras-compare-fail=mse:20%,mae:8", "test_budgets.py").ret == pytest.ExitCode.OK


@pytest.mark.parametrize("flags", [(), ("-n2",)], ids=["plain", "xdist"])
def test_a_gate_without_any_budget_is_no_gate(project, write_test, bounded, flags):
    write_test(BUDGET)
    run(project, "--fkeras-baseline-update")
    (name,) = files(project)
    write_test("def test_other(): pass")
    result = run(project, GATE, *flags)
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            f"baseline: {name} belongs to no test any more; delete it",
            "baseline: --fkeras-compare-fail=mse:20 % judged nothing: no budget was measured*",
        ]
    )
    assert run(project, *flags).ret == pytest.ExitCode.OK
    assert run(project, GATE, "--collect-only").ret == pytest.ExitCode.OK
    assert run(project, GATE, "test_budgets.py").ret == pytest.ExitCode.OK


def test_a_subfolder_is_not_the_whole_project(project, write_test, bounded, monkeypatch):
    project.makeini("[pytest]\nfkeras_baseline = base\n")
    write_test(BUDGET)
    run(project, "--fkeras-baseline-update")
    sub = project.mkdir("sub")
    (sub / "test_sub.py").write_text("def test_sub(): pass")
    (project.path / "test_budgets.py").rename(sub / "test_budgets.py")
    (project.path / "test_other.py").write_text("def test_other(): pass")
    (sub / "extra.txt").write_text("0.0")
    monkeypatch.chdir(sub)
    result = project.runpytest_inprocess("--fkeras-compare-fail=accuracy:5%")
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("variable", ["CI", "BUILD_NUMBER"])
def test_a_missing_baseline_fails_in_ci_without_a_tolerance_too(project, write_test, bounded, monkeypatch, variable):
    monkeypatch.setenv(variable, "7")
    write_test(BUDGET)
    result = run(project)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["NOT_RUN against the baseline: *has no baseline*make one on your machine and commit it: python *-update"]
    )


def test_what_cannot_be_compared_says_how_to_accept_it(project, write_test, bounded, monkeypatch):
    write_test(BUDGET)
    run(project, "--fkeras-baseline-update")
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace("default_rng(1)", "default_rng(2)"))
    run(project, GATE).stdout.fnmatch_lines(
        ["NOT_RUN*the data changed*; if that is meant, overwrite the baseline: python *--fkeras-baseline-update"]
    )
    monkeypatch.setenv("CI", "1")
    run(project, GATE).stdout.fnmatch_lines(
        ["NOT_RUN*overwrite the baseline on your machine and commit it: python *-update"]
    )


def test_a_report_does_not_replace_its_own_baseline(project, write_test, bounded):
    write_test(BUDGET)
    project.runpytest_inprocess("--fkeras-json=r.json")
    before = (project.path / "r.json").read_bytes()
    result = project.runpytest_inprocess("--fkeras-baseline=r.json", "--fkeras-json=./base/../r.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*r.json is both the baseline and this run's report*write the report elsewhere*"])
    assert (project.path / "r.json").read_bytes() == before


def test_a_failing_body_keeps_what_was_measured_without_a_baseline(project, write_test, bounded):
    write_test(BUDGET.replace("pass", "assert 1 / 0"))
    run(project, GATE, "--fkeras-json=out.json").assert_outcomes(failed=1)
    (test,) = json.loads((project.path / "out.json").read_text())["tests"]
    assert (test["verdict"], test["trials"]) == ("NOT_RUN", 69)
    assert "has no baseline for this budget" in test["text"]


def test_data_with_parameters_or_of_a_folder_have_a_baseline_each(project, write_test, bounded):
    source = """
    import numpy as np

    @pytest.fixture(scope="session", params=[1, 2])
    def fkeras_data(request):
        x = np.random.default_rng(request.param).normal(size=(64, 4))
        return x, x[:, :2]
"""
    write_test(BUDGET)
    write_test(source + BUDGET, "test_more")
    run(project, "--fkeras-baseline-update").assert_outcomes(passed=3)
    contents = [json.loads((project.path / "base" / name).read_text()) for name in files(project)]
    assert sorted(one["budget"]["model"] for one in contents) == [
        ".",
        ". fkeras_data of test_more.py[fkeras_data=1]",
        ". fkeras_data of test_more.py[fkeras_data=2]",
    ]
    run(project, GATE).assert_outcomes(passed=3)


def test_two_data_sets_behind_one_fixture_are_refused(project, write_test, bounded):
    write_test("""
        import numpy as np

        @pytest.fixture
        def fkeras_data(request):
            x = np.random.default_rng(len(request.node.name)).normal(size=(64, 4))
            return x, x[:, :2]

        @fault_budget(bits=3, max_mse=0.99)
        def test_one():
            pass

        @fault_budget(bits=3, max_mse=0.99)
        def test_other():
            pass
    """)
    result = run(project, "--fkeras-baseline-update")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["baseline: *the budget of another test on other data*fkeras_data fixture*parametrize*"]
    )
    assert files(project) == []


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ('[ROOT / "a", Path("b")]', ["scale=a", "scale=b"]),
        ("[{1}, {2}], ids=['one', 'two']", ["scale=one", "scale=two"]),
    ],
)
def test_parameters_are_named_by_what_they_are_not_by_their_place(project, write_test, bounded, params, names):
    write_test(f"""
        from pathlib import Path
        from conftest import Linear

        ROOT = Path(__file__).parent

        @pytest.fixture(scope="module", params={params})
        def scale(request):
            return request.param

        @pytest.fixture(scope="module")
        def fkeras_model(scale):
            return Linear("linear", (1 if str(scale) in (str(ROOT / "a"), "{{1}}") else -1) * Linear().kernel)

        @pytest.mark.parametrize("limit", [1])
        @fault_budget(bits=3, max_mse=0.99, trials=60)
        def test_two(limit):
            pass
    """)
    run(project, "--fkeras-baseline-update").assert_outcomes(passed=2)
    contents = [json.loads((project.path / "base" / name).read_text()) for name in files(project)]
    assert sorted(one["budget"]["model"] for one in contents) == [f"test_budgets.py[{name}]" for name in names]


def test_the_anchor_shows_a_ratchet_of_small_losses(project, write_test, bounded):
    write_test(BUDGET)
    run(project, "--fkeras-baseline-update")
    (project.path / "base" / "anchor").mkdir()
    (name,) = files(project)
    (project.path / "base" / "anchor" / name).write_bytes((project.path / "base" / name).read_bytes())
    for step in (0.02, 0.04, 0.06):
        bounded(step)
        result = run(project, GATE)
        result.assert_outcomes(passed=1)
        run(project, "--fkeras-baseline-update")
    result.stdout.fnmatch_lines(["anchor (test_mission): mse * -> * (+1? %); *paired on *"])
    (project.path / "base" / "anchor" / name).write_text("{}")
    run(project, GATE).stdout.fnmatch_lines(["anchor (test_mission): *states no schema*"])


def test_an_earlier_report_is_a_baseline_too(project, write_test, bounded):
    write_test(BUDGET.replace("max_trials", "trials"))
    project.runpytest_inprocess("--fkeras-json=artifact/report.json")
    for place in ("artifact/report.json", "artifact"):
        result = project.runpytest_inprocess(f"--fkeras-baseline={place}", GATE, "-v")
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["  baseline: mse *PASS; paired on 100 identical fault sets"])
    bounded(0.5)
    project.runpytest_inprocess("--fkeras-baseline=artifact", GATE).assert_outcomes(failed=1)
    result = project.runpytest_inprocess("--fkeras-baseline=artifact/report.json", "--fkeras-baseline-update")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*report.json is a report and is only read*"])


def test_the_fixture_gives_the_baseline(project, write_test, bounded):
    write_test("""
        @fault_budget(bits=3, max_mse=0.99, max_trials=100)
        def test_with_a_limit(fkeras_baseline, fkeras_campaign):
            if fkeras_baseline is not None:
                assert fkeras_baseline.trials == 100
                assert list(fkeras_baseline.metrics["mse"].values[:69]) == list(fkeras_campaign["mse"].values)
            print("has", fkeras_baseline is not None)

        @fault_budget(bits=4, trials=20)
        def test_without(fkeras_baseline, fkeras_campaign):
            fkeras_campaign["mse"]
            print("has", fkeras_baseline is not None)
    """)
    project.runpytest_inprocess("-s").stdout.no_fnmatch_line("*has True*")
    run(project, "--fkeras-baseline-update", "-s").stdout.no_fnmatch_line("*has True*")
    assert len(files(project)) == 2
    assert run(project, "-s", GATE, "-k", "limit or without").stdout.str().count("has True") == 2


def test_a_budget_that_judges_by_itself_is_compared_too(project, write_test, bounded):
    write_test("""
        @fault_budget(bits=3, trials=100)
        def test_by_hand(fkeras_campaign):
            assert fkeras_campaign["mse"].values.max() <= 1
    """)
    run(project, "--fkeras-baseline-update").assert_outcomes(passed=1)
    assert verdicts(project, GATE) == {"test_by_hand": ("ASSERTED", "PASS", "")}
    bounded(0.5)
    assert verdicts(project, GATE) == {"test_by_hand": ("FAIL", "FAIL", "")}


def test_exhaustive_budgets_differ_exactly(project, write_test, bounded):
    write_test("""
        @fault_budget(bits=1, trials="all", max_mse=0.99)
        def test_each():
            pass
    """)
    run(project, "--fkeras-baseline-update")
    bounded(0.25)
    run(project, "--fkeras-compare-fail=mse:0.26").assert_outcomes(passed=1)
    result = run(project, "--fkeras-compare-fail=mse:0.2")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*compared    exact*"])


def test_tests_of_one_budget_share_a_file_and_models_do_not(project, write_test, bounded):
    write_test("""
        from conftest import Linear

        @pytest.fixture(scope="module", params=[1.0, -1.0])
        def scale(request):
            return request.param

        @pytest.fixture(scope="module")
        def fkeras_model(scale):
            return Linear("linear", scale * Linear().kernel)

        @pytest.mark.parametrize("limit", [1, 2])
        @fault_budget(bits=3, max_mse=0.99, trials=60)
        def test_two(limit):
            pass
    """)
    run(project, "--fkeras-baseline-update").assert_outcomes(passed=4)
    contents = [json.loads((project.path / "base" / name).read_text()) for name in files(project)]
    assert sorted(one["budget"]["model"] for one in contents) == [
        "test_budgets.py[scale=-1.0]",
        "test_budgets.py[scale=1.0]",
    ]


def test_two_models_behind_one_fixture_are_refused(project, write_test, bounded):
    write_test("""
        from conftest import Linear

        @pytest.fixture
        def fkeras_model(request):
            return Linear("linear", request.node.get_closest_marker("scale").args[0] * Linear().kernel)

        @pytest.mark.scale(1.0)
        @fault_budget(bits=3, max_mse=0.99)
        def test_one():
            pass

        @pytest.mark.scale(-1.0)
        @fault_budget(bits=3, max_mse=0.99)
        def test_other():
            pass
    """)
    assert project.runpytest_inprocess("-W", "ignore").ret == pytest.ExitCode.OK
    result = run(project, "--fkeras-baseline-update", "-W", "ignore")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["baseline: *measures the budget of another test on another model*parametrize*"])
    assert files(project) == []


def test_the_ini_file_says_it_all(project, write_test, bounded):
    project.makeini("[pytest]\nfkeras_baseline = kept\nfkeras_compare_fail = mse:20%\n")
    write_test(BUDGET)
    project.runpytest_inprocess("--fkeras-baseline-update").assert_outcomes(passed=1)
    assert len(files(project, "kept")) == 1
    project.runpytest_inprocess().assert_outcomes(passed=1)
    bounded(0.5)
    project.runpytest_inprocess().assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--fkeras-compare-fail=mse:5%"], "--fkeras-compare-fail needs a baseline: add --fkeras-baseline=DIR"),
        (["--fkeras-baseline-update"], "--fkeras-baseline-update needs a baseline"),
        (["--fkeras-baseline="], "--fkeras-baseline names no folder"),
        (["--fkeras-baseline=b", "--fkeras-compare-fail=mse"], "--fkeras-compare-fail: 'mse' is no tolerance"),
        (
            ["--fkeras-baseline=b", "--fkeras-baseline-update", "--fkeras-baseline-update-new-only"],
            "--fkeras-baseline-update and --fkeras-baseline-update-new-only contradict one another",
        ),
    ],
)
def test_options_that_say_nothing_are_usage_errors(project, write_test, flags, message):
    write_test(BUDGET)
    result = project.runpytest_inprocess(*flags)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}*"])


def test_a_share_of_nothing_is_refused_in_words(project, write_test, bounded):
    write_test("""
        @fault_budget(bits=3, protected=range(32), max_mse=0.99)
        def test_covered():
            pass
    """)
    run(project, "--fkeras-baseline-update").assert_outcomes(passed=1)
    ((_, outcome, reason),) = verdicts(project, GATE).values()
    assert outcome == "NOT_RUN"
    assert "share of the baseline's mean, which is 0; write a number in the metric's own unit" in reason
    assert verdicts(project, "--fkeras-compare-fail=mse:0.1")["test_covered"] == ("PASS", "PASS", "")


def test_a_missed_baseline_is_seen_in_the_step_summary_and_in_junit(project, write_test, bounded, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary.md"))
    write_test(BUDGET)
    run(project, "--fkeras-baseline-update")
    bounded(0.3)
    (project.path / "summary.md").unlink()
    run(project, GATE, "--fkeras-junit", "--junitxml=run.xml").assert_outcomes(failed=1)
    summary = (project.path / "summary.md").read_text()
    assert re.search(r"over limit *\| baseline *\| verdict", summary)
    assert re.search(
        r"`mse fault-free 0 -> 0.3 \(\+.*\), under faults 0\.\d+ -> 0\.\d+ \(\+.*20 %.*: FAIL` *\| FAIL", summary
    )
    xml = (project.path / "run.xml").read_text()
    assert 'name="fkeras_baseline" value="FAIL"' in xml
    assert re.search(r'name="fkeras_baseline_change_mse" value="\+\d+ %', xml)


@pytest.mark.parametrize("ci", ["", "1"])
@pytest.mark.parametrize(("rule", "place"), [("mse", "in most draws"), ("mse.mean", "in the mean")])
def test_an_improvement_is_said_with_the_command_that_keeps_it(
    project, write_test, bounded, monkeypatch, ci, rule, place
):
    write_test(BUDGET)
    bounded(0.4)
    run(project, "--fkeras-baseline-update")
    (name,) = files(project)
    bounded(0.0)
    monkeypatch.setenv("CI", ci)
    result = run(project, f"--fkeras-compare-fail={rule}:0.1")
    result.assert_outcomes(passed=1)
    where = " on your machine and commit it" if ci else ""
    text = f"mse is better by more than 0.1 {place}; tighten base/{name}{where}: python -m pytest "
    result.stdout.fnmatch_lines([f"*{text}*"])
    assert "tighten" not in run(project, f"--fkeras-compare-fail={rule}:0.45").stdout.str()


def test_what_more_trials_will_not_decide_says_what_does(project, write_test, bounded):
    write_test(BUDGET.replace("max_trials", "trials"))
    run(project, "--fkeras-baseline-update")
    bounded(0.2)
    # The tolerance is the difference of the means, to the sixth digit.
    result = run(project, "--fkeras-compare-fail=mse.mean:0.183737")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "INCONCLUSIVE against base/*: INCONCLUSIVE, more trials are not expected to decide",
            "  decide it   by a larger tolerance, or by draws: mse:0.183737",
        ]
    )
    assert verdicts(project, "--fkeras-compare-fail=mse:0.183737")["test_mission"][1] == "FAIL"
    run(project, "--fkeras-compare-fail=mse.mean:0.4").assert_outcomes(passed=1)
