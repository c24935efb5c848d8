"""Memories and rankings without a model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fkeras.memory import BitSpace, FixedPoint, WordTensor


def tensor(path: str, shape: tuple[int, ...], width: int) -> WordTensor:
    values = np.zeros(int(np.prod(shape)), np.float32)
    return WordTensor(path, shape, FixedPoint(width, 1), np.zeros(values.size, np.uint32), values + 1, values)


@pytest.fixture
def space_of() -> Callable[..., BitSpace]:
    """A space of tensors given as (path, shape, bits per word)."""
    return lambda *tensors: BitSpace(tuple(tensor(*one) for one in tensors))


@pytest.fixture
def space(space_of) -> BitSpace:
    """8 words of 4 bits in 2 layers, one of them with a kernel and a bias: 30 bits in all."""
    return space_of(("conv/kernel", (1, 2, 2), 4), ("conv/bias", (2,), 3), ("dense/kernel", (2,), 4))
