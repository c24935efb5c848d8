"""Shares: one of n processes measures its part of the bits or trials, and together they measure each once."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.memory import BitSpace

CHANNELS_PER_SHARE = 4
"""With fewer channels than this per share, single words are shared out, so that shares are alike in size."""


@dataclass(frozen=True, slots=True)
class Share:
    """Share `number` of `of`, from 1 up; written "2/4"."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Share:
        """The share that a text such as "2/4" means. InputError for anything else.

        >>> Share.parse("2/4")
        Share(number=2, of=4)
        """
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*", text) if isinstance(text, str) else None
        share = None if match is None else cls(int(match[1]), int(match[2]))
        if share is None or not 1 <= share.number <= share.of:
            raise InputError(f"shard={text!r}; allowed are '1/4', '2/4', '3/4' and '4/4' for four shares, and so on")
        return share

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def of_bits(self, space: BitSpace, bits: NDArray[np.int64]) -> NDArray[np.int64]:
        """This share of `bits`, in their order: whole output channels in turn, because engines measure these together.

        It depends on the layout, the bits and the share only.
        """
        place = space.locate(bits)
        channels = np.array([tensor.shape[-1] if tensor.shape else 1 for tensor in space.tensors], np.int64)
        units = np.stack([place.tensor, place.element % channels[place.tensor]])
        if np.unique(units, axis=1).shape[1] < CHANNELS_PER_SHARE * self.of:
            units = np.stack([place.tensor, place.element])
        _, unit = np.unique(units, axis=1, return_inverse=True)
        mine: NDArray[np.int64] = bits[unit % self.of == self.number - 1]
        return mine

    def of_trials(self, n_trials: int) -> NDArray[np.int64]:
        """The numbers of this share's trials, of 0 ... n_trials - 1."""
        return np.arange(self.number - 1, n_trials, self.of)
