"""The command line that shows a failure again, in a fresh process."""

from __future__ import annotations

import os
import shlex

import pytest

from pytest_fkeras.options import OPTIONS


def rerun_command(item: pytest.Item) -> str:
    """What to type where pytest was started: this test, with every option that the campaign depends on."""
    config, given = item.config, item.config.option
    start = config.invocation_params.dir
    path = os.path.relpath(item.path, start)
    words = ["python", "-m", "pytest", path + without_group(item.nodeid)[len(item.nodeid.partition("::")[0]) :]]
    if given.inifilename:
        words += ["-c", os.path.relpath(start / given.inifilename, start)]
    if given.rootdir:
        words.append(f"--rootdir={given.rootdir}")
    for setting in given.override_ini or ():
        words += ["-o", setting]
    for plugin in given.plugins or ():
        if not plugin.startswith("no:"):
            words += ["-p", plugin]
    for option in OPTIONS.values():
        value = getattr(given, option.key, None)
        if value is not None and option.is_repeated:
            words.append(f"{option.flag}={value}")
    return shlex.join(words)


def without_group(nodeid: str) -> str:
    """pytest's name of a test, without the group that pytest-xdist appends to it under --dist=loadgroup.

    >>> without_group("test_a.py::test_one[a@b]@model"), without_group("a@b/test_a.py::test_one@model")
    ('test_a.py::test_one[a@b]', 'a@b/test_a.py::test_one')
    """
    path, separator, name = nodeid.partition("::")
    end = name.rfind("]") + 1 if "[" in name else name.find("@")
    return f"{path}{separator}{name[:end] if end > 0 else name}"
