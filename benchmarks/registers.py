"""Which registers matter, and what finding out costs: `python -m benchmarks.registers ../shared/data`.

Single flips of activations of ECON-T Medium and of the CIFAR-10 network, some of each layer, drawn uniformly: the mean
change of the metric by layer and by bit, and the time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import fkeras
from fkeras.faults import RandomStream
from fkeras.progress import silent


def table(model: Any, data: tuple[Any, Any], metric: Any, most: int, outside: Any = None) -> None:
    """Print a line per layer: bits, flips, the mean |change| by bit of a word from its top on, milliseconds a bit."""
    space = fkeras.bit_space(model, of="activations")
    if outside is not None:
        how: dict[str, Any] = {"metric": metric, "faults": 1, "trials": 1, "space": space, "progress": silent}
        space = fkeras.campaign(model, data, protected=fkeras.RangeCheck(outside), **how).setting.space
    for number, register in enumerate(space.registers):
        first, stop = space.offsets[number], space.offsets[number + 1]
        n = min(most, register.n_bits)
        bits = first + RandomStream("benchmarks.registers", register.path).distinct(n, int(stop - first))
        start = time.perf_counter()
        oracle = fkeras.oracle(model, data, metric=metric, bits=bits, space=space, progress=silent)
        seconds = time.perf_counter() - start
        places = oracle.positions
        change = [np.abs(oracle.delta[places == place]).mean() for place in range(register.layout.widest)]
        shown = " ".join(f"{value:.2g}" for value in change)
        name = f"{register.path} ({register.n_bits:,} bits, {n:,} flipped)"
        print(f"{name:70} {shown}  {1e3 * seconds / n:.1f} ms a bit", flush=True)


def main() -> None:
    """Both networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder with models and data")
    parser.add_argument("--samples", type=int, default=1000, help="of each data set (1000)")
    parser.add_argument("--bits", type=int, default=400, help="of each layer (400)")
    parser.add_argument("--outside", choices=["clamp", "zero"], help="of a range check that registers are read through")
    options = parser.parse_args()
    folder, n = options.data, options.samples
    cells, charges = np.load(folder / "hgcal/geometry.npz"), np.load(folder / "econ_t_val.npz")["calq"][:n]
    shares = (charges / charges.sum(axis=1, keepdims=True))[:, cells["arrange"]] * cells["mask"]
    wafers = shares.reshape(-1, 8, 8, 1).astype(np.float32), charges
    emd = fkeras.metrics.emd(cells["coordinates"], cells=cells["cell_of_output"])
    table(fkeras.load_model(folder / "models/econ_t_medium.h5"), wafers, emd, options.bits, options.outside)
    images = np.load(folder / "cifar10_test_2000.npz")
    pictures = (images["X"][:n] / 256).astype(np.float32), images["Y"][:n].reshape(-1)
    table(fkeras.load_model(folder / "models/rn07_cifar10.h5"), pictures, "accuracy", options.bits, options.outside)


if __name__ == "__main__":
    main()
