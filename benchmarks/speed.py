"""How fast the engine is, as ratios against the naive way in the same run.

usage: python benchmarks/speed.py [--data DIR] [--case NAME ...] [--json FILE]

The naive way writes one flipped weight, runs the whole model and scores every sample: for EMD with Keras' predict and
one `ot.emd2` call a sample, for classification one pass of the network with its quantized kernels folded to constants
and compiled by XLA. Without --data the example project's ECON-T encoder and simulated wafers are used; --data names a
folder with models/, econ_t_val.npz, hgcal/geometry.npz and cifar10_test_2000.npz for the cases medium, large and cifar.
Where a full run would exceed 30 minutes a stratified sample of bits per tensor is timed and extrapolated, and said so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

import fkeras
from fkeras.api import start_run

os.environ.setdefault("POT_BACKEND_DISABLE_TENSORFLOW", "1")
EXAMPLE = Path(__file__).parents[1] / "example_project"
LONGEST_SECONDS = 30 * 60


def seconds(work: Callable[[], Any], repeat: int = 1) -> float:
    """The shortest of some timings."""
    best = np.inf
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return float(best)


def matmul_peak() -> float:
    """GFLOP/s of a large float32 matrix product in TensorFlow."""
    from fkeras.backends.tf.setup import tensorflow

    tf = tensorflow()
    a = tf.random.uniform((3000, 3000))
    return 2 * 3000**3 / seconds(lambda: (a @ a).numpy(), 5) / 1e9


def naive_emd(model: Any, space: Any, x: Any, target: Any, coordinates: Any, cells: Any, n_bits: int) -> float:
    """Seconds per bit of the obvious way, on `n_bits` random bits."""
    import ot

    distance = ot.dist(coordinates, coordinates, "euclidean")
    source = target.astype(np.float64) / target.sum(1, keepdims=True)

    def one(bit: int) -> float:
        with fkeras.injected(model, fkeras.FaultSet([bit]), space) as faulty:
            out = np.asarray(faulty.predict(x, batch_size=1024)).reshape(len(x), -1)[:, cells].astype(np.float64)
        out /= out.sum(1, keepdims=True)
        return float(np.mean([ot.emd2(a, b, distance) for a, b in zip(source, out, strict=True)]))

    bits = np.random.default_rng(0).choice(len(space), n_bits, replace=False)
    return seconds(lambda: [one(int(bit)) for bit in bits]) / n_bits


def naive_classification(model: Any, space: Any, x: Any, repeat: int = 3) -> float:
    """Seconds per bit: one pass of the network, kernels as arguments, compiled by XLA."""
    from fkeras.backends.tf.forward import forward_of, golden_values
    from fkeras.backends.tf.setup import tensorflow

    tf = tensorflow()
    forward, values = forward_of(model, space), [tf.constant(value) for value in golden_values(space)]
    compiled = tf.function(lambda batch: forward([batch], values), jit_compile=True)
    size = min(500, len(x))
    batches = [tf.constant(x[i : i + size]) for i in range(0, len(x) - size + 1, size)]
    compiled(batches[0])
    each = seconds(lambda: [compiled(batch)[0].numpy() for batch in batches], repeat)
    return each * len(x) / (size * len(batches))


def oracle_seconds(run: Any, bits: Any, sample_per_tensor: int | None) -> tuple[float, str]:
    """Time of single flips of `bits`; extrapolated from whole channels, if asked, so that shared work counts once."""
    if sample_per_tensor is None:
        return seconds(lambda: [run.flips(bits[part]) for part in run.batches(bits)]), "measured"
    space, total = run.space, 0.0
    for start, stop in zip(space.offsets[:-1], space.offsets[1:], strict=True):
        parts = list(run.batches(np.arange(start, stop)))
        chosen = parts[0][np.linspace(0, len(parts[0]) - 1, min(sample_per_tensor, len(parts[0]))).astype(int)]
        run.flips(start + chosen[:1])
        total += seconds(lambda: run.flips(start + chosen)) * (stop - start) / len(chosen)  # noqa: B023
    return total, f"extrapolated from {sample_per_tensor} bits per tensor"


def row(name: str, run: Any, naive_per_bit: float, sample: int | None) -> dict[str, Any]:
    """One line of the table."""
    bits = np.arange(len(run.space))
    run.flips(bits[:1])
    ours, how = oracle_seconds(run, bits, sample)
    return {
        "case": name,
        "bits": len(bits),
        "samples": run.n_samples,
        "naive s/bit": naive_per_bit,
        "naive hours": naive_per_bit * len(bits) / 3600,
        "ours s": ours,
        "ours ms/bit": ours / len(bits) * 1e3,
        "ratio": naive_per_bit * len(bits) / ours,
        "how": how,
    }


def emd_case(name: str, model: Any, x: Any, charges: Any, coordinates: Any, cells: Any) -> list[dict[str, Any]]:
    """An autoencoder judged by EMD: the exhaustive oracle, and a verdict on 960 flips."""
    metric = fkeras.metrics.emd(coordinates, cells=cells)
    run = start_run(model, (x, charges), {"emd": metric})
    naive = naive_emd(model, run.space, x, charges, coordinates, cells, 2)
    rows = [row(name, run, naive, None)]
    few = slice(0, 2000)
    limit = float(run.golden["emd"].value) * 1.1
    took = seconds(
        lambda: fkeras.campaign(model, (x[few], charges[few]), metric=metric, faults=960, limits={"max_emd": limit})
    )
    print(f"{name}: verdict on 960 flips, {len(x[few])} samples: {took:.1f} s")
    return rows


def wafers(data: Path) -> tuple[Any, Any, Any]:
    """Images, charges and geometry of the real validation wafers."""
    geometry = np.load(data / "hgcal/geometry.npz")
    charges = np.load(data / "econ_t_val.npz")["calq"].astype(np.float32)
    share = charges / charges.sum(1, keepdims=True)
    return (share[:, geometry["arrange"]] * geometry["mask"]).reshape(-1, 8, 8, 1), charges, geometry


def econ_t(data: Path, size: str, n: int) -> list[dict[str, Any]]:
    """A real ECON-T network on real wafers."""
    x, charges, geometry = wafers(data)
    model = fkeras.load_model(data / f"models/econ_t_{size}.h5")
    return emd_case(
        f"ECON-T {size}, EMD", model, x[:n], charges[:n], geometry["coordinates"], geometry["cell_of_output"]
    )


def example() -> list[dict[str, Any]]:
    """The example project's encoder on simulated wafers."""
    sys.path.insert(0, str(EXAMPLE))
    from econ_t import data, geometry

    x, charges = data.validation_set()
    model = fkeras.load_model(EXAMPLE / "econ_t/econ_t_medium.h5")
    return emd_case(
        "example ECON-T, EMD", model, x, charges, np.asarray(geometry.cell_coordinates()), geometry.cell_of_output()
    )


