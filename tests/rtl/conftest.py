"""A small memory."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.memory import BitSpace, FixedPoint, Ternary, WordTensor


def tensor(path, codec, words):
    stored = np.array(words, np.uint32)
    return WordTensor(
        path, stored.shape, codec, stored, np.ones(stored.size, np.float32), codec.decode(stored).astype(np.float32)
    )


@pytest.fixture(scope="session")
def memory() -> BitSpace:
    """Twelve 5-bit words of which few are in use, and three ternary ones: 66 bits. The second name is hostile."""
    words = np.random.default_rng(0).integers(0, 9, 12)
    return BitSpace((tensor("dense/kernel", FixedPoint(5, 0), words), tensor('wire/"\n;end$', Ternary(), [0, 1, 3])))
