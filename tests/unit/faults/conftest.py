"""A memory of 6-bit words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fkeras.memory import BitSpace, FixedPoint, WordTensor


@pytest.fixture
def memory() -> Callable[..., BitSpace]:
    """A space of so many words of so many bits, all 0."""

    def make(n_words: int, width: int = 6) -> BitSpace:
        zeros = np.zeros(n_words, np.uint32)
        values = np.zeros(n_words, np.float32)
        return BitSpace((WordTensor("k", (n_words,), FixedPoint(width, 1), zeros, values + 1, values),))

    return make
