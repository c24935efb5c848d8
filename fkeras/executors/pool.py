"""A pool of processes of our own: fresh interpreters that share the processor and never outlive their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from types import TracebackType

from fkeras.executors.workers import Workers
from fkeras.threads import share_of, suggest_threads


class LocalPool:
    """`n_processes` workers on this machine, to be used in a `with`; a broken pool is replaced by a new one."""

    def __init__(self, n_processes: int) -> None:
        self._n = n_processes
        self._listening, self._lifeline = multiprocessing.get_context("spawn").Pipe(duplex=False)
        self._executor = self._made()

    def _made(self) -> Executor:
        self._executor = ProcessPoolExecutor(
            self._n,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=prepare_worker,
            initargs=(self._listening, share_of(self._n)),
        )
        return self._executor

    def __enter__(self) -> Workers:
        return Workers(self._executor, self._n, self._made)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._lifeline.close()  # workers end at once, in the middle of their tasks
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._lifeline.close()
        self._listening.close()


def prepare_worker(lifeline: Connection, n_threads: int) -> None:
    """Set up a fresh worker process: its share of the cores, and an end when the parent's end of a pipe closes."""
    suggest_threads(n_threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides

    def end_with_parent() -> None:
        with suppress(EOFError, OSError):
            lifeline.recv()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
