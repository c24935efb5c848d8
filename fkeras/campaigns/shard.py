"""Shares: one of n processes measures its part of the bits or trials, and together they measure each once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError
from fkeras.memory import BitSpace

CHANNELS_PER_SHARE = 4
"""With fewer channels than this per share, single words are shared out, so that shares are alike in size."""
AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class Shard:
    """Shard `number` of `of`, from 1 up; written "2/4"."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The share that a text such as "2/4" means. InputError for anything else.

        >>> Shard.parse("2/4")
        Shard(number=2, of=4)
        """
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*", text) if isinstance(text, str) else None
        share = None if match is None else cls(int(match[1]), int(match[2]))
        if share is None or not 1 <= share.number <= share.of:
            allowed = "; allowed are '1/4', '2/4', '3/4' and '4/4' for four shares, and so on"
            raise InputError(Argument("shard", text), allowed)
        return share

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def of_bits(self, space: BitSpace, bits: NDArray[np.int64]) -> NDArray[np.int64]:
        """This share of `bits`, in their order: whole output channels in turn, because engines measure these together.

        It depends on the layout, the bits and the share only.
        """
        channels = np.array([tensor.shape[-1] if tensor.shape else 1 for tensor in space.arrays], np.int64)
        words = np.array([tensor.size for tensor in space.arrays], np.int64)
        present = _present(space, bits, channels)
        per_tensor = channels
        if np.count_nonzero(present) < CHANNELS_PER_SHARE * self.of:
            per_tensor, present = words, _present(space, bits, words)
        turn = (np.cumsum(present) - 1) % self.of
        mine = [part[turn[_units(space, part, per_tensor)] == self.number - 1] for part in _parts(bits)]
        return np.concatenate([np.zeros(0, np.int64), *mine])

    def trial(self, i: int) -> int:
        """The number of this share's i-th trial among all trials."""
        return self.number - 1 + i * self.of

    def of_trials(self, n_trials: int) -> NDArray[np.int64]:
        """The numbers of this share's trials, of 0 ... n_trials - 1."""
        return np.arange(self.number - 1, n_trials, self.of)


WHOLE = Shard(1, 1)


def _parts(bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """So many bits at once that what is worked out of them needs little memory."""
    return (bits[start : start + AT_ONCE] for start in range(0, bits.size, AT_ONCE))


def _units(space: BitSpace, bits: NDArray[np.int64], per_tensor: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of each bit's unit, where each tensor has so many, and its elements belong to them in turn."""
    place = space.locate(bits)
    first = np.cumsum(per_tensor) - per_tensor
    units: NDArray[np.int64] = first[place.tensor] + place.element % per_tensor[place.tensor]
    return units


def _present(space: BitSpace, bits: NDArray[np.int64], per_tensor: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which units have any of the bits."""
    present = np.zeros(int(per_tensor.sum()), np.bool_)
    for part in _parts(bits):
        present[_units(space, part, per_tensor)] = True
    return present
