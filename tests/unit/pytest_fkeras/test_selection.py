"""`ranking` records; it has no members before there is a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fkeras import faults
from fkeras.errors import InputError, LayoutError
from fkeras.memory import BitSet, BitSpace, FixedPoint, WordTensor
from fkeras.protection import Mask
from fkeras.sensitivity import Ranking
from fkeras.sensitivity.positional import msb_scores
from pytest_fkeras import SECDED, TMR, BlindScrubbing, Parity, mask, ranking

CODEC = FixedPoint(4, 0)


def tensor(path: str) -> WordTensor:
    values = np.zeros(4, np.float32)
    return WordTensor(path, (4,), CODEC, CODEC.encode(values), np.ones(4, np.float32), values)


class Source:
    """Two layers of four 4-bit words; bits 0 of both layers, then bits 1, and so on."""

    space = BitSpace((tensor("block/conv_1/kernel"), tensor("dense/kernel")))
    directory = Path()

    def __init__(self):
        self.asked = []

    def ranking(self, method):
        self.asked.append(method)
        return Ranking.from_scores(msb_scores(self.space), self.space, "msb")


SOURCES = [
    "ranking[:4]",
    "ranking[2:10]",
    "ranking[4:]",
    "ranking[:]",
    "ranking('msb')[:4]",
    "ranking.fraction(0.25)",
    "ranking('hessian').fraction(0.5)",
    "ranking.layers('conv*')",
    "ranking.layers('conv*', '!dense')[:3]",
    "ranking('msb').layers('dense').fraction(0.5)",
    "ranking[:4] | ranking('random')[:2]",
    "ranking[:4] - ranking.layers('dense')",
    "ranking[:4] | ranking[5:6] | ranking[7:8]",
    "ranking[:4] - (ranking[:2] | ranking[3:4])",
    "(ranking[:4] | ranking[5:6]) - ranking[:1]",
    "ranking[:4].under(TMR)",
    "mask('protection.json')",
    "mask('protection.json') | (ranking[:4] - ranking.layers('dense'))",
    "TMR(ranking[:4])",
    "TMR(mask('protection.json'), scrub_interval_seconds=60, scrub_from='itself')",
    "SECDED(ranking.layers('conv*'), on_detected='keep')",
    "Parity(ranking[:4] | ranking[5:6])",
]


@pytest.mark.parametrize("source", SOURCES)
def test_repr_is_its_source(source):
    recorded = eval(source)
    assert repr(recorded) == source
    assert eval(repr(recorded)) == recorded
    assert hash(eval(repr(recorded))) == hash(recorded)


@pytest.mark.parametrize(
    ("source", "bits"),
    [
        ("ranking[:3]", [0, 4, 8]),
        ("ranking[7:10]", [1, 5, 28]),
        ("ranking[30:]", [27, 31]),
        ("ranking.fraction(0.25)", list(range(0, 32, 4))),
        ("ranking.fraction(0)", []),
        ("ranking.layers('conv*')", list(range(16))),
        ("ranking.layers('block/*')", list(range(16))),
        ("ranking.layers('!conv*')", list(range(16, 32))),
        ("ranking.layers('dense')[:3]", [16, 20, 24]),
        ("ranking.layers('dense').fraction(0.25)", [16, 20, 24, 28]),
        ("ranking[:3] | ranking.layers('dense')[:1]", [0, 4, 8, 16]),
        ("ranking[:3] - ranking[1:2]", [0, 8]),
    ],
)
def test_resolves_to(source, bits):
    resolved = eval(source).resolve(Source())
    assert resolved.bits.tolist() == bits
    assert resolved.layout_digest == Source.space.layout_digest


def test_reports_show_the_source():
    assert ranking("msb")[:3].resolve(Source()).label == "ranking('msb')[:3]"


def test_the_method_reaches_the_source():
    source = Source()
    (ranking[:3] | ranking("msb")[:3]).resolve(source)
    assert source.asked == [None, "msb"]


def test_a_protection_is_recorded():
    protection = ranking[:3].under(faults.TMR).resolve(Source())
    assert isinstance(protection, faults.TMR)
    assert protection.bits.bits.tolist() == [0, 4, 8]


def test_tmr_of_a_selection_is_recorded():
    recorded = TMR(ranking[:3], scrub_interval_seconds=60)
    assert recorded.scrub_interval_seconds == 60
    assert recorded.resolve(Source()) == faults.TMR([0, 4, 8], 60)
    assert SECDED(ranking[:3]).resolve(Source()) == faults.SECDED([0, 4, 8])
    assert Parity(ranking[:3], on_detected="reload").resolve(Source()).on_detected == "reload"
    blind = BlindScrubbing(ranking.layers("*"), scrub_interval_seconds=60)
    assert blind.resolve(Source()) == faults.BlindScrubbing(range(len(Source.space)), 60)
    with pytest.raises(InputError, match="say how often bits are written anew"):
        BlindScrubbing(ranking[:3])


def test_tmr_of_bits_is_fkeras_own():
    assert TMR([3, 4], scrub_interval_seconds=6) == faults.TMR([3, 4], 6)


def test_reports_say_that_a_ranking_follows_the_weights():
    immune = faults.AssumedImmune(ranking[:3].resolve(Source()))
    assert immune.describe(32).startswith("ranking[:3]: 3 bits (9.4%) assumed immune; ranked anew for these weights")
    assert "anew" not in faults.AssumedImmune(ranking.layers("dense").resolve(Source())).describe(32)


def test_a_mask_is_read_from_its_file(tmp_path):
    Mask.of(BitSet([1, 5, 17]), Source.space).write(tmp_path / "masks" / "protection.json")
    source = Source()
    source.directory = tmp_path / "masks"
    bits = mask("protection.json").resolve(source)
    assert bits.bits.tolist() == [1, 5, 17]
    assert bits.label == "mask('protection.json')"
    assert "a fixed mask, not ranked anew" in bits.origin
    assert source.asked == []
    both = (mask("protection.json") | ranking[:2]).resolve(source)
    assert both.bits.tolist() == [0, 1, 4, 5, 17]
    assert "; ranked anew for these weights" in both.origin
    assert (mask("protection.json") - ranking.layers("dense")).resolve(source).bits.tolist() == [1, 5]
    assert mask(tmp_path / "masks" / "protection.json").resolve(Source()).bits.tolist() == [1, 5, 17]


def test_a_mask_of_another_layout_or_without_a_file_is_refused(tmp_path):
    source = Source()
    source.directory = tmp_path
    with pytest.raises(InputError, match=r"mask .*nothing.json does not exist"):
        mask("nothing.json").resolve(source)
    Mask.of(BitSet([1]), BitSpace((tensor("other/kernel"),))).write(tmp_path / "other.json")
    with pytest.raises(
        LayoutError, match=r"mask\('other.json'\) was made for .* 'other/kernel' \(4,\) of 4-bit words in the"
    ):
        mask("other.json").resolve(source)


@pytest.mark.parametrize("selection", ["ranking[:33]", "ranking[33:]", "ranking.layers('dense')[:17]"])
def test_bits_that_do_not_exist_are_an_error_not_a_clamp(selection):
    with pytest.raises(InputError, match=r"there are \d+ bits; allowed are bounds from 0 to"):
        eval(selection).resolve(Source())


def test_layers_that_do_not_exist_are_an_error():
    with pytest.raises(InputError, match=r"no layer matches 'lstm'; the model has block/conv_1, dense"):
        ranking.layers("lstm").resolve(Source())


def test_a_whole_ranking_is_no_selection():
    with pytest.raises(InputError, match=r"ranking is a whole ranking; write ranking\[:k\]"):
        ranking.resolve(Source())


@pytest.mark.parametrize("recorded", [ranking, ranking[:4], ranking[:4] | ranking[5:6]], ids=repr)
@pytest.mark.parametrize(
    "use", [iter, len, bool, list, np.asarray, lambda r: 3 in r], ids=["iter", "len", "bool", "list", "array", "in"]
)
def test_it_has_no_members_yet(use, recorded):
    with pytest.raises(TypeError, match="it only records which bits are meant, and no model exists yet"):
        use(recorded)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: ranking[3], r"write ranking\[:k\] for the first k bits"),
        (lambda: ranking[:4:2], "steps are not allowed"),
        (lambda: ranking[:-1], "-1 is no count of bits"),
        (lambda: ranking[:0.32], r"0.32 is no count of bits.*ranking.fraction"),
        (lambda: ranking[:True], "True is no count of bits"),
        (lambda: ranking.fraction(32), "allowed are shares from 0 to 1"),
        (lambda: ranking(3), r"write ranking\('msb'\)"),
        (lambda: ranking.layers(), r"write ranking.layers\('conv\*'\)"),
        (lambda: ranking[:3].under(3), r"write ranking\[:3\].under\(fkeras.TMR\)"),
        (lambda: ranking[:3] | [4], "unsupported operand"),
        (lambda: TMR(ranking), r"TMR\(ranking\): ranking is a whole ranking; write ranking\[:k\]"),
        (lambda: ranking("msb").under(faults.TMR), "is a whole ranking"),
        (lambda: TMR(ranking[:3], scrub_seconds=3), "unexpected keyword argument 'scrub_seconds'"),
        (lambda: faults.TMR(ranking[:3]), r"write TMR\(ranking\[:3\]\) with TMR from pytest_fkeras"),
        (lambda: mask(3), r"mask\(3\): write the name of a file, as in mask\('protection.json'\)"),
    ],
)
def test_wrong_uses_say_what_to_write(use, message):
    with pytest.raises(TypeError, match=message):
        use()


def test_wrong_options_fail_where_they_are_written():
    with pytest.raises(InputError, match="scrub_interval_seconds is -1"):
        TMR(ranking[:3], scrub_interval_seconds=-1)


def test_bits_of_another_layout_are_refused():
    other = BitSpace((tensor("other/kernel"),))
    mixed = ranking[:3].resolve(Source())
    with pytest.raises(LayoutError, match="belongs to a memory of layout"):
        other.require_layout(mixed.layout_digest, "the protected set")
