"""One name is one thing: no function or class of a package hides the package's module of that name."""

from __future__ import annotations

import importlib
import pkgutil
import types

import pytest

import fkeras
import pytest_fkeras

PACKAGES = [
    info.name
    for package in (fkeras, pytest_fkeras)
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if info.ispkg
]


@pytest.mark.parametrize("name", ["fkeras", "pytest_fkeras", *PACKAGES])
def test_no_module_is_hidden_by_a_name_of_its_package(name):
    package = importlib.import_module(name)
    modules = {info.name for info in pkgutil.iter_modules(package.__path__)}
    named = modules & (set(vars(package)) | set(getattr(package, "__all__", ())))
    assert {module for module in named if not is_module(package, module)} == set()


def is_module(package, name):
    try:
        return isinstance(getattr(package, name), types.ModuleType)
    except fkeras.MissingExtraError:  # its own imports failed, where no framework is installed
        return True
