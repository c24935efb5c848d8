"""Golden tensors of a chunk of samples, as those who read them do: as a pass stores its input, or as floats."""

from __future__ import annotations

from collections.abc import Collection
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.passes import Floats
from fkeras.engines.cpu.forward import PASSED_BYTES, gathered
from fkeras.engines.cpu.plan import Plan
from fkeras.engines.cpu.samples import Samples

HELD_BYTES = 192 * 2**20
"""Bounds the golden tensors that are held at once."""


class Wanted(NamedTuple):
    """A tensor; begin: the node at which the pass begins that reads it, "" for floats."""

    tensor: str
    begin: str = ""


class GoldenTensors:
    """Makes golden tensors, and holds those of one chunk that were used last, as long as they fit."""

    def __init__(self, plan: Plan, samples: Samples) -> None:
        self._plan, self._samples, self._rows = plan, samples, slice(0)
        self._held: dict[Wanted, NDArray[Any]] = {}

    def release(self) -> None:
        """Let go of them."""
        self._held.clear()

    def chunks(self, wanted: Collection[Wanted]) -> list[slice]:
        """The samples of each chunk, so that these tensors fit."""
        size = self._bytes(wanted)
        return self._samples.chunks(int(np.clip(HELD_BYTES // max(size, 1), 1, self._samples.n)))

    def hold(self, wanted: Collection[Wanted], rows: slice) -> None:
        """Have these tensors of a chunk, whose others are asked for next."""
        if self._rows != rows:
            self.release()
            self._rows = rows
        self._held |= {each: self._held.pop(each) for each in wanted if each in self._held}
        missing = [each for each in wanted if each not in self._held]
        if not missing:
            return
        room = HELD_BYTES // max(1, rows.stop - rows.start) - self._bytes(missing)
        for each in [each for each in self._held if each not in wanted]:
            if self._bytes(self._held) <= room:
                break
            del self._held[each]
        golden = self._plan.golden(each.tensor for each in missing)

        def made(part: slice) -> dict[Wanted, NDArray[Any]]:
            tensors = golden(self._samples.inputs, part)
            return {each: self._as_read(each, tensors[each.tensor]) for each in missing}

        floats = 4 * sum(prod(self._plan.network.shapes[each.tensor]) for each in missing)
        self._held |= gathered(made, rows, max(1, min(golden.rows, PASSED_BYTES // floats)))

    def __getitem__(self, wanted: Wanted) -> NDArray[Any]:
        self.hold([wanted], self._rows)
        return self._held[wanted]

    def floats(self, tensor: str) -> Floats:
        """A tensor of the chunk."""
        return self[Wanted(tensor)]

    def _as_read(self, wanted: Wanted, floats: Floats) -> NDArray[Any]:
        reader = self._plan.rows.alone(wanted.begin)
        return floats if reader is None else reader.stored(floats)

    def _bytes(self, wanted: Collection[Wanted]) -> int:
        """What a sample of these tensors takes."""
        readers = {each: self._plan.rows.alone(each.begin) for each in wanted}
        shapes = self._plan.network.shapes
        return sum(
            4 * prod(shapes[each.tensor]) if reader is None else reader.forward.tensors[0].size
            for each, reader in readers.items()
        )