def cifar(data: Path, sample: int) -> list[dict[str, Any]]:
    """The CIFAR-10 network on the images that it classifies correctly."""
    images = np.load(data / "cifar10_test_2000.npz")
    x, y = images["X"].astype(np.float32) / 256, images["Y"].ravel().astype(int)
    model = fkeras.load_model(data / "models/rn07_cifar10.h5")
    right = model.predict(x, batch_size=500, verbose=0).argmax(1) == y
    run = start_run(model, (x[right], y[right]), {"mispredictions": fkeras.metrics.mispredictions()})
    naive = naive_classification(model, run.space, x[right])
    counts = row("CIFAR-10 network, exact counts", run, naive, sample)
    data, ours = (x[right], y[right]), 0.0
    for start, stop in zip(run.space.offsets[:-1], run.space.offsets[1:], strict=True):
        first_channel = next(iter(run.batches(np.arange(start, stop))))
        bits = start + np.random.default_rng(0).permutation(first_channel)[: 4 * sample]
        fkeras.sensitive_bits(model, data, bits=bits[:8])
        took = seconds(lambda: fkeras.sensitive_bits(model, data, bits=bits))  # noqa: B023
        ours += took * (stop - start) / len(bits)
    yes_or_no = {
        **counts,
        "case": "CIFAR-10 network, yes or no",
        "ours s": ours,
        "ours ms/bit": ours / len(run.space) * 1e3,
        "ratio": naive * len(run.space) / ours,
        "how": f"extrapolated from {4 * sample} bits per tensor",
    }
    return [counts, yes_or_no]


def main() -> None:
    """Run the chosen cases and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the real models and data")
    parser.add_argument("--case", nargs="+", choices=["example", "medium", "large", "cifar"])
    parser.add_argument("--wafers", type=int, default=19_609)
    parser.add_argument("--sample", type=int, default=256, help="bits per tensor of the CIFAR-10 network")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cases = options.case or (["medium", "large", "cifar"] if options.data else ["example"])
    if options.data is None and cases != ["example"]:
        parser.error("the cases medium, large and cifar need --data")
    rows: list[dict[str, Any]] = []
    for case in cases:
        if case == "example":
            rows += example()
        elif case == "cifar":
            rows += cifar(options.data, options.sample)
        else:
            rows += econ_t(options.data, case, options.wafers)
    result = {
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "matmul_peak_gflops": matmul_peak(),
        "peak_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "rows": rows,
    }
    print(tabulate(rows, headers="keys", floatfmt=".4g"))
    print(
        f"matrix-product peak {result['matmul_peak_gflops']:.0f} GFLOP/s; peak memory "
        f"{result['peak_memory_gib']:.2f} GiB; {result['machine']}; {result['date']}"
    )
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
