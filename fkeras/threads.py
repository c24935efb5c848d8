"""Threads of the libraries that compute, which read how many when they are loaded."""

from __future__ import annotations

import os

THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS")


def share_of(n_processes: int) -> int:
    """How many threads each of so many processes has a processor for."""
    return max(1, len(os.sched_getaffinity(0)) // n_processes)


def suggest_threads(n: int) -> None:
    """Let libraries start `n` threads each; whatever the user has set stays."""
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, str(n))
