"""How many bits still need copies beside each check that adds no bit.

usage: python -m benchmarks.bits_left [DATA] [--models NAME ...] [--max-trials N] [--method NAME]
           [--only CHECK ...] [--json FILE]

DATA: a folder with the paper's models and inputs. ECON-T has 960 hits per 12,720 bits in four hours and may lose an EMD
of 0.4 (Medium's own is 2.93; the paper's may lose 0.15 of 1.10), the CIFAR-10 network 100 hits and 0.02 in accuracy.
Without DATA it is the example project's ECON-T Medium, which must keep an EMD of 1.0, as its tests ask. Bits are ranked
as the check reads them. The sizes beside a stated check are searched for on the trials that they pass on; "free" is
`fkeras.protect(free=True)`, which is judged on trials that chose nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tabulate import tabulate

import fkeras
from fkeras.campaigns import required
from fkeras.errors import InputError

SEED = 16_001
HOURS = 4 * 3600
RATE = 960 / 12_720
EMD, ACCURACY = {"max_emd_increase": 0.4}, {"max_accuracy_drop": 0.02}
MODELS = {
    "econ_t_medium": (RATE, EMD),
    "econ_t_small": (RATE, EMD),
    "econ_t_large": (RATE, EMD),
    "rn07_cifar10": (100 / 459_520, ACCURACY),
}
"""Hits per bit, and what must be kept."""
UNDER = {
    "immune": fkeras.AssumedImmune,
    "TMR, written anew every 60 s": lambda bits: fkeras.TMR(bits, scrub_interval_seconds=60),
}


def main() -> None:
    """Search, print a table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["econ_t_medium"])
    parser.add_argument("--max-trials", type=int, default=300)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--method", default="displacement", help="how bits are ranked, and what an error matters")
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--under", nargs="+", choices=UNDER, default=list(UNDER))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for case in [None] if options.data is None else [_case(options.data, name) for name in options.models]:
        study, limits, rate = _example(options.samples) if case is None else _study(*case, options.samples)
        hits = fkeras.FlipCount(round(rate * len(study.space)), exposure_seconds=HOURS)
        requirement = required(limits, study.metrics)
        golden = next(iter(study.golden.values())).value
        print(f"{study.model_name}: {golden:.4f} without faults, {requirement}, {hits!r}", flush=True)
        ranking = study.rank(options.method)
        for name, check in _checks(ranking, float(f"{rate:.2g}")).items():
            if options.only and name not in options.only:
                continue
            for called in options.under:
                rows.append(_row(study, hits, requirement, name, check, options.method, called, options.max_trials))
                print("  ".join(map(str, rows[-1].values())), flush=True)
    print(tabulate(rows, headers="keys"))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def _row(
    study: fkeras.Study, hits: Any, requirement: Any, name: str, check: Any, method: str, called: str, max_trials: int
) -> dict[str, Any]:
    cover, start = UNDER[called], time.perf_counter()
    under = cover if check is None else lambda bits: [check, cover(bits)]
    try:
        choice = study.protect(
            faults=hits, limits=requirement, max_trials=max_trials, method=method, under=under, free=name == "free"
        )
    except InputError as error:
        return {
            "model": study.model_name,
            "check": name,
            "bits under": called,
            "bits": str(error).rpartition(";")[2].strip()[:60],
        }
    (judged,) = choice.models
    n_bits = len(choice.mask.bits)
    return {
        "model": study.model_name,
        "check": name if choice.free is None else f"free: {choice.free.check!r}",
        "bits under": called,
        "bits": n_bits,
        "share": f"{n_bits / len(study.space):.1%}",
        "verdict": str(judged.common),
        "found": "" if choice.free is None else str(choice.free),
        "seconds": round(time.perf_counter() - start),
    }


def _checks(importance: fkeras.Ranking, rate: float) -> dict[str, Any]:
    return {
        "none": None,
        "range check": fkeras.RangeCheck(),
        "range check per channel": fkeras.RangeCheck(per="channel"),
        "known words": fkeras.KnownWords(bit_error_rate=rate),
        "recoded words": fkeras.Recoded(bit_error_rate=rate),
        "recoded words, by importance": fkeras.Recoded(bit_error_rate=rate, importance=importance),
        "free": None,
    }


def _case(data: Path, name: str) -> tuple[Any, ...]:
    from benchmarks.free_protection import case

    return data / "models" / f"{name}.h5", *case(data, name), *MODELS[name]


def _study(file: Path, data: Any, metric: Any, rate: float, limits: dict[str, float], samples: int) -> Any:
    """The network with the first of its data, what it must keep, and hits per bit."""
    first = tuple(part[:samples] for part in data)
    return fkeras.Study(fkeras.load_model(file), first, metric, seed=SEED), limits, rate


def _example(samples: int) -> Any:
    project = Path(__file__).parents[1] / "example_project"
    sys.path.insert(0, str(project))
    from econ_t import data as wafers
    from econ_t import geometry

    metric = fkeras.metrics.emd(geometry.cell_coordinates(), cells=geometry.cell_of_output())
    return _study(
        project / "econ_t" / "econ_t_medium.h5", wafers.validation_set(), metric, RATE, {"max_emd": 1.0}, samples
    )


if __name__ == "__main__":
    main()
