"""Forward passes in whole numbers: operations per second of each layer and of all, and what each idea saves.

`python -m benchmarks.passes` takes the shapes of the CIFAR-10 network, with random words and images, and one core. The
shortest processor times count; every variant must give the same numbers. Beside them stands a matrix product's rate.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import process_time
from typing import Any
from unittest.mock import patch

import numba
import numpy as np
from tabulate import tabulate

from fkeras.arithmetic import forward, packing, passes, tensors, tiles
from fkeras.arithmetic.forward import Forward
from fkeras.arithmetic.layers import WeightedSum

REPEATS = 9
SAME = ((1, 2), (1, 2))


def network(seed: int = 0) -> Forward:
    """The CIFAR-10 network's layers with random words of eight bits."""
    rng = np.random.default_rng(seed)

    def layer(kernel: tuple[int, int, int, int], scale: float, high: float = 255, **how: Any) -> WeightedSum:
        words = np.clip(np.rint(rng.normal(0, 8, kernel)), -128, 127).astype(np.int32)
        low = 0 if np.isfinite(high) else -np.inf
        return WeightedSum(words, (-128, 127), np.zeros(kernel[3], np.float32), scale, low, high, **how)

    layers = (
        layer((1, 1, 3, 32), 2.0**-4),
        layer((4, 4, 32, 4), 2.0**-7, pads=SAME),
        layer((4, 4, 4, 32), 2.0**-6, pads=SAME),
        layer((4, 4, 32, 32), 2.0**-7, strides=(4, 4)),
        layer((4, 4, 32, 32), 2.0**-7, pads=SAME),
        layer((8, 8, 32, 10), 2.0**-8, np.inf, rounds=False),
    )
    return Forward((32, 32, 3), 0, 255, layers)


VARIANTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "as it is": nullcontext,
    "words of 16 bits in place of bytes": lambda: patch.object(tensors, "HAS_DOT_PRODUCTS", False),
    "float32 in place of bytes": lambda: patch.object(tensors, "form_of_levels", lambda *_: tiles.FLOATS),
    "no neighbours as lanes": lambda: patch.object(packing, "MOST_LANES", 0),
    "all samples through a layer at once": lambda: patch.object(forward, "CACHE", 2**62),
}


def seconds(function: Callable[[], Any]) -> float:
    """The shortest processor time of several calls, the first of which is not counted."""
    function()
    times = []
    for _ in range(REPEATS):
        begin = process_time()
        function()
        times.append(process_time() - begin)
    return min(times)


def operations(shapes: Forward) -> list[int]:
    """Multiplications and additions of each layer, a sample."""
    return [
        2 * layer.kernel.size * made.shape[0] * made.shape[1]
        for layer, made in zip(shapes.layers, shapes.tensors[1:], strict=True)
        if isinstance(layer, WeightedSum)
    ]


def layer_seconds(whole: Forward, n: int) -> list[float]:
    """Of each layer, n samples in the cache."""
    nothing = passes.Sums(np.empty(0, np.float32), np.empty(0, np.int64))
    arena = np.tile(whole.program.blank, n)
    return [
        seconds(
            lambda step=step: passes.add_up(step, whole.program, whole.golden, arena, n, nothing)  # type: ignore[misc]
        )
        for step in whole.program.steps
    ]


def main(n: int = 400) -> None:
    """Measure and print."""
    numba.config.NUMBA_NUM_THREADS = 1
    whole = network()
    levels = np.random.default_rng(1).integers(0, 256, (n, *whole.shape))
    expected = whole.levels(whole.stored(levels))
    rows = []
    for name, variant in VARIANTS.items():
        with variant():
            other = network()
            stored = other.stored(levels)
            np.testing.assert_array_equal(other.levels(stored), expected)
            time = seconds(lambda: other.levels(stored))  # noqa: B023
        rows.append([name, time / n * 1e6, sum(operations(whole)) * n / time / 1e9])
    print(tabulate(rows, ["all layers", "us a sample", "GOP/s"], tablefmt="github", floatfmt=".4g"))
    per_layer = zip(whole.layers, operations(whole), layer_seconds(whole, 8), strict=True)
    table = [[number, time / 8 * 1e6, work * 8 / time / 1e9] for number, (_, work, time) in enumerate(per_layer)]
    print("\n" + tabulate(table, ["layer", "us a sample", "GOP/s"], tablefmt="github", floatfmt=".4g"))
    matrix = np.random.default_rng(2).random((1024, 1024), np.float32)
    rate = 2 * 1024**3 / seconds(lambda: matrix @ matrix) / 1e9
    print(f"\nfloat32 matrix product: {rate:.0f} GFLOP/s a core; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
