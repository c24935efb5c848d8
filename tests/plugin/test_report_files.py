"""JSON, HTML, JUnit and GitHub's step summary: one verdict feeds them all, however the session is run or ends."""

from __future__ import annotations

import json
import math
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

import fkeras.report.compare
import fkeras.report.figures
import fkeras.report.page
import fkeras.report.svg  # noqa: F401
from fkeras.report import read_report

TWO = """
    @fault_budget(bits=3, protected=ranking("msb")[:8], max_mse=1e3)
    def test_kept():
        pass

    @fault_budget(bits=3, max_mse=1e-9)
    def test_missed():
        pass
"""
WAYS = {
    "plain": [],
    "xdist": ["-n2"],
    "loadgroup": ["-n2", "--dist=loadgroup"],
    "no terminal": ["-p", "no:terminal"],
    "no cache": ["-p", "no:cacheprovider"],
    "no summary": ["--no-summary"],
}
OTHER_WAYS = {
    "plain": [],
    "worksteal": ["-n2", "--dist=worksteal"],
    "each": ["--tx=2*popen", "--dist=each"],
    "no xdist": ["-p", "no:xdist"],
}


def report_in(project: pytest.Pytester, name: str = "run.json") -> dict[str, Any]:
    values: dict[str, Any] = json.loads((project.path / name).read_text(), parse_constant=pytest.fail)
    read_report(project.path / name)
    return values


def verdicts(values: dict[str, Any]) -> dict[str, str]:
    return {test["nodeid"].rpartition("::")[2]: test["verdict"] for test in values["tests"]}


BY_FAULTS = """
    import fkeras

    @fault_budget(bits=20, protected=ranking("msb")[:8], max_mse=1e3)
    def test_flips():
        pass

    @fault_budget(upsets_per_second=2, exposure_seconds=5, max_mse=1e3)
    def test_upsets():
        pass

    @fault_budget(ber=0.1, max_mse=1e3)
    def test_rate():
        pass
"""


def test_files_show_damage_against_faults(project, write_test):
    write_test(BY_FAULTS)
    result = project.runpytest_inprocess("--fkeras-json=run.json", "--fkeras-html=run.html")
    result.assert_outcomes(passed=3)
    curves = {test["nodeid"].rpartition("::")[2]: test["endurance"] for test in report_in(project)["tests"]}
    assert [point["look"] for point in curves["test_flips"]["curve"]] == [1, 2, 3, 6, 11, 20]
    assert curves["test_flips"]["protection"].startswith("ranking('msb')[:8]: 8 bits")
    means = [point["mean"] for point in curves["test_flips"]["curve"]]
    assert means[0] < means[3] < means[-1]
    assert curves["test_upsets"]["unit"] == "seconds"
    assert [curves["test_upsets"]["curve"][i]["look"] for i in (0, -1)] == [pytest.approx(0.5), pytest.approx(5)]
    assert {point["trials"] for point in curves["test_flips"]["curve"]} == {10}
    assert curves["test_rate"] is None, "a rate has no one fault after another"
    page = (project.path / "run.html").read_text()
    assert page.count("mse against flips") == page.count("mse against seconds") > 0


def test_without_files_nothing_is_measured_beyond_the_verdict(project, write_test, monkeypatch):
    write_test(BY_FAULTS)
    monkeypatch.setattr("pytest_fkeras.explain.damage_curve", lambda campaign: pytest.fail("measured for nobody"))
    project.runpytest_inprocess().assert_outcomes(passed=3)
    project.runpytest_inprocess("--fkeras-json=run.json").assert_outcomes(failed=3)


