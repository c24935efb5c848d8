"""Executors by name: processes:N on this machine, dask:ADDRESS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fkeras.errors import InputError, MissingExtraError
from fkeras.executors.workers import Workers, workers_of

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
        from fkeras.executors.pool import LocalPool

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
