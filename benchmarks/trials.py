"""Milliseconds of a budget's trial, 960 flips, set-up left out: `python -m benchmarks.trials ../shared/data`.

The code that is imported is what is measured: with another commit's folder in PYTHONPATH it measures that one.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import fkeras

FLIPS, FEW, MANY = 960, 4, 44


def milliseconds(model: Any, data: tuple[Any, Any], metric: Any) -> tuple[float, float]:
    """Of one trial, elapsed and of the processor: what forty more take."""
    clocks = []
    for trials in (FEW, FEW, MANY):  # the first compiles
        start = time.perf_counter(), time.process_time()
        fkeras.campaign(model, data, metric=metric, faults=FLIPS, trials=trials, seed=1)
        clocks.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    elapsed, used = ((many - few) / (MANY - FEW) * 1e3 for few, many in zip(*clocks[1:], strict=True))
    return elapsed, used


def main() -> None:
    """Print a line per network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder with models and data")
    parser.add_argument("--only", default="", help="part of a network's name")
    options = parser.parse_args()
    folder = options.data
    images = np.load(folder / "cifar10_test_2000.npz")
    pictures = (images["X"][:1000] / 256).astype(np.float32), images["Y"][:1000].reshape(-1)
    cells, charges = np.load(folder / "hgcal/geometry.npz"), np.load(folder / "econ_t_val.npz")["calq"][:2000]
    shares = (charges / charges.sum(axis=1, keepdims=True))[:, cells["arrange"]] * cells["mask"]
    wafers = shares.reshape(-1, 8, 8, 1).astype(np.float32), charges
    emd = fkeras.metrics.emd(cells["coordinates"], cells=cells["cell_of_output"])
    for name, data, metric in (("rn07_cifar10", pictures, "accuracy"), ("econ_t_medium", wafers, emd)):
        if options.only in name:
            elapsed, used = milliseconds(fkeras.load_model(folder / f"models/{name}.h5"), data, metric)
            of = f"a trial of {len(data[0]):,} samples"
            print(f"{name}: {elapsed:.1f} ms {of}, {used:.1f} ms of processor time", flush=True)


if __name__ == "__main__":
    main()
