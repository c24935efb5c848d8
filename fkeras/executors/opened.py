"""Executors by name: processes:N on this machine, a pool of our own, and dask:ADDRESS."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from fkeras.errors import InputError, MissingExtraError
from fkeras.executors.workers import Workers, workers_of
from fkeras.threads import share_of, suggest_threads

MOST_PROCESSES = 4096
CONNECT_SECONDS = 20


@contextmanager
def opened_executor(text: str | None) -> Iterator[Workers | None]:
    """The workers that a text such as "processes:4" or "dask:tcp://node1:8786" names, until the block ends.

    dask: the scheduler's address, or the scheduler file (.json) that dask-jobqueue and `dask scheduler` write.
    None is no executor. InputError for another text or when nothing answers; MissingExtraError without dask.
    """
    if text is None:
        yield None
        return
    kind, where = parse_executor(text)
    if kind == "processes":
        with LocalPool(int(where)) as workers:
            yield workers
    else:
        with _client(where) as client:
            yield workers_of(client)


def parse_executor(text: str) -> tuple[str, str]:
    """What kind of executor a text names, "processes" or "dask", and how many or where. InputError for another text."""
    kind, _, where = text.partition(":")
    is_number = re.fullmatch("[1-9][0-9]{0,3}", where) is not None and int(where) <= MOST_PROCESSES
    if (kind != "processes" or not is_number) and (kind != "dask" or not where):
        raise InputError(
            f"executor {text!r}: allowed are processes:N with N from 1 to {MOST_PROCESSES}, and dask:ADDRESS, as in "
            "dask:tcp://node1:8786 or dask:scheduler.json"
        )
    return kind, where


@contextmanager
def _client(where: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtraError(
            f"executor dask:{where} needs dask, which is not installed: pip install 'pytest-fkeras[dask]'"
        ) from None
    try:
        found = {"address": where}
        if where.endswith(".json"):
            found = {"scheduler_file": where}
            open(where).close()  # dask would wait for the file, for ever
        client = Client(**found, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"no dask scheduler answers at {where!r} ({error}); start one with `dask scheduler` and workers with "
            "`dask worker ADDRESS`, and name its address"
        ) from error
    try:
        yield client
    finally:
        client.close()


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
