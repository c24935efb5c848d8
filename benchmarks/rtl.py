"""ECON-T as weight memories in SystemVerilog: simulated against the library, synthesized, and compared.

    python -m benchmarks.rtl check --data ../shared/data medium tmr secded
    python -m benchmarks.rtl area --data ../shared/data small medium
    python -m benchmarks.rtl front --data ../shared/data medium --output front

The tables of `docs/silicon.md`; it needs `pytest-fkeras[rtl]` and Icarus Verilog.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

import fkeras
from benchmarks.free_protection import case
from fkeras.cli import main as fkeras_command
from fkeras.rtl import rtl_check, weight_memory
from fkeras.rtl.area import AreaMeter

HOURS = 4 * 3600
FRONT = f"--metric emd --faults {{faults}} --exposure-seconds {HOURS} --limit max_emd_increase=0.4 --front --seed 16001"
N_WAFERS = 300


def processor_seconds() -> float:
    """What this process and those that it started have used: the same on a machine that does other work."""
    return sum(os.times()[:4])


def kinds(space, ranking):
    """What protects the memory, by name."""
    every = range(len(space))
    hourly = {"scrub_interval_seconds": 3600}
    return {
        "none": None,
        **{f"tmr{share:g}": fkeras.TMR(ranking.fraction(share / 100)) for share in (10, 33, 63.5)},
        "tmr": fkeras.TMR(every),
        "secded": fkeras.SECDED(every),
        "parity": fkeras.Parity(every),
        "blind": fkeras.BlindScrubbing(every, **hourly),
        "range": fkeras.RangeCheck(),
        "known": fkeras.KnownWords(),
        "recoded": fkeras.Recoded(),
        "tmr-scrub": fkeras.TMR(every, **hourly),
        "tmr-itself": fkeras.TMR(every, **hourly, scrub_from="itself"),
        "secded-scrub": fkeras.SECDED(every, **hourly),
        "secded-itself": fkeras.SECDED(every, **hourly, scrub_from="itself"),
        "parity-reload": fkeras.Parity(every, **hourly, on_detected="reload"),
    }


def main() -> None:
    """Print a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("check", "area", "front"))
    parser.add_argument("names", nargs="+", help="small, medium or large, and kinds; all kinds where none is named")
    parser.add_argument("--data", type=Path, required=True, help="the folder with models/econ_t_*.h5")
    parser.add_argument("--trials", type=int, default=3, help="of 960 flips per 12,720 bits in four hours")
    parser.add_argument("--output", type=Path, help="of front: a folder for its data, store, front.json and front.svg")
    options = parser.parse_args()
    models = [name for name in options.names if name in ("small", "medium", "large")]
    chosen = [name for name in options.names if name not in models]
    for model in models:
        loaded = fkeras.load_model(options.data / "models" / f"econ_t_{model}.h5")
        space, meter = fkeras.bit_space(loaded), AreaMeter()
        n_hits = round(len(space) * 960 / 12_720)
        if options.what == "front":
            front(options.data, f"econ_t_{model}", n_hits, options.output)
            continue
        for kind, protected in kinds(space, fkeras.rank(loaded)).items():
            if chosen and kind not in chosen:
                continue
            start, memory = processor_seconds(), weight_memory(protected, space)
            if options.what == "area":
                area = meter.measured(memory)
                counts = [sum(getattr(store, name) for store in area.stores) for name in ("n_cells", "n_survived")]
                parts = [
                    sum(getattr(store, name) for store in area.stores) for name in ("cells", "decoders", "control")
                ]
                row = [
                    *(f"{n:,}" for n in counts),
                    *(f"{n:,.0f}" for n in (*parts, area.total)),
                    f"{area.overhead:+.1%}",
                ]
            else:
                faults = fkeras.FlipCount(n_hits, exposure_seconds=HOURS)
                with tempfile.TemporaryDirectory() as folder:
                    memory.write(folder)
                    stores = rtl_check(folder, faults=faults, trials=options.trials).stores
                names = ("n_cells", "n_single", "n_pairs", "n_mismatches")
                row = [f"{sum(getattr(store, name) for store in stores):,}" for name in names]
            print(f"| {model} | {kind} | {' | '.join(row)} | {processor_seconds() - start:.0f} s |", flush=True)


def front(data: Path, name: str, n_hits: int, folder: Path) -> None:
    """The command of `docs/silicon.md`, on files that it makes."""
    (x, y), _ = case(data, name)
    geometry = np.load(data / "hgcal" / "geometry.npz")
    folder.mkdir(exist_ok=True)
    np.savez(folder / "wafers.npz", x=x[:N_WAFERS], y=y[:N_WAFERS])
    np.savez(folder / "geometry.npz", **{key: geometry[key] for key in ("coordinates", "cell_of_output")})
    files = {"data": "wafers.npz", "geometry": "geometry.npz", "store": "results", "json": "front.json"}
    named = [f"--{option}={folder / file}" for option, file in {**files, "figure": "front.svg"}.items()]
    line = ["protect", str(data / "models" / f"{name}.h5"), *named, *FRONT.format(faults=n_hits).split()]
    print("fkeras", *line, flush=True)
    fkeras_command(line)


if __name__ == "__main__":
    main()
