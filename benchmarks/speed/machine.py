"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path
from typing import Any

from benchmarks.speed.timing import best


def describe() -> dict[str, Any]:
    """Machine, versions, cores in use, and how busy it was."""
    import numba
    import numpy
    import tensorflow

    models = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "tensorflow": tensorflow.__version__,
        "numba": numba.__version__,
        "numpy": numpy.__version__,
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def matmul_gflops() -> float:
    """Operations per second of a large float32 matrix product in TensorFlow, in 10^9."""
    from fkeras.frontends.qkeras.setup import tensorflow

    tf = tensorflow()
    a = tf.random.uniform((3000, 3000))
    return 2 * 3000**3 / best(lambda: (a @ a).numpy(), 5).wall / 1e9


def peak_memory_gib() -> float:
    """The largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def seconds_since_start() -> float:
    """How long this process has existed, imports included (Linux)."""
    ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
