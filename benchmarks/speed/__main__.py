"""How fast the engine is, as ratios against the naive way in the same run; each part in a process of its own.

usage: python -m benchmarks.speed [--data DIR] [--only PART ...] [--quick] [--json FILE]

Without --data the example project's ECON-T encoder and simulated wafers are measured; DIR holds models/,
econ_t_val.npz, hgcal/ and cifar10_test_2000.npz. Every bit is measured; with --quick, where that takes over two
minutes, seconds are extrapolated from words drawn per tensor, all their bits, and said so. The result is one JSON
object and tables; `benchmarks/history` keeps some.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from tabulate import tabulate

SCALING = ("bits", "samples", "one core", "two cores")
WITH_DATA = (
    *("emd", "medium", "large", "counts", "sensitive", "verdict on EMD", "verdict on accuracy"),
    *SCALING,
)
WITHOUT = ("emd", "example", *SCALING)
CORES = {"one core": 1, "two cores": 2}
MINUTES = ("large", "counts", "sensitive")
"""Parts whose every bit takes over two minutes."""


def measure(part: str, data: Path | None, enough: float | None) -> dict[str, Any]:
    """The rows of one part."""
    from benchmarks.speed import machine

    if part == "emd":
        from benchmarks.speed import transport

        return {"rows": transport.measured(data), "peak_memory_gib": machine.peak_memory_gib()}
    from benchmarks.speed import cases, oracles, scaling

    rows: list[dict[str, Any]]
    if part in ("medium", "large"):
        assert data is not None
        rows = [oracles.counts(cases.econ_t(data, part), enough)]
    elif part in ("counts", "sensitive"):
        assert data is not None
        rows = [getattr(oracles, part)(cases.cifar10(data), enough)]
    elif part == "verdict on EMD":
        assert data is not None
        case = cases.econ_t(data, "medium").part(2000)
        rows = [oracles.verdict(case), *(oracles.verdict_at(case, share) for share in (0.01, 0.2))]
    elif part == "verdict on accuracy":
        assert data is not None
        rows = [oracles.verdict(cases.cifar10(data).part(1000))]
    elif part == "example":
        rows = [oracles.counts(cases.example(), None)]
    else:
        case = cases.example() if data is None else cases.econ_t(data, "medium")
        rows = scaling.against_bits(case.part(2000)) if part == "bits" else scaling.against_samples(case)
    result = {"rows": rows, "peak_memory_gib": machine.peak_memory_gib()}
    return result | {"machine": machine.describe(), "matmul_gflops": machine.matmul_gflops()}


def in_own_process(part: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one part in a fresh process, so that memory and cores are its own."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, "-m", "benchmarks.speed", "--part", part, "--json", str(result)]
        command += ["--data", str(options.data)] if options.data else []
        command += ["--quick"] * options.quick
        command += ["--sample-seconds", str(options.sample_seconds)]
        print(f"{part} ...", flush=True)
        done = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
        if done.returncode != 0:
            print(f"  {part} failed with exit status {done.returncode}")
            return {"rows": [], "failed": done.returncode}
        found: dict[str, Any] = json.loads(result.read_text())
        return found


def use_cores(n: int) -> None:
    """Leave this process so many cores; before TensorFlow and numba count them."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])
    os.environ["NUMBA_NUM_THREADS"] = str(n)


def show(parts: dict[str, dict[str, Any]]) -> None:
    """Tables of everything that was measured."""
    for part, found in parts.items():
        about = [f"peak memory {found['peak_memory_gib']:.2f} GiB"] if "peak_memory_gib" in found else ["failed"]
        if "matmul_gflops" in found:
            about.append(f"matrix product {found['matmul_gflops']:.0f} GFLOP/s")
        print(f"\n{part}: {', '.join(about)}")
        print(tabulate(found["rows"], headers="keys", floatfmt=".4g"))


def main() -> None:
    """Run the chosen parts one after the other, and print and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the real models and data")
    parser.add_argument("--only", nargs="+", choices=sorted({*WITH_DATA, *WITHOUT}), metavar="PART")
    parser.add_argument("--quick", action="store_true", help="measure samples wherever all bits take over two minutes")
    parser.add_argument("--sample-seconds", type=float, default=8.0, help="of the largest sample per tensor (8)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.data is not None:
        options.data = options.data.resolve()
    if options.part is not None:
        enough = options.sample_seconds if options.quick and options.part in MINUTES else None
        if options.part in CORES:
            use_cores(CORES[options.part])
        options.json.write_text(json.dumps(measure(options.part, options.data, enough)))
        return
    chosen = options.only or (WITH_DATA if options.data else WITHOUT)
    unknown = set(chosen) - set(WITH_DATA if options.data else WITHOUT)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: only {'without' if options.data else 'with'} --data")
    parts = {part: in_own_process(part, options) for part in chosen}
    show(parts)
    if options.json:
        options.json.write_text(json.dumps({"date": date.today().isoformat(), "parts": parts}, indent=1) + "\n")
    if any("failed" in found for found in parts.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
