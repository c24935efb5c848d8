"""Simulation of a store in Icarus Verilog under cocotb."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from fkeras.errors import FkerasError
from fkeras.plain import plain
from fkeras.rtl.generate import Store
from fkeras.rtl.tools import require
from fkeras.rtl.vectors import Vectors

TASK = "FKERAS_RTL_TASK"
"""The environment variable in which the testbench finds what to do."""
_TESTBENCH = Path(__file__).with_name("testbench.py")
"""Read, and not imported, by the simulator: importing the package around it takes longer than a simulation."""
_TEST = "\n\nimport cocotb\n\nstore = cocotb.test()(all_vectors)\n"


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation of one store saw.

    n_single, n_pairs: cells hit one at a time, and two of one codeword or triple; n_rounds: hits on every word before a
    pass; n_trials: of a campaign; read: the words after each of these, as they were read.
    """

    store: str
    n_cells: int
    n_single: int
    n_pairs: int
    n_rounds: int
    n_trials: int
    n_mismatches: int
    mismatches: tuple[str, ...]
    seconds: float
    read: tuple[tuple[int, ...], ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        verdict = "agrees" if not self.n_mismatches else f"{self.n_mismatches:,} MISMATCHES"
        lines = [
            f"{self.store}: {verdict}; {self.n_cells:,} cells, {self.n_single:,} hit one by one and {self.n_pairs:,} "
            f"pairs, {self.n_rounds:,} rounds with passes, {self.n_trials:,} trials, in {self.seconds:.1f} s",
            *(f"  {text}" for text in self.mismatches),
        ]
        return "\n".join(lines)


def simulate(store: Store, vectors: Vectors, clock_hz: float, files: Sequence[Path]) -> Simulated:
    """Put a store to vectors. clock_hz: in whose cycles intervals are counted; files: the SystemVerilog."""
    require("simulating RTL", "iverilog", "cocotb")
    from cocotb_tools.runner import get_runner

    start, layout = time.perf_counter(), store.layout
    with tempfile.TemporaryDirectory(prefix="fkeras-rtl-") as name:
        folder = Path(name)
        task = folder / "task.json"
        task.write_text(json.dumps(_task(store, vectors, clock_hz, folder / "result.json")))
        log = folder / "log.txt"
        (folder / "fkeras_testbench.py").write_text(_TESTBENCH.read_text(encoding="utf-8") + _TEST, encoding="utf-8")
        environment = {TASK: str(task), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        try:
            with contextlib.redirect_stdout(None):
                runner = get_runner("icarus")
                runner.build(
                    sources=list(files),
                    hdl_toplevel=store.name,
                    build_dir=folder / "build",
                    log_file=folder / "build.txt",
                )
                runner.test(
                    hdl_toplevel=store.name,
                    test_module="fkeras_testbench",
                    build_dir=folder / "build",
                    test_dir=folder,
                    extra_env={**environment, "PYTHONPATH": os.pathsep.join([name, *filter(None, sys.path)])},
                    log_file=log,
                )
            result = json.loads((folder / "result.json").read_text())
        except (SystemExit, Exception) as error:
            raise FkerasError(f"{store.file} could not be simulated ({error}):\n{_tail(folder)}") from None
    n_single = sum(len(layout.shapes[k].cells) for k in layout.shape_of.tolist())
    return Simulated(
        store.name,
        layout.n_cells,
        n_single,
        result["n_alone"] - n_single,
        len(vectors.rounds),
        len(vectors.trials),
        result["n_mismatches"],
        tuple(result["mismatches"]),
        time.perf_counter() - start,
        tuple(_words(text, layout.tensor.layout.widths.tolist()) for text in result["trials"]),
    )


def _words(text: str, widths: Sequence[int]) -> tuple[int, ...]:
    """Words as they stand one after the other in a port."""
    ends = [0, *accumulate(widths)]
    known = re.sub("[^01]", "0", text)  # undefined bits are mismatches already
    return tuple(int(known[start:end] or "0", 2) for start, end in pairwise(ends))


def _task(store: Store, vectors: Vectors, clock_hz: float, result: Path) -> dict[str, Any]:
    layout = store.layout
    banks = [shape.banks for shape in layout.shapes]

    def scripts(some: Sequence[Any]) -> list[dict[str, Any]]:
        return [{"steps": plain(script.steps), "words": script.words.tolist()} for script in some]

    return {
        "widths": layout.tensor.layout.widths.tolist(),
        "words": layout.tensor.words.tolist(),
        "lanes": None if store.port is None else store.port.lanes,
        "cycles": [visit.cycles(clock_hz) for visit in layout.passes],
        "needs_good": any(visit.needs_good for visit in layout.passes),
        "shape_of": layout.shape_of.tolist(),
        "banks_of": [banks[k] for k in layout.shape_of.tolist()],
        "stored": ["".join(map(str, bits)) for bits in layout.coded(layout.tensor.words)],
        "alone": vectors.alone,
        "alone_words": [words.tolist() for words in vectors.alone_words],
        "rounds": scripts(vectors.rounds),
        "trials": scripts(vectors.trials),
        "result": str(result),
    }


def _tail(folder: Path) -> str:
    lines = [
        line
        for name in ("build.txt", "log.txt")
        if (folder / name).exists()
        for line in (folder / name).read_text().splitlines()
    ]
    return "\n".join(lines[-15:])