@pytest.mark.parametrize("flags", OTHER_WAYS.values(), ids=list(OTHER_WAYS))
def test_the_json_says_what_the_session_was_however_it_is_run(project, write_test, flags):
    write_test(TWO + "\n    def test_without_a_budget():\n        pass\n")
    result = project.runpytest_inprocess(*flags, "--fkeras-json=run.json", "--fkeras-seed=5")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    values = report_in(project)
    assert values["schema"] == "fkeras-report/1"
    assert values["seed"] == 5
    assert values["summary"]["exit_code"] == 1
    assert values["summary"]["verdicts"] == {"FAIL": 1, "INCONCLUSIVE": 0, "NOT_RUN": 0, "PASS": 1, "ASSERTED": 0}
    assert [test["nodeid"] for test in values["tests"]] == [
        "test_budgets.py::test_kept",
        "test_budgets.py::test_missed",
    ]
    kept, missed = values["tests"]
    assert (kept["verdict"], kept["outcome"]) == ("PASS", "passed")
    assert (missed["verdict"], missed["outcome"]) == ("FAIL", "failed")
    assert kept["metrics"]["mse"]["limits"] == ["max_mse=1000"]
    assert kept["assumptions"]["seed"] == 5
    assert kept["assumptions"]["covered"][0] == {
        "path": "first/kernel",
        "n_words": 4,
        "word_bits": 4,
        "protected_bits": 4,
        "n_bits": 16,
        "n_empty": 0,
    }
    assert kept["measured"]["schema"] == "fkeras-measured/1"
    assert missed["rerun"].startswith("python -m pytest test_budgets.py::test_missed")


@pytest.mark.parametrize("flags", [[], ["-n2"], ["-n2", "--dist=loadgroup"]], ids=["plain", "xdist", "loadgroup"])
def test_groups_of_xdist_are_no_part_of_a_name(project, write_test, flags):
    write_test("""
        @pytest.mark.xdist_group("model")
        @pytest.mark.parametrize("x", ["a@b", "c]"])
        @fault_budget(bits=3, max_mse=1e-9)
        def test_grouped(x):
            pass

        @pytest.mark.xdist_group("model")
        @fault_budget(bits=3, max_mse=1e3)
        def test_plain():
            pass
    """)
    project.runpytest_inprocess(*flags, "--fkeras-json=run.json")
    values = report_in(project)
    assert verdicts(values) == {"test_grouped[a@b]": "FAIL", "test_grouped[c]]": "FAIL", "test_plain": "PASS"}
    assert [test["rerun"].partition(" --")[0].split("::")[1].rstrip("'") for test in values["tests"]] == [
        "test_grouped[a@b]",
        "test_grouped[c]]",
        "test_plain",
    ]


@pytest.mark.parametrize("flags", WAYS.values(), ids=list(WAYS))
def test_one_ulp_past_the_limit_fails_everywhere_alike(project, write_test, monkeypatch, flags):
    monkeypatch.setenv("COLUMNS", "160")
    worst = _worst_single_flip(project)
    write_test(f"""
        @fault_budget(bits=1, trials="all", max_failure_rate=0.0, max_mse={worst!r})
        def test_at_the_limit():
            pass

        @fault_budget(bits=1, trials="all", max_failure_rate=0.0, max_mse={math.nextafter(worst, 0)!r})
        def test_one_ulp_past_it():
            pass
    """)
    summary = project.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    files = ["--fkeras-json=run.json", "--fkeras-html=run.html", "--fkeras-junit", "--junitxml=run.xml"]
    result = project.runpytest_inprocess(*flags, *files)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    values = report_in(project)
    assert verdicts(values) == {"test_at_the_limit": "PASS", "test_one_ulp_past_it": "FAIL"}
    assert values["summary"]["exit_code"] == 1
    assert [(test["failures"], test["outcome"]) for test in values["tests"]] == [(0, "passed"), (2, "failed")]
    if not {"no:terminal", "--no-summary"} & set(flags):
        result.stdout.fnmatch_lines_random(
            [
                "test_at_the_limit * 0/32 exact, 0 % allowed  PASS",
                "test_one_ulp_past_it * 2/32 exact, 0 % allowed  FAIL",
            ]
        )
    for case in ET.parse(project.path / "run.xml").iter("testcase"):
        said = {one.get("name"): one.get("value") for one in case.iter("property")}
        past = case.get("name") == "test_one_ulp_past_it"
        assert said["fkeras_verdict"] == ("FAIL" if past else "PASS")
        assert (case.find("failure") is not None) == past
        assert said["fkeras_share_low"] == ("0.0625" if past else "0.0")
        assert said["fkeras_seed"] == "0"
        assert said["fkeras_limit"].startswith("max_mse=0.44675")
    page = (project.path / "run.html").read_text()
    assert "The run failed: 1 of 2 budgets kept, 1 missed" in page
    rows = [line for line in summary.read_text().splitlines() if line.startswith("|") and "::" in line]
    assert [("one_ulp_past" in row, "| FAIL " in row) for row in rows] == [(True, True), (False, False)]


