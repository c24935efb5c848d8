"""Yosys: what a store becomes in gates, whether its cells survive, and whether decoders are those of the library."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import FkerasError, InputError
from fkeras.faults import TMR, Upsets
from fkeras.faults.codes import Hsiao, ParityBit, Patterns
from fkeras.faults.fault_models import draw_of
from fkeras.faults.readings import RangeReading
from fkeras.memory import BitSet, BitSpace, FixedPoint, WordTensor
from fkeras.rtl.codewords import Comparators, Reader, Shape, Table
from fkeras.rtl.generate import rendered
from fkeras.rtl.tools import require, yosys_command

GATES: Mapping[str, float] = {"$_NAND_": 1.0, "$_NOR_": 1.0, "$_NOT_": 0.5, "$_DFF_P_": 4.0}
"""Gate equivalents: the transistors by which Yosys estimates CMOS, in those of a NAND of two inputs."""
RAM_BIT = 2.0
"""Of a cell of two-port RAM: eight transistors, in those of a NAND. Nothing here makes RAM of gates."""
LIBRARY = "cells.lib"
WIDEST_PROOF, WIDEST_TABLE_PROOF = 13, 9
"""Decoders of more cells have more patterns than a table of all of them should have; two tables take long before."""


def yosys(script: str, folder: Path) -> str:
    """Run a script; what it printed. FkerasError with the end of that where it failed."""
    require("synthesis", "yosys")
    (folder / "script.ys").write_text(script)
    command = [*yosys_command(), "-q", "-s", "script.ys"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
        raise FkerasError(f"Yosys failed ({done.returncode}):\n{lines}")
    return done.stdout


def _read(files: Sequence[Path], folder: Path) -> list[str]:
    """Commands that read copies of the files in the folder: Yosys from PyPI sees no other."""
    for path in files:
        shutil.copy(path, folder)
    return [f'read_verilog -sv "{path.name}"' for path in files]


@dataclass(frozen=True, eq=False)
class Netlist:
    """A synthesized store.

    modules: of each the number of cells by type, before gates are chosen; top: the store's own; areas: of the gates of
    each module itself.
    """

    modules: Mapping[str, Mapping[str, int]]
    top: str
    areas: Mapping[str, float]

    @cached_property
    def instances(self) -> dict[str, int]:
        """How often each module is in the store."""
        times = dict.fromkeys(self.modules, 0)

        def count(name: str, by: int) -> None:
            times[name] += by
            for kind, n in self.modules[name].items():
                if kind in self.modules:
                    count(kind, by * n)

        count(self.top, 1)
        return times

    def n_flip_flops(self, names: Iterable[str]) -> int:
        """Flip-flops of these modules, in all their instances."""
        return sum(
            self.instances[name] * n
            for name in names
            for kind, n in self.modules[name].items()
            if "DFF" in kind and kind not in self.modules
        )

    def area(self, names: Iterable[str]) -> float:
        """The area of these modules in all their instances, without the modules in them."""
        return sum(self.instances[name] * self.areas[name] for name in names)

    def n_instances(self, kind: str) -> int:
        """How often a module is in the store that was not synthesized."""
        return sum(n * self.modules[name].get(kind, 0) for name, n in self.instances.items())

    @property
    def banks(self) -> list[str]:
        """The modules that hold the stored bits."""
        return [name for name in self.modules if "fkeras_cells" in name.split("\\")]


def synthesized(top: str, files: Sequence[Path], liberty: Path | None = None, rams: Sequence[str] = ()) -> Netlist:
    """A store in gates: of Yosys' own, or of a liberty file; rams: modules that stay as they are."""
    with tempfile.TemporaryDirectory(prefix="fkeras-yosys-") as name:
        folder = Path(name)
        if liberty is not None:
            shutil.copy(liberty, folder / LIBRARY)
        lines = [
            *_read(files, folder),
            *(f"blackbox {name}" for name in rams),
            f"synth -flatten -top {top}",
            "dfflegalize -cell $_DFF_P_ x",
            "opt_clean",
            "tee -q -o cells.json stat -json",
            *(["abc -g cmos2"] if liberty is None else [f"dfflibmap -liberty {LIBRARY}", f"abc -liberty {LIBRARY}"]),
            "opt_clean",
            "tee -q -o gates.json stat -json",
        ]
        yosys("\n".join(lines), folder)
        before, after = (_modules(folder / file) for file in ("cells.json", "gates.json"))
    kinds = {name: _kinds(module) for name, module in before.items()}
    gates = {**(GATES if liberty is None else _cell_areas(liberty)), **dict.fromkeys(rams, 0.0)}
    areas = {name: _area(module, after, gates, liberty) for name, module in after.items()}
    return Netlist(kinds, top, areas)


