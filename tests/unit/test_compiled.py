"""What is compiled is compiled again when something that it calls has changed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from fkeras import compiled

CALLED = "from fkeras.compiled import compiled\n\n\n@compiled\ndef step(x):\n    return x + {}\n"
CALLS = """from called_kernels import step

from fkeras.compiled import compiled


@compiled
def twice(x):
    return step(step(x))
"""


@pytest.fixture
def twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """What a fresh process computes where `step` adds a number."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "calling_kernels.py").write_text(CALLS)

    def of(number: float) -> tuple[float, int]:
        (tmp_path / "called_kernels.py").write_text(CALLED.format(number))
        for name in ("calling_kernels", "called_kernels"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        compiled._digest_of.cache_clear()
        function = importlib.import_module("calling_kernels").twice
        return function(0.5), sum(function.stats.cache_hits.values())

    yield of
    for name in ("calling_kernels", "called_kernels"):
        sys.modules.pop(name, None)


def test_what_is_kept_is_what_its_sources_say(twice) -> None:  # type: ignore[no-untyped-def]
    assert twice(1.0) == (2.5, 0)
    assert twice(1.0) == (2.5, 1)  # from disk
    assert twice(10.25) == (21.0, 0)  # the file of `twice` is the same
