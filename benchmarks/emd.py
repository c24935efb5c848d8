"""How much faster is our EMD than one `ot.emd2` call per sample, as a campaign uses it, on one core?

usage: python benchmarks/emd.py [CASE.npz ...] [--samples N] [--faults K] [--json FILE]

A case holds coordinates (n_cells, 2 or 3), cells (n_cells,), target (n, n_cells), golden (n, size) and
faulty (k, n, size): a network's outputs without and with k single faults. Without a case, wafers are made up:
48 hexagonal cells, about 2 hit (sparse) or 20 (busy), outputs that blur them, faults that deform all outputs.
Binding solves the golden problem once and is reported apart, as a campaign spreads it over all its faults.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

os.environ.setdefault("POT_BACKEND_DISABLE_TENSORFLOW", "1")

import numpy as np
import ot

from fkeras.metrics import emd

Case = dict[str, np.ndarray]


def synthetic(n_hit: int, n_samples: int, n_faults: int, seed: int) -> Case:
    """Made-up wafers with n_hit of 48 hexagonal cells hit on average."""
    rng = np.random.default_rng(seed)
    coordinates = np.array([[2.0 * x + y % 2, np.sqrt(3.0) * y] for y in range(6) for x in range(8)])
    near = np.exp(-ot.dist(coordinates, coordinates, "euclidean") / 2)
    target = np.floor(rng.exponential(60.0, (n_samples, 48)) + 1) * (rng.random((n_samples, 48)) < n_hit / 48)
    target[np.arange(n_samples), rng.integers(0, 48, n_samples)] += 50.0
    golden = (target / target.sum(axis=1, keepdims=True)) @ near + 0.02 * rng.random((n_samples, 48))
    size = 10.0 ** rng.uniform(-3, 0, (n_faults, n_samples, 1))
    pattern = rng.standard_normal((n_faults, 1, 48)) @ near
    faulty = golden * np.exp(np.clip(size * pattern, -5, 5))
    return {
        "coordinates": coordinates,
        "cells": np.arange(48),
        "target": target,
        "golden": golden.astype(np.float32),
        "faulty": faulty.astype(np.float32),
    }


def measure(case: Case, n_calls: int, repeats: int, seed: int) -> dict[str, float]:
    """Microseconds per sample of ours and of ot.emd2, their ratio, and their largest difference."""
    target, faulty, cells = case["target"].astype(np.float64), case["faulty"], case["cells"]
    metric = emd(case["coordinates"], cells=cells, threads=1)
    metric.bind(target[:2], case["golden"][:2]).score(faulty[0, :2], slice(0, 2))  # compile
    started = time.perf_counter()
    scorer = metric.bind(target, case["golden"])
    bind_seconds = time.perf_counter() - started

    ours = np.inf
    for _ in range(repeats):
        started = time.perf_counter()
        values = [scorer.score(outputs, slice(None)).values for outputs in faulty]
        ours = min(ours, time.perf_counter() - started)
    ours /= faulty.shape[0] * faulty.shape[1]

    distance = ot.dist(case["coordinates"], case["coordinates"], "euclidean")
    rng = np.random.default_rng(seed)
    theirs, error = 0.0, 0.0
    for _ in range(n_calls):
        fault, sample = rng.integers(faulty.shape[0]), rng.integers(faulty.shape[1])
        source = target[sample] / target[sample].sum()
        output = faulty[fault, sample][cells].astype(np.float64)
        if output.min() < 0 or not 0 < output.sum() < np.inf:
            continue
        output /= output.sum()
        started = time.perf_counter()
        value = ot.emd2(source, output, distance)
        theirs += (time.perf_counter() - started) / n_calls
        error = max(error, abs(value - values[fault][sample]))
    return {
        "cells_hit": float((target > 0).sum(axis=1).mean()),
        "bind_us": 1e6 * bind_seconds / len(target),
        "ours_us": 1e6 * ours,
        "emd2_us": 1e6 * theirs,
        "ratio": theirs / ours,
        "largest_difference": float(error),
    }


def main() -> None:
    """Measure every case, print a table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", type=Path, metavar="CASE.npz")
    parser.add_argument("--samples", type=int, default=1000, help="made-up wafers (default 1000)")
    parser.add_argument("--faults", type=int, default=20, help="made-up faults (default 20)")
    parser.add_argument("--calls", type=int, default=1000, help="ot.emd2 calls to time (default 1000)")
    parser.add_argument("--repeats", type=int, default=3, help="take the best of so many runs (default 3)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the results here, too")
    options = parser.parse_args()

    cases = {path.stem: dict(np.load(path)) for path in options.cases} or {
        "sparse (made up)": synthetic(1, options.samples, options.faults, options.seed),
        "busy (made up)": synthetic(20, options.samples, options.faults, options.seed),
    }
    results = {name: measure(case, options.calls, options.repeats, options.seed) for name, case in cases.items()}
    print(f"{'wafers':<20}{'hit':>6}{'bind us':>10}{'ours us':>10}{'emd2 us':>10}{'ratio':>8}{'difference':>13}")
    for name, row in results.items():
        print(
            f"{name:<20}{row['cells_hit']:>6.1f}{row['bind_us']:>10.2f}{row['ours_us']:>10.3f}{row['emd2_us']:>10.1f}"
            f"{row['ratio']:>8.0f}{row['largest_difference']:>13.1e}"
        )
    if options.json:
        about = {"machine": platform.processor() or platform.machine(), "python": sys.version.split()[0]}
        versions = {"numpy": np.__version__, "POT": ot.__version__}
        report = {"benchmark": "emd", **about, **versions, "seed": options.seed, "cases": results}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
