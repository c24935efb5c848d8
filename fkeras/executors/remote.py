"""A run whose measurements are made by workers, with the numbers that it would give itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Run, RunAround, Scores
from fkeras.executors.job import FaultSets, Flips, Job, Task
from fkeras.executors.workers import Workers
from fkeras.faults import FaultSet

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


SETS_PER_WORKER = 16
"""Fault sets of one call per worker: a sequential campaign throws away what it drew after its decision."""
SETS_PER_TASK = 2


class RemoteRun(RunAround):
    """`run`, measured by workers.

    Single flips go out in the very groups that `run` measures together, so that every number is the one that `run`
    would have given; `batches` hands them out as they come back.
    """

    def __init__(self, run: Run, job: Job, workers: Workers) -> None:
        super().__init__(run)
        self._job, self._workers = job, workers
        self._measured: tuple[NDArray[np.int64], Mapping[str, Scores]] | None = None

    @property
    def batch_size(self) -> int:
        return SETS_PER_WORKER * self._workers.n_workers

    def batches(self, bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Positions within `bits`, in the order in which workers have measured them."""
        chunks = Chunks(list(self._run.batches(bits)), lambda: self._workers.n_workers)
        tasks = (Flips(tuple(bits[group] for group in chunk)) for chunk in chunks)
        for number, scores in self._workers.results(self._job, tasks, self._here):
            positions = chunks.done(number)
            self._measured = bits[positions], scores
            yield positions

    def flips(self, bits: NDArray[np.int64]) -> Mapping[str, Scores]:
        """Each of `bits` flipped alone; what `batches` has just handed out is there already."""
        if self._measured is not None and np.array_equal(self._measured[0], bits):
            return self._measured[1]
        scores = {name: Scores.zeros(bits.size) for name in self.metrics}
        for positions in self.batches(bits):
            assert self._measured is not None
            for name, part in self._measured[1].items():
                scores[name].fill(positions, part)
        return scores

    def fault_sets(self, faults: Sequence[FaultSet]) -> Mapping[str, Scores]:
        starts = range(0, len(faults), SETS_PER_TASK)
        tasks = (FaultSets(tuple(faults[start : start + SETS_PER_TASK])) for start in starts)
        done = sorted(self._workers.results(self._job, tasks, self._here), key=lambda pair: pair[0])
        return {name: Scores.concatenate([scores[name] for _, scores in done]) for name in self.metrics}

    def _here(self, task: Task) -> dict[str, Scores]:
        return task.of(self._run)
