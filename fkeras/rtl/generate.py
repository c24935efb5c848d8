"""SystemVerilog of a weight memory: a module per codec, per kind of word, and per tensor."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

import numpy as np

from fkeras.errors import Argument, InputError
from fkeras.faults.codes import Hsiao
from fkeras.printable import in_one_line
from fkeras.protection.exports import comment, identifier, unique
from fkeras.rtl.codewords import Comparators, Pass, Reader, Shape, StoreLayout, Table

FIXED = ("fkeras_cells.sv", "fkeras_rows.sv", "fkeras_tmr.sv", "fkeras_parity.sv")
_OF_A_STORE = re.compile(r".*_(word\d+(_encode|_decode)?|read\d+(_encode)?|ram_\d+)", re.IGNORECASE)
"""How modules within a store are called behind its name: no store is called so."""
BLOCK = 64
"""Rows whose addresses are decoded together: one decoder of all rows takes a synthesizer the square of their number."""


@dataclass(frozen=True, slots=True)
class Port:
    """How hls4ml reads an array from outside.

    array: its name; rows: how many; elements: Keras' number of the word at each place of the array. Place p is in row p
    modulo rows.
    """

    array: str
    rows: int
    elements: tuple[int, ...]

    @property
    def lanes(self) -> list[list[int | None]]:
        """The elements of each lane by row, the lane in the lowest bits first; None where the last one has no word."""
        rows = self.rows
        lanes = [list(self.elements[start : start + rows]) for start in range(0, len(self.elements), rows)]
        return [[*lane, *[None] * (rows - len(lane))] for lane in lanes]

    @property
    def order(self) -> list[list[int | None]]:
        """The elements of each row, from its lowest bits up."""
        return [list(row) for row in zip(*self.lanes, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """The store of one tensor.

    name: of its module and file; port: hls4ml's, where it reads the words from outside; they are then in block RAM, and
    else in registers.
    """

    name: str
    layout: StoreLayout
    port: Port | None = None

    @property
    def file(self) -> str:
        """Its SystemVerilog."""
        return f"{self.name}.sv"

    @property
    def readers(self) -> dict[Reader, str]:
        """The module of each reader."""
        readers = dict.fromkeys(shape.reader for shape in self.layout.shapes if shape.reader is not None)
        return {reader: f"{self.name}_read{number}" for number, reader in enumerate(readers)}

    def banks_of(self, lane: Sequence[int | None]) -> tuple[int, ...]:
        """The cells in each bank of a lane of the port, as many as its largest word has there."""
        shapes = {int(self.layout.shape_of[element]) for element in lane if element is not None}
        sizes = [[len(bank) for bank in self.layout.shapes[shape].banks] for shape in sorted(shapes)]
        return tuple(max(column) for column in zip_longest(*sizes, fillvalue=0))

    @property
    def ram_widths(self) -> Counter[int]:
        """How many arrays of block RAM there are of each width."""
        lanes = [] if self.port is None else self.port.lanes
        return Counter(width for lane in lanes for width in self.banks_of(lane))

    def ram(self, width: int) -> str:
        """The module of an array of that width."""
        return f"{self.name}_ram_{width}"

    def require_time(self, clock_hz: float) -> None:
        """InputError where passes have no time at a clock, or more than their timers count."""
        rows, each = (self.layout.tensor.size, 1) if self.port is None else (self.port.rows, 2)
        n_cycles = rows * each + 2  # one to be noted, one to be chosen
        intervals = [cycles for visit in self.layout.passes if (cycles := visit.cycles(clock_hz)) is not None]
        if sum(n_cycles / cycles for cycles in intervals) > 1 or max(intervals, default=0) >= 1 << 64:
            every = " and every ".join(f"{cycles:,}" for cycles in intervals)
            raise InputError(
                f"tensor '{self.layout.tensor.path}': a scrub takes {n_cycles:,} cycles, and one begins every {every} "
                f"at {clock_hz:g} Hz; allowed are those that have time, and fewer than 2**64 cycles: give another ",
                Argument("scrub_interval_seconds"), " or ", Argument("clock_hz")
            )  # fmt: skip

    @property
    def init_file(self) -> str:
        """What its cells hold, a line per word."""
        return f"{self.name}.mem"


def stores(layouts: Sequence[StoreLayout], ports: Mapping[str, Port] = MappingProxyType({})) -> tuple[Store, ...]:
    """A name for each store that every tool takes: a letter first, no keyword, none twice in any case.

    ports: hls4ml's, by the path of the tensor.
    """
    taken: set[str] = set()
    return tuple(Store(_name(layout.tensor.path, taken), layout, ports.get(layout.tensor.path)) for layout in layouts)


def _name(path: str, taken: set[str]) -> str:
    name = unique(f"weights_{identifier(path)}", taken)
    while _OF_A_STORE.fullmatch(name):
        name = unique(f"{name}_words", taken)
    return name


def sources(memory: Sequence[Store], clock_hz: float) -> dict[str, str]:
    """All files by name: codecs, a SystemVerilog file and an init file per tensor."""
    texts = {name: rendered(name) for name in FIXED}
    for n in sorted({n for store in memory for n in _code_lengths(store.layout)}):
        texts[f"fkeras_secded_{n}.sv"] = secded(n)
    for store in memory:
        texts[store.file] = _store(store, clock_hz)
        texts[store.init_file] = "".join(
            f"{''.join(map(str, bits)) or 0}\n" for bits in store.layout.coded(store.layout.tensor.words)
        )
    return {name: f"// Written by fkeras\n{text.strip()}\n" for name, text in texts.items()}


def secded(n: int) -> str:
    """The decoder of Hsiao's code over n bits, with the library's columns."""
    code = Hsiao(n)
    columns = [[int(column) >> i & 1 for i in range(code.n_check)] for column in code.columns]
    rows = [[bit for bit in range(n) if columns[bit][i]] for i in range(code.n_check)]
    texts = ["".join(map(str, column)) for column in columns]
    return rendered("secded.sv.j2", name=f"fkeras_secded_{n}", n=n, r=code.n_check, rows=rows, columns=texts)


def reader_text(name: str, reader: Reader) -> str:
    """The module that reads a mended pattern."""
    w = reader.width
    if isinstance(reader, Comparators):
        low, high, instead = (f"{word:0{w}b}" for word in (reader.low, reader.high, reader.instead))
        flips = [f"{1 << place:0{w}b}" for place in range(w - 1, -1, -1)]
        return rendered(
            "comparators.sv.j2",
            name=name,
            w=w,
            signed=reader.signed,
            low=low,
            high=high,
            instead=instead,
            outside=reader.outside,
            flips=flips,
        )
    entries = [
        (word, back, int(not reader.knows(pattern)))
        for pattern, (word, back) in enumerate(zip(reader.words, reader.back, strict=True))
    ]
    return rendered("table.sv.j2", name=name, w=w, entries=entries, placed=reader.patterns, recoded=reader.is_recoded)


def _code_lengths(layout: StoreLayout) -> set[int]:
    return {len(cover.bits) for shape in layout.shapes for cover in shape.covers if cover.kind == "secded"}


def _store(store: Store, clock_hz: float) -> str:
    layout = store.layout
    names = store.readers
    parts = [reader_text(names[reader], reader) for reader in names]
    parts += [
        _word(f"{store.name}_word{k}", store, shape, "" if shape.reader is None else names[shape.reader])
        for k, shape in enumerate(layout.shapes)
        if shape.cells
    ]
    top = _top(store, clock_hz)
    parts.append(_registers(layout, top) if store.port is None else _ram(store, store.port, top))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _registers(layout: StoreLayout, top: Mapping[str, Any]) -> str:
    """All words in parallel."""
    found = {"n_corrected": "{31'd0, corrected}", "n_detected": "{31'd0, |detected}"}
    control = rendered("control.sv.j2", **top, **found, rows=layout.tensor.size, ready="") if layout.passes else ""
    return rendered("store.sv.j2", **top, control=control)


def _word(name: str, store: Store, shape: Shape, reader: str) -> str:
    layout, coded = store.layout, store.layout.coded_parts
    covers = [
        {
            "kind": cover.kind,
            "n": len(cover.bits),
            "bits": cover.bits,
            "extra": shape.extra_of(cover),
            "part": coded.index(cover.part) if cover.part in coded else None,
        }
        for cover in shape.decoded
    ]
    zeroing = [f"detected[{coded.index(cover.part)}]" for cover in shape.decoded if cover.zeroes]
    covered = {bit for cover in shape.decoded for bit in cover.bits}
    return rendered(
        "word.sv.j2",
        name=name,
        about=_about(shape),
        w=shape.width,
        c=len(shape.cells),
        parts=max(1, len(coded)),
        silent=[i for i in range(max(1, len(coded))) if i not in [cover["part"] for cover in covers]],
        held=[cell.data for cell in shape.cells],
        plain=[bit for bit in range(shape.width) if bit not in covered],
        covers=covers,
        zeroing=" | ".join(zeroing),
        reader=reader,
        encoder=f"{reader}_encode" if isinstance(shape.reader, Table) and shape.reader.is_recoded else "",
        banks=shape.banks,
        checked=layout.is_checked,
        needs_cells=layout.needs_cells,
        registers=store.port is None,
    )


def _about(shape: Shape) -> str:
    covers = [f"{cover.kind} over bits {', '.join(map(str, cover.bits))}" for cover in shape.covers]
    read = [] if shape.reader is None else ["read through what may be stored"]
    return "; ".join([f"A word of {shape.width} bits", *covers, *read]) + "."


def pass_text(visit: Pass) -> str:
    """What a pass does, for comments and reports."""
    if visit.kind == "scrub":
        return str(visit.scrubbing).replace("scrubbed", "scrub")
    return "reload of words known to be wrong" if visit.kind == "reload" else "count of what is wrong"


def _ram(store: Store, port: Port, top: Mapping[str, Any]) -> str:
    """Rows of words in block RAM, as hls4ml reads them, with a decoder for each word of a row."""
    a = max(1, (port.rows - 1).bit_length())
    lanes = []
    for number, lane in enumerate(port.lanes):
        kinds: dict[int, list[str]] = {}
        for row, element in enumerate(lane):
            if element is not None:
                kinds.setdefault(int(store.layout.shape_of[element]), []).append(f"{a}'d{row}")
        rows = [{"shape": shape, "rows": ", ".join(numbers)} for shape, numbers in kinds.items()]
        lanes.append({"number": number, "kinds": rows, "is_full": None not in lane, "banks": store.banks_of(lane)})
    found = {
        f"n_{what}": " + ".join(f"{{31'd0, lane_{what}[{number}]}}" for number in range(len(lanes)))
        for what in ("corrected", "detected")
    }
    control = {**top, **{name: f"({text})" for name, text in found.items()}, "a": a, "rows": port.rows}
    ram = {**control, "array": comment(in_one_line(port.array)), "lanes": lanes, "widths": sorted(store.ram_widths)}
    return rendered("ram.sv.j2", **ram, control=rendered("control.sv.j2", **control, ready="is_read & "))


def _top(store: Store, clock_hz: float) -> dict[str, Any]:
    """What the template of a store is filled with."""
    layout, passes = store.layout, store.layout.passes
    n, w = layout.tensor.size, layout.tensor.layout.widest
    sizes = [len(shape.cells) for shape in layout.shapes]
    starts = layout.tensor.layout.first(np.arange(n)).tolist()
    coded = layout.coded_parts
    listed = [
        {
            "about": pass_text(visit),
            "cycles_name": None if visit.scrubbing.seconds is None else f"SCRUB_CYCLES_{number}",
            "cycles": f"64'd{visit.cycles(clock_hz)}",
        }
        for number, visit in enumerate(passes)
    ]
    shapes = []
    for shape in layout.shapes:
        written = [
            {
                "number": number,
                "mask": "".join("01"[i in layout.written(shape, visit)] for i in range(len(shape.cells))),
                "reload": coded.index(visit.part) if visit.kind == "reload" else None,
            }
            for number, visit in enumerate(passes)
            if layout.written(shape, visit)
        ]
        shapes.append({"c": len(shape.cells), "w": shape.width, "written": written, "banks": shape.banks})
    return dict(
        name=store.name,
        about=f"Tensor {comment(in_one_line(layout.tensor.path))}, shape {layout.tensor.shape}",
        n=n,
        w=w,
        cells=layout.n_cells,
        a=max(1, (n - 1).bit_length()),
        block=BLOCK,
        block_bits=BLOCK.bit_length() - 1,
        blocks=[min(BLOCK, n - start) for start in range(0, n, BLOCK)],
        p=len(passes),
        passes=listed,
        timed=[visit for visit in listed if visit["cycles_name"]],
        checked=layout.is_checked,
        needs_good=any(visit.needs_good for visit in passes),
        good_mask="".join("01"[visit.needs_good] for visit in passes),
        needs_cells=layout.needs_cells,
        parts=max(1, len(coded)),
        c=max(sizes, default=0),
        cmax=max(sizes, default=0),
        shapes=shapes,
        bits=layout.tensor.n_bits,
        words=[(k, sizes[k], first) for k, first in zip(layout.shape_of.tolist(), starts, strict=True)],
    )


def rendered(template: str, /, **values: Any) -> str:
    """A template of this room, filled in."""
    text: str = _template(template).render(**values)
    return text


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, StrictUndefined

    text = (files("fkeras.rtl") / "templates" / name).read_text()
    return Environment(undefined=StrictUndefined, autoescape=False).from_string(text)
