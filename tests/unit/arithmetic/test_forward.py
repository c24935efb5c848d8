"""The compiled passes against sums written out in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fkeras.arithmetic.forward import Forward
from fkeras.arithmetic.layers import NO_PADS, Layer, MaxPool, Merge, WeightedSum
from fkeras.arithmetic.tiles import BYTES, FLOATS, HAS_DOT_PRODUCTS, WORDS
from fkeras.errors import InputError

BYTE, WORD = (-128, 127), (-(2**15), 2**15 - 1)
SMALL = BYTES if HAS_DOT_PRODUCTS else WORDS


def windows(levels, reach, strides, dilation, pads, fill):
    """(n, height, width, rows, columns, channels) of an image."""
    padded = np.pad(levels.astype(np.float64), ((0, 0), *pads, (0, 0)), constant_values=fill)
    seen = np.lib.stride_tricks.sliding_window_view(padded, reach, (1, 2))
    seen = seen[:, :: strides[0], :: strides[1], :, :: dilation[0], :: dilation[1]]
    return np.moveaxis(seen, 3, -1)


def obvious(layer: Layer, levels, *others):
    """What a layer makes of levels, by numpy."""
    if isinstance(layer, Merge):
        parts = zip(layer.weights, (levels, *others), strict=True)
        values = sum(weight * part.astype(np.float64) for weight, part in parts).astype(np.float32)
        return np.clip(np.rint(values * np.float32(layer.scale)), np.float32(layer.low), np.float32(layer.high))
    if isinstance(layer, MaxPool):
        return windows(levels, layer.size, layer.strides, (1, 1), layer.pads, -np.inf).max((3, 4))
    seen = windows(levels, layer.reach, layer.strides, layer.dilation, layer.pads, 0)
    groups = levels.shape[3] // layer.kernel.shape[2]
    kernels = np.split(layer.kernel.astype(np.float64), groups, 3)
    parts = np.split(seen, groups, 5)
    sums = [np.einsum("nhwyxi,yxio->nhwo", part, kernel) for part, kernel in zip(parts, kernels, strict=True)]
    values = np.concatenate(sums, 3).astype(np.float32) * np.float32(layer.scale) + layer.offsets
    values = np.rint(values) if layer.rounds else values
    return np.clip(values, np.float32(layer.low), np.float32(layer.high))


def weighted(kernel, words=BYTE, low=0, high=255, seed=0, spread=300, **how):
    """A layer of random words, whose sums land in the range and beside it where the levels are some dozens."""
    rng = np.random.default_rng(seed)
    values = rng.integers(max(words[0], -spread), min(words[1], spread) + 1, kernel)
    scale = how.pop("scale", 2.0 ** -np.ceil(np.log2(np.sqrt(np.prod(kernel[:3])) * 64)))
    offsets = rng.integers(-9, 9, kernel[3]).astype(np.float32) / 8
    return WeightedSum(values, words, offsets, scale, low, high, **how)


def random_levels(shape, low, high, n=11, seed=0):
    return np.random.default_rng(seed).integers(low, high + 1, (n, *shape)).astype(np.float32)


def check(shape, low, high, *layers, n=11, sources=None):
    """The pass gives what the layers give one after the other."""
    tensors = [random_levels(shape, low, high, n)]
    forward = Forward(shape, low, high, layers, sources)
    for number, layer in enumerate(layers):
        reads = (number,) if sources is None else sources[number]
        tensors.append(obvious(layer, *(tensors[source] for source in reads)))
    np.testing.assert_array_equal(forward.levels(forward.stored(tensors[0])), tensors[-1])
    assert len(np.unique(tensors[-1])) > 1
    return forward


@pytest.mark.parametrize(
    ("low", "high", "words", "form"),
    [
        (0, 63, BYTE, SMALL),
        (-128, 127, BYTE, SMALL),
        (-7, 248, BYTE, SMALL),
        (3, 255, BYTE, SMALL),
        (3, 256, BYTE, WORDS),
        (0, 63, WORD, WORDS),
        (-(2**15), 2**15 - 1, BYTE, WORDS),
        (-(2**15), 2**15, BYTE, FLOATS),
        (0, 63, (-(2**15), 2**15), FLOATS),
    ],
)
@pytest.mark.parametrize("channels", [1, 4, 10, 16, 24, 32, 40, 70])
def test_the_smallest_form_that_holds_levels_and_weights_gives_the_sums(low, high, words, form, channels):
    scale = 2.0 ** -np.ceil(np.log2(max(-low, high) * 4))
    pads = ((1, 1), (1, 1)) if low <= 0 else NO_PADS
    layer = weighted((3, 3, 2, channels), words, -50, 60, spread=25, pads=pads, scale=scale)
    assert check((5, 7, 2), low, high, layer).tensors[0].form == form


@pytest.mark.parametrize(
    ("shape", "kernel", "how"),
    [
        ((1, 1, 5), (1, 1, 5, 3), {}),
        ((1, 1, 256), (1, 1, 256, 64), {}),
        ((1, 19, 3), (1, 4, 3, 8), {"pads": ((0, 0), (3, 0))}),
        ((1, 19, 3), (1, 4, 3, 8), {"pads": ((0, 0), (6, 0)), "dilation": (1, 2)}),
        ((9, 11, 4), (3, 2, 4, 6), {"strides": (2, 3), "pads": ((0, 1), (1, 0))}),
        ((9, 11, 3), (3, 3, 3, 7), {"dilation": (2, 3)}),
        ((9, 11, 3), (3, 3, 3, 7), {"dilation": (3, 2), "strides": (1, 2), "pads": ((3, 3), (2, 2))}),
        ((8, 8, 1), (3, 3, 1, 8), {"strides": (2, 2), "pads": ((0, 1), (0, 1))}),
        ((6, 6, 20), (3, 3, 1, 20), {"pads": ((1, 1), (1, 1))}),
        ((6, 6, 5), (3, 3, 1, 15), {}),
        ((6, 6, 8), (3, 3, 2, 12), {"strides": (2, 1)}),
        ((6, 6, 40), (2, 2, 20, 80), {}),
        ((2, 3, 7), (2, 3, 7, 33), {}),
    ],
)
@pytest.mark.parametrize("low", [0, -63])
@pytest.mark.parametrize("words", [BYTE, WORD])
def test_every_geometry(shape, kernel, how, low, words):
    check(shape, low, 63, weighted(kernel, words, -40, 90, spread=120, **how))


def test_what_is_not_rounded_is_float32():
    layer = weighted((1, 1, 9, 10), low=0, high=np.inf, rounds=False, scale=2.0**-7)
    forward = check((1, 1, 9), 0, 255, layer)
    assert forward.tensors[1].form == FLOATS
    with pytest.raises(InputError, match="layer 1 reads levels that are not rounded"):
        check((1, 1, 9), 0, 255, layer, weighted((1, 1, 10, 2)))


@pytest.mark.parametrize("low", [0, -90])
@pytest.mark.parametrize("high", [100, 1000, 100_000])
def test_pools(low, high):
    """Behind sums and in front of them, at both ends, and in a row."""
    conv = weighted((3, 3, 3, 5), (-9, 9), low, high, pads=((1, 1), (1, 1)), scale=0.5)
    pool = MaxPool((2, 2), (2, 2))
    same = MaxPool((3, 2), (2, 1), ((1, 1), (0, 1)))
    check((9, 8, 3), low, 90, conv, same, pool, weighted((2, 2, 5, 4), (-9, 9), -128, 127))
    check((9, 8, 3), low, 90, pool, conv, same)


AROUND = ((1, 1), (1, 1))


@pytest.mark.parametrize("low", [0, -90])
@pytest.mark.parametrize("high", [100, 1000])
@pytest.mark.parametrize("weights", [(1, 1), (4, -1), (1, 200)])
def test_residual_networks(low, high, weights):
    """Tensors that are read twice, with different margins, and merged."""
    how = {"words": (-9, 9), "low": low, "high": high, "scale": 2.0**-3}
    layers = (
        weighted((3, 3, 3, 20), pads=AROUND, **how),
        weighted((3, 3, 20, 20), pads=AROUND, seed=1, **how),
        Merge(weights, 0.5, -70, 80),
        weighted((1, 1, 20, 8), **how),
        weighted((3, 3, 1, 8), pads=((2, 0), (0, 2)), **how),
        MaxPool((1, 1), (1, 1)),
        Merge((1, 2, 1), 0.25, low, high),
        weighted((6, 5, 8, 4), **how),
    )
    sources = ((0,), (1,), (1, 2), (3,), (4,), (4,), (4, 5, 6), (7,))
    forward = check((6, 5, 3), 0, 63, *layers, sources=sources)
    stored = forward.stored(random_levels((6, 5, 3), 0, 63))
    behind = forward.part(3)
    levels = behind.levels(behind.stored(forward.part(0, 3).levels(stored)))
    np.testing.assert_array_equal(levels, forward.levels(stored))
    with pytest.raises(InputError, match="behind layer 4 not everything goes through tensor 5"):
        forward.part(5)


def test_pools_alone():
    check((4, 4, 3), -5, 9, MaxPool((2, 2), (1, 1)))


def test_words_give_what_bytes_give(monkeypatch):
    """As on a processor without dot products of bytes."""
    layer = weighted((3, 3, 5, 12), low=-100, high=90, pads=AROUND)
    assert check((5, 6, 5), -100, 99, layer, MaxPool((2, 2), (1, 1))).tensors[0].form == SMALL
    monkeypatch.setattr("fkeras.arithmetic.tensors.HAS_DOT_PRODUCTS", False)
    assert check((5, 6, 5), -100, 99, layer, MaxPool((2, 2), (1, 1))).tensors[0].form == WORDS


def test_a_network_of_many_layers_and_samples():
    layers = (
        weighted((1, 1, 3, 32), scale=2.0**-7),
        weighted((4, 4, 32, 4), spread=30, scale=2.0**-8, pads=((1, 2), (1, 2))),
        weighted((4, 4, 4, 32), spread=60, scale=2.0**-8, low=-128, high=127, pads=((1, 2), (1, 2)), seed=1),
        weighted((4, 4, 32, 32), spread=60, scale=2.0**-7, strides=(4, 4), seed=2),
        weighted((2, 2, 32, 10), low=-np.inf, high=np.inf, rounds=False),
    )
    forward = check((8, 8, 3), 0, 255, *layers, n=301)
    stored = forward.stored(random_levels((8, 8, 3), 0, 255, 301))
    behind = forward.part(3)
    levels = forward.part(0, 3).levels(stored)
    np.testing.assert_array_equal(behind.levels(behind.stored(levels)), forward.levels(stored))
    assert forward.levels(stored[:0]).shape == (0, 1, 1, 10)


@pytest.mark.parametrize("low", [0, -20])
def test_faulty_words_are_another_network(low):
    layers = (weighted((2, 2, 3, 40), low=low, pads=((1, 0), (0, 1))), weighted((3, 3, 40, 4), seed=1, spread=30))
    forward = Forward((4, 4, 3), low, 63, layers)
    stored = forward.stored(random_levels((4, 4, 3), low, 63))
    golden = forward.levels(stored)
    rng = np.random.default_rng(3)
    words = {
        number: (rng.choice(layer.kernel.size, 9, replace=False), rng.integers(-128, 128, 9))
        for number, layer in enumerate(layers)
    }
    changed = []
    for number, layer in enumerate(layers):
        kernel = layer.kernel.copy()
        kernel.ravel()[words[number][0]] = words[number][1]
        changed.append(replace(layer, kernel=kernel))
    expected = Forward((4, 4, 3), low, 63, tuple(changed)).levels(stored)
    np.testing.assert_array_equal(forward.levels(stored, forward.faulty(words)), expected)
    assert not np.array_equal(expected, golden)
    np.testing.assert_array_equal(forward.levels(stored), golden)  # nothing is left behind


def test_narrow_integers_are_no_smaller_than_they_are():
    """-128 in eight bits has no size, 127 + 128 no sum, 300 no place."""
    kernel, levels = np.array([-128, 127], np.int8).reshape(1, 1, 2, 1), np.array([[[[-128, 127]]]], np.int8)
    layer = WeightedSum(kernel, (-(2**11), 2**11), np.zeros(1), 1.0, -(2**15), 2**15 - 1)
    forward = Forward((1, 1, 2), -128, 127, (layer,))
    assert forward.levels(forward.stored(levels)).item() == 128**2 + 127**2
    faulty = forward.faulty({0: (np.array([1]), np.array([300]))})
    assert forward.levels(forward.stored(levels), faulty).item() == 32767  # where 54,484 saturates
    big = WeightedSum(np.full((1, 1, 2**11, 1), -128, np.int8), BYTE, np.zeros(1), 1.0, 0, 9)
    with pytest.raises(InputError, match=r"may reach 2\*\*24"):
        Forward((1, 1, 2**11), 0, 64, (big,)).golden  # noqa: B018


def test_sums_stay_where_float32_is_exact():
    fits = WeightedSum(np.full((1, 1, 2, 1), 2**14), (0, 2**15 - 1), np.zeros(1, np.float32), 2.0**-20, 0, 100)
    forward = Forward((1, 1, 2), 0, 511, (fits,))
    assert forward.levels(forward.stored(np.full((1, 1, 1, 2), 511))).item() == 16
    one = np.zeros(1, np.int64)
    assert forward.faulty({0: (one, one + 2**14 + 64)}) is not None  # 511 x (2**15 + 64) = 2**24 - 64
    assert forward.faulty({0: (one, one + 2**14 + 65)}) is None
    with pytest.raises(InputError, match=r"layer 0 may reach 2\*\*24"):
        Forward((1, 1, 2), -512, 511, (fits,)).golden  # noqa: B018


def test_what_does_not_fit_is_said():
    layer = weighted((1, 1, 2, 1))
    forward = Forward((1, 1, 2), 0, 9, (layer,))
    for levels, message in (
        (np.zeros((3, 1, 1, 3)), r"have shape \(1, 1, 3\); the layers take \(1, 1, 2\)"),
        (np.full((3, 1, 1, 2), 10), "go from 10 to 10; said was 0 to 9"),
        (np.full((3, 1, 1, 2), np.nan), "go from nan to nan; said was 0 to 9"),
        (np.full((3, 1, 1, 2), 0.5), "are not whole numbers"),
    ):
        with pytest.raises(InputError, match=message):
            forward.stored(levels)
    with pytest.raises(InputError, match=r"weights go from -?\d+ to 128; said was \(-128, 127\)"):
        forward.faulty({0: (np.zeros(1, int), np.array([128]))})
    two = Forward((1, 1, 2), 0, 9, (weighted((1, 1, 2, 20)),))
    with pytest.raises(InputError, match="the kernels are those of another pass"):
        forward.levels(forward.stored(np.zeros((3, 1, 1, 2))), two.golden)
    with pytest.raises(InputError, match=r"inputs of shape \(3, 8\) are not what this pass has stored"):
        forward.levels(np.zeros((3, 8), np.uint8))
    with pytest.raises(InputError, match=r"a kernel of shape \(1, 1, 2, 1\) and offsets of shape \(2,\) make no layer"):
        replace(layer, offsets=np.zeros(2))
    for sources, message in (
        (((1,),), r"layer 0 reads tensors \(1,\); before it there are 0 to 0"),
        (((0, 0),), "a WeightedSum reads 2 tensors"),
    ):
        with pytest.raises(InputError, match=message):
            Forward((1, 1, 2), 0, 9, (layer,), sources).tensors  # noqa: B018
    with pytest.raises(InputError, match=r"tensors of shapes \(1, 1, 2\), \(1, 1, 1\) do not merge"):
        Forward((1, 1, 2), 0, 9, (layer, Merge((1, 1), 1.0, 0, 9)), ((0,), (0, 1))).tensors  # noqa: B018
    with pytest.raises(InputError, match=r"scale=0.75 is no power of two"):
        replace(layer, scale=0.75)
    with pytest.raises(InputError, match=r"levels that are rounded do not end at 0.5 and 9"):
        replace(layer, low=0.5, high=9)
    with pytest.raises(InputError, match=r"a kernel of shape \(1, 1, 2, 1\) does not fit an input of 3 channels"):
        Forward((1, 1, 3), 0, 9, (layer,)).tensors  # noqa: B018
    with pytest.raises(InputError, match=r"a window of \(3, 3\) does not fit into an image of \(2, 2\)"):
        Forward((2, 2, 2), 0, 9, (weighted((3, 3, 2, 1)),)).tensors  # noqa: B018
