"""Threads of the workers of one machine: each pytest-xdist worker takes its share of the processors."""

from __future__ import annotations

import os

VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NUMBA_NUM_THREADS")
"""What TensorFlow and numba read when they start; whatever the user has set stays."""


def share_threads() -> None:
    """On a worker, before TensorFlow and numba are imported; elsewhere nothing."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))
    if workers < 1:
        return
    share = max(1, len(os.sched_getaffinity(0)) // workers)
    for name in VARIABLES:
        os.environ.setdefault(name, str(share))
