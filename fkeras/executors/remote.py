"""A run whose measurements are made by workers, with the numbers that it would give itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Run, RunAround, Scores
from fkeras.executors.chunks import Chunks
from fkeras.executors.job import FaultSets, Flips, Job, Task
from fkeras.executors.workers import Workers
from fkeras.faults import FaultSet

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
        """Each fault set injected alone; scores in the order of `faults`."""
        starts = range(0, len(faults), SETS_PER_TASK)
        tasks = (FaultSets(tuple(faults[start : start + SETS_PER_TASK])) for start in starts)
        done = sorted(self._workers.results(self._job, tasks, self._here), key=lambda pair: pair[0])
        return {name: Scores.concatenate([scores[name] for _, scores in done]) for name in self.metrics}

    def _here(self, task: Task) -> dict[str, Scores]:
        return task.of(self._run)
