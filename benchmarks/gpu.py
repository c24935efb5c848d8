"""The GPU engine against the CPU engine: `python -m benchmarks.gpu rn07.fkn images.npz ...`.

Pairs of a network and its data, `x`, `y`, and for the EMD `coordinates` and `cells` (`--make FOLDER` writes them from
models and data; that takes TensorFlow, nothing else does). Per pair: every bit flipped alone, cold (compilation
included) and warm; then trials of 960 flips on 1,000 samples. The CPU engine measures some of the same faults on the
same data, and its numbers must be equal. `--small` takes little of everything, for a dry run (JAX_PLATFORMS=cpu).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fkeras
from fkeras.engine import Run, Scores
from fkeras.engines.gpu.setup import jax
from fkeras.faults import FaultSet

FLIPS, TRIALS, TRIAL_SAMPLES, CHECKED_TRIALS, CHECKED_BITS = 960, 14_000, 1_000, 6, 200
SECONDS = 20
"""After which an oracle is cut off; how far it came is said."""


def started(study: fkeras.Study, engine: str) -> Run:
    """The engine on the study's data. SystemExit where another one serves."""
    run = study.but(engine=engine).run()
    if run.engine != engine:
        sys.exit(f"{run.engine} serves, not {engine}")
    return run


def every_bit(run: Run, bits: NDArray[np.int64], seconds: float) -> tuple[NDArray[np.intp], Scores, float]:
    """Which of `bits` were flipped, what that did, and how long it took."""
    (name,) = run.metrics
    places, parts, start = [], [], time.perf_counter()
    for batch in run.batches(bits):
        places.append(batch)
        parts.append(run.flips(bits[batch])[name])
        if time.perf_counter() - start > seconds:
            break
    return np.concatenate(places), Scores.concatenate(parts), time.perf_counter() - start


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What comes out, and the seconds that it took."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def equal(ours: Scores, others: Scores) -> str:
    """Whether scores are those of the CPU engine."""
    same = np.isclose(ours.values, others.values, rtol=1e-6, atol=1e-12)
    return f"{int(same.sum())} of {same.size} equal to the CPU engine's"


def measure(name: str, study: fkeras.Study, small: bool) -> None:
    """Print the figures of a network."""
    gpu, cpu = started(study, "gpu"), started(study, "cpu")
    rng, n_bits = np.random.default_rng(0), len(study.space)
    bits = np.sort(rng.choice(n_bits, min(n_bits, 2_000), replace=False)) if small else np.arange(n_bits)
    what = f"{name}, {gpu.n_samples:,} samples, {next(iter(gpu.metrics))}"
    for state in ("cold", "warm"):
        places, scores, seconds = every_bit(gpu, bits, SECONDS)
        print(f"{what}: {places.size:,} of {n_bits:,} bits in {seconds:.1f} s ({state}), ", end="")
        print(f"{seconds / places.size * 1e6:.1f} us a bit", flush=True)
    order = np.argsort(places)
    some = order[:: max(1, order.size // CHECKED_BITS)]
    cpu.flips(bits[places[some[:8]]])  # compiles
    checked, seconds_on_cpu = timed(lambda: cpu.flips(bits[places[some]]))
    ratio = seconds_on_cpu / some.size / (seconds / places.size)
    (metric,) = gpu.metrics
    ours = Scores(scores.values[some], scores.undefined[some], scores.harmed[some])
    print(f"  {equal(ours, checked[metric])}, which takes {ratio:.1f} times as long for scattered bits", flush=True)


def measure_trials(study: fkeras.Study, small: bool) -> None:
    """Print the figures of trials."""
    gpu, cpu = started(study, "gpu"), started(study, "cpu")
    rng, n_bits, (metric,) = np.random.default_rng(1), len(study.space), gpu.metrics
    n_trials = 8 if small else TRIALS if "accuracy" in gpu.metrics else 256
    flips = min(FLIPS, n_bits // 4)
    sets = [FaultSet(np.sort(rng.choice(n_bits, flips, replace=False))) for _ in range(n_trials)]
    head = sets[:CHECKED_TRIALS]
    _, cold = timed(lambda: gpu.fault_sets(sets[: gpu.batch_size]))
    trials, seconds = timed(lambda: gpu.fault_sets(sets))
    cpu.fault_sets(head[:1])
    checked, seconds_on_cpu = timed(lambda: cpu.fault_sets(head))
    print(f"  {n_trials:,} trials of {flips} flips, {gpu.n_samples:,} samples: {seconds:.1f} s, ", end="")
    print(f"{seconds / n_trials * 1e3:.2f} ms each (first {gpu.batch_size} cold: {cold:.1f} s), ", end="")
    print(
        f"CPU {seconds_on_cpu / len(head) * 1e3:.1f} ms; {equal(trials[metric][: len(head)], checked[metric])}",
        flush=True,
    )


def study_of(network: Path, data: Path, n: int | None) -> fkeras.Study:
    """A network with its metric and the first n samples of its data."""
    arrays = np.load(data)
    metric: Any = "accuracy"
    if "coordinates" in arrays:
        metric = fkeras.metrics.emd(arrays["coordinates"], cells=arrays["cells"])
    return fkeras.Study(fkeras.load_model(network), (arrays["x"][:n], arrays["y"][:n]), metric)


def make(source: Path, target: Path) -> None:
    """Write the networks of a folder of models, and data for each."""
    target.mkdir(parents=True, exist_ok=True)
    images = np.load(source / "cifar10_test_2000.npz")
    x, y = (images["X"] / 256).astype(np.float32), images["Y"].reshape(-1)
    np.savez_compressed(target / "cifar10.npz", x=x[:1471], y=y[:1471])
    geometry, charges = np.load(source / "hgcal/geometry.npz"), np.load(source / "econ_t_val.npz")["calq"]
    shares = (charges / charges.sum(axis=1, keepdims=True))[:, geometry["arrange"]] * geometry["mask"]
    wafers = shares.reshape(-1, 8, 8, 1).astype(np.float32)
    cells = {"coordinates": geometry["coordinates"], "cells": geometry["cell_of_output"]}
    np.savez_compressed(target / "econ_t.npz", x=wafers, y=charges.astype(np.float32), **cells)
    for name in ("rn07_cifar10", "econ_t_medium", "econ_t_large"):
        export = ("-m", "fkeras", "export", source / f"models/{name}.h5", "--output", target / f"{name}.fkn")
        subprocess.run([sys.executable, *map(str, export)], check=True)


def main() -> None:
    """Print the device, then a few lines per pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="*", type=Path, help="network, data, network, data, ...")
    parser.add_argument(
        "--make", type=Path, metavar="SOURCE", help="write pairs from models and data to the one folder"
    )
    parser.add_argument("--small", action="store_true", help="a dry run")
    arguments = parser.parse_args()
    if arguments.make:
        (target,) = arguments.pairs
        make(arguments.make, target)
        return
    devices = jax().devices()
    print(f"JAX {jax().__version__}, {len(devices)} device(s), {devices[0].device_kind}", flush=True)
    for network, data in zip(arguments.pairs[::2], arguments.pairs[1::2], strict=True):
        samples = (64, 64) if arguments.small else (None, TRIAL_SAMPLES)
        measure(network.stem, study_of(network, data, samples[0]), arguments.small)
        measure_trials(study_of(network, data, samples[1]), arguments.small)


if __name__ == "__main__":
    main()
