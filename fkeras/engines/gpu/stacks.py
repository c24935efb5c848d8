"""The faulty tensors of several fault sets, side by side: as `FaultSet.patches`, all sets at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.engines.gpu.program import padded_to
from fkeras.faults import FaultSet
from fkeras.memory import BitSpace


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """One tensor under several fault sets, filled up with golden ones.

    values: (sets, *shape); n_wrong: words that differ, (sets,); growth: by how much larger by size the values are in
    all, (sets,).
    """

    values: NDArray[np.float32]
    n_wrong: NDArray[np.int64]
    growth: NDArray[np.float64]


def stacks_of(space: BitSpace, faults: Sequence[FaultSet], paths: Sequence[str]) -> dict[str, Stack]:
    """By path, the tensors `paths` of a space."""
    for fault in faults:
        space.require_layout(fault.layout_digest, "this fault set")
    kinds = [[getattr(fault, kind) for fault in faults] for kind in ("flips", "set_to_1", "set_to_0")]
    places = [space.locate(np.concatenate(bits)) for bits in kinds]
    owners = [np.repeat(np.arange(len(faults)), [part.size for part in bits]) for bits in kinds]
    stacks = {}
    for number, tensor in enumerate(space.tensors):
        if tensor.path not in paths:
            continue
        size, golden = tensor.words.size, tensor.golden.reshape(-1)
        here = [place.tensor == number for place in places]
        keys = [o[h] * size + p.element[h] for o, p, h in zip(owners, places, here, strict=True)]
        wrong = np.sort(np.concatenate(keys), kind="stable")  # sorted already but for stuck bits
        wrong = wrong[np.diff(wrong, prepend=-1) > 0]
        stored = tensor.words[wrong % size]
        words = stored.copy()
        flipped, set_to_1, set_to_0 = (np.searchsorted(wrong, key) for key in keys)
        masks = [place.mask[h] for place, h in zip(places, here, strict=True)]
        np.bitwise_xor.at(words, flipped, masks[0])
        np.bitwise_or.at(words, set_to_1, masks[1])
        np.bitwise_and.at(words, set_to_0, ~masks[2])
        wrong, words = wrong[words != stored], words[words != stored]
        owner, element = np.divmod(wrong, size)
        faulty = tensor.values_of(words, element)
        values = np.tile(golden, (padded_to(len(faults)), 1))
        values[owner, element] = faulty
        growth = (np.abs(faulty.astype(np.float64)) - np.abs(golden[element])).clip(0)
        stacks[tensor.path] = Stack(
            values.reshape(-1, *tensor.shape),
            np.bincount(owner, minlength=len(faults)),
            np.bincount(owner, growth, len(faults)).astype(np.float64),
        )
    return stacks
