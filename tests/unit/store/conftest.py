from __future__ import annotations

import numpy as np
import pytest

from fkeras.store import Identity, Store

IDENTITY = Identity("oracle", {"model": {"weights": "aa"}, "data": "bb", "seed": 1})


def rows(*bits: int) -> dict[str, np.ndarray]:
    """A table whose values follow from its keys."""
    keys = np.array(bits, np.int64)
    return {"bit": keys, "value": keys / 7, "harmed": keys % 3}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def entry(store):
    return store.entry(IDENTITY)
