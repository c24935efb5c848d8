"""Kill a running oracle of a real model many times, at random moments; each time resume it and compare the result.

usage: python benchmarks/kills.py [--kills N] [--samples N] [--json FILE]

Each kill is SIGKILL to a process of its own that measures the example project's digits network (15,984 bits) into an
empty store; the resumption opens that store anew, measures what is missing, and the table that it leaves must be, byte
for byte, that of an uninterrupted oracle. Kills before anything was stored, or after all of it was, are counted apart.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import fkeras
from fkeras.store import Store
from fkeras.store import entry as entry_module

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
EXAMPLE = Path(__file__).parents[1] / "example_project"
FLUSH_SECONDS = 0.1


def subject(n_samples: int) -> tuple[Any, tuple[Any, Any]]:
    """The digits network and some of its test images."""
    sys.path.insert(0, str(EXAMPLE))
    from digits import data

    x, y = data.test_set()
    return fkeras.load_model(EXAMPLE / "digits" / "digits.h5"), (x[:n_samples], y[:n_samples])


def oracle(model: Any, data: Any, store: Path) -> fkeras.Oracle:
    """All single flips, as far as they are missing."""
    return fkeras.oracle(model, data, metric="mispredictions", store=store)


def table(store: Path) -> tuple[str, bytes]:
    """The one file of the result."""
    (entry,) = (entry for entry in Store(store).entries() if entry.identity.kind == "oracle")
    (path,) = (entry.folder / "rows").glob("part-*.parquet")
    return path.name, path.read_bytes()


def stored(store: Path) -> int:
    """Rows of the oracle that are stored so far."""
    entries = [entry for entry in Store(store).entries() if entry.identity.kind == "oracle"]
    return sum(len(entry.known().get("bit", ())) for entry in entries)


def victim(store: Path, n_samples: int, ready: Any) -> None:
    """Measure, and say when that begins."""
    entry_module.FLUSH_SECONDS = FLUSH_SECONDS
    model, data = subject(n_samples)
    fkeras.oracle(model, data, metric="mispredictions", bits=np.arange(16))
    ready.set()
    oracle(model, data, store)


def killed(context: Any, ready: Any, store: Path, n_samples: int, after_seconds: float) -> bool:
    """Start an oracle in a process, and kill it; False when it was over before that."""
    ready.clear()
    process = context.Process(target=victim, args=(store, n_samples, ready))
    process.start()
    if not ready.wait(300):
        raise RuntimeError("the process to be killed did not start")
    process.join(after_seconds)
    hit = process.is_alive()
    process.kill()
    process.join()
    return hit


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--samples", type=int, default=500, help="images of the test set")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    context = multiprocessing.get_context("forkserver")
    # Importing TensorFlow takes seconds, and a process that has not used it yet can be forked.
    context.set_forkserver_preload(["tensorflow", "qkeras", "fkeras.api", "fkeras.engines.cpu.run"])
    model, data = subject(given.samples)
    moments, found = random.Random(1), []
    with tempfile.TemporaryDirectory() as name:
        oracle(model, data, Path(name) / "warm")
        started = time.perf_counter()
        oracle(model, data, Path(name) / "whole")
        whole_seconds = time.perf_counter() - started
        whole = table(Path(name) / "whole")
        longest, number, ready = whole_seconds, 0, context.Event()
        while len(found) < given.kills:
            number += 1
            store = Path(name) / str(number)
            if not killed(context, ready, store, given.samples, moments.uniform(0, longest)):
                longest *= 0.9  # it measures faster than this process did
                continue
            n_stored = stored(store)
            resumed = oracle(model, data, store)
            found.append((n_stored, resumed.reused, table(store) == whole))
            same = "identical" if found[-1][2] else "DIFFERENT"
            print(f"{len(found):4d}  {n_stored:6,d} stored when killed, {same}", flush=True)
    kept = np.array([n for n, _, _ in found])
    result = {
        "kills": len(found),
        "identical": int(sum(same for _, _, same in found)),
        "resumed_what_was_stored": int(sum(n == reused for n, reused, _ in found)),
        "nothing_stored_yet": int((kept == 0).sum()),
        "all_stored_already": int((kept == len(resumed)).sum()),
        "bits": len(resumed),
        "median_stored": float(np.median(kept)),
        "oracle_seconds": whole_seconds,
    }
    print(json.dumps(result, indent=1))
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["identical"] == result["resumed_what_was_stored"] == given.kills else 1


if __name__ == "__main__":
    raise SystemExit(main())