def test_expected_failures_are_told_from_others(project, write_test):
    write_test("""
        @pytest.mark.xfail(raises=fkeras.BudgetExceeded, strict=True, reason="nothing is protected")
        @fault_budget(bits=3, max_mse=1e-9)
        def test_expected():
            pass

        @fault_budget(bits=3, trials=10)
        def test_asserts(fkeras_campaign):
            assert fkeras_campaign.failure_rate(1e3).high < 0.01

        @pytest.mark.skip("not today")
        @fault_budget(bits=3, max_mse=1e3)
        def test_skipped():
            pass
    """)
    result = project.runpytest_inprocess("--fkeras-json=run.json")
    result.assert_outcomes(xfailed=1, failed=1, skipped=1)
    found = {
        test["nodeid"].rpartition("::")[2]: (test["verdict"], test["outcome"]) for test in report_in(project)["tests"]
    }
    assert found == {
        "test_expected": ("FAIL", "xfailed"),
        "test_asserts": ("ASSERTED", "failed"),
        "test_skipped": ("NOT_RUN", "skipped"),
    }


KILLS = """
    import os

    def die(y, outputs):
        if len(outputs) and (outputs != y).any():
            os._exit(9)
        return abs(outputs - y).sum(axis=1)

    @pytest.fixture(scope="module")
    def fkeras_metrics():
        return {"deadly": fkeras.metrics.sample_metric(die, "deadly", "lower"), "mse": "mean_squared_error"}

    @fault_budget(bits=3, max_deadly=1)
    def test_kills():
        pass

    @fault_budget(bits=3, max_mse=1e3)
    def test_kept():
        pass
"""


@pytest.mark.parametrize("restarts", [0, 4])
def test_a_killed_worker_yields_a_report_and_a_failure(project, write_test, restarts):
    write_test(KILLS)
    files = ["--fkeras-json=run.json", "--fkeras-html=run.html"]
    result = project.runpytest_inprocess("-n1", f"--max-worker-restart={restarts}", *files)
    values = report_in(project)
    assert values["summary"]["exit_code"] == int(result.ret) != 0
    found = {test["nodeid"].rpartition("::")[2]: test for test in values["tests"]}
    assert found["test_kills"]["verdict"] == "NOT_RUN"
    assert found["test_kills"]["outcome"] == "failed"
    assert "crashed while running" in found["test_kills"]["text"]
    assert found["test_kept"]["verdict"] == ("PASS" if restarts else "NOT_RUN")
    if not restarts:
        assert found["test_kept"]["text"] == "the session ended before this test did"
    assert "crashed while running" in (project.path / "run.html").read_text()


def test_a_killed_session_leaves_no_report_of_an_earlier_one(project, write_test):
    write_test(TWO)
    project.runpytest_inprocess("--fkeras-json=run.json", "-k", "kept")
    assert report_in(project)["summary"]["exit_code"] == 0
    write_test(KILLS)
    result = project.runpytest_subprocess("--fkeras-json=run.json")
    assert result.ret == 9
    values = report_in(project)
    assert values["summary"]["exit_code"] == pytest.ExitCode.INTERRUPTED
    assert verdicts(values) == {"test_kills": "NOT_RUN", "test_kept": "NOT_RUN"}
    assert {test["text"] for test in values["tests"]} == {"the session was killed, or is running still"}


