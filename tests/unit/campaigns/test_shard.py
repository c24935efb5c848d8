"""Shares: each bit and trial once, whole channels together, and a text that says which."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.campaigns.shard import Shard
from fkeras.errors import InputError
from fkeras.memory import BitSpace, FixedPoint, WordTensor

CODEC = FixedPoint(4, 0)


def tensor(path: str, *shape: int) -> WordTensor:
    zeros = np.zeros(int(np.prod(shape)), np.float32)
    return WordTensor(path, shape, CODEC, CODEC.encode(zeros), np.ones(zeros.size, np.float32), zeros)


SPACE = BitSpace((tensor("conv/kernel", 3, 3, 2, 8), tensor("dense/kernel", 10, 16)))


@pytest.mark.parametrize("text", ["1/1", "2/4", " 4 / 4 "])
def test_texts(text):
    assert str(Shard.parse(text)) == text.replace(" ", "")


@pytest.mark.parametrize("text", ["", "0/4", "5/4", "1", "1/0", "-1/4", "1/4/2", "a/b", "1.0/2", None, 2])
def test_other_texts_are_refused(text):
    with pytest.raises(InputError, match=r"shard=.*; allowed are '1/4', '2/4', '3/4' and '4/4'"):
        Shard.parse(text)


@pytest.mark.parametrize("n", [1, 2, 5, 6, 7, 100])
def test_the_shares_are_all_bits_once_and_about_equal(n):
    bits = np.arange(len(SPACE))
    shares = [Shard(i, n).of_bits(SPACE, bits) for i in range(1, n + 1)]
    assert np.array_equal(np.sort(np.concatenate(shares)), bits)
    assert all((np.diff(share) > 0).all() for share in shares)
    sizes = [share.size for share in shares]
    assert max(sizes) - min(sizes) <= (72 if n <= 6 else 4), "a channel, or a word where channels are too few"


def test_a_channel_is_not_torn_apart():
    for share in (Shard(1, 2), Shard(2, 2)):
        place = SPACE.locate(share.of_bits(SPACE, np.arange(len(SPACE))))
        channel = place.element % np.array([8, 16])[place.tensor]
        assert np.unique(np.stack([place.tensor, channel]), axis=1).shape[1] == 12


def test_some_bits_are_shared_out_too():
    bits = np.array([5, 700, 3, 1000, 9])
    shares = [Shard(i, 2).of_bits(SPACE, bits) for i in (1, 2)]
    assert sorted([*shares[0], *shares[1]]) == sorted(bits)
    assert Shard(1, 1).of_bits(SPACE, bits).tolist() == bits.tolist()


def test_trials_are_dealt_out():
    assert [Shard(i, 3).of_trials(8).tolist() for i in (1, 2, 3)] == [[0, 3, 6], [1, 4, 7], [2, 5]]
