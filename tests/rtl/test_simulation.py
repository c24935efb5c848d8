"""Law: what the RTL reads is what the library says, bit for bit, whatever was hit; and a wrong store is found out."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.faults import (
    SECDED,
    TMR,
    AssumedImmune,
    BlindScrubbing,
    FlipCount,
    KnownWords,
    Parity,
    RangeCheck,
    Recoded,
    StuckAt,
)
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.rtl import read_folder, rtl_check, weight_memory
from fkeras.rtl.generate import Port

pytestmark = pytest.mark.usefixtures("simulator")

SOME = np.random.default_rng(1).permutation(66)[:30]
HITS = FlipCount(9, exposure_seconds=100.0)
PROTECTIONS = {
    "none": None,
    "tmr": TMR(range(66)),
    "some tmr, scrubbed from a good copy": TMR(SOME, 30),
    "some tmr, scrubbed from itself": TMR(SOME, 30, "itself"),
    "secded": SECDED(range(60)),
    "some secded, scrubbed from itself": SECDED(SOME[SOME < 60], 30, "itself", "keep"),
    "parity": Parity(range(60)),
    "parity, reloaded": Parity(range(60), 30, "reload"),
    "blind scrubbing": BlindScrubbing(range(66), 30),
    "blind scrubbing of some bits beside others under tmr and a check scrubbed from itself": [
        TMR(SOME, 30),
        BlindScrubbing(np.setdiff1d(np.arange(50), SOME), 20),
        KnownWords(scrub_interval_seconds=10, scrub_from="itself"),
    ],
    "range check": RangeCheck(),
    "range check, clamped": RangeCheck("clamp", scrub_interval_seconds=30, scrub_from="itself"),
    "recoded": Recoded(scrub_interval_seconds=30, scrub_from="itself"),
    "a check scrubbed from itself beside tmr": [
        KnownWords(scrub_interval_seconds=20, scrub_from="itself"),
        TMR(SOME, 15, "itself"),
    ],
    "a check scrubbed from itself before all others at the same time": [
        SECDED(range(0, 22), 20, "good copy"),
        Parity(range(22, 40), 20, on_detected="reload"),
        Recoded(scrub_interval_seconds=10, scrub_from="itself"),
        TMR(range(40, 44)),
    ],
    "several": [
        KnownWords(scrub_interval_seconds=50),
        TMR(range(3), 30, "itself"),
        SECDED(range(3, 22), 40, on_detected="reload"),
        Parity(range(22, 40), on_detected="keep"),
    ],
}


@pytest.mark.parametrize("kind", PROTECTIONS)
def test_it_reads_what_the_library_says(memory, tmp_path, kind):
    weight_memory(PROTECTIONS[kind], memory).write(tmp_path / "rtl")
    result = rtl_check(tmp_path / "rtl", faults=HITS, trials=8)
    assert result.changed == ()
    assert [store.mismatches for store in result.stores] == [(), ()]
    stores = read_folder(tmp_path / "rtl").stores
    assert [store.n_single for store in result.stores] == [store.layout.n_cells for store in stores]
    assert [store.n_trials for store in result.stores] == [8, 8]


@pytest.mark.parametrize("n", [1, 64, 130])
@pytest.mark.parametrize("protected", [None, TMR(range(2), 30, "itself")], ids=["none", "some tmr"])
def test_each_row_is_loaded_and_scrubbed_by_itself(tmp_path, n, protected):
    """Blocks of 64 rows are selected together."""
    words, ones = np.random.default_rng(n).integers(0, 4, n).astype(np.uint32), np.ones(n, np.float32)
    weight_memory(protected, BitSpace((WordTensor("k", (n,), FixedPoint(2, 2, False), words, ones, ones),))).write(
        tmp_path
    )
    (store,) = rtl_check(tmp_path).stores
    assert (store.mismatches, store.n_single) == ((), 2 * n + (0 if protected is None else 4))


ELEMENTS = (7, 3, 11, 0, 1, 9, 4, 10, 2, 8, 6, 5)
"""Of the twelve words in hls4ml's order."""


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("none", 12),
        ("blind scrubbing", 5),
        ("secded", 1),
        ("several", 5),
        ("recoded", 4),
        ("some tmr, scrubbed from itself", 5),
    ],
)
def test_block_ram_reads_what_the_library_says(memory, tmp_path, kind, rows):
    ports = {"dense/kernel": Port("w3", rows, ELEMENTS)}
    weight_memory(PROTECTIONS[kind], memory, ports=ports).write(tmp_path)
    result = rtl_check(tmp_path, faults=HITS, trials=4)
    assert [store.mismatches for store in result.stores] == [(), ()]
    assert "ram_style" in (tmp_path / "weights_dense_kernel.sv").read_text()


