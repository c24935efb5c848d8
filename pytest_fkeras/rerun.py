"""The command line that shows a failure again, in a fresh process."""

from __future__ import annotations

import os
import shlex

import pytest

OPTIONS = ("seed", "trials", "max_trials", "engine")


def rerun_command(item: pytest.Item) -> str:
    """What to type where pytest was started: this test, with every option that the campaign depends on."""
    config, given = item.config, item.config.option
    start = config.invocation_params.dir
    path = os.path.relpath(item.path, start)
    words = ["python", "-m", "pytest", path + item.nodeid[len(item.nodeid.partition("::")[0]) :]]
    if given.inifilename:
        words += ["-c", os.path.relpath(start / given.inifilename, start)]
    if given.rootdir:
        words.append(f"--rootdir={given.rootdir}")
    for setting in given.override_ini or ():
        words += ["-o", setting]
    for plugin in given.plugins or ():
        if not plugin.startswith("no:"):
            words += ["-p", plugin]
    for name in OPTIONS:
        value = getattr(given, f"fkeras_{name}", None)
        if value is not None:
            words.append(f"--fkeras-{name.replace('_', '-')}={value}")
    return shlex.join(words)
