"""Wrong levels lead where whole passes lead."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.arithmetic.changes import Cells
from fkeras.arithmetic.forward import Forward
from fkeras.arithmetic.layers import MaxPool, Merge, WeightedSum
from fkeras.errors import InputError


def layer(rng, *shape, low=0.0, high=60.0, **how) -> WeightedSum:
    kernel = rng.integers(-4, 5, shape)
    return WeightedSum(kernel, (-8, 7), rng.normal(0, 4, shape[3]).astype(np.float32), 0.25, low, high, **how)


def rows(rng):
    """The shape of the input, and layers."""
    around = ((1, 1), (1, 1))
    yield (6, 5, 2), (layer(rng, 3, 3, 2, 4, pads=around), MaxPool((2, 2), (2, 2)), layer(rng, 3, 2, 4, 5))
    yield (9, 9, 1), (layer(rng, 3, 3, 1, 3, strides=(2, 3)), layer(rng, 2, 2, 3, 4, pads=around, dilation=(2, 1)))
    yield (7, 6, 4), (layer(rng, 3, 3, 1, 8, pads=around), layer(rng, 2, 1, 2, 4, strides=(1, 2)))  # depthwise, groups
    yield (6, 6, 2), (layer(rng, 2, 2, 2, 3), MaxPool((3, 2), (1, 2), ((1, 1), (0, 1))), layer(rng, 5, 3, 3, 6))
    yield (5, 5, 3), (layer(rng, 3, 3, 3, 4, low=-30.0, pads=around), layer(rng, 5, 5, 4, 3, rounds=False))
    yield (1, 1, 7), (layer(rng, 1, 1, 7, 9), layer(rng, 1, 1, 9, 4))


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("signed", [False, True])
def test_flips_lead_where_passes_with_the_wrong_level_lead(number, signed) -> None:
    rng = np.random.default_rng(number)
    shape, layers = list(rows(rng))[number]
    low, high = (-64.0, 63.0) if signed else (0.0, 127.0)
    whole = Forward(shape, low, high, layers)
    levels = rng.integers(-20 if signed else 0, 20, (5, *shape)).astype(np.float32)
    arenas = whole.arenas(whole.stored(levels))
    golden = whole.tensors[-1].levels(arenas)
    np.testing.assert_array_equal(golden, whole.levels(whole.stored(levels)))
    for tensor in range(len(layers) + 1):
        here, is_signed = whole.tensors[tensor], whole.tensors[tensor].low < 0
        if (tensor == len(layers) and not layers[-1].rounds) or (tensor and isinstance(layers[tensor - 1], MaxPool)):
            continue
        size = int(np.prod(here.shape))
        places, masks = rng.integers(0, size, 40), 1 << rng.integers(0, 7, 40)
        same_as, ends = Cells(whole, tensor - 1, 7, is_signed)(arenas, places, masks)
        assert (same_as >= 0).any()
        held = here.levels(arenas).reshape(5, -1)
        behind = None if tensor == len(layers) else Forward(here.shape, -64.0, 127.0, layers[tensor:])
        for fault, (place, mask) in enumerate(zip(places.tolist(), masks.tolist(), strict=True)):
            wrong = held.copy()
            words = (wrong[:, place].astype(int) & 127) ^ mask
            wrong[:, place] = np.where(is_signed & (words >= 64), words - 128, words)
            wrong = wrong.reshape(5, *here.shape)
            expected = wrong if behind is None else behind.levels(behind.stored(wrong))
            for sample in range(5):
                if same_as[sample, fault] < 0:
                    np.testing.assert_array_equal(expected[sample], golden[sample])
                else:
                    assert same_as[sample, fault] == fault
                    np.testing.assert_array_equal(ends[sample, fault], expected[sample])
                    assert (expected[sample] != golden[sample]).any()


def test_only_rows_are_followed() -> None:
    merged = Forward((2, 2, 1), 0, 3, (Merge((1, 1), 1.0, 0, 6),), ((0, 0),))
    with pytest.raises(InputError, match="only layers in a row are followed"):
        Cells(merged, -1, 2, False)
