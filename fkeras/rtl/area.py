"""What a protected weight memory takes, as Yosys measures it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fkeras.errors import InputError, is_number
from fkeras.faults import Protection
from fkeras.faults.protections import assumed_area
from fkeras.files import read_own
from fkeras.memory import BitSpace
from fkeras.plain import plain
from fkeras.rtl.folder import WeightMemory, protection_digest, read_folder, weight_memory
from fkeras.rtl.generate import Store
from fkeras.rtl.synthesis import RAM_BIT, Netlist, Proof, proofs, synthesized
from fkeras.rtl.tools import require, yosys_version
from fkeras.runs.identity import code_digest
from fkeras.store import Documents, Identity


@dataclass(frozen=True, slots=True)
class StoreArea:
    """What one store takes.

    n_cells: stored bits as written; n_survived: the flip-flops that hold them after synthesis; n_control: further
    flip-flops; cells, decoders, control: areas of the stored bits, of what mends and reads each word, and of encoders,
    the port and passes.
    """

    store: str
    n_cells: int
    n_survived: int
    n_control: int
    cells: float
    decoders: float
    control: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.cells + self.decoders + self.control


@dataclass(frozen=True, slots=True)
class Area:
    """The area of a weight memory.

    about: the protection; layout_digest, protection_sha256: of the memory, and of what protects it; unit: "gate
    equivalents", or that of a liberty file; stores: one each; plain: the area of the same words without protection;
    proofs: of the decoders; changed: what is not as fkeras writes it.
    """

    about: str
    layout_digest: str
    protection_sha256: str
    unit: str
    stores: tuple[StoreArea, ...]
    plain: float
    proofs: tuple[Proof, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """Of all stores."""
        return sum(store.total for store in self.stores)

    @property
    def overhead(self) -> float:
        """What protection adds, as a share of the memory without."""
        return self.total / self.plain - 1 if self.plain else 0.0

    @property
    def holds(self) -> bool:
        """Whether every cell survived synthesis, and no decoder is refuted."""
        return all(store.n_survived == store.n_cells for store in self.stores) and all(
            proof.proven is not False for proof in self.proofs
        )

    def __str__(self) -> str:
        from tabulate import tabulate

        rows = []
        for each in self.stores:
            areas = (f"{area:,.0f}" for area in (each.cells, each.decoders, each.control, each.total))
            rows.append((each.store, f"{each.n_cells:,}", f"{each.n_survived:,}", *areas))
        headers = ("store", "cells", "left", "of cells", "decoders", "port, passes", "total")
        align = ("left", *["right"] * 6)
        table = tabulate(rows, headers, tablefmt="plain", colalign=align, disable_numparse=True)
        lost = sum(store.n_cells - store.n_survived for store in self.stores)
        cells = "every cell survives synthesis" if not lost else f"{lost:,} CELLS DID NOT SURVIVE SYNTHESIS"
        proven = f"; decoders: {', '.join(map(str, self.proofs))}" if self.proofs else ""
        total = f"{self.total:,.0f} {self.unit}, measured: {self.overhead:+.1%} to {self.plain:,.0f} without protection"
        by_hand = [f"changed by hand: {line}" for line in self.changed]
        return "\n".join([self.about, *by_hand, table, total, f"{cells}{proven}"])


def rtl_area(folder: str | os.PathLike[str], *, liberty: str | os.PathLike[str] | None = None) -> Area:
    """Synthesize the RTL in a folder, and the same words without protection.

    Arguments:
        folder: what `Mask.write_rtl` or `fkeras protect --rtl` wrote.
        liberty: a .lib file whose cells are used, and in whose unit areas are; None: gates of Yosys' own, in
            equivalents of a NAND of two inputs.

    Raises:
        InputError: for no such folder or file, or an index that is damaged.
        EnvironmentSetupError: where Yosys is missing.
    """
    memory = read_folder(folder)
    require("synthesis", "yosys")
    cells = None if liberty is None else Path(liberty)
    if cells is not None and not cells.is_file():
        raise InputError(f"liberty file {cells} does not exist (looked in {Path.cwd()}); name a .lib file")
    files = memory.sources(folder)
    stores = tuple(_store_area(store, files, cells) for store in memory.stores)
    readers = {name: reader for store in memory.stores for reader, name in store.readers.items()}
    proven = proofs([shape for store in memory.stores for shape in store.layout.shapes], readers, files)
    unit = "gate equivalents" if cells is None else f"units of {cells.name}"
    unit += ", block RAM not counted" if cells is not None and memory.ports else ""
    without, changed = plain_area(memory, cells), tuple(memory.changed(folder))
    return Area(memory.about, *_digests(memory), unit, stores, without, proven, changed)


def _digests(memory: WeightMemory) -> tuple[str, str]:
    return memory.space.layout_digest, protection_digest(memory.guard)


SCHEMA = "fkeras-area/1"
_REMEDY = "write it with `fkeras area DIR --json FILE`"
_MOST_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class MeasuredArea:
    """What a file says of the area of a memory; doubt: why it is not to be relied on, "" for nothing."""

    source: str
    layout_digest: str
    protection_sha256: str
    overhead: float
    doubt: str

    def statement(self, guard: Protection, space: BitSpace) -> str:
        """What is known of the area of a memory under a protection, for reports; "" where it takes none."""
        assumed = assumed_area(guard, len(space))
        if not assumed:
            return ""
        if (space.layout_digest, protection_digest(guard)) != (self.layout_digest, self.protection_sha256):
            return f"{assumed} ({self.source} is of another memory or protection)"
        return f"area {self.overhead:+.1%}, measured by synthesis ({self.source}{self.doubt})"


def area_content(area: Area, folder: str) -> dict[str, Any]:
    """An area as plain values for JSON, which `read_area` reads."""
    content = {"schema": SCHEMA, "folder": folder, "holds": area.holds, "total": area.total, "overhead": area.overhead}
    return {**content, **plain(area)}


def read_area(path: str | os.PathLike[str]) -> MeasuredArea:
    """The area in a file. InputError for one that is missing, foreign or damaged: which, and what to do."""
    if Path(path).is_dir():
        raise InputError(f"area {Path(path)} is a folder; {_REMEDY}, and name the file")
    try:
        content: Any = json.loads(read_own(path, "area", _MOST_BYTES, _REMEDY))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"area {Path(path)}: is no JSON ({str(error).splitlines()[0]}); {_REMEDY}") from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise InputError(f"area {Path(path)}: 'schema' is {str(schema)[:40]!r}, expected {SCHEMA!r}; {_REMEDY}")
    layout, guard = (content.get(name) for name in ("layout_digest", "protection_sha256"))
    overhead, holds, changed = (content.get(name) for name in ("overhead", "holds", "changed"))
    if not (isinstance(layout, str) and isinstance(guard, str) and is_number(overhead) and isinstance(holds, bool)):
        raise InputError(
            f"area {Path(path)}: does not say of which memory and protection it is, or what they take: damaged, or of "
            f"an earlier version; {_REMEDY}"
        )
    doubts = [] if holds else ["a cell is lost or a decoder refuted"]
    doubts += ["files changed by hand"] if changed else []
    return MeasuredArea(Path(path).name, layout, guard, float(overhead), "".join(f"; {doubt}" for doubt in doubts))


def area_identity() -> Identity:
    """What areas depend on besides the text that is synthesized."""
    require("measuring area", "yosys")
    return Identity("area", {"yosys": yosys_version(), "code": code_digest(("rtl/area.py", "rtl/synthesis.py"))})


class AreaMeter:
    """Areas of memories that are not written anywhere; a store that is the same text again is not synthesized again.

    documents: where areas are kept for other runs, those of `area_identity`.
    """

    def __init__(self, documents: Documents | None = None) -> None:
        self._known: dict[str, StoreArea] = {}
        self._documents = documents

    def measured(self, memory: WeightMemory) -> Area:
        """The area of a memory, and of the same words without protection."""
        plain = weight_memory(None, memory.space, memory.clock_hz, ports=memory.ports)
        stores, without = self._stores(memory), self._stores(plain)
        return Area(memory.about, *_digests(memory), "gate equivalents", stores, sum(store.total for store in without))

    def _stores(self, memory: WeightMemory) -> tuple[StoreArea, ...]:
        own = {store.file for store in memory.stores}
        common = "".join(text for name, text in memory.files.items() if name.endswith(".sv") and name not in own)
        keys = [hashlib.sha256((common + memory.files[store.file]).encode()).hexdigest() for store in memory.stores]
        new = [pair for pair in zip(keys, memory.stores, strict=True) if not self._recall(pair[0])]
        if new:
            with tempfile.TemporaryDirectory(prefix="fkeras-rtl-") as folder:
                files = _written(memory, Path(folder))
                for key, store in new:
                    self._known[key] = _store_area(store, files, None)
                    if self._documents is not None:
                        self._documents.write(f"{key}.json", json.dumps(plain(self._known[key])).encode())
        return tuple(self._known[key] for key in keys)

    def _recall(self, key: str) -> bool:
        """Whether an area is known."""
        if key not in self._known and self._documents is not None:
            with suppress(ValueError, TypeError):  # a file that is cut short is measured anew
                if (content := self._documents.read(f"{key}.json")) is not None:
                    self._known[key] = StoreArea(**json.loads(content))
        return key in self._known


def plain_area(memory: WeightMemory, liberty: Path | None) -> float:
    """The area of the same words without protection."""
    plain = weight_memory(None, memory.space, memory.clock_hz, ports=memory.ports)
    with tempfile.TemporaryDirectory(prefix="fkeras-rtl-") as folder:
        files = _written(plain, Path(folder))
        return sum(_store_area(store, files, liberty).total for store in plain.stores)


def _written(memory: WeightMemory, folder: Path) -> list[Path]:
    return [path for path in memory.write(folder) if path.suffix == ".sv"]


def _store_area(store: Store, files: Sequence[Path], liberty: Path | None) -> StoreArea:
    arrays = {} if store.port is None else {width: store.port.rows * width for width in store.ram_widths}
    netlist: Netlist = synthesized(store.name, files, liberty, [store.ram(width) for width in arrays])
    banks = netlist.banks
    words = [name for name in netlist.modules if name.startswith(f"{store.name}_word") and name not in banks]
    rest = [name for name in netlist.modules if name not in banks and name not in words]
    n_cells, cells, survived = store.layout.n_cells, netlist.area(banks), netlist.n_flip_flops(banks)
    if arrays:
        n_bits = sum(netlist.n_instances(store.ram(width)) * n for width, n in arrays.items())
        cells = RAM_BIT * n_bits if liberty is None else 0.0
        survived = n_cells + n_bits - sum(n * arrays[width] for width, n in store.ram_widths.items())
    return StoreArea(
        store.name,
        n_cells,
        survived,
        netlist.n_flip_flops([*words, *rest]),
        cells,
        netlist.area(words),
        netlist.area(rest),
    )
