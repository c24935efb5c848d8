"""Where the paths in the ini file start."""

from __future__ import annotations

from pathlib import Path

import pytest


def ini_folder(config: pytest.Config) -> Path:
    """The folder of the ini file, or the rootdir without one."""
    return config.inipath.parent if config.inipath else config.rootpath
