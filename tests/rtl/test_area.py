"""Area is measured, cells survive synthesis or are said not to, and decoders are proven or refuted."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from fkeras.errors import EnvironmentSetupError, InputError
from fkeras.faults import SECDED, TMR, BlindScrubbing, KnownWords, Parity, RangeCheck, Recoded, protection
from fkeras.memory import BitSet, BitSpace, FixedPoint, WordTensor
from fkeras.protection import read_words, write_words
from fkeras.rtl import rtl_area, weight_memory
from fkeras.rtl.area import Area, StoreArea, area_content, read_area
from fkeras.rtl.folder import protection_digest
from fkeras.rtl.generate import Port

READ0, READ_WIRE = "weights_dense_kernel_read0", "weights_wire_end_read0"
FLIP_FLOP, MUX = 4.0, 4.5
"""Of the gates that Yosys makes of a cell that is written where it is selected."""


@pytest.fixture
def areas(memory, tmp_path, synthesis):
    """areas(protected, edit={file: (pattern, replacement)}): the area of the memory."""

    def measure(protected, edit=None):
        weight_memory(protected, memory).write(tmp_path)
        for name, (pattern, replacement) in (edit or {}).items():
            text = (tmp_path / name).read_text()
            assert re.search(pattern, text)
            (tmp_path / name).write_text(re.sub(pattern, replacement, text))
        return rtl_area(tmp_path)

    return measure


def test_words_without_protection_are_what_others_are_compared_with(areas):
    bare = areas(None)
    assert (bare.total, bare.overhead, bare.holds) == (bare.plain, 0.0, True)
    assert [store.n_survived for store in bare.stores] == [60, 6]
    assert [store.decoders for store in bare.stores] == [0.0, 0.0]
    assert [store.n_control for store in bare.stores] == [0, 0]
    per_cell = bare.stores[0].cells / 60
    assert FLIP_FLOP < per_cell <= FLIP_FLOP + MUX


@pytest.mark.parametrize(
    ("protected", "n_cells", "proven"),
    [
        (TMR(range(66)), [180, 18], {"fkeras_tmr"}),
        (SECDED(range(60)), [12 * 10, 6], {"fkeras_secded_5"}),
        # Check bits of one data bit are copies of it.
        (SECDED(range(0, 60, 5)), [60 + 12 * 3, 6], {"fkeras_secded_1"}),
        (Parity(range(12)), [63, 6], {"fkeras_parity of 5", "fkeras_parity of 2"}),
        (BlindScrubbing(range(66), 60), [60, 6], set()),
        (RangeCheck(), [60, 6], {"weights_dense_kernel_read0"}),
        (Recoded(), [60, 6], {READ0, f"{READ0}_encode", READ_WIRE, f"{READ_WIRE}_encode"}),
        (KnownWords(), [60, 6], {READ0, READ_WIRE}),
    ],
)
def test_every_cell_survives_and_decoders_are_proven(areas, protected, n_cells, proven):
    result = areas(protected)
    assert [store.n_cells for store in result.stores] == n_cells
    assert [store.n_survived for store in result.stores] == n_cells
    assert {proof.decoder for proof in result.proofs} == proven
    assert all(proof.proven for proof in result.proofs)
    assert result.holds
    assert result.overhead > 0
    assert "every cell survives synthesis" in str(result)


def test_what_nothing_checks_has_no_decoders_and_counts_nothing(areas, tmp_path):
    assert [store.decoders for store in areas(BlindScrubbing(range(66), 60)).stores] == [0.0, 0.0]
    assert "row_corrected" not in (tmp_path / "weights_dense_kernel.sv").read_text()


def test_cells_of_words_of_several_widths_survive(mixed, tmp_path, synthesis):
    weight_memory([RangeCheck(), TMR(range(12))], mixed).write(tmp_path)
    result = rtl_area(tmp_path)
    assert [(store.n_cells, store.n_survived) for store in result.stores] == [(28 + 24, 28 + 24)]
    assert result.holds


def test_block_ram_has_a_decoder_for_each_word_of_a_row(memory, tmp_path, synthesis):
    areas = {}
    for rows in (12, 5, 1):
        ports = {"dense/kernel": Port("w3", rows, tuple(range(12)))}
        weight_memory(SECDED(range(60)), memory, ports=ports).write(tmp_path)
        result = rtl_area(tmp_path)
        assert result.holds
        areas[rows] = result.stores[0]
        assert areas[rows].n_survived == 12 * 10
    # Three lanes of five rows have room for fifteen words; without protection they are RAM, too.
    assert [areas[rows].cells for rows in (12, 5, 1)] == [2 * 120, 2 * 150, 2 * 120]
    assert areas[5].decoders == pytest.approx(3 * areas[12].decoders)
    assert areas[1].decoders == pytest.approx(12 * areas[12].decoders)
    assert result.plain < 2 * 60 + 300


def test_copies_in_block_ram_are_counted(memory, tmp_path, synthesis):
    ports = {"dense/kernel": Port("w3", 6, tuple(range(12)))}
    weight_memory(TMR(range(60)), memory, ports=ports).write(tmp_path)
    file = tmp_path / "weights_dense_kernel.sv"
    assert rtl_area(tmp_path).stores[0].n_survived == 180
    # The third copy is never read.
    file.write_text(re.sub(r"= (row_)?raw0_2\[0:4\];", r"= \1raw0_1[0:4];", file.read_text()))
    result = rtl_area(tmp_path)
    assert len(result.changed) == 1
    assert (result.stores[0].n_survived, result.holds) == (150, False)


def test_more_protection_takes_more(areas):
    totals = [areas(None if not k else TMR(range(k))).total for k in (0, 20, 40, 60)]
    assert totals == sorted(totals)
    assert len(set(totals)) == 4


def test_copies_that_synthesis_merges_are_counted(areas):
    # What keeps copies apart is taken away: three registers that always hold the same are one.
    attribute = r"\(\* keep_hierarchy = \"yes\".*?\*\)"
    result = areas(TMR(range(66)), {"fkeras_cells.sv": (attribute, "")})
    assert not result.holds
    assert sum(store.n_survived for store in result.stores) < 198
    assert "CELLS DID NOT SURVIVE SYNTHESIS" in str(result)


@pytest.mark.parametrize(
    ("protected", "name", "edit", "decoder"),
    [
        (TMR(range(9)), "fkeras_tmr.sv", (r"\(a & c\)", "(a & a)"), "fkeras_tmr"),
        (SECDED(range(60)), "fkeras_secded_5.sv", (r"\^ data\[4\]", ""), "fkeras_secded_5"),
        (RangeCheck("clamp"), "weights_dense_kernel.sv", ("value > high", "value < high"), READ0),
        (
            RangeCheck("clamp"),
            "weights_dense_kernel.sv",
            ("below \\? low", "below ? high"),
            READ0,
        ),
        # Entry 20 is three flips away from every word that is stored, so that no pair reads it.
        (KnownWords(), "weights_dense_kernel.sv", (r"5'd20: (.*) = \{5'd\d+", r"5'd20: \1 = {5'd31"), READ0),
        (
            Recoded(),
            "weights_dense_kernel.sv",
            (r"5'd31: pattern = .*;|default: pattern = .*;", "default: pattern = 5'd9;"),
            f"{READ0}_encode",
        ),
    ],
)
def test_a_wrong_decoder_is_refuted(areas, protected, name, edit, decoder):
    result = areas(protected, {name: edit})
    refuted = [proof.decoder for proof in result.proofs if proof.proven is False]
    assert refuted == [decoder]
    assert not result.holds
    assert len(result.changed) == 1


def test_a_decoder_of_many_cells_is_simulated_only(tmp_path, synthesis):
    zeros = np.zeros(1, np.float32)
    space = BitSpace((WordTensor("k", (1,), FixedPoint(16, 0), zeros.astype(np.uint32), zeros + 1, zeros),))
    weight_memory(SECDED(range(16)), space).write(tmp_path)
    result = rtl_area(tmp_path)
    assert [str(proof) for proof in result.proofs] == ["fkeras_secded_16 simulated only"]
    assert result.holds


LIBERTY = """
library(two) {
  cell(BUF) {
    area: 3;
    pin(A) { direction: input; }
    pin(Y) { direction: output; function: "A"; }
  }
  cell(NOT) {
    area: 1.5;
    pin(A) { direction: input; }
    pin(Y) { direction: output; function: "A'"; }
  }
  cell(NAND) {
    area: 2.5;
    pin(A) { direction: input; }
    pin(B) { direction: input; }
    pin(Y) { direction: output; function: "(A*B)'"; }
  }
  cell(DFF) {
    area: 10;
    ff(IQ, IQN) { clocked_on: C; next_state: D; }
    pin(C) { direction: input; clock: true; }
    pin(D) { direction: input; }
    pin(Q) { direction: output; function: "IQ"; }
  }
}
"""


def test_areas_are_in_the_unit_of_a_liberty_file(memory, tmp_path, synthesis):
    weight_memory(None, memory).write(tmp_path / "rtl")
    (tmp_path / "two.lib").write_text(LIBERTY)
    result = rtl_area(tmp_path / "rtl", liberty=tmp_path / "two.lib")
    assert result.unit == "units of two.lib"
    assert result.stores[0].cells > 60 * 10
    assert result.stores[0].n_survived == 60
    with pytest.raises(InputError, match=r"liberty file .*none.lib does not exist .*; name a .lib file"):
        rtl_area(tmp_path / "rtl", liberty=tmp_path / "none.lib")


@pytest.fixture
def measured(memory, tmp_path):
    """measured(protected, **said): a file as `fkeras area --json` writes it, of a memory under a protection."""

    def write(protected, **said):
        guard = weight_memory(protected, memory).guard
        digests = memory.layout_digest, protection_digest(guard)
        area = Area("", *digests, "gate equivalents", (StoreArea("store", 9, 9, 0, 300.0, 90.0, 8.0),), 100.0)
        path = tmp_path / "area.json"
        path.write_text(json.dumps({**area_content(area, "rtl"), **said}))
        return path

    return write


def test_the_area_of_a_protection_is_measured_or_said_to_be_assumed(memory, measured):
    tmr = TMR(BitSet(range(40), label="some"), 60)
    path = measured(tmr)
    area = read_area(path)
    assert area.statement(protection(tmr, memory), memory) == "area +298.0%, measured by synthesis (area.json)"
    # Bits that are called otherwise are the same bits.
    assert "measured" in area.statement(protection([TMR(range(40), 60.0)], memory), memory)
    assumed = "area +121.2%, assumed to be that of the extra bits (area.json is of another memory or protection)"
    assert area.statement(protection(TMR(range(40), 30), memory), memory) == assumed
    assert area.statement(protection(TMR(range(40)), memory), memory) == assumed
    other = BitSpace(memory.tensors[:1])
    assert "of another memory" in area.statement(protection(tmr, other), other)
    assert area.statement(protection(range(40), memory), memory) == ""


def test_a_check_is_the_same_however_it_was_stated(memory, measured, tmp_path):
    write_words(KnownWords(), memory, tmp_path / "words.json")
    area = read_area(measured([TMR(range(4)), KnownWords()]))
    frozen = protection([read_words(tmp_path / "words.json"), TMR(range(4))], memory)
    assert area.statement(frozen, memory).startswith("area +298.0%, measured")
    assert "assumed" in area.statement(protection([KnownWords(margin=1), TMR(range(4))], memory), memory)


def test_an_area_that_is_not_to_be_relied_on_says_so(memory, measured):
    tmr = TMR(range(4))
    for said, doubt in [
        ({"holds": False}, "; a cell is lost or a decoder refuted)"),
        ({"changed": ["one.sv is missing"]}, "; files changed by hand)"),
    ]:
        assert read_area(measured(tmr, **said)).statement(protection(tmr, memory), memory).endswith(doubt)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"schema": "fkeras-rtl/1"},
            "'schema' is 'fkeras-rtl/1', expected 'fkeras-area/1'; write it with",
        ),
        ({"protection_sha256": None}, "does not say of which memory and protection it is"),
        ({"overhead": "much"}, "or what they take: damaged, or of an earlier version; write it with"),
    ],
)
def test_a_file_that_holds_no_area_is_refused(measured, said, message):
    with pytest.raises(InputError, match=message):
        read_area(measured(TMR(range(4)), **said))


def test_what_is_no_file_of_areas_is_refused(tmp_path):
    (tmp_path / "text").write_text("{")
    for path, message in [
        (tmp_path, "is a folder; write it with `fkeras area DIR --json FILE`, and name the file"),
        (tmp_path / "none", "does not exist"),
        (tmp_path / "text", "is no JSON"),
    ]:
        with pytest.raises(InputError, match=message):
            read_area(path)


def test_missing_yosys_is_asked_for(memory, tmp_path, monkeypatch):
    weight_memory(None, memory).write(tmp_path)
    monkeypatch.setattr("fkeras.rtl.tools.yosys_command", tuple)
    with pytest.raises(EnvironmentSetupError, match=r"synthesis needs Yosys \(pip install 'pytest-fkeras\[rtl\]'"):
        rtl_area(tmp_path)


def test_only_cells_are_counted_as_cells_whatever_a_tensor_is_called(tmp_path, synthesis):
    zeros = np.zeros(2, np.float32)
    words = WordTensor("fkeras_cells/kernel", (2,), FixedPoint(3, 0), zeros.astype(np.uint32), zeros + 1, zeros)
    weight_memory(TMR(range(6), 60), BitSpace((words,))).write(tmp_path)
    (store,) = rtl_area(tmp_path).stores
    assert (store.n_cells, store.n_survived) == (18, 18)
    assert min(store.n_control, store.decoders, store.control) > 0
