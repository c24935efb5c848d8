"""What reports and samplers say of tensors whose words differ in width."""

from __future__ import annotations

import numpy as np

from fkeras.campaigns.bit_map import map_of
from fkeras.campaigns.culprits import Culprit
from fkeras.campaigns.dead_tensors import _spread, dead_by_construction
from fkeras.cli.inspect import _content, _lines
from fkeras.faults import FaultSet
from fkeras.memory import BitSet, BitSpace, FixedPoint, Float, MixedFixedPoint, WordTensor
from fkeras.report.failure import faults_text
from fkeras.report.record import CoveredTensor, _covered
from fkeras.sensitivity.baselines import statfi

CODEC = MixedFixedPoint(width=[3, 0, 2, 3], integer=[0, 0, 2, 1], signed=[1, 0, 0, 0])


def tensor(codec, words, path, scale=1.0):
    stored = np.array(words, np.uint32)
    scales = np.full(stored.size, scale, np.float32)
    return WordTensor(path, stored.shape, codec, stored, scales, (codec.decode(stored) * scales).astype(np.float32))


SPACE = BitSpace((tensor(FixedPoint(2, 0), [1, 2], "a"), tensor(CODEC, [5, 0, 2, 7], "b")))


def test_inspect_names_words_that_store_nothing():
    text = "\n".join(_lines("model", SPACE, {}, {}))
    assert "model: 12 bits in 6 words of 2 tensors, 1 of them of width 0, which store nothing" in text
    assert "fixed point of 3 formats, 0 to 3 bits" in text
    assert "3 of 20" in text
    (plain, mixed) = _content("model", SPACE, {})["tensors"]
    assert (plain["word_bits"], plain["n_words_of_no_bits"]) == (2, 0)
    assert (mixed["word_bits"], mixed["n_words_of_no_bits"], mixed["n_bits"]) == ("3 0 2 3", 1, 8)


def test_inspect_names_floats():
    space = BitSpace((tensor(Float("bfloat16"), [0x3F80, 0x4000], "f"),))
    text = "\n".join(_lines("model", space, {}, {}))
    assert "bfloat16, 16 bits" in text
    assert "2 of 65536" in text


def test_a_report_counts_the_bits_of_every_word():
    covered = _covered(SPACE, BitSet([4, 5, 7]))
    assert covered == (CoveredTensor("a", 2, 2, 0, 4, 0), CoveredTensor("b", 4, 3, 3, 8, 1))
    assert [one.bits_each for one in covered] == ["2", "up to 3, 1 of width 0 store nothing"]
    assert CoveredTensor("a", 2, 6, 0).n_bits == 12  # of a report of an earlier version


def test_a_map_has_a_row_for_each_position_and_blanks_where_a_word_lacks_it():
    values = np.arange(12.0)
    drawn = map_of(values, SPACE, "s", "q")
    assert drawn.tensors[1].mean == (6.667, 7.667, 8.5)  # of 4, 7, 9; of 5, 8, 10; of 6, 11
    grid = np.array(drawn.picture)
    assert grid.shape == (3, 6)
    assert np.isnan(grid[:, 3]).all()
    assert grid[:2, 4].tolist() == [7, 8]
    assert np.isnan(grid[2, 4])


def test_a_look_at_some_bits_takes_the_most_significant_first():
    assert _spread(SPACE, 1, 8).tolist() == [4, 7, 9, 5, 8, 10, 6, 11]
    assert _spread(SPACE, 1, 3).tolist() == [4, 7, 9]
    assert _spread(SPACE, 1, 4).tolist() == [4, 7, 9, 5]


def test_a_scale_of_zero_is_dead_whatever_the_widths():
    space = BitSpace((tensor(CODEC, [5, 0, 2, 7], "b", scale=0.0), tensor(CODEC, [0] * 4, "c")))
    assert [(dead.path, dead.n_bits) for dead in dead_by_construction(space)] == [("b", 8)]


def test_statfi_samples_every_width_by_itself():
    widths = np.repeat([0, 2, 5], 400)
    space = BitSpace((tensor(MixedFixedPoint(widths, 0, True), np.zeros(1200), "k"),))
    sampled = space.locate(statfi(space, data_aware=True).sampled)
    counts = {
        (width, bit): int(((sampled.width == width) & (sampled.bit == bit)).sum())
        for width in (2, 5)
        for bit in range(5)
    }
    assert counts[2, 1] == counts[5, 4] == counts[2, 2] == 0  # lowest bits are never drawn
    assert counts[2, 0] == counts[5, 0] > counts[5, 1] > counts[5, 2] > counts[5, 3] > 0


def test_signs_are_marked_where_a_word_has_one():
    faults = FaultSet([4, 5, 7, 9], set_to_1=[0])
    assert faults_text(faults, SPACE).startswith("b[0]:0 (sign), b[0]:1, b[2]:0, ")
    assert [str(Culprit.of(bit, SPACE, "alone")) for bit in (0, 4, 7)] == [
        "a[0]:0 (sign) alone",
        "b[0]:0 (sign) alone",
        "b[2]:0 alone",
    ]
    plain = BitSpace((tensor(FixedPoint(2, 0, signed=False), [1], "u"), tensor(Float("float16"), [0], "f")))
    assert [plain.is_sign(bit) for bit in ("u[0]:0", "f[0]:0", "f[0]:1")] == [False, True, False]


def test_a_fault_set_of_such_words_prints_and_reads_back():
    faults = FaultSet([4, 8], set_to_1=[11])
    assert faults.text(SPACE) == "b[0]:0 b[2]:1 b[3]:2=1"
    assert FaultSet.parse(faults.text(SPACE), SPACE) == faults
