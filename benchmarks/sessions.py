"""What whole pytest sessions cost: one that does not use the plugin, and a cold one with a fault budget.

usage: python -m benchmarks.sessions [--data DIR] [--repeat N] [--json FILE]

start-up: the same session of one empty test with the plugin and with `-p no:fkeras`, in turn; the median of the
differences between neighbours, in processor time, which a busy machine leaves comparable. cold (needs --data): 960
flips on the CIFAR-10 network with 1,000 images, which must keep their accuracy, in a fresh project with an empty cache
of compiled code, TensorFlow's import and compilation included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.speed.timing import Seconds

IMAGES = 1000
INI = "[pytest]\nfkeras_seed = 1\nfkeras_model = {data}/models/rn07_cifar10.h5\nfkeras_data = validation.npz\n"
BUDGET = """
from pytest_fkeras import fault_budget

@fault_budget(bits=960, {limit})
def test_accuracy_under_960_flips():
    pass
"""
LIMITS = ("max_accuracy_drop=0.7", "max_accuracy_drop=0.02")
"""One that no draw breaks, which takes the most trials, and one that most do."""


def timed(folder: Path, *options: str, **environment: str) -> Seconds:
    """How long a pytest session in a folder takes; it must end with 0 or 1."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    # As anywhere else, modules are compiled once: where this variable is set they would be at every start.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | environment
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return Seconds(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def start_up(folder: Path, repeat: int) -> dict[str, Any]:
    """Milliseconds that the plugin adds to a session that does not use it."""
    (folder / "test_empty.py").write_text("def test_empty():\n    pass\n")
    timed(folder)
    pairs = [(timed(folder).cpu, timed(folder, "-p", "no:fkeras").cpu) for _ in range(repeat)]
    added = sorted(1e3 * (with_plugin - without) for with_plugin, without in pairs)
    quarter = len(added) // 4
    return {
        "session": "uses nothing of the plugin",
        "with_plugin_ms": 1e3 * statistics.median(pair[0] for pair in pairs),
        "without_ms": 1e3 * statistics.median(pair[1] for pair in pairs),
        "added_ms": statistics.median(added),
        "middle_half_of_added_ms": f"{added[quarter]:.1f} to {added[-1 - quarter]:.1f}",
    }


def cold(folder: Path, data: Path, limit: str) -> dict[str, Any]:
    """A first run on a fresh machine, packages installed."""
    images = np.load(data / "cifar10_test_2000.npz")
    x, y = images["X"][:IMAGES].astype(np.float32) / 256, images["Y"].ravel()[:IMAGES].astype(int)
    np.savez(folder / "validation.npz", x=x, y=y)
    (folder / "pytest.ini").write_text(INI.format(data=data))
    (folder / "test_budget.py").write_text(BUDGET.format(limit=limit))
    report = folder / "report.json"
    took = timed(folder, f"--fkeras-json={report}", NUMBA_CACHE_DIR=str(folder / "numba"))
    (test,) = json.loads(report.read_text())["tests"]
    return {"session": f"cold, {limit}", "verdict": test["verdict"], "trials": test["trials"], "seconds": took.wall}


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {"start_up": start_up(Path(folder), options.repeat)}
    print(tabulate([found["start_up"]], headers="keys", floatfmt=".1f"))
    if options.data is not None:
        found["cold"] = []
        for limit in LIMITS:
            with tempfile.TemporaryDirectory() as folder:
                found["cold"].append(cold(Path(folder), options.data.resolve(), limit))
        print(tabulate(found["cold"], headers="keys", floatfmt=".1f"))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