def test_a_file_of_the_users_is_not_replaced(project, write_test):
    write_test(TWO + "\n    def test_unmarked(): pass")
    ran = "::test_unmarked"
    for flag in ("--fkeras-json", "--fkeras-html"):
        done = project.runpytest_inprocess(flag, "test_budgets.py", no_reraise_ctrlc=True)
        assert done.ret == pytest.ExitCode.USAGE_ERROR
        done.stderr.fnmatch_lines(
            [f"*{flag}: *test_budgets.py is no * that fkeras wrote*, or replace it by --fkeras-force"]
        )
    assert "def test_missed" in (project.path / "test_budgets.py").read_text()
    files = ["--fkeras-json=run.json", "--fkeras-html=run.html"]
    for content in ("", "own", "a night's work"):
        if content != "own":
            for name in ("run.json", "run.html"):
                (project.path / name).write_text(content)
        force = ["--fkeras-force"] if content.startswith("a night") else []
        assert project.runpytest_inprocess(f"test_budgets.py{ran}", *files, *force).ret == 0
        assert report_in(project)["tests"] == []


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (["--fkeras-json=a", "--fkeras-html=./a"], "--fkeras-html and --fkeras-json both write *a; name two files"),
        (["--fkeras-json=link", "--fkeras-html=a"], "--fkeras-html and --fkeras-json both write *"),
        (["--fkeras-json=a", "--junitxml=a"], "--junitxml and --fkeras-json both write *"),
        (["--fkeras-trend=a", "--fkeras-badge=a"], "--fkeras-badge and --fkeras-trend both write *"),
        (["--fkeras-openmetrics=a", "--fkeras-html=link"], "--fkeras-openmetrics and --fkeras-html both write *"),
        (["--fkeras-html=summary"], "GITHUB_STEP_SUMMARY and --fkeras-html both write *"),
        (["--fkeras-html=a", "--log-file=a"], "--log-file and --fkeras-html both write *"),
        (["--fkeras-json=base/run.json", "--fkeras-baseline=base"], "*base/run.json lies in the baseline folder*"),
        (["--fkeras-json=base/anchor/a.json", "--fkeras-baseline=base"], "*lies in the baseline folder*elsewhere"),
    ],
)
def test_two_outputs_are_two_files(project, write_test, monkeypatch, outputs, message):
    write_test("import sys\nsys.exit('tests were collected')")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary"))
    (project.path / "link").symlink_to("a")
    done = project.runpytest_inprocess(*outputs)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"*ERROR: {message}"])


@pytest.mark.parametrize(
    ("end", "exit_code"),
    [("raise KeyboardInterrupt", 2), ("pytest.exit('enough', 7)", 7), ("assert False", 1)],
)
@pytest.mark.parametrize("flags", [[], ["-p", "no:terminal"]], ids=["terminal", "no terminal"])
def test_what_never_ran_is_not_run(project, write_test, end, exit_code, flags):
    write_test(f"""
        @fault_budget(bits=3, max_mse=1e3)
        def test_first():
            pass

        def test_ends():
            {end}

        @fault_budget(bits=3, max_mse=1e3)
        def test_later():
            pass
    """)
    result = project.runpytest_inprocess("-x", "--fkeras-json=run.json", *flags, no_reraise_ctrlc=True)
    assert result.ret == exit_code
    values = report_in(project)
    assert values["summary"]["exit_code"] == exit_code
    assert verdicts(values) == {"test_first": "PASS", "test_later": "NOT_RUN"}
    assert values["tests"][1]["outcome"] == ""


def test_an_exit_code_that_another_plugin_changes_is_the_one_reported(project, write_test):
    write_test(TWO)
    conftest = (project.path / "conftest.py").read_text()
    project.makeconftest(
        conftest + "\n\n@pytest.hookimpl(wrapper=True, tryfirst=True)\ndef pytest_sessionfinish(session):\n"
        "    yield\n    session.exitstatus = 77\n"
    )
    assert project.runpytest_inprocess("--fkeras-json=run.json", "-k", "kept").ret == 77
    assert report_in(project)["summary"]["exit_code"] == 77