MIXED = {
    "none": None,
    "tmr": TMR(range(28)),
    "some tmr, scrubbed from itself": TMR([0, 1, 5, 6, 7, 11, 14, 20, 27], 30, "itself"),
    "secded, reloaded": SECDED(range(28), 30, on_detected="reload"),
    "parity": Parity(range(20), 20),
    "range check": RangeCheck(per="channel"),
    "blind scrubbing": BlindScrubbing(range(1, 28), 30),
    "known words and some secded": [
        KnownWords(scrub_interval_seconds=20, scrub_from="itself"),
        SECDED([0, 1, 4, 5, 6, 12, 13, 26, 27], 30, "itself"),
    ],
    "recoded": Recoded(scrub_interval_seconds=30),
}


@pytest.mark.parametrize("kind", MIXED)
def test_words_of_several_widths_read_what_the_library_says(mixed, tmp_path, kind):
    written = weight_memory(MIXED[kind], mixed)
    written.write(tmp_path)
    assert read_folder(tmp_path).changed(tmp_path) == []
    (only,) = rtl_check(tmp_path, faults=HITS, trials=8).stores
    assert only.mismatches == ()
    assert only.n_single == written.stores[0].layout.n_cells > 0
    assert len((tmp_path / "weights_dense_kernel.mem").read_text().splitlines()) == 1 + 10


def test_pairs_are_those_of_codewords_and_triples(memory, tmp_path):
    weight_memory([TMR(range(10)), SECDED(range(10, 20))], memory).write(tmp_path)
    first = rtl_check(tmp_path).stores[0]
    # A triple for each of 10 bits; two codewords of 5 data and 5 check bits.
    assert first.n_single == 60 + 20 + 2 * 5
    assert first.n_pairs == 10 * 3 + 2 * 45


