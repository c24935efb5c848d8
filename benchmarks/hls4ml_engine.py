"""hls4ml's emulation: does it agree with QKeras, and what does a fault cost beside the other engines?

usage: python benchmarks/hls4ml_engine.py [--data DIR] [--case NAME ...] [--json FILE]

`speed` times one flipped bit on the ECON-T Medium encoder and its decoder, mean squared error: by hls4ml's emulation
compiled once, by the CPU engine, by the framework, and by compiling the emulation anew for every fault. Seconds of
processor time, so that other work on the machine matters little. Without --data the example project's model is used.
`small`, `medium`, `large` compare the ECON-T encoders on real wafers: golden, 200 single flips, 50 sets of 960 flips;
`cifar` the CIFAR-10 network on 20 images: golden and 50 single flips. They need --data, and take half an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

import fkeras
import fkeras.hls4ml
from fkeras.engines.hls4ml import emulation
from fkeras.metrics import resolve
from fkeras.models import start_run

EXAMPLE = Path(__file__).parents[1] / "example_project"
METRICS = {"mean_squared_error": resolve("mean_squared_error")}


def cpu_seconds(work: Callable[[], Any]) -> float:
    """Processor time of this process and its children, all cores."""

    def used() -> float:
        return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

    before = used()
    work()
    return used() - before


def wafers(data: Path, n: int) -> np.ndarray:
    """Images of real wafers, as the encoders take them."""
    charges = np.load(data / "econ_t_val.npz")["calq"][:n].astype(np.float32)
    geometry = np.load(data / "hgcal/geometry.npz")
    shares = charges / charges.sum(axis=1, keepdims=True)
    return (shares[:, geometry["arrange"]] * geometry["mask"]).reshape(-1, 8, 8, 1).astype(np.float32)


def simulated(n: int) -> np.ndarray:
    """Sparse images on the encoders' input grid."""
    rng = np.random.default_rng(0)
    return (rng.integers(0, 64, (n, 8, 8, 1)) * (rng.random((n, 8, 8, 1)) < 0.1) / 64).astype(np.float32)


def agreement(model: Any, x: np.ndarray, draws: list[tuple[int, int]]) -> dict[str, Any]:
    """Golden and faulty outputs compared; draws: (flips at once, how many draws)."""
    started, result = time.perf_counter(), {"samples": len(x)}
    for faults, trials in draws:
        found = fkeras.hls4ml.agreement(model, x, faults=faults, trials=trials)
        result |= {
            "outputs": found.n_outputs,
            "golden outputs that differ": found.differing,
            "golden predictions that differ": found.differing_predictions,
            f"outputs that differ under {trials} x {faults} flips": sum(found.faulty),
            f"predictions that differ under {trials} x {faults} flips": found.faulty_predictions,
            "first": found.first,
            "cause": found.cause,
        }
    return {**result, "seconds": round(time.perf_counter() - started, 1)}


def forget_compiled() -> None:
    """Let the next start compile."""
    emulation._kept.clear()
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="fkeras_bench_")


def speed(model: Any, x: np.ndarray, n_bits: int = 24) -> dict[str, Any]:
    """Processor seconds per single flip."""
    space = fkeras.bit_space(model)
    bits = np.sort(np.random.default_rng(0).choice(len(space), n_bits, replace=False))
    result: dict[str, Any] = {"samples": len(x), "bits": n_bits}
    forget_compiled()
    for engine in ("hls4ml", "auto", "framework"):
        made: list[Any] = []
        start = cpu_seconds(
            lambda made=made, engine=engine: made.append(start_run(model, (x, x), METRICS, space, engine))
        )
        made[0].flips(bits[:2])
        per_flip = cpu_seconds(lambda made=made: made[0].flips(bits)) / n_bits
        result |= {f"{engine}: to start": round(start, 2), f"{engine}: per flip": round(per_flip, 4)}
        if engine == "hls4ml":
            run = made[0]
            once = cpu_seconds(lambda run=run: run.chip.emulation.run_all(run.chip.chip_inputs, [[]] * 4)) / 4
            result["hls4ml: of that the chip"] = round(once, 4)

    def anew() -> None:
        forget_compiled()
        start_run(model, (x, x), METRICS, space, "hls4ml")

    result["compiling anew: per flip"] = round(cpu_seconds(anew), 2)
    result["compiling anew / hls4ml"] = round(result["compiling anew: per flip"] / result["hls4ml: per flip"], 1)
    result["hls4ml / fast"] = round(result["hls4ml: per flip"] / result["auto: per flip"], 1)
    return result


def cases(data: Path | None) -> dict[str, Callable[[], dict[str, Any]]]:
    """What can be measured with these files."""
    if data is None:
        return {"speed": lambda: speed(fkeras.load_model(EXAMPLE / "econ_t/econ_t_medium.h5"), simulated(2000))}
    models = data / "models"
    made: dict[str, Callable[[], dict[str, Any]]] = {
        "speed": lambda: speed(fkeras.load_model(models / "econ_t_medium.h5"), wafers(data, 4000))
    }
    for size in ("small", "medium", "large"):
        made[size] = lambda size=size: agreement(
            fkeras.load_model(models / f"econ_t_{size}.h5"), wafers(data, 4000), [(1, 200), (960, 50)]
        )
    made["cifar"] = lambda: agreement(
        fkeras.load_model(models / "rn07_cifar10.h5"),
        (np.load(data / "cifar10_test_2000.npz")["X"][:20] / 256).astype(np.float32),
        [(1, 50)],
    )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the real models and data")
    parser.add_argument("--case", nargs="+", choices=["speed", "small", "medium", "large", "cifar"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    known = cases(options.data)
    missing = [name for name in options.case or () if name not in known]
    if missing:
        parser.error(f"--case {missing[0]} needs --data")
    machine = f"{len(os.sched_getaffinity(0))} cores, {platform.machine()}, {date.today()}"
    results: dict[str, Any] = {"machine": machine}
    for name in options.case or known:
        results[name] = known[name]()
        print(f"{name}\n{tabulate(results[name].items())}\n", flush=True)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