def test_a_module_that_cannot_be_imported_is_no_pass(project, write_test):
    write_test(TWO)
    project.makepyfile(test_broken="import nothing_of_that_name")
    result = project.runpytest_inprocess("--fkeras-json=run.json", no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    values = report_in(project)
    assert values["summary"]["exit_code"] == 2
    assert verdicts(values) == {"test_kept": "NOT_RUN", "test_missed": "NOT_RUN"}


def test_a_run_that_another_follows_has_one_verdict(project, write_test):
    write_test(TWO)
    project.runpytest_inprocess("--reruns=1", "--fkeras-json=run.json", "--fkeras-junit", "--junitxml=run.xml")
    assert verdicts(report_in(project)) == {"test_kept": "PASS", "test_missed": "FAIL"}
    for case in ET.parse(project.path / "run.xml").iter("testcase"):
        assert [one.get("name") for one in case.iter("property")].count("fkeras_verdict") == 1


@pytest.mark.parametrize("ini", [False, True])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("folder", "folder is a directory; name a file in it"),
        ("file.txt/run.json", "cannot be written"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_at_the_start(project, write_test, path, message, ini):
    write_test("import sys\nsys.exit('tests were collected')")
    (project.path / "folder").mkdir()
    (project.path / "file.txt").write_text("")
    if ini:
        project.makeini(f"[pytest]\nfkeras_json = {path}\n")
    result = project.runpytest_inprocess(*([] if ini else [f"--fkeras-json={path}"]))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    where = "the ini option fkeras_json" if ini else "--fkeras-json"
    result.stderr.fnmatch_lines([f"*ERROR: {where}: *{message}*"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_somebody_else_is_refused_at_the_start(project, write_test):
    write_test(TWO)
    closed = project.mkdir("closed")
    closed.chmod(0o500)
    assert project.runpytest_inprocess("--fkeras-json=closed/run.json").ret == pytest.ExitCode.USAGE_ERROR


def test_a_report_that_cannot_be_written_at_the_end_fails_the_run(project, write_test):
    write_test("""
        import shutil

        @fault_budget(bits=3, max_mse=1e3)
        def test_kept():
            shutil.rmtree("out")
            open("out", "w").close()
    """)
    result = project.runpytest_inprocess("--fkeras-json=out/run.json")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stderr.fnmatch_lines(["fkeras: the report could not be written: *"])


def test_ini_paths_start_at_the_ini_file(project, write_test, monkeypatch):
    write_test(TWO)
    project.makeini("[pytest]\nfkeras_json = out/run.json\nfkeras_html = out/run.html\nfkeras_junit = true\n")
    below = project.mkdir("below")
    monkeypatch.chdir(below)
    project.runpytest_inprocess("..", "--junitxml=run.xml")
    assert report_in(project, "out/run.json")["summary"]["exit_code"] == 1
    assert (project.path / "out/run.html").exists()
    assert 'name="fkeras_verdict"' in (below / "run.xml").read_text()


def test_options_beat_the_ini_file_and_start_where_pytest_does(project, write_test, monkeypatch):
    write_test(TWO)
    project.makeini("[pytest]\nfkeras_json = out/run.json\n")
    below = project.mkdir("below")
    monkeypatch.chdir(below)
    project.runpytest_inprocess("..", "--fkeras-json=mine.json")
    assert (below / "mine.json").exists()
    assert not (project.path / "out").exists()


@pytest.mark.parametrize("flag", ["--collect-only", "--fixtures", "--version", "--help", "--markers"])
def test_what_runs_no_test_touches_no_report(project, write_test, flag):
    write_test(TWO)
    (project.path / "run.json").write_text("kept")
    project.runpytest_inprocess(flag, "--fkeras-json=run.json")
    assert (project.path / "run.json").read_text() == "kept"


def test_no_budget_gives_an_empty_report(project, write_test):
    write_test("def test_plain(): pass")
    project.runpytest_inprocess("--fkeras-json=run.json")
    assert report_in(project)["tests"] == []


def test_nothing_is_written_unless_asked_for(project, write_test):
    write_test(TWO)
    before = set(project.path.iterdir())
    project.runpytest_inprocess("-p", "no:cacheprovider", "--fkeras-cache=off")
    assert {path.name for path in set(project.path.iterdir()) - before} <= {"__pycache__"}


def test_the_step_summary_is_added_to(project, write_test, monkeypatch):
    write_test(
        TWO
        + """
    @pytest.mark.parametrize("x", ["a|b`<b>"])
    @fault_budget(bits=3, max_unknown=1)
    def test_not_run(x):
        pass
    """
    )
    summary = project.path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    project.runpytest_inprocess("-n2")
    lines = summary.read_text().splitlines()
    assert lines[:2] == ["before", "## Fault budgets"]
    assert lines[3] == "1 FAIL, 1 NOT_RUN, 1 PASS of 3 budgets; pytest's exit code 1, seed 0."
    rows = [line for line in lines if line.startswith("|") and "::" in line]
    assert [next(v for v in ("FAIL", "NOT_RUN", "PASS") if f"| {v} " in row) for row in rows] == [
        "FAIL",
        "NOT_RUN",
        "PASS",
    ]
    assert "`test_budgets.py::test_not_run[a\\|b'<b>]`" in rows[1]


@pytest.mark.parametrize("flags", [[], ["-n2"]], ids=["plain", "xdist"])
def test_failed_tests_are_marked_where_they_stand(project, write_test, monkeypatch, flags):
    write_test(TWO)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path.parent))
    marked = [line for line in project.runpytest_inprocess(*flags).outlines if line.startswith("::")]
    (line,) = marked
    source = (project.path / "test_budgets.py").read_text().splitlines()
    place = re.match(r"::error file=([^,]*),line=(\d+),title=FAIL test_missed::(over the limit: .*)", line)
    assert place is not None, line
    assert place[1] == f"{project.path.name}/test_budgets.py"
    assert "max_mse=1e-9" in source[int(place[2]) - 1] or "def test_missed" in source[int(place[2]) - 1]
    assert "%0Aagain: python -m pytest test_budgets.py::test_missed" in place[3]
    project.makeini("[pytest]\nfkeras_annotations = false\n")
    assert not any(line.startswith("::") for line in project.runpytest_inprocess(*flags).outlines)
    monkeypatch.delenv("GITHUB_ACTIONS")
    project.makeini("")
    assert not any(line.startswith("::") for line in project.runpytest_inprocess(*flags).outlines)


@pytest.mark.parametrize("flags", [[], ["-n2"]], ids=["plain", "xdist"])
def test_services_get_their_files(project, write_test, flags):
    write_test(TWO)
    names = {"trend": "trend.json", "badge": "badge.json", "openmetrics": "metrics.txt"}
    files = [f"--fkeras-{option}={name}" for option, name in names.items()]
    result = project.runpytest_inprocess(*flags, *files)
    result.stdout.fnmatch_lines([f"report: *{name}" for name in names.values()])
    points = json.loads((project.path / "trend.json").read_text())
    assert [point["name"].rpartition("::")[2] for point in points] == [
        "test_kept: trials over the limit",
        "test_kept: mse under faults",
        "test_missed: trials over the limit",
        "test_missed: mse under faults",
    ]
    badge = json.loads((project.path / "badge.json").read_text())
    assert badge["message"] == "failed: 1 of 2 budgets kept, 1 missed"
    metrics = (project.path / "metrics.txt").read_text()
    assert 'fkeras_over_limit_ratio{test="test_budgets.py::test_kept"} 0.0\n' in metrics
    assert metrics.endswith("# EOF\n")
    (project.path / "badge.json").write_text("mine")
    refused = project.runpytest_inprocess(*flags, *files, no_reraise_ctrlc=True)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*--fkeras-badge: *badge.json is no badge that fkeras wrote*--fkeras-force*"])


@pytest.mark.parametrize("how", ["opted out", "no budget", "not on GitHub"])
def test_the_step_summary_is_left_alone(project, write_test, monkeypatch, how):
    write_test("def test_plain(): pass" if how == "no budget" else TWO)
    summary = project.path / "summary.md"
    if how == "not on GitHub":
        monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    else:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    if how == "opted out":
        project.makeini("[pytest]\nfkeras_step_summary = false\n")
    project.runpytest_inprocess()
    assert not summary.exists()


@pytest.mark.parametrize("flags", [[], ["-n2"]], ids=["plain", "xdist"])
def test_junit_has_properties_on_request(project, write_test, flags):
    write_test(TWO)
    project.runpytest_inprocess(*flags, "--fkeras-junit", "--junitxml=run.xml")
    cases = {case.get("name"): case for case in ET.parse(project.path / "run.xml").iter("testcase")}
    said = {one.get("name"): one.get("value") for one in cases["test_kept"].iter("property")}
    assert said["fkeras_verdict"] == "PASS"
    assert said["fkeras_failures"] == "0"
    assert said["fkeras_trials"] == "69"
    assert said["fkeras_limit"] == "max_mse=1000"
    assert said["fkeras_max_failure_rate"] == "0.05"
    assert float(str(said["fkeras_share_high"])) == pytest.approx(0.0494, abs=1e-3)


def test_a_map_comes_from_single_flips_or_from_a_ranking(project, write_test):
    write_test("""
        @fault_budget(bits=1, trials="all", max_mse=1e3)
        def test_measured():
            pass

        @fault_budget(bits=3, protected=ranking("lsb")[:8], max_mse=1e3)
        def test_none():
            pass
    """)
    conftest = (project.path / "conftest.py").read_text()
    project.makeconftest(conftest.replace("make_ranking(method,", "make_ranking('msb',"))
    project.runpytest_inprocess("--fkeras-json=run.json", "--fkeras-html=run.html")
    values = report_in(project)
    assert [test["bit_map"] for test in values["tests"]] == [0, 1]
    one, protected = values["bit_maps"]
    assert one["quantity"] == "|change of mse|"
    assert [tensor["path"] for tensor in one["tensors"]] == ["first/kernel", "second/kernel"]
    assert one["tensors"][0]["mean"] == sorted(one["tensors"][0]["mean"], reverse=True)
    # A ranking by position knows nothing of the network, and a mask less: what they protect is shown.
    assert protected["quantity"] == "share of bits protected"
    assert protected["source"].startswith("the 8 bits protected by ranking('lsb')[:8]; how sensitive")
    shares = [share for tensor in protected["tensors"] for share in tensor["mean"]]
    assert sum(shares) * 4 == pytest.approx(8)
    assert "|change of mse|" in (project.path / "run.html").read_text()


def test_the_report_says_what_was_tested(project, write_test, monkeypatch):
    write_test(TWO)
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_REPOSITORY", "beam/line")
    monkeypatch.setenv("GITHUB_SHA", "0123abcd")
    monkeypatch.setenv("GITHUB_HEAD_REF", "feature/x")
    project.runpytest_inprocess("--fkeras-json=run.json", "--fkeras-html=run.html")
    assert report_in(project)["context"] == {"project": "beam/line", "commit": "0123abcd", "branch": "feature/x"}
    page = (project.path / "run.html").read_text().replace("<wbr>", "")
    assert all(fact in page for fact in ("Fault budgets of beam/line", "<dd>0123abcd</dd>", "<dd>feature/x</dd>"))


def test_a_map_comes_from_an_oracle_before_a_ranking(project, write_test):
    write_test("""
        def test_asks(resilience):
            resilience.oracle("mse")

        @fault_budget(bits=3, max_mse=1e3)
        def test_budget():
            pass
    """)
    project.runpytest_inprocess("--fkeras-json=run.json")
    (one,) = report_in(project)["bit_maps"]
    assert one["source"] == "every single flip measured on 64 samples"
    assert one["quantity"] == "|change of mse|"


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize(
    ("flag", "variables", "coloured"),
    [
        ("--color=yes", {}, True),
        ("--color=no", {}, False),
        ("--color=auto", {"NO_COLOR": "1"}, False),
        ("--color=auto", {"FORCE_COLOR": "1"}, True),
        ("--color=auto", {}, False),
    ],
)
def test_colours(project, write_test, monkeypatch, columns, flag, variables, coloured):
    for name in ("NO_COLOR", "FORCE_COLOR", "PY_COLORS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", str(columns))
    write_test(TWO)
    text = project.runpytest_inprocess(flag).stdout.str()
    section = text[text.index("fkeras resilience") :]
    assert ("\x1b[32mPASS\x1b[0m" in section) == coloured
    assert ("\x1b[31m\x1b[1mFAIL\x1b[0m" in section) == coloured
    assert ("\x1b[" in section) == coloured


def _worst_single_flip(project: pytest.Pytester) -> float:
    project.makepyfile(
        test_probe="""
        def test_worst(resilience):
            with open("worst.txt", "w") as file:
                file.write(repr(float(resilience.oracle("mse").values.max())))
    """
    )
    project.runpytest_inprocess("test_probe.py").assert_outcomes(passed=1)
    Path(project.path / "test_probe.py").unlink()
    return float((project.path / "worst.txt").read_text())
