"""How many bits still need copies beside each check that adds no bit: 960 hits in four hours on ECON-T Medium.

usage: python -m benchmarks.bits_left [DATA] [--max-trials N] [--only METHOD ...] [--json FILE]

DATA: a folder with the paper's models and inputs, whose ECON-T Medium may lose as much as the paper's, 0.15 of 1.10, or
0.4 of its own EMD of 2.93; without it the example project's, which must keep an EMD of 1.0, as its tests ask. Bits are
ranked as the check reads them. The sizes beside a stated check are searched for on the trials that they pass on; "free"
is `fkeras.protect(free=True)`, which is judged on trials that chose nothing.
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
from fkeras.protection.free import ranking_behind

SEED = 16_001
HOURS = 4 * 3600
HITS = fkeras.FlipCount(960, exposure_seconds=HOURS)
RATE = 0.075
"""960 of 12,720 bits."""
UNDER = {
    "immune": fkeras.AssumedImmune,
    "TMR, written anew every 60 s": lambda bits: fkeras.TMR(bits, scrub_interval_seconds=60),
}


def main() -> None:
    """Search, print a table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--max-trials", type=int, default=300)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--under", nargs="+", choices=UNDER, default=list(UNDER))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    study, limits = _study(options.data, options.samples)
    requirement = required(limits, study.metrics)
    print(f"{study.model_name}: golden emd {study.golden['emd'].value:.4f}, {requirement}", flush=True)
    rows, ranking = [], study.rank("displacement")
    for name, check in _checks(ranking).items():
        if options.only and name not in options.only:
            continue
        method = "displacement" if check is None else ranking_behind(check, study.space, ranking)
        for called in options.under:
            rows.append(_row(study, requirement, name, check, method, called, options.max_trials))
            print("  ".join(map(str, rows[-1].values())), flush=True)
    print(tabulate(rows, headers="keys"))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def _row(
    study: fkeras.Study, requirement: Any, name: str, check: Any, ranking: Any, called: str, max_trials: int
) -> dict[str, Any]:
    cover, start = UNDER[called], time.perf_counter()
    how: dict[str, Any] = {"free": True, "under": cover}
    if name != "free":
        how = {"under": (lambda bits: cover(bits)) if check is None else lambda bits: [check, cover(bits)]}
        how["method"] = ranking if isinstance(ranking, str) else lambda space: ranking.scores
    try:
        choice = study.protect(faults=HITS, limits=requirement, max_trials=max_trials, **how)
    except InputError as error:
        return {"check": name, "bits under": called, "bits": str(error).rpartition(";")[2].strip()[:60]}
    (judged,) = choice.models
    n_bits = len(choice.mask.bits)
    return {
        "check": name if choice.free is None else f"free: {choice.free.check!r}",
        "bits under": called,
        "bits": n_bits,
        "share": f"{n_bits / len(study.space):.1%}",
        "verdict": str(judged.common),
        "found": "" if choice.free is None else str(choice.free),
        "seconds": round(time.perf_counter() - start),
    }


def _checks(importance: fkeras.Ranking) -> dict[str, Any]:
    return {
        "none": None,
        "range check": fkeras.RangeCheck(),
        "known words": fkeras.KnownWords(bit_error_rate=RATE),
        "recoded words": fkeras.Recoded(bit_error_rate=RATE),
        "recoded words, by importance": fkeras.Recoded(bit_error_rate=RATE, importance=importance),
        "free": None,
    }


def _study(data: Path | None, samples: int) -> tuple[fkeras.Study, dict[str, float]]:
    """The network with its data, and the EMD that it must keep."""
    if data is not None:
        from benchmarks.free_protection import case

        (x, y), metric = case(data, "econ_t_medium")
        model, limits = data / "models" / "econ_t_medium.h5", {"max_emd_increase": 0.4}
    else:
        project = Path(__file__).parents[1] / "example_project"
        sys.path.insert(0, str(project))
        from econ_t import data as wafers
        from econ_t import geometry

        x, y = wafers.validation_set()
        metric = fkeras.metrics.emd(geometry.cell_coordinates(), cells=geometry.cell_of_output())
        model, limits = project / "econ_t" / "econ_t_medium.h5", {"max_emd": 1.0}
    return fkeras.Study(fkeras.load_model(model), (x[:samples], y[:samples]), metric, seed=SEED), limits


if __name__ == "__main__":
    main()
