"""JAX on a GPU, or else on the processor; without JAX these tests are skipped."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def jax():
    """JAX, with a device."""
    module = pytest.importorskip("jax", reason="needs JAX (the extra gpu); `nox --session gpu` installs it")
    if module.default_backend() != "gpu":
        module.config.update("jax_platforms", "cpu")
    return module
