"""What each special kernel of the fast paths saves: the same single flips with it and without it, in one process.

`python -m benchmarks.ablation [--data FOLDER]` measures flips in one layer of two networks: the example
project's, or the CIFAR-10 network and ECON-T Medium. With and without take turns, and must give the same numbers; the
shortest processor times count, which a busy machine leaves comparable.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
from numba import njit
from tabulate import tabulate

import fkeras
from benchmarks.speed.cases import EXAMPLE, Case, cifar10, econ_t, example
from benchmarks.speed.timing import timed
from fkeras.arithmetic import changes
from fkeras.engines.cpu import outcome, plan, rows, suffix
from fkeras.metrics import transport_kernel
from fkeras.models import start_run

REPEATS = 5
N_BITS = 128
N_SAMPLES = 200


def rewritten(module: ModuleType, changes: dict[str, str], **names: Any) -> ModuleType:
    """A module compiled anew from its source with some text replaced, and further names in it."""
    source = Path(str(module.__file__)).read_text()
    for old, new in changes.items():
        assert old in source, f"{module.__name__} has changed: there is no {old!r}"
        source = source.replace(old, new)
    copy = ModuleType(f"{module.__name__}_rewritten")
    sys.modules[copy.__name__] = copy
    copy.__dict__.update(names, compiled=njit(nogil=True))  # there is no file that it could be kept beside
    source = source.replace("from fkeras.compiled import compiled\n", "")
    exec(compile(source, f"<{copy.__name__}>", "exec"), copy.__dict__)
    return copy


@cache
def solve_without(old: str, new: str) -> Any:
    """The EMD's `solve` with some text replaced."""
    return rewritten(transport_kernel, {old: new}).solve


@dataclass(frozen=True, slots=True)
class Ablation:
    """One kernel: what it is, the kind of network that shows it, and how it is left out."""

    name: str
    network: Literal["classifier", "autoencoder"]
    without: Callable[[], AbstractContextManager[Any]]


ABLATIONS = (
    Ablation(
        "one channel on top of the sums without a fault (`changes.py`)",
        "classifier",
        lambda: patch.object(rows.Row, "changes", lambda *_: None),
    ),
    Ablation(
        "the winning class without the softmax",
        "classifier",
        lambda: patch.object(outcome, "decided_by_class", lambda *_: False),
    ),
    Ablation(
        "one state for all faults that lead to a level",
        "autoencoder",
        lambda: patch.object(changes, "MOST_LEVELS", 0),
    ),
    Ablation(
        "a float tail's sums in one core's cache (`tail.py`)",
        "autoencoder",
        lambda: patch.object(suffix, "tail_from", lambda *_: None),
    ),
    Ablation(
        "the EMD from the golden tree",
        "autoencoder",
        lambda: patch.object(
            transport_kernel,
            "solve",
            solve_without("        elif golden:\n            star(", "        elif m > 2:\n            star("),
        ),
    ),
    Ablation(
        "the EMD's long steps",
        "autoencoder",
        lambda: patch.object(
            transport_kernel,
            "solve",
            solve_without("if bland or tree.size[node] > 1", "if True or tree.size[node] > 1"),
        ),
    ),
)


def digits() -> Case:
    """The example project's classifier."""
    sys.path.insert(0, str(EXAMPLE))
    from digits import data

    x, y = data.test_set()
    return Case("digits", fkeras.load_model(EXAMPLE / "digits/digits.h5"), x, y, None)


def measured(case: Case, tensor: int, ablation: Ablation) -> list[Any]:
    """A row of the table."""
    space = fkeras.bit_space(case.model)
    start, stop = space.offsets[tensor : tensor + 2]

    def flips_with(change: Callable[[], AbstractContextManager[Any]]) -> Callable[[], Any]:
        plan._plans.clear()
        with change():
            run = start_run(case.model, (case.x, case.y), {"metric": case.metric}, space)
            channel = next(iter(run.batches(np.arange(start, stop))))
            bits = start + np.random.default_rng(0).permutation(channel)[:N_BITS]
            run.flips(bits)  # plans and compiles what the other way must not find

        def flips() -> Any:
            with change():
                return run.flips(bits)["metric"].values

        return flips

    ours, theirs = flips_with(nullcontext), flips_with(ablation.without)
    np.testing.assert_allclose(theirs(), ours(), rtol=1e-5, atol=1e-6)
    seconds = np.array([[timed(ours).cpu, timed(theirs).cpu] for _ in range(REPEATS)]).min(axis=0)
    return [ablation.name, f"{case.name}, {space.tensors[tensor].path}", *seconds, seconds[1] / seconds[0]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", default="", help="part of an ablation's name")
    options = parser.parse_args()
    data = options.data
    networks: dict[str, tuple[Callable[[], Case], int]] = (
        {"classifier": (digits, 0), "autoencoder": (example, 1)}
        if data is None
        else {"classifier": (lambda: cifar10(data), 1), "autoencoder": (lambda: econ_t(data, "medium"), 1)}
    )
    rows = []
    for kind, (load, tensor) in networks.items():
        case = load().part(N_SAMPLES)
        for ablation in ABLATIONS:
            if ablation.network == kind and options.only in ablation.name:
                rows.append(measured(case, tensor, ablation))
                print(*rows[-1], sep="; ", flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    header = ["what", "flips in", "with, CPU s", "without, CPU s", "ratio"]
    print(tabulate(rows, header, tablefmt="github", floatfmt=".3g"))


if __name__ == "__main__":
    main()