def _area(
    module: Mapping[str, Any], modules: Mapping[str, Any], gates: Mapping[str, float], liberty: Path | None
) -> float:
    """The area of a module's own gates."""
    counts = {kind: n for kind, n in _kinds(module).items() if kind not in modules}
    unknown = sorted(counts.keys() - gates.keys())
    if unknown and liberty is not None:
        raise InputError(f"{liberty}: states no area of {unknown[0]}, which is needed; name a file that does")
    if unknown:
        raise FkerasError(f"Yosys left {counts[unknown[0]]:,} cells of type {unknown[0]}, whose area is not known here")
    return sum(n * gates[kind] for kind, n in counts.items())


def _cell_areas(liberty: Path) -> dict[str, float]:
    """The area of each cell of a liberty file."""
    cells = re.split(r"\bcell\s*\(", liberty.read_text(errors="replace"))[1:]
    stated = ((re.match(r'\s*"?([^"\s)]+)', cell), re.search(r"\barea\s*:\s*([0-9.eE+-]+)", cell)) for cell in cells)
    return {name[1]: float(area[1]) for name, area in stated if name and area}


def _modules(path: Path) -> dict[str, dict[str, Any]]:
    text = path.read_text()
    # What Yosys 0.23 writes after the modules is no JSON.
    start = text.index("{", text.index('"modules":'))
    modules: dict[str, dict[str, Any]] = json.JSONDecoder().raw_decode(text, start)[0]
    return {name.removeprefix("\\"): module for name, module in modules.items()}


def _kinds(module: Mapping[str, Any]) -> dict[str, int]:
    counts = module["num_cells_by_type"]
    return {kind.removeprefix("\\"): int(n) for kind, n in counts.items() if kind != "$scopeinfo"}


@dataclass(frozen=True, slots=True)
class Proof:
    """A decoder, and whether it is proven to be the library's for every pattern; None: too wide for that."""

    decoder: str
    proven: bool | None

    def __str__(self) -> str:
        return f"{self.decoder} {'proven' if self.proven else 'simulated only' if self.proven is None else 'REFUTED'}"


@dataclass(frozen=True, slots=True, eq=False)
class _Golden:
    """What a decoder must be: ports with their widths, and the outputs for every input, (2**n, m) of 0 and 1."""

    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    table: NDArray[np.bool_]
    width: int | None = None
    """The decoder's parameter WIDTH."""

    @property
    def text(self) -> str:
        """Its SystemVerilog."""
        n, m = sum(self.inputs.values()), sum(self.outputs.values())
        rows = ["".join("01"[bit] for bit in row) for row in self.table.astype(int).tolist()]
        ports = {"inputs": list(self.inputs.items()), "outputs": list(self.outputs.items())}
        return rendered("golden.sv.j2", n=n, m=m, rows=rows, **ports)


def proofs(shapes: Iterable[Shape], readers: Mapping[str, Reader], files: Sequence[Path]) -> tuple[Proof, ...]:
    """Whether each decoder in `files` is, for every pattern, what the library makes of it. readers: by module."""
    covers = {(cover.kind, len(cover.bits)) for shape in shapes for cover in shape.decoded}
    tasks: dict[str, tuple[str, int, Callable[[], _Golden]]] = {}
    for kind, n in sorted(covers):
        if kind == "tmr":
            tasks["fkeras_tmr"] = ("fkeras_tmr", 3, _majority)  # bit by bit, whatever its width
        elif kind == "parity":
            tasks[f"fkeras_parity of {n}"] = ("fkeras_parity", n + 1, partial(_parity, n))
        else:
            tasks[f"fkeras_secded_{n}"] = (f"fkeras_secded_{n}", n + Hsiao(n).n_check, partial(_secded, n))
    for name, reader in readers.items():
        if isinstance(reader, Comparators):
            tasks[name] = (name, reader.width, partial(_range, reader))
        else:
            tasks[name] = (name, reader.width, partial(_table, reader))
            if reader.is_recoded:
                tasks[f"{name}_encode"] = (f"{name}_encode", reader.width, partial(_encoder, reader))
    results = []
    for name, (module, n_cells, golden) in tasks.items():
        widest = WIDEST_TABLE_PROOF if isinstance(readers.get(name.removesuffix("_encode")), Table) else WIDEST_PROOF
        results.append(Proof(name, _is_equivalent(module, golden(), files) if n_cells <= widest else None))
    return tuple(results)


