"""How much of a long measurement one task is: little enough to lose, and to share out evenly at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

CHUNK_SECONDS = 30.0
"""What a worker that is killed loses, about."""
CHUNKS_PER_WORKER = 32
"""Bits cost differently from layer to layer; with this many chunks per worker the last ones end nearly together."""

Group = NDArray[np.int64]


class Chunks:
    """Groups of positions put together, in order, as they are asked for; to be iterated once.

    n_workers: counts the workers of the moment. The first chunks are single groups; once some are done, one takes
    about CHUNK_SECONDS at the speed so far, and at most its share of the whole.
    """

    def __init__(self, groups: Sequence[Group], n_workers: Callable[[], int]) -> None:
        self._groups, self._n_workers = groups, n_workers
        self._total = sum(group.size for group in groups)
        self._chunks: dict[int, list[Group]] = {}
        self._n_done, self._start = 0, time.monotonic()

    def __iter__(self) -> Iterator[list[Group]]:
        chunk: list[Group] = []
        number, most = 0, 0.0
        for group in self._groups:
            # Asked anew for each chunk: speed and workers change.
            if chunk and sum(one.size for one in chunk) + group.size > most:
                self._chunks[number] = chunk
                yield chunk
                number, chunk = number + 1, []
            if not chunk:
                most = self._most()
            chunk.append(group)
        if chunk:
            self._chunks[number] = chunk
            yield chunk

    def done(self, number: int) -> Group:
        """The positions of chunk `number`, which has been measured."""
        positions = np.concatenate(self._chunks.pop(number))
        self._n_done += positions.size
        return positions

    def _most(self) -> float:
        n_workers = self._n_workers()
        per_second = self._n_done / max(time.monotonic() - self._start, 1e-6) / n_workers
        return min(per_second * CHUNK_SECONDS, self._total / (CHUNKS_PER_WORKER * n_workers))
