"""A small memory."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.memory import BitSpace, FixedPoint, MixedFixedPoint, Ternary, WordTensor


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


@pytest.fixture(scope="session")
def mixed() -> BitSpace:
    """Words that each have a format of their own, two of them without bits, and a tensor without any: 28 bits."""
    widths, integers = [4, 0, 3, 4, 1, 4, 3, 0, 4, 5], [0, 0, 0, 0, 1, 0, 0, 0, 0, 2]
    codec = MixedFixedPoint(widths, integers, [True, False, False, True, False, True, False, False, True, True])
    empty = MixedFixedPoint([0, 0], [0, 0], [False, False])
    return BitSpace(
        (tensor("dense/kernel", codec, [3, 0, 2, 3, 1, 14, 1, 0, 3, 9]), tensor("none/kernel", empty, [0, 0]))
    )
