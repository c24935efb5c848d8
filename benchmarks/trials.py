"""Milliseconds of a budget's trial, 960 flips, and of a fault set that begins at any layer, set-up left out:
`python -m benchmarks.trials ../shared/data`.

The code that is imported is what is measured: with another commit's folder in PYTHONPATH it measures that one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fkeras
from fkeras.models import start_run

FLIPS, FEW, MANY = 960, 4, 44


def milliseconds(work: Callable[[], Any]) -> NDArray[np.float64]:
    """Elapsed and of the processor."""
    start = np.array([time.perf_counter(), time.process_time()])
    work()
    return 1e3 * (np.array([time.perf_counter(), time.process_time()]) - start)


def of_a_trial(model: Any, data: tuple[Any, Any], metric: Any) -> NDArray[np.float64]:
    """What forty more take."""
    _, few, many = (  # the first compiles
        milliseconds(lambda: fkeras.campaign(model, data, metric=metric, faults=FLIPS, trials=n, seed=1))  # noqa: B023
        for n in (FEW, FEW, MANY)
    )
    return (many - few) / (MANY - FEW)


def of_a_beginning(model: Any, data: tuple[Any, Any], metric: Any) -> NDArray[np.float64]:
    """Of one of several fault sets in a call, each of which begins at another stored tensor: the third time."""
    run = start_run(model, data, {metric.name: metric})
    sets = [fkeras.FaultSet([first, len(run.space) - 1]) for first in run.space.offsets[:-1]]
    *_, took = (milliseconds(lambda: run.fault_sets(sets)) for _ in range(3))
    return took / len(sets)


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
    for name, data, metric in (("rn07_cifar10", pictures, fkeras.metrics.accuracy()), ("econ_t_medium", wafers, emd)):
        if options.only in name:
            model = fkeras.load_model(folder / f"models/{name}.h5")
            for what, function in (("trial", of_a_trial), ("fault set that begins at any layer", of_a_beginning)):
                elapsed, used = function(model, data, metric)
                took = f"{elapsed:.1f} ms, {used:.1f} of processor time"
                print(f"{name}, {len(data[0]):,} samples, a {what}: {took}", flush=True)


if __name__ == "__main__":
    main()
