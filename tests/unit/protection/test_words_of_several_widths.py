"""Masks, checks and what is written of them, for tensors whose words differ in width or format."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest

from fkeras.errors import InputError, LayoutError
from fkeras.faults import Exposure, FaultSet, KnownWords, RangeCheck, Recoded, Upsets, protection, trial_upsets
from fkeras.memory import BitSet, BitSpace, FixedPoint, MixedFixedPoint, WordTensor
from fkeras.protection import Mask, read_words, write_words
from fkeras.protection.behind import ranking_behind
from fkeras.protection.exports import c_headers, write_headers, write_words_headers
from fkeras.protection.word_tables import _digest, stored_ones
from fkeras.sensitivity import Ranking

FORMATS = [(5, 1, 1), (0, 0, 0), (3, 0, 0), (5, 1, 1), (4, 1, 1), (3, 0, 0), (5, 1, 1), (5, 1, 1)]
WORDS = [30, 0, 2, 1, 5, 1, 1, 31]
CHECKS = [RangeCheck(), RangeCheck("clamp", margin=1, per="channel"), KnownWords(), Recoded(), KnownWords(stored=True)]


def space_of(formats=FORMATS, words=WORDS, shape=(4, 2)):
    codec, stored = MixedFixedPoint(*zip(*formats, strict=True)), np.array(words, np.uint32)
    golden = codec.decode(stored).astype(np.float32)
    mixed = WordTensor("conv/kernel", shape, codec, stored, golden * 0 + 1, golden)
    plain = FixedPoint(4, 1)
    bias = np.array([1, 2, 15], np.uint32)
    values = plain.decode(bias).astype(np.float32)
    return BitSpace((mixed, WordTensor("conv/bias", (3,), plain, bias, values * 0 + 1, values)))


SPACE = space_of()


def by_format():
    """The same words, a tensor for each format, and the bits of these in the order of the space."""
    tensors, bits, start = [], [], 0
    for one in SPACE.tensors:
        for number, part in enumerate(one.parts):
            moved = WordTensor(f"{one.path}{number}", *(getattr(part.tensor, name) for name in (
                "shape", "codec", "words", "scale", "golden"
            )))  # fmt: skip
            tensors.append(moved)
            bits.append(start + part.bits.reshape(-1))
        start += one.n_bits
    return BitSpace(tuple(tensors)), np.concatenate(bits)


@pytest.mark.parametrize("check", [c for c in CHECKS if getattr(c, "per", "") != "channel"], ids=repr)
def test_a_check_reads_words_of_one_format_as_if_they_were_a_tensor(check):
    apart, bits = by_format()
    place = np.argsort(bits)
    guards = check.on(SPACE), check.on(apart)
    assert guards[0].constant_bits == guards[1].constant_bits
    rng = np.random.default_rng(3)
    if check.stored:
        return
    for _ in range(50):
        hit = rng.choice(len(SPACE), 5, replace=False)
        ours = guards[0].residual(Upsets.alone(SPACE, FaultSet(hit)))
        theirs = guards[1].residual(Upsets.alone(apart, FaultSet(place[hit])))
        assert ours.flips.tolist() == sorted(bits[theirs.flips].tolist())
    scores = rng.random(len(SPACE))
    behind = ranking_behind(check, SPACE, Ranking.from_scores(scores, SPACE))
    expected = ranking_behind(check, apart, Ranking.from_scores(scores[bits], apart))
    np.testing.assert_allclose(behind.scores[bits], expected.scores, rtol=1e-12, atol=1e-12)


def test_a_range_per_channel_is_one_per_channel_and_format():
    guard = RangeCheck(per="channel").on(SPACE)
    # Formats from narrow to wide; those of 3 bits are in both channels, that of 4 bits in one.
    assert [reading.constants.tolist() for _, reading in guard.readings[0].parts] == [
        [2, 1, 2, 1],
        [5, 5],
        [30, 31, 1, 1],
    ]
    assert guard.constant_bits == 4 * 3 + 2 * 4 + 4 * 5 + 2 * 3 * 4
    described = guard.describe(len(SPACE))
    assert "words in use: conv/kernel 6 of 56, conv/bias 3 of 16" in described
    assert "a decoder per read port: 4 with a port per tensor and format, 10 with all words in parallel" in described


def test_stored_constants_of_several_widths_are_hit_bit_by_bit():
    guard = KnownWords(stored=True, bit_error_rate=0.1).on(SPACE)
    wrong = [guard.residual(trial_upsets(SPACE, Exposure(3e-2, 1.0), 5, trial)) for trial in range(30)]
    assert guard.extra_bits == 8 * 3 + 16 * 4 + 32 * 5 + 16 * 4
    assert any(len(faults) for faults in wrong)


@pytest.mark.parametrize("check", CHECKS, ids=repr)
def test_a_check_in_a_file_reads_as_the_check_that_it_was(tmp_path, check):
    guard = write_words(check, SPACE, tmp_path / "words.json")
    frozen = protection(read_words(tmp_path / "words.json"), SPACE)
    for bits in ([0], [3, 5, 9], [20, 29], list(range(len(SPACE)))):
        upsets = Upsets.alone(SPACE, FaultSet(bits))
        assert frozen.residual(upsets) == guard.residual(upsets)
    assert frozen.bits == guard.bits


def test_a_file_is_for_words_of_the_same_formats(tmp_path):
    write_words(KnownWords(), SPACE, tmp_path / "words.json")
    frozen = read_words(tmp_path / "words.json")
    other = space_of([(5, 1, 0), *FORMATS[1:]])
    with pytest.raises(InputError, match=r"words of tensor 'conv/kernel' are <fixed point of 4 formats.*make it again"):
        protection(frozen, other)
    narrower = space_of([(4, 1, 1), *FORMATS[1:]], [0, *WORDS[1:]])
    with pytest.raises(LayoutError, match="belongs to a memory of layout"):
        protection(frozen, narrower)
    with pytest.raises(
        InputError, match=r"words of tensor 'conv/kernel' are <fixed point of 4 formats.*same quantizers"
    ):
        KnownWords(of=SPACE).on(other)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("parts", 3),
        ("parts", [3]),
        ("parts", [{"width": 3, "constants": [8] * 8, "patterns": list(range(8))}]),
        ("parts", [{"width": 0, "constants": [], "patterns": []}]),
        ("word_bits", "5 5 5 5 5 5 5"),
        ("word_bits", "33 5 5 5 5 5 5 5"),
        ("word_bits", "x 5 5 5 5 5 5 5"),
        ("word_bits", [5] * 8),
        ("word_bits", True),
        ("word_bits", "5"),
        ("word_bits", "0 0 0 0 0 0 0 0"),
    ],
)
def test_nonsense_with_a_digest_of_its_own_is_refused(tmp_path, key, value):
    file = tmp_path / "words.json"
    write_words(KnownWords(), SPACE, file)
    content = json.loads(file.read_text())
    content["tensors"][0][key] = value
    content["sha256"] = _digest(content["check"], content["layout_digest"], content["tensors"])
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"limits or tables that are none|not those of its layout_digest"):
        read_words(file)


def test_a_file_with_too_few_tables_is_refused(tmp_path):
    file = tmp_path / "words.json"
    write_words(KnownWords(), SPACE, file)
    content = json.loads(file.read_text())
    content["tensors"][0]["parts"].pop()
    content["sha256"] = _digest(content["check"], content["layout_digest"], content["tensors"])
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="which its limits and tables are not for; make it again from these weights"):
        protection(read_words(file), SPACE)


def test_the_first_word_of_another_width_is_named():
    mask = Mask.of(BitSet([0, 7]), SPACE)
    other = space_of([*FORMATS[:4], (3, 0, 1), *FORMATS[5:]])
    with pytest.raises(LayoutError) as caught:
        mask.on(other)
    assert (
        "tensor 'conv/kernel' (4, 2) of words of 0 to 5 bits in the mask is 'conv/kernel' (4, 2) of words of 0 to 5 "
        "bits in the model, where element [2, 0] has 3 bits and not 4"
    ) in str(caught.value)
    assert "project= that the mask was made with; widths of this memory are trained" in str(caught.value)
    with pytest.raises(LayoutError) as caught:
        mask.on(BitSpace(other.tensors[1:]))
    assert "trained" not in str(caught.value)


@pytest.mark.parametrize(
    "word_bits", ["5 5", " ".join(["33"] * 8), "-1 " * 7 + "-1", [5] * 8, "05 " * 7 + "05", "5", "", None, 33]
)
def test_widths_that_are_none_are_refused(word_bits):
    content = json.loads(Mask.of(BitSet([0]), SPACE).text())
    content["tensors"][0]["word_bits"] = word_bits
    with pytest.raises(InputError, match="tensor number 0 has no readable 'word_bits'"):
        Mask.parse(json.dumps(content))


def test_a_mask_says_the_width_of_every_word():
    mask = Mask.of(BitSet([0, 4, 5, 29]), SPACE)
    content = json.loads(mask.text())
    assert [one["word_bits"] for one in content["tensors"]] == ["5 0 3 5 4 3 5 5", 4]
    assert [words.tolist() for words in mask.words()] == [[0b10001, 0, 0b100, 0, 0, 0, 0, 1], [0, 0, 0]]
    text = c_headers(mask)["conv_mask.h"]
    assert "#define CONV_KERNEL_MASK_WIDTH 5" in text
    assert "conv_kernel_mask_widths[8] = {\n    0x05, 0x00, 0x03, 0x05, 0x04, 0x03, 0x05, 0x05,\n};" in text
    assert "conv_bias_mask_widths" not in text


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_compiler_reads_masks_and_patterns_through_the_tables(tmp_path):
    mask, guard = Mask.of(BitSet(range(0, len(SPACE), 2)), SPACE), Recoded().on(SPACE)
    write_headers(mask, tmp_path / "masks")
    write_words_headers(guard, tmp_path / "words")
    n_parts = len(SPACE.tensors[0].parts)
    tables = ", ".join(f"conv_kernel_table_{nth}" for nth in range(1, n_parts + 1))
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "masks/conv_mask.h"\n#include "words/conv_words.h"\n'
        f"int main(void) {{ const uint8_t *tables[] = {{0, {tables}}}; int i;\n"
        "for (i = 0; i < CONV_KERNEL_PATTERNS_SIZE; i++) {\n"
        "  int p = conv_kernel_patterns[i], f = conv_kernel_format[i];\n"
        '  printf("%d %d ", conv_kernel_mask[i], f ? tables[f][p] : p); }\n'
        "for (i = 0; i < CONV_BIAS_PATTERNS_SIZE; i++)\n"
        '  printf("%d %d ", conv_bias_mask[i], conv_bias_table[conv_bias_patterns[i]]);\n'
        "return conv_kernel_mask_widths[1] + conv_kernel_widths[1]; }\n"
    )
    command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "main.c", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    numbers = np.array(printed.split(), np.int64).reshape(-1, 2)
    assert numbers[:, 0].tolist() == np.concatenate(mask.words()).tolist()
    assert numbers[:, 1].tolist() == np.concatenate([one.words for one in SPACE.tensors]).tolist()
    assert [words.tolist() for words in stored_ones(guard).words()] == [one.patterns.tolist() for one in guard.readings]
