"""The folder of RTL: what is refused, what is kept, and that a memory read back writes the same files."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from fkeras.errors import EnvironmentSetupError, InputError, LayoutError
from fkeras.faults import SECDED, TMR, KnownWords, Parity, RangeCheck
from fkeras.memory import BitSet, BitSpace, FixedPoint, MixedFixedPoint, WordTensor
from fkeras.protection import Mask
from fkeras.rtl import read_folder, rtl_area, rtl_check, weight_memory
from fkeras.rtl.codewords import layouts
from fkeras.rtl.generate import Port, sources, stores

SEVERAL = [KnownWords(), TMR(range(9), 60), SECDED(range(10, 22), 30, "itself"), Parity(range(30, 40))]


def space_of(*paths: str) -> BitSpace:
    zeros = np.zeros(2, np.float32)
    words = zeros.astype(np.uint32)
    return BitSpace(tuple(WordTensor(path, (2,), FixedPoint(3, 0), words, zeros + 1, zeros) for path in paths))


@pytest.mark.parametrize("protected", [None, TMR(range(66)), SEVERAL, RangeCheck("zero", per="channel")])
def test_what_is_read_back_writes_the_same_files(memory, tmp_path, protected):
    written = weight_memory(protected, memory, 1e6)
    written.write(tmp_path / "rtl")
    again = read_folder(tmp_path / "rtl")
    assert {**again.files, "rtl.json": ""} == {**written.files, "rtl.json": ""}
    assert again.changed(tmp_path / "rtl") == []
    assert {path.name for path in (tmp_path / "rtl").iterdir()} == set(written.files)


def test_another_protection_of_the_same_memory_replaces_it_whole(memory, tmp_path):
    weight_memory(SECDED(range(60)), memory).write(tmp_path)
    assert (tmp_path / "fkeras_secded_5.sv").exists()
    weight_memory(TMR(range(60)), memory).write(tmp_path)
    assert not (tmp_path / "fkeras_secded_5.sv").exists()
    assert read_folder(tmp_path).changed(tmp_path) == []


def test_another_memory_and_files_of_others_are_refused(memory, tmp_path):
    weight_memory(None, memory).write(tmp_path / "rtl")
    with pytest.raises(InputError, match=r"rtl holds the RTL of another memory .* name another folder"):
        weight_memory(None, space_of("a/kernel")).write(tmp_path / "rtl")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("mine")
    with pytest.raises(InputError, match=r"README.md is no RTL file that fkeras wrote"):
        weight_memory(None, memory).write(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["README.md"]
    weight_memory(None, memory).write(tmp_path / "mine", force=True)
    with pytest.raises(InputError, match=r"README.md is a file; name a folder"):
        weight_memory(None, memory).write(tmp_path / "mine" / "README.md")


@pytest.mark.parametrize("ask", [rtl_check, rtl_area])
def test_a_file_that_is_missing_is_named(memory, tmp_path, ask, simulator, synthesis):
    weight_memory(TMR(range(20)), memory).write(tmp_path)
    (tmp_path / "fkeras_tmr.sv").unlink()
    with pytest.raises(InputError, match=r"fkeras_tmr.sv is missing; write the folder again: write it with `fk"):
        ask(tmp_path)


def test_words_of_several_widths_have_no_port_of_rows(mixed):
    with pytest.raises(InputError, match=r"'dense/kernel' is .* allowed here are words of one format: leave it out by"):
        weight_memory(None, mixed, ports={"dense/kernel": Port("w3", 2, tuple(range(10)))})


def test_a_memory_without_bits_is_nothing_to_build():
    zeros = np.zeros(2, np.float32)
    pruned = WordTensor(
        "k", (2,), MixedFixedPoint([0, 0], [0, 0], [False, False]), zeros.astype(np.uint32), zeros, zeros
    )
    with pytest.raises(InputError, match="has no bits, so that there is nothing to build"):
        weight_memory(None, BitSpace((pruned,)))


def index(tmp_path, **changes):
    content = json.loads((tmp_path / "rtl.json").read_text())
    (tmp_path / "rtl.json").write_text(json.dumps({**content, **changes}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.joinpath("rtl.json").write_text('{"schema'), "is no JSON"),
        (lambda path: index(path, schema="fkeras-rtl/9"), "expected 'fkeras-rtl/1'"),
        (lambda path: index(path, protection=[]), "its memory is not that of its sha256: altered or damaged"),
        (lambda path: path.joinpath("rtl.json").unlink(), "does not exist"),
    ],
)
def test_a_damaged_index_is_refused(memory, tmp_path, damage, message):
    weight_memory(TMR(range(20)), memory).write(tmp_path)
    damage(tmp_path)
    with pytest.raises(InputError, match=rf"{re.escape(message)}.*fkeras protect --rtl DIR"):
        read_folder(tmp_path)


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere is no folder .* write it with"):
        read_folder(tmp_path / "nowhere")


def test_a_missing_simulator_is_asked_for_in_one_message(memory, tmp_path, monkeypatch):
    weight_memory(None, memory).write(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentSetupError, match=r"needs Icarus Verilog \(apt-get install iverilog\)"):
        rtl_check(tmp_path)


@pytest.mark.parametrize(
    ("protected", "message"),
    [
        (KnownWords(stored=True), r"limits and tables in cells \(stored=True\) are not written as RTL"),
        ([3, 4], r"2 bits are assumed immune, which says that they never fail and not by what"),
    ],
)
def test_what_cannot_be_built_is_refused(memory, protected, message):
    with pytest.raises(InputError, match=message):
        weight_memory(protected, memory)


def test_a_clock_is_a_number_above_0(memory):
    with pytest.raises(InputError, match=r"clock_hz=0; allowed are cycles per second"):
        weight_memory(None, memory, 0)


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (1e-7, "tensor 'dense/kernel': a scrub takes 14 cycles, and one begins every 4 at 4e+07 Hz; allowed are those"),
        (1e12, r"one begins every 40,000,000,000,000,000,000 at .* fewer than 2\*\*64 cycles: give another scrub_in"),
    ],
)
def test_scrubs_have_time(memory, seconds, message):
    with pytest.raises(InputError, match=message.replace("+", r"\+")):
        weight_memory(TMR(range(66), seconds), memory)


def test_scrubs_of_several_kinds_have_time_together(memory):
    both = [TMR(range(20), 20e-3), RangeCheck(scrub_interval_seconds=30e-3)]
    weight_memory(both, memory, 1200)
    with pytest.raises(InputError, match=r"takes 14 cycles, and one begins every 30 and every 20 at 1000 Hz"):
        weight_memory(both, memory, 1000)
    weight_memory(both[0], memory, 1000)
    ram = {"dense/kernel": Port("w3", 12, tuple(range(12)))}
    with pytest.raises(InputError, match=r"takes 26 cycles, and one begins every 20"):
        weight_memory(both[0], memory, 1000, ports=ram)


def test_intervals_are_counted_in_cycles_of_the_clock(memory):
    files = weight_memory(TMR(range(66), 60), memory, 40e6).files
    assert "parameter SCRUB_CYCLES_0 = 64'd2400000000" in files["weights_dense_kernel.sv"]


HOSTILE = ["always/kernel", "Always/kernel", "a/b;endmodule\n//", "1/2", "日本/核", "x" * 300 + "/k", "*/ `include /y"]
INNER = ["1/2/word0", "1/2_word0_encode", "1/2/READ0", "a/ram", "a.ram", "a_ram_3"]
"""Called as the modules within the store of another are."""


def test_names_are_safe_and_distinct_whatever_layers_are_called():
    space = space_of(*HOSTILE, *INNER)
    named = stores(layouts(weight_memory(None, space).guard, space))
    names = [store.name.lower() for store in named]
    assert len(set(names)) == len(HOSTILE) + len(INNER)
    modules = [line for text in sources(named, 1.0).values() for line in re.findall(r"^module \w+", text, re.MULTILINE)]
    assert len(modules) == len({module.lower() for module in modules})
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,100}", name) for name in names)
    for store in named:
        text = weight_memory(None, space).files[store.file]
        code = re.sub(r"//[^\n]*", "", text)
        assert text.isascii()
        assert "`" not in code
        assert len(re.findall(r"\bendmodule\b", code)) == 4


def test_a_mask_writes_its_own_memory_only(memory, tmp_path):
    mask = Mask.of(BitSet(range(20)), memory)
    paths = mask.write_rtl(tmp_path / "rtl", memory, under=SECDED)
    assert paths[-1] == tmp_path / "rtl" / "rtl.json"
    assert read_folder(tmp_path / "rtl").guard.bits == mask.bits
    with pytest.raises(LayoutError, match=r"was made for a memory of layout"):
        mask.write_rtl(tmp_path / "other", space_of("a/kernel"))
    assert not (tmp_path / "other").exists()
