"""What is broken in a project ends one test, in a sentence or with the user's own traceback; the session goes on."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

FINE = """
    @fault_budget(bits=3, max_mse=1e3)
    def test_fine():
        pass
"""


def test_a_hook_that_raises_fails_its_tests_with_its_own_traceback(project, write_test):
    write_test(FINE)
    conftest = (project.path / "conftest.py").read_text()
    for hook in ("bit_space(model, layers, biases)", "rank(model)", "start_run(model)", "model_identity(model)"):
        name = hook.partition("(")[0]
        source = conftest.replace(f"def pytest_fkeras_{name}(", f"def unused_{name}(")
        project.makeconftest(f"{source}\n\ndef pytest_fkeras_{hook}:\n    return {{}}['a key of mine']\n")
        write_test(FINE.replace("bits=3", "bits=3, protected=ranking('msb')[:8]") + "\n    def test_other(): pass")
        result = project.runpytest_inprocess("--fkeras-json=run.json")
        result.assert_outcomes(errors=1, passed=1)
        result.stdout.fnmatch_lines(["*conftest.py:*: KeyError"])
        (test,) = json.loads((project.path / "run.json").read_text())["tests"]
        assert test["verdict"] == "NOT_RUN"
        assert "a key of mine" in test["text"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return {}['a key of mine']", "raised KeyError: 'a key of mine'"),
        ("assert False, 'no line\\x1b[2J'", r"raised AssertionError: no line\x1b[2J*"),
        ("pytest.fail('not today')", "raised Failed: not today"),
        ("return 3", "gave 3; it returns a list of lines, as in ['3']"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("-p", "no:terminal")], ids=["terminal", "no terminal"])
def test_a_hook_for_lines_that_fails_costs_neither_session_nor_report(project, write_test, body, said, flags):
    write_test(FINE)
    conftest = (project.path / "conftest.py").read_text()
    project.makeconftest(f"{conftest}\n\ndef pytest_fkeras_report_lines(record):\n    {body}\n")
    result = project.runpytest_inprocess("--fkeras-json=run.json", *flags)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    values = json.loads((project.path / "run.json").read_text())
    assert values["summary"]["exit_code"] == pytest.ExitCode.USAGE_ERROR
    assert [(test["verdict"], len(test["lines"])) for test in values["tests"]] == [("PASS", 1)]
    result.stderr.fnmatch_lines([f"fkeras: pytest_fkeras_report_lines {said}".replace("[", "[[]")])
    assert "INTERNALERROR" not in result.stdout.str()


@pytest.mark.parametrize(
    ("returned", "what"),
    [
        ("fkeras.FaultSet([1, 2])", "a FaultSet"),
        ("None", "a NoneType"),
        ("[1, 2]", "a list"),
        ("Draw([1, 2], 2)", "Draw([1, 2], 2)"),
        ("Draw(fkeras.FaultSet([1]), None)", "Draw(*, None)"),
    ],
)
def test_what_a_fault_model_may_return_is_said(project, write_test, returned, what):
    write_test(f"""
    from fkeras.faults import Draw

    class Mine:
        def draw(self, n_bits, stream):
            return {returned}

        def describe(self, n_bits):
            return "mine"

        def __repr__(self):
            return "Mine()"

    @fault_budget(faults=Mine(), max_mse=1e3)
    def test_mine():
        pass
    """)
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    what = what.replace("[", "[[]")
    result.stdout.fnmatch_lines(
        [f"*fault_budget of test_mine: faults=Mine(): its draw(n_bits, stream) returned {what}; it returns *"]
    )
    assert "Traceback" not in result.stdout.str()


def test_the_remedy_of_a_fault_model_works(project, write_test):
    write_test("""
    class Mine:
        def draw(self, n_bits, stream):
            bits = [1, 2]
            return fkeras.faults.Draw(fkeras.FaultSet(bits), len(bits))

        def describe(self, n_bits):
            return {"no": "text"}

        def __repr__(self):
            return "Mine()"

    @fault_budget(faults=Mine(), max_mse=1e3)
    def test_mine():
        pass
    """)
    project.runpytest_inprocess("--fkeras-json=run.json").assert_outcomes(passed=1)


@pytest.mark.parametrize("flags", [(), ("-n2",)], ids=["plain", "xdist"])
def test_a_budget_marks_parameters_modules_and_classes(project, write_test, flags):
    write_test("""
    @pytest.mark.parametrize("x", [
        pytest.param(1, marks=fault_budget(bits=3, max_mse=1e3)),
        pytest.param(2, marks=[fault_budget(bits=3, max_mse=1e-9), pytest.mark.filterwarnings("ignore")]),
        3,
    ])
    def test_each(x):
        pass

    @fault_budget(bits=3, max_mse=1e-9)
    class TestAll:
        def test_one(self):
            pass
    """)
    write_test("pytestmark = fault_budget(bits=3, max_mse=1e-9)\ndef test_module(): pass", "test_more")
    result = project.runpytest_inprocess("--fkeras-json=run.json", *flags)
    result.assert_outcomes(passed=2, failed=3)
    tests = json.loads((project.path / "run.json").read_text())["tests"]
    assert {test["nodeid"].rpartition("::")[2]: test["verdict"] for test in tests} == {
        "test_each[1]": "PASS",
        "test_each[2]": "FAIL",
        "test_one": "FAIL",
        "test_module": "FAIL",
    }


def test_a_metric_is_called_by_a_python_name(project, write_test):
    write_test("""
    @pytest.fixture(scope="module")
    def fkeras_metrics():
        return {1: "accuracy", "mse": "mean_squared_error"}
    """ + FINE)  # fmt: skip
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the fkeras_metrics fixture names a metric 1; limits are keywords*"])


def text(path):
    path.write_text("1, 2, 3")


def pickled(path):
    with path.open("wb") as file:
        np.savez(file, x=np.array([{"a": 1}], object), y=np.zeros(1))


def lying(path):
    with path.open("wb") as file:
        np.savez(file, x=np.zeros((4, 4)), y=np.zeros(4))
    content = bytearray(path.read_bytes())
    place = content.index(b"(4, 4)")
    content[place : place + 6] = b"(9, 9)"
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (text, "*data.npz: is no .npz file; write it with numpy.savez*"),
        (pickled, "*data.npz: array 'x' holds Python objects, which are never unpickled*"),
        (lambda path: path.mkdir(), "*data.npz: is no .npz file*"),
        (os.mkfifo, "*data.npz: is no .npz file*"),
        (lying, "*data.npz: array 'x' is damaged*"),
    ],
    ids=["text", "pickle", "directory", "pipe", "lies"],
)
def test_data_files_that_cannot_be_read(project, write_test, make, message):
    project.makeini("[pytest]\nfkeras_data = data.npz\n")
    make(project.path / "data.npz")
    project.makepyfile("def test_asks(fkeras_data): pass\ndef test_other(): pass")
    conftest = (project.path / "conftest.py").read_text()
    project.makeconftest(conftest.replace("def fkeras_data()", "def other_data()"))
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines([f"*the ini option fkeras_data: {message}".replace("[", "[[]")])
    assert "Traceback" not in result.stdout.str()


def test_data_of_any_type_but_objects_are_handed_out(project):
    project.makeini("[pytest]\nfkeras_data = data.npz\n")
    np.savez(project.path / "data.npz", x=np.array([1 + 2j, 3]), y=np.array(["cat", "dog"]))
    project.makepyfile("def test_asks(fkeras_data): assert [a.dtype.kind for a in fkeras_data] == ['c', 'U']")
    conftest = (project.path / "conftest.py").read_text()
    project.makeconftest(conftest.replace("def fkeras_data()", "def other_data()"))
    project.runpytest_inprocess().assert_outcomes(passed=1)


def loop(path):
    path.symlink_to(path.name)


STRANGE = {
    "a directory": lambda path: path.mkdir(),
    "a loop of links": loop,
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a pipe": os.mkfifo,
    "bytes": lambda path: path.write_bytes(b"\xff\xfe" * 200),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_baseline_that_cannot_be_opened_is_not_run(project, write_test, name):
    write_test(FINE)
    update = ("--fkeras-baseline=base", "--fkeras-baseline-update")
    project.runpytest_inprocess(*update).assert_outcomes(passed=1)
    (path,) = (project.path / "base").glob("*.json")
    path.unlink()
    STRANGE[name](path)
    compare = ("--fkeras-baseline=base", "--fkeras-compare-fail=mse:1")
    result = project.runpytest_inprocess(*compare, "--fkeras-json=run.json")
    result.assert_outcomes(failed=1)
    (test,) = json.loads((project.path / "run.json").read_text())["tests"]
    assert test["verdict"] == "NOT_RUN"
    assert f"{path.name} " in test["comparison"]["reason"]
    again = project.runpytest_inprocess(*update)
    if name != "a link to nothing":  # nobody's work: it is made
        assert again.ret == pytest.ExitCode.TESTS_FAILED
        again.stderr.fnmatch_lines([f"fkeras baseline: *{path.name}*"])
    for one in (result, again):
        assert "INTERNALERROR" not in one.stdout.str() + one.stderr.str()


def test_strange_neighbours_of_a_baseline_cost_nothing(project, write_test):
    write_test(FINE)
    project.runpytest_inprocess("--fkeras-baseline=base", "--fkeras-baseline-update").assert_outcomes(passed=1)
    for number, make in enumerate(STRANGE.values()):
        make(project.path / "base" / f"{number}.json")
    result = project.runpytest_inprocess("--fkeras-baseline=base", "--fkeras-compare-fail=mse:1")
    result.assert_outcomes(passed=1)
    assert result.ret == 0


@pytest.mark.parametrize("make", [os.mkfifo, loop, lambda path: path.symlink_to("nothing")])
def test_a_baseline_folder_that_is_none_is_refused(project, write_test, make):
    write_test("import sys\nsys.exit('tests were collected')")
    make(project.path / "base")
    result = project.runpytest_inprocess("--fkeras-baseline=base")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*base is no folder and no report*name a folder"])
