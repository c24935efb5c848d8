"""Checks in files beside the weights: read back they are the same check, frozen; damage is refused by name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from fkeras.errors import InputError, LayoutError
from fkeras.faults import FaultSet, KnownWords, RangeCheck, Recoded, Upsets, protection
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.protection import read_words, write_words
from fkeras.protection.exports import words_headers, write_words_headers
from fkeras.protection.word_tables import _digest, stored_ones

CHECKS = [RangeCheck(), RangeCheck("clamp", per="channel"), KnownWords(), Recoded()]


def space_of(*values, codec=FixedPoint(4, 3)):  # noqa: B008
    tensors = []
    for number, one in enumerate(values):
        golden = np.array(one, np.float32)
        shape = (len(one) // 2, 2)
        tensors.append(WordTensor(f"d{number}/kernel", shape, codec, codec.encode(golden), golden * 0 + 1, golden))
    return BitSpace(tuple(tensors))


SPACE = space_of([1, 2, 3, 1, 1, 2], [-4, 0, 0, -1])


@pytest.mark.parametrize("check", CHECKS, ids=repr)
def test_a_check_in_a_file_reads_as_the_check_that_it_was(tmp_path, check):
    guard = write_words(check, SPACE, tmp_path / "words.json")
    frozen = protection(read_words(tmp_path / "words.json"), SPACE)
    for bits in ([0], [3, 5], [24, 30], list(range(40))):
        upsets = Upsets.alone(SPACE, FaultSet(bits))
        assert frozen.residual(upsets) == guard.residual(upsets)
    assert frozen.bits == guard.bits
    assert re.search("frozen in a file, sha [0-9a-f]{8}", frozen.describe(40))
    again = space_of([1, 1, 1, 2, 2, 1], [0, 0, -4, -1])  # other weights that it knows
    same = protection(read_words(tmp_path / "words.json"), again)
    assert same.residual(Upsets.alone(again, FaultSet.EMPTY)) == FaultSet.EMPTY


@pytest.mark.parametrize("check", CHECKS, ids=repr)
def test_weights_that_a_file_does_not_know_are_refused_by_name(tmp_path, check):
    write_words(check, SPACE, tmp_path / "words.json")
    frozen = read_words(tmp_path / "words.json")
    with pytest.raises(InputError, match=r"1 of 6 words of tensor 'd0/kernel' are not known to it, the first is d0/k"):
        protection(frozen, space_of([1, 2, 3, 1, 1, 7], [-4, 0, 0, -1]))
    with pytest.raises(LayoutError, match="belongs to a memory of layout"):
        protection(frozen, space_of([1, 2]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:50], "is no JSON"),
        (lambda text: "[]", "holds no check of words: 'schema' is 'None', expected 'fkeras-words/1'"),
        (lambda text: text.replace("words/1", "words/2"), "'schema' is 'fkeras-words/2'"),
        (lambda text: text.replace('"constants": [', '"constants": [1, ', 1), "not those of its sha256: altered or"),
        (lambda text: json.dumps({"schema": "fkeras-words/1"}), "has no readable 'check'"),
    ],
)
def test_a_file_that_is_damaged_is_refused(tmp_path, change, message):
    file = tmp_path / "words.json"
    write_words(KnownWords(), SPACE, file)
    file.write_text(change(file.read_text()))
    with pytest.raises(InputError, match=re.escape(message)) as refused:
        read_words(file)
    assert "words.json: " in str(refused.value)
    assert "write it with fkeras.write_words(check, space, path)" in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none.json does not exist .*; write it with fkeras.write_words"):
        read_words(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("constants", [1, 2]),
        ("constants", [-1] * 16),
        ("constants", [16] * 16),
        ("constants", None),
        ("patterns", [16] * 16),
        ("patterns", [0.5] * 16),
        ("outside", "wrap"),
        ("word_bits", True),
        ("word_bits", 5),
        ("shape", [3]),
        ("path", None),
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


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_headers_hold_the_patterns_and_how_they_are_read(tmp_path):
    guard = Recoded().on(SPACE)
    assert [words.tolist() for words in stored_ones(guard).words()] == [one.patterns.tolist() for one in guard.readings]
    paths = write_words_headers(guard, tmp_path / "headers")
    assert [path.name for path in paths] == ["d0_words.h", "d1_words.h"]
    program = tmp_path / "main.c"
    program.write_text(
        '#include "headers/d0_words.h"\n#include <stdio.h>\n'
        "int main(void) { for (int i = 0; i < D0_KERNEL_PATTERNS_SIZE; i++)\n"
        '  printf("%d ", d0_kernel_table[d0_kernel_patterns[i]]); }\n'
    )
    subprocess.run(["cc", "-Wall", "-Werror", "-o", tmp_path / "main", program], check=True)
    printed = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    assert [int(word) for word in printed.split()] == SPACE.tensors[0].words.tolist()
    limits = words_headers(RangeCheck(per="channel").on(SPACE))["d0_words.h"]
    assert "d0_kernel_limits[4] = {\n    0x01, 0x01, 0x03, 0x02,\n};" in limits
