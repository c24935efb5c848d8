"""--fkeras-executor; what it measures on a real model is in test_real_model.py."""

from __future__ import annotations

import pytest

TEST = """
@fault_budget(bits=2, trials=60, max_mse=50)
def test_budget():
    pass
"""


@pytest.mark.parametrize("text", ["processes:0", "threads:2", "dask:"])
def test_what_names_no_executor_is_refused_before_any_test(project, write_test, text):
    write_test(TEST)
    for arguments in ([f"--fkeras-executor={text}"], ["-o", f"fkeras_executor={text}"]):
        result = project.runpytest(*arguments)
        assert result.ret == 4
        result.stderr.fnmatch_lines(
            ["*--fkeras-executor: executor '*': allowed are processes:N with N from 1 to 4096*"]
        )


def test_engines_of_a_project_stay_here(project, write_test):
    write_test(TEST)
    result = project.runpytest("--fkeras-executor=processes:1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*--fkeras-executor sends Keras models to workers, and this project starts engines*"])
