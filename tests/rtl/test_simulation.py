"""Law: what the RTL reads is what the library says, bit for bit, whatever was hit; and a wrong store is found out."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fkeras.faults import SECDED, TMR, AssumedImmune, FlipCount, KnownWords, Parity, RangeCheck, Recoded
from fkeras.rtl import read_folder, rtl_check, weight_memory

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
    "range check": RangeCheck(),
    "range check, clamped": RangeCheck("clamp", scrub_interval_seconds=30, scrub_from="itself"),
    "recoded": Recoded(scrub_interval_seconds=30, scrub_from="itself"),
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
    assert re.search(r"word \d+(, cells .* hit)?: expected|round \d+", result.stores[0].mismatches[0])
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


def test_immune_bits_are_nothing_to_build(memory):
    from fkeras.errors import InputError

    with pytest.raises(InputError, match=r"8 bits are assumed immune.*write under=fkeras.TMR, or SECDED or Parity"):
        weight_memory(AssumedImmune(range(8)), memory)
