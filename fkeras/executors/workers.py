"""Tasks onto an executor and answers back: as they come, none lost, none twice."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from functools import cache
from itertools import chain, islice
from typing import Any

from fkeras.engine import Scores
from fkeras.errors import FkerasError, InputError
from fkeras.executors.job import Answer, Job, Task, measure

TASKS_AHEAD = 2
"""Tasks that wait on the executor per worker, so that none idles between two."""
MOST_LOSSES = 3
"""Pools that may break one after the other, without a task done in between."""
MOST_CANCELLED = 100
"""Tasks that an executor may cancel without one done in between."""


class WorkersLost(UserWarning):
    """Worker processes died; their tasks are done again."""


class Workers:
    """An executor, how many workers it has, and how to get another one when it breaks.

    n_workers: how many there are, or a function that counts them: workers of a cluster come and go. replacement: makes
    a new executor; None for one that is not ours to replace; shipped: how the bytes of a job are handed to a task.
    """

    def __init__(
        self,
        executor: Executor,
        n_workers: int | Callable[[], int],
        replacement: Callable[[], Executor] | None = None,
        shipped: Callable[[bytes], Any] = lambda payload: payload,
    ) -> None:
        self._executor, self._n_workers, self._replacement, self._shipped = executor, n_workers, replacement, shipped

    def __repr__(self) -> str:
        return f"<Workers: {self.n_workers} of {type(self._executor).__name__}>"

    @property
    def n_workers(self) -> int:
        """How many there are now; 1 while none has come yet."""
        return max(1, self._n_workers if isinstance(self._n_workers, int) else self._n_workers())

    def results(
        self, job: Job, tasks: Iterable[Task], here: Callable[[Task], dict[str, Scores]]
    ) -> Iterator[tuple[int, dict[str, Scores]]]:
        """(number, scores) of each task, as they are done.

        Tasks of a worker that is lost are done again; `here` does one in this process, when no worker is left.
        """
        waiting: Iterator[tuple[int, Task]] = enumerate(tasks)
        losses = 0
        while True:
            unanswered: dict[int, Task] = {}
            try:
                for answer in self._answers(job, waiting, unanswered):
                    losses = 0
                    yield answer
                return
            except BrokenExecutor:
                losses += 1
            waiting = chain(sorted(unanswered.items()), waiting)
            if not self._replaced(len(unanswered), losses):
                yield from ((number, here(task)) for number, task in waiting)
                return

    def _answers(
        self, job: Job, waiting: Iterator[tuple[int, Task]], unanswered: dict[int, Task]
    ) -> Iterator[tuple[int, dict[str, Scores]]]:
        """As `results`, but BrokenExecutor where the executor breaks.

        unanswered: filled with the tasks taken from `waiting` that are not done.
        """
        running: dict[Future[Any], int] = {}
        shipped = cache(lambda: self._shipped(job.payload))
        cancelled = 0
        try:
            while True:
                for number, task in islice(waiting, max(TASKS_AHEAD * self.n_workers - len(running), 0)):
                    unanswered[number] = task
                    running[self._submitted(job.digest, None, task)] = number
                if not running:
                    return
                # What is done counts before what is broken.
                for future in sorted(wait(running, return_when=FIRST_COMPLETED).done, key=_is_without_answer):
                    number, answer = running.pop(future), _answer(future)
                    if isinstance(answer, dict):
                        cancelled = 0
                        del unanswered[number]
                        yield number, answer
                        continue
                    cancelled += answer is None
                    if cancelled > MOST_CANCELLED:
                        raise WorkerFailed(
                            f"the executor cancelled {cancelled} tasks, and none was done in between; see its log"
                        )
                    payload = None if answer is None else shipped()
                    running[self._submitted(job.digest, payload, unanswered[number])] = number
        finally:
            for future in running:
                future.cancel()

    def _submitted(self, digest: str, payload: Any, task: Task) -> Future[Any]:
        try:
            return self._executor.submit(measure, digest, payload, task)
        except RuntimeError as error:
            if isinstance(error, BrokenExecutor):
                raise
            raise InputError(f"the executor takes no work ({error}); pass one that is not shut down") from error

    def _replaced(self, n_tasks: int, losses: int) -> bool:
        again = self._replacement is not None and losses <= MOST_LOSSES
        where = "by new ones" if again else "in this process"
        warnings.warn(
            f"worker processes died (killed, or out of memory?); their {n_tasks} tasks are done again {where}",
            WorkersLost,
            stacklevel=2,
        )
        if again:
            assert self._replacement is not None
            self._executor = self._replacement()
        return again


def _is_without_answer(future: Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None


def _answer(future: Future[Answer]) -> Answer | None:
    """What a worker answered; None where this one task was cancelled, as by a scheduler that lost what it needs."""
    try:
        return future.result()
    except CancelledError:
        return None
    except (BrokenExecutor, FkerasError):
        raise
    except Exception as error:
        raise _explained(error) from error


def workers_of(executor: Any) -> Workers:
    """The workers of a `concurrent.futures.Executor` or a `dask.distributed.Client`. InputError for anything else."""
    if isinstance(executor, Workers):
        return executor
    if isinstance(executor, Executor):
        context = getattr(executor, "_mp_context", None)
        if context is not None and context.get_start_method() == "fork" and "tensorflow" in sys.modules:
            raise InputError(
                "this ProcessPoolExecutor forks its workers, and TensorFlow hangs in a forked process; make it with "
                "ProcessPoolExecutor(n, mp_context=multiprocessing.get_context('spawn'))"
            )
        return Workers(executor, getattr(executor, "_max_workers", None) or len(os.sched_getaffinity(0)))
    if type(executor).__module__.split(".")[0] == "distributed" and hasattr(executor, "get_executor"):
        if getattr(executor, "asynchronous", False):
            raise InputError("this dask Client is asynchronous; pass Client(..., asynchronous=False)")
        return Workers(
            executor.get_executor(pure=False),
            lambda: len(executor.nthreads()),
            shipped=lambda payload: _on_the_cluster(executor, payload),
        )
    raise InputError(
        f"executor is {type(executor).__module__}.{type(executor).__name__}; allowed are a "
        "concurrent.futures.Executor and a dask.distributed.Client"
    )


def _on_the_cluster(client: Any, payload: bytes) -> Any:
    """The bytes as a result on the cluster: workers have them from one another, and the scheduler can make them again
    when the worker that holds them is lost."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
        return client.submit(bytes, payload, pure=False)


def _explained(error: Exception) -> FkerasError:
    name = type(error).__name__
    if name == "KilledWorker":
        return WorkerFailed(
            "the same task killed several workers one after the other, most likely for want of memory; give workers "
            "more, or use fewer samples"
        )
    return WorkerFailed(
        f"a worker failed with {name}: {error}; the same pytest-fkeras, TensorFlow and modules of yours must be "
        "installed where workers run"
    )


class WorkerFailed(FkerasError, RuntimeError):
    """A worker could not do its task, and would not the next time."""
