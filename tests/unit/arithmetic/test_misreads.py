"""What is read wrongly on the way of a pass leads where it leads layer by layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fkeras.arithmetic.forward import Forward
from fkeras.arithmetic.layers import MaxPool, WeightedSum
from fkeras.arithmetic.misreads import Misread
from tests.unit.arithmetic.test_forward import obvious

N = 9
AROUND = ((1, 1), (1, 1))


def layer(rng, *shape, low=0.0, high=63.0, most=4, scale=0.25, **how) -> WeightedSum:
    kernel = rng.integers(-most, most + 1, shape)
    offsets = rng.normal(0, 4, shape[3]).astype(np.float32)
    return WeightedSum(kernel, (-2 * most, 2 * most), offsets, scale, low, high, **how)


def rows(rng):
    """The shape of the input, its least and its largest level, and layers."""
    yield (6, 5, 2), 0, 63, (layer(rng, 3, 3, 2, 4, pads=AROUND), MaxPool((2, 2), (2, 2)), layer(rng, 3, 2, 4, 5))
    yield (9, 9, 1), -64, 63, (layer(rng, 3, 3, 1, 3, strides=(2, 3)), layer(rng, 2, 2, 3, 4, pads=AROUND))
    yield (7, 6, 4), 0, 63, (layer(rng, 3, 3, 1, 8, low=-64.0, dilation=(2, 1)), layer(rng, 2, 1, 2, 4, pads=AROUND))
    yield (
        (5, 5, 3),
        0,
        63,
        (layer(rng, 1, 1, 3, 40, low=-64.0), layer(rng, 5, 5, 40, 3, low=-64.0, rounds=False, scale=2.0**-8)),
    )
    yield (1, 1, 7), -1024, 1023, (layer(rng, 1, 1, 7, 35, high=1023.0), layer(rng, 1, 1, 35, 20, most=200))
    yield (
        (5, 4, 2),
        0,
        63,
        (layer(rng, 3, 3, 2, 6, low=-64.0, most=9000, high=6e4, scale=2.0**-5), layer(rng, 3, 2, 6, 4, scale=2.0**-12)),
    )


def drawn(rng, size: int, width: int, signed: bool, outside: str = "") -> Misread:
    """Words in which bits flip or are stuck in every sample, and flip in single ones; some elements in both; outside:
    of limits that they are read through."""
    elements = np.sort(rng.choice(size, min(size, 5), replace=False))
    masks = rng.integers(0, 1 << width, (3, elements.size)) & rng.integers(0, 1 << width, (3, elements.size))
    masks[2] &= ~masks[1]
    pairs = np.sort(rng.choice(N * size, min(size, 20), replace=False))
    flips = rng.integers(1, 1 << width, pairs.size)
    low, high = np.sort(rng.integers(-(1 << width - 1) if signed else 0, 1 << width - signed, (2, size)), axis=0)
    limits = np.stack([low, high, *((low, high) if outside == "clamp" else 2 * (np.zeros_like(low),))])
    return Misread(
        width, signed, elements, masks, pairs // size, pairs % size, flips, limits if outside else limits[:, :0]
    )


def slowly(values, words: Misread | None):
    """What is read in place of whole numbers (n, ...)."""
    if words is None:
        return values
    numbers = values.reshape(N, -1).astype(np.int64)
    masks = np.zeros((3, *numbers.shape), np.int64)
    masks[:, :, words.elements] = words.masks[:, None]
    masks[0, words.rows, words.row_elements] ^= words.row_flips
    held = numbers & ((1 << words.width) - 1)
    sign = 1 << (words.width - 1) if words.signed else 0
    read = (held ^ masks[0] | masks[1]) & ~masks[2]
    changed = numbers + (read - 2 * (read & sign)) - (held - 2 * (held & sign))
    if words.limits.size:
        low, high, below, above = words.limits
        changed = np.where(changed < low, below, np.where(changed > high, above, changed))
    return changed.reshape(values.shape).astype(np.float32)


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("where", ["levels", "sums", "both", "one", "clamp", "zero"])
def test_what_is_read_wrongly_leads_where_it_leads_layer_by_layer(number: int, where: str) -> None:
    rng = np.random.default_rng(number)
    shape, low, high, layers = list(rows(rng))[number]
    forward = Forward(shape, low, high, layers)
    places = {"levels": range(0, 2 * len(layers), 2), "sums": range(1, 2 * len(layers) + 1, 2), "one": [0]}
    misreads = {}
    for place in places.get(where, range(2 * len(layers) + 1)):
        tensor = forward.tensors[place // 2 + place % 2]
        maker = layers[place // 2 - 1 + place % 2] if place else None
        if isinstance(maker, MaxPool) or (maker is not None and not place % 2 and not maker.rounds):
            continue
        least, most = (tensor.low, tensor.high) if place % 2 == 0 else (-(2**22), 2**22 - 1)
        width, outside = int(most).bit_length() + (least < 0), where if where in ("clamp", "zero") else ""
        misreads[place] = drawn(rng, int(np.prod(tensor.shape)), width, least < 0, "" if place % 2 else outside)
    levels = rng.integers(low, high + 1, (N, *shape)).astype(np.float32)
    ours = forward.levels(forward.stored(levels), None, misreads)
    golden = forward.levels(forward.stored(levels))
    read = slowly(levels, misreads.get(0))
    for at, each in enumerate(layers):
        if isinstance(each, MaxPool):
            read = obvious(each, read)
            continue
        bare = replace(each, offsets=np.zeros_like(each.offsets), scale=1.0, low=-np.inf, high=np.inf, rounds=False)
        values = slowly(obvious(bare, read), misreads.get(2 * at + 1)) * np.float32(each.scale) + each.offsets
        values = np.rint(values) if each.rounds else values
        read = slowly(np.clip(values, np.float32(each.low), np.float32(each.high)), misreads.get(2 * at + 2))
    np.testing.assert_array_equal(ours, read)
    assert misreads
    assert (ours != golden).any()
