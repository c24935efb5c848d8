"""The testbench of one store, for cocotb; it runs inside the simulator, and says what it saw in a JSON file.

It knows nothing of protections: it loads words, makes the hits that it is told, lets passes go by, and compares what
the store reads with what it is told.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

TASK = "FKERAS_RTL_TASK"
_MOST_SHOWN = 20


class Bench:
    """A store under test. task: as `simulate` writes it."""

    def __init__(self, dut: Any, task: dict[str, Any]) -> None:
        # Importable without cocotb, like everything else.
        from cocotb.handle import Immediate
        from cocotb.triggers import Timer

        self.dut, self.task, self._now, self._timer = dut, task, Immediate, Timer
        self.widths, self.words = task["widths"], task["words"]
        self.starts = [0, *accumulate(self.widths)]
        self.n_passes, self.needs_good = len(task["cycles"]), task["needs_good"]
        self.cells = [self._banks(number, banks) for number, banks in enumerate(task["banks_of"])]
        self.mismatches: list[str] = []
        self.n_mismatches = 0

    def _banks(self, number: int, banks: list[list[int]]) -> list[tuple[Any, int]]:
        """The handle of each cell of a word, and its bit there."""
        word = getattr(self.dut, f"w{number}") if banks else None
        cells: dict[int, tuple[Any, int]] = {}
        for bank, numbers in enumerate(banks):
            handle = getattr(word, f"bank{bank}").cells
            for place, cell in enumerate(numbers):
                cells[cell] = (handle, 1 << (len(numbers) - 1 - place))
        return [cells[cell] for cell in range(len(cells))]

    def flip(self, word: int, cell: int) -> None:
        """Hit a cell, at once."""
        handle, bit = self.cells[word][cell]
        handle.value = self._now(int(handle.value) ^ bit)

    def restore(self, word: int) -> None:
        """Let the cells of a word hold what is stored there: passes may have written any of them."""
        for cell, (handle, bit) in enumerate(self.cells[word]):
            is_one = self.task["stored"][word][cell] == "1"
            if bool(int(handle.value) & bit) != is_one:
                handle.value = self._now(int(handle.value) ^ bit)

    def settled(self) -> Any:
        """To be awaited until what was written has its effect."""
        return self._timer(1, "step")

    async def clock(self) -> None:
        """A rising edge once inputs have settled, and all that follows from it."""
        await self.settled()
        self.dut.clk.value = 1
        await self.settled()
        self.dut.clk.value = 0

    async def load(self) -> None:
        """Write every word through the port."""
        if self.n_passes:
            self.dut.request.value = 0
            self.dut.reset.value = 1
            if self.needs_good:
                self.dut.good_valid.value = 0
                self.port("good").value = 0
        self.dut.load.value = 0
        await self.clock()
        self.dut.load.value = 1
        for row, content in enumerate(self.rows()):
            self.dut.load_row.value = row
            self.port("load").value = content
            await self.clock()
        self.dut.load.value = 0
        await self.settled()

    async def visit(self, what: str, number: int, counted: list[int] | None) -> None:
        """Ask for a pass, and let it go by; timers stand still before and after. counted: what it must count."""
        dut = self.dut
        dut.reset.value = 0
        dut.request.value = 1 << (self.n_passes - 1 - number)
        await self.clock()
        dut.request.value = 0
        await self.go_by(number)
        counters = [int(counter.value) for counter in (dut.n_corrected, dut.n_detected)]
        if counted is not None and counters != counted:
            self.differ(f"{what}, pass {number}, words mended and known to be wrong", counted, counters)
        dut.reset.value = 1
        await self.clock()

    async def timers(self) -> None:
        """Scrubs begin by themselves, to the cycle."""
        for number, cycles in enumerate(self.task["cycles"]):
            if cycles is None:
                continue
            timer = getattr(self.dut, f"timer{number}")
            self.dut.reset.value = 0
            timer.value = self._now(cycles - 2)
            for left in (2, 1, 0):
                await self.settled()
                if (is_busy := bool(int(self.dut.busy.value))) is not (not left):
                    self.differ(f"pass {number}, {left} cycles before its time", not left, is_busy)
                if left:
                    await self.clock()
            if int(timer.value):
                self.differ(f"timer {number} when its time has come", 0, int(timer.value))
            await self.go_by(number)
            self.dut.reset.value = 1
            await self.clock()

    async def go_by(self, number: int) -> None:
        """Until nothing is busy. The good copy comes late now and then, and is wrong until then."""
        dut, rows = self.dut, self.rows()
        for cycle in range(4 * len(self.words) + 16):
            await self.settled()
            if not int(dut.busy.value):
                break
            if self.needs_good:
                good, is_late = rows[int(dut.row.value)], cycle % 4 == 2
                dut.good_valid.value = not is_late
                self.port("good").value = good ^ self.row_mask if is_late else good
            await self.clock()
        else:
            self.differ(f"pass {number} does not end", "not busy", "busy")
        if self.needs_good:
            dut.good_valid.value = 0

    def rows(self) -> list[int]:
        """What is loaded, row by row."""
        return list(self.words)

    def port(self, what: str) -> Any:
        """The port through which a row comes."""
        return getattr(self.dut, f"{what}_word")

    @property
    def row_mask(self) -> int:
        """All bits of that port."""
        return (1 << len(self.port("good"))) - 1

    async def read(self, word: int | None = None) -> str:
        """What the store reads, packed; word: the one that may be another than at the last time, None: any."""
        return str(self.dut.words.value)

    def packed(self, words: Sequence[int]) -> str:
        """Words as the port has them."""
        return "".join(f"{word:0{width}b}" for word, width in zip(words, self.widths, strict=True) if width)

    def differ(self, what: str, expected: object, got: object) -> None:
        """Remember what does not agree."""
        self.n_mismatches += 1
        if len(self.mismatches) < _MOST_SHOWN:
            self.mismatches.append(f"{what}: expected {expected}, reads {got}")

    async def compare(self, what: str, expected: str, word: int | None = None) -> str:
        """Compare all words; what was read."""
        text = await self.read(word)
        if text != expected:
            bit = next(i for i, (a, b) in enumerate(zip(text, expected, strict=True)) if a != b)
            word = bisect_right(self.starts, bit) - 1
            places = slice(self.starts[word], self.starts[word + 1])
            self.differ(f"{what}, word {word}", expected[places], text[places])
        return text

    async def alone(self) -> int:
        """Every hit by itself; how many."""
        golden, n_done = self.packed(self.words), 0
        nth = [0] * len(self.task["alone"])
        for word, shape in enumerate(self.task["shape_of"]):
            before, after, width = golden[: self.starts[word]], golden[self.starts[word + 1] :], self.widths[word]
            expected_words = self.task["alone_words"][shape][nth[shape]]
            nth[shape] += 1
            for hit, expected in zip(self.task["alone"][shape], expected_words, strict=True):
                for cell in hit:
                    self.flip(word, cell)
                await self.settled()
                await self.compare(f"word {word}, cells {hit} hit", f"{before}{expected:0{width}b}{after}", word)
                for cell in hit:
                    self.flip(word, cell)
                n_done += 1
            await self.settled()
            await self.compare(f"after hits on word {word}", golden, word)
        await self.compare("after all single hits", golden)
        return n_done

    async def play(self, what: str, script: dict[str, Any]) -> str:
        """A script, after which all is as it was; what was read."""
        for step in script["steps"]:
            for word, cell in step["hits"]:
                self.flip(word, cell)
            await self.settled()
            if step["visit"] is not None:
                await self.visit(what, step["visit"], step["counted"])
        seen = await self.compare(what, self.packed(script["words"]))
        for word in {word for step in script["steps"] for word, _ in step["hits"]}:
            self.restore(word)
        await self.settled()
        await self.compare(f"{what}, afterwards", self.packed(self.words))
        return seen

    def stored(self) -> Iterator[str]:
        """What the cells of each word hold."""
        for cells in self.cells:
            yield "".join("01"[bool(int(handle.value) & bit)] for handle, bit in cells)


class RamBench(Bench):
    """A store of block RAM behind the read port of hls4ml."""

    def __init__(self, dut: Any, task: dict[str, Any]) -> None:
        self.lanes = task["lanes"]
        self.place = {word: (lane, row) for lane, words in enumerate(self.lanes) for row, word in enumerate(words)}
        super().__init__(dut, task)
        self.seen = [""] * len(self.words)

    def _banks(self, number: int, banks: list[list[int]]) -> list[tuple[Any, int]]:
        lane, row = self.place[number]
        cells: dict[int, tuple[Any, int]] = {}
        for bank, numbers in enumerate(banks):
            handle = getattr(self.dut, f"lane{lane}_bank{bank}").cells[row]
            width = len(handle)
            for place, cell in enumerate(numbers):
                cells[cell] = (handle, 1 << (width - 1 - place))
        return [cells[cell] for cell in range(len(cells))]

    def rows(self) -> list[int]:
        width = self.widths[0]
        return [
            sum(self.words[word] << lane * width for lane, word in enumerate(row) if word is not None)
            for row in zip(*self.lanes, strict=True)
        ]

    def port(self, what: str) -> Any:
        return getattr(self.dut, f"{what}_words")

    async def read(self, word: int | None = None) -> str:
        width = self.widths[0]
        rows = range(len(self.lanes[0])) if word is None else [self.place[word][1]]
        self.dut.enable.value = 1
        for row in rows:
            self.dut.address.value = row
            await self.clock()
            await self.settled()
            text = str(self.dut.q.value)
            for lane, words in enumerate(self.lanes):
                if words[row] is not None:
                    end = len(text) - lane * width
                    self.seen[words[row]] = text[end - width : end]
        return "".join(self.seen)


async def all_vectors(dut: Any) -> None:
    """All vectors of the store."""
    task = json.loads(Path(os.environ[TASK]).read_text())
    bench = Bench(dut, task) if task["lanes"] is None else RamBench(dut, task)
    dut.clk.value = 0
    await bench.load()
    await bench.compare("after loading", bench.packed(bench.words))
    for number, (held, line) in enumerate(zip(bench.stored(), task["stored"], strict=True)):
        if held != line:
            bench.differ(f"cells of word {number} after loading", line, held)
    await bench.timers()
    n_alone = await bench.alone()
    seen = {
        kind: [await bench.play(f"{kind[:-1]} {number}", script) for number, script in enumerate(task[kind])]
        for kind in ("rounds", "trials")
    }
    result = {"n_alone": n_alone, "n_mismatches": bench.n_mismatches, "mismatches": bench.mismatches}
    Path(task["result"]).write_text(json.dumps({**result, "trials": seen["trials"]}))
