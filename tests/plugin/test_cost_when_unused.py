"""A session that uses nothing of the plugin imports nothing of it, and its environment is left alone."""

from __future__ import annotations

import pytest

from pytest_fkeras.options import INI_KEYS

HEAVY = (
    "tensorflow", "numpy", "hypothesis", "fkeras", "numba", "scipy", "tabulate", "pyarrow", "filelock", "jinja2",
    "jsonschema", "dask", "hls4ml", "matplotlib",
)  # fmt: skip
CHECK = f"""
import os, sys

def test_nothing_heavy():
    assert "pytest_fkeras.plugin" in sys.modules
    assert [name for name in {HEAVY!r} if name in sys.modules] == []

def test_environment():
    assert "TF_USE_LEGACY_KERAS" not in os.environ
"""
ALONE = ["-p", "no:hypothesispytest", "-p", "no:randomly"]
"""pytest-randomly imports numpy, and hypothesis' plugin hypothesis."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)


@pytest.mark.parametrize("flags", [[], ["-n1"]])
def test_unused_costs_nothing(pytester, flags):
    pytester.makepyfile(CHECK)
    pytester.runpytest_subprocess(*ALONE, *flags).assert_outcomes(passed=2)


def test_the_check_can_fail(pytester):
    pytester.makepyfile("import fkeras.errors\n" + CHECK)
    pytester.runpytest_subprocess(*ALONE).assert_outcomes(failed=2)


def test_importing_the_mark_imports_nothing_heavy(pytester):
    pytester.makepyfile("import pytest_fkeras\n" + CHECK)
    pytester.runpytest_subprocess(*ALONE).assert_outcomes(passed=2)


def test_every_ini_key_says_that_the_project_uses_fkeras(pytestconfig):
    keys = {name for name in pytestconfig._parser._inidict if name.startswith("fkeras_")}
    assert set(INI_KEYS) == keys
    assert [pytestconfig.getini(name) for name in sorted(keys)] == [None] * len(keys)


@pytest.mark.parametrize("key", ["fkeras_seed = 1", "fkeras_model = model.h5", "fkeras_inconclusive = fail"])
def test_an_ini_key_sets_legacy_keras_before_any_conftest(pytester, key):
    pytester.makeini(f"[pytest]\n{key}\n")
    pytester.makeconftest("import os\nSEEN = os.environ.get('TF_USE_LEGACY_KERAS')")
    pytester.makepyfile("def test_seen(pytestconfig):\n    import conftest\n    assert conftest.SEEN == '1'")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_without_an_ini_key_a_conftest_sees_its_own_environment(pytester):
    pytester.makeconftest("import os\nSEEN = os.environ.get('TF_USE_LEGACY_KERAS')")
    pytester.makepyfile("def test_seen(pytestconfig):\n    import conftest\n    assert conftest.SEEN is None")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_an_explicit_0_is_kept(pytester, monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    pytester.makeini("[pytest]\nfkeras_seed = 1\n")
    pytester.makepyfile("import os\ndef test_kept():\n    assert os.environ['TF_USE_LEGACY_KERAS'] == '0'")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