def _is_equivalent(module: str, golden: _Golden, files: Sequence[Path]) -> bool:
    with tempfile.TemporaryDirectory(prefix="fkeras-yosys-") as name:
        folder = Path(name)
        (folder / "golden.sv").write_text(golden.text)
        lines = [
            *_read(files, folder),
            *([] if golden.width is None else [f"chparam -set WIDTH {golden.width} {module}"]),
            f"prep -top {module}",
            "read_verilog -sv golden.sv",
            "proc",
            "memory",
            "opt",
            f"miter -equiv -make_assert -flatten golden {module} both",
            "tee -q -o proof.txt sat -prove-asserts both",
        ]
        yosys("\n".join(lines), folder)
        text = (folder / "proof.txt").read_text()
    if "SAT proof finished - no model found: SUCCESS!" not in text and "model found: FAIL!" not in text:
        raise FkerasError(f"Yosys says of {module} neither that it is proven nor that it is refuted")
    return "SUCCESS!" in text


def _every(n: int) -> NDArray[np.bool_]:
    """All patterns of n cells in the order of their numbers, (2**n, n); cell 0 is the highest digit."""
    return (np.arange(1 << n)[:, None] >> np.arange(n - 1, -1, -1) & 1).astype(np.bool_)


def _numbers(bits: NDArray[np.bool_]) -> Patterns:
    """Patterns as the codes have them, cell j in bit j."""
    numbers: Patterns = (bits.astype(np.uint64) << np.arange(bits.shape[1], dtype=np.uint64)).sum(1, dtype=np.uint64)
    return numbers


def _bits(patterns: Patterns, n: int) -> NDArray[np.bool_]:
    return (patterns[:, None] >> np.arange(n, dtype=np.uint64) & np.uint64(1)).astype(np.bool_)


def _majority() -> _Golden:
    """The vote on copies of a bit that is 0: 1 where the library says that their hits make it wrong."""
    zero = np.zeros(1, np.float32)
    space = BitSpace((WordTensor("k", (1,), FixedPoint(1, 0, False), zero.astype(np.uint32), zero + 1, zero),))
    nothing, hit, every = draw_of(np.zeros(0, np.int64)), draw_of(np.zeros(1, np.int64)), _every(3)
    vote = TMR(BitSet(np.zeros(1, np.int64)))
    draws = [[hit if one else nothing for one in row] for row in every.tolist()]
    votes = [len(vote.residual(Upsets(space, row[0], row.__getitem__))) for row in draws]
    corrected = every.any(axis=1) & ~every.all(axis=1)
    table = np.stack([np.array(votes, np.bool_), corrected], axis=1)
    return _Golden({"a": 1, "b": 1, "c": 1}, {"vote": 1, "corrected": 1}, table, 1)


def _parity(n: int) -> _Golden:
    detected = ParityBit(n).decode(_numbers(_every(n + 1))).detected
    return _Golden({"data": n, "check": 1}, {"detected": 1}, detected[:, None], n)


def _secded(n: int) -> _Golden:
    code = Hsiao(n)
    patterns = _numbers(_every(n + code.n_check))
    decoded = code.decode(patterns)
    corrected = decoded.patterns != patterns
    table = np.column_stack([_bits(decoded.patterns, n + code.n_check), corrected, decoded.detected])
    outputs = {"mended": n, "mended_check": code.n_check, "corrected": 1, "detected": 1}
    return _Golden({"data": n, "check": code.n_check}, outputs, table)


def _table(reader: Table) -> _Golden:
    w = reader.width
    unknown = [not reader.knows(pattern) for pattern in range(1 << w)]
    table = np.column_stack([_words(reader.words, w), _words(reader.back, w), unknown])
    return _Golden({"pattern": w}, {"word": w, "back": w, "unknown": 1}, table)


def _encoder(reader: Table) -> _Golden:
    return _Golden({"word": reader.width}, {"pattern": reader.width}, _words(reader.patterns, reader.width))


def _words(words: Sequence[int] | NDArray[np.uint32], width: int) -> NDArray[np.bool_]:
    """The bits of words, the highest first, (n, width)."""
    return (np.asarray(words, np.int64)[:, None] >> np.arange(width - 1, -1, -1) & 1).astype(np.bool_)


def _range(reader: Comparators) -> _Golden:
    w = reader.width
    every = np.arange(1 << w, dtype=np.uint32)
    limits, channel = np.array([reader.low, reader.high], np.uint32), np.zeros(every.size, np.int64)
    reading = RangeReading(every, limits, channel, FixedPoint(w, 0, reader.signed), reader.outside)
    words = reading.decode(every, channel)
    bits = _words(words, w)
    table = np.column_stack([bits, bits, words != every])
    return _Golden({"pattern": w}, {"word": w, "back": w, "unknown": 1}, table)