WRONG = {
    "a voter that takes the first copy": ("fkeras_tmr.sv", r"vote = .*;", "vote = a;", TMR(range(66))),
    "a column of another code": ("fkeras_secded_5.sv", r"syndrome == 5'b(.....),", "syndrome == 5'b11111,", None),
    "a scrubber that writes nothing": (
        "weights_dense_kernel.sv",
        r"visit\[0\]\}\} & \d+'b[01]+",
        "1'b0}}",
        TMR(range(60), 30),
    ),
    "a timer that never begins": (
        "weights_dense_kernel.sv",
        r"SCRUB_CYCLES_0 = 64'd\d+",
        "SCRUB_CYCLES_0 = 64'd0",
        TMR(range(60), 30),
    ),
    "a timer that begins a cycle late": (
        "weights_dense_kernel.sv",
        r"timer0 == SCRUB_CYCLES_0 - 1",
        "timer0 == SCRUB_CYCLES_0",
        Recoded(scrub_interval_seconds=30, scrub_from="itself"),
    ),
    "a counter of mended words that stands still": (
        "weights_dense_kernel.sv",
        r"n_corrected <= n_corrected \+ .*?;",
        "n_corrected <= n_corrected;",
        RangeCheck(),
    ),
    "a counter of words known to be wrong that counts others": (
        "weights_dense_kernel.sv",
        r"n_detected <= n_detected \+ .*?;",
        "n_detected <= n_detected + {31'd0, corrected};",
        SECDED(range(60), on_detected="reload"),
    ),
    "a scrub that does not wait for the good copy": (
        "weights_dense_kernel.sv",
        r"\(good_valid \|",
        "(1'b1 |",
        BlindScrubbing(range(60), 30),
    ),
    "a wire to the word beside": (
        "weights_dense_kernel.sv",
        r"select\[0\]\)",
        "select[1])",
        TMR(range(60)),
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_found(memory, tmp_path, mistake):
    name, wrong, instead, kind = WRONG[mistake]
    weight_memory(SECDED(range(60)) if kind is None else kind, memory).write(tmp_path)
    text = (tmp_path / name).read_text()
    assert re.search(wrong, text)
    (tmp_path / name).write_text(re.sub(wrong, instead, text, count=1))
    result = rtl_check(tmp_path)
    assert not result.agrees
    assert len(result.changed) == 1
    assert re.match(rf"{name} is not what fkeras writes, from line \d+ on", result.changed[0])
    where = r"word \d+(, cells .* hit)?: expected|round \d+|pass 0, [012] cycles before its time"
    assert re.search(where, result.stores[0].mismatches[0])

    assert "the RTL disagrees" in str(result)


def test_words_of_the_wrong_value_are_found(memory, tmp_path):
    weight_memory(TMR(range(60)), memory).write(tmp_path)
    changed = tmp_path / "weights_dense_kernel.mem"
    changed.write_text(changed.read_text().replace("0", "1", 20))
    result = rtl_check(tmp_path)
    assert result.changed == ("weights_dense_kernel.mem is not what fkeras writes, from line 2 on",)


def test_what_cannot_be_compiled_is_an_error_with_the_reason(memory, tmp_path):
    from fkeras.errors import FkerasError

    weight_memory(TMR(range(66)), memory).write(tmp_path)
    (tmp_path / "fkeras_tmr.sv").write_text("module fkeras_tmr (input a")
    with pytest.raises(FkerasError, match=r"(?s)weights_dense_kernel.sv could not be simulated.*syntax error"):
        rtl_check(tmp_path)


def test_the_simulator_loads_nothing_that_takes_long(memory, tmp_path, monkeypatch):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "numpy.py").write_text("raise ImportError('the testbench needs no numpy')")
    monkeypatch.syspath_prepend(tmp_path / "path")
    weight_memory(None, memory).write(tmp_path / "rtl")
    assert rtl_check(tmp_path / "rtl").agrees


def test_immune_bits_are_nothing_to_build(memory):
    from fkeras.errors import InputError

    with pytest.raises(InputError, match=r"8 bits are assumed immune.*write under=fkeras.TMR, or SECDED or Parity"):
        weight_memory(AssumedImmune(range(8)), memory)


ALONE = """
module bench;
    reg clk = 0, load = 0, reset = 1;
    reg [0:3] row = 0;
    reg [0:4] word = 0;
    wire [0:59] words;
    wire [31:0] n_corrected, n_detected;
    integer i;
    always #1 clk = ~clk;
    weights_dense_kernel store (.clk(clk), .load(load), .load_row(row), .load_word(word), .reset(reset),
        .request(1'b0), .busy(), .row(), .n_corrected(n_corrected), .n_detected(n_detected), .words(words));
    initial begin
        @(negedge clk) load = 1;
        for (i = 0; i < 12; i = i + 1) begin row = i; word = i; @(negedge clk); end
        load = 0; reset = 0;
        store.w7.bank1.cells[2] = ~store.w7.bank1.cells[2];
        repeat (CYCLES) @(negedge clk);
        $display("%b %0d %0d", store.w7.bank1.cells, n_corrected, n_detected);
        $finish;
    end
endmodule
"""


@pytest.mark.parametrize(("cycles", "seen"), [(90, "00011 0 0"), (130, "00111 1 0"), (230, "00111 1 0")])
def test_a_scrub_comes_by_itself_after_its_interval(memory, tmp_path, cycles, seen):
    # 10 s of 10 cycles each: the first pass over twelve words begins after 100 cycles.
    weight_memory(TMR(range(60), 10, "itself"), memory, clock_hz=10).write(tmp_path)
    (tmp_path / "bench.sv").write_text(ALONE.replace("CYCLES", str(cycles)))
    files = [str(path) for path in sorted(tmp_path.glob("*.sv"))]
    subprocess.run(["iverilog", "-g2012", "-s", "bench", "-o", str(tmp_path / "bench"), *files], check=True)
    done = subprocess.run(["vvp", "-n", str(tmp_path / "bench")], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == seen


PORT = """
module bench;
    reg clk = 0, load = 1, enable = 0;
    reg [2:0] row = 0, address = 0;
    reg [14:0] words = 0;
    wire [14:0] q;
    integer i;
    always #1 clk = ~clk;
    weights_dense_kernel port (.clk(clk), .load(load), .load_row(row), .load_words(words), .address(address),
        .enable(enable), .q(q));
    initial begin
        @(negedge clk);
        for (i = 0; i < 5; i = i + 1) begin
            row = i; words = {5'd10 + i[4:0], 5'd5 + i[4:0], i[4:0]};
            @(negedge clk);
        end
        load = 0; enable = 1;
        for (i = 0; i < 5; i = i + 1) begin
            address = i;
            @(negedge clk) $display("%0d %0d %0d", q[4:0], q[9:5], q[14:10]);
        end
        enable = 0; address = 0;
        @(negedge clk) $display("%0d", q[4:0]);
        $finish;
    end
endmodule
"""


def test_the_port_reads_rows_as_hls4ml_packs_them(memory, tmp_path):
    elements = tuple(range(11, -1, -1))
    written = weight_memory(None, memory, ports={"dense/kernel": Port("w3", 5, elements)})
    written.write(tmp_path)
    assert read_folder(tmp_path).files == written.files
    (tmp_path / "bench.sv").write_text(PORT)
    files = [str(path) for path in sorted(tmp_path.glob("*.sv"))]
    subprocess.run(["iverilog", "-g2012", "-s", "bench", "-o", str(tmp_path / "bench"), *files], check=True)
    done = subprocess.run(["vvp", "-n", str(tmp_path / "bench")], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    # What is loaded is the place: lane l of row r is place 5 l + r, and the last lanes are empty.
    words = [[str(place) if place < 12 else "0" for place in (r, r + 5, r + 10)] for r in range(5)]
    assert rows == [*words, [words[4][0]]]


def test_stuck_bits_are_refused_and_not_called_mismatches(memory, tmp_path):
    weight_memory(None, memory).write(tmp_path)
    with pytest.raises(InputError, match=r"faults=StuckAt\(value=1, n=3\): cells that are hit are simulated, and none"):
        rtl_check(tmp_path, faults=StuckAt(1, 3), trials=2)
