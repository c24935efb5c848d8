"""CSV and C headers say the same bits as the mask."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess

import pytest

from fkeras.errors import InputError
from fkeras.memory import BitSet
from fkeras.protection import Mask
from fkeras.protection.exports import c_headers, csv_text, write_csv, write_headers

BITS = [0, 3, 5, 15, 16, 21, 22, 29]


def test_csv_has_an_address_a_row(space, tmp_path):
    mask = Mask.of(BitSet(BITS), space)
    rows = list(csv.DictReader(io.StringIO(csv_text(mask))))
    assert [space.index(row["address"]) for row in rows] == BITS
    assert [int(row["index"]) for row in rows] == BITS
    assert list(rows[3].values()) == ["conv/kernel[0,1,1]:3", "15", "conv/kernel", "3", "3"]
    assert rows[5]["address"] == "conv/bias[1]:2"
    write_csv(mask, tmp_path / "bits.csv")
    assert (tmp_path / "bits.csv").read_text() == csv_text(mask)


def test_a_header_per_layer(space):
    headers = c_headers(Mask.of(BitSet(BITS), space))
    assert list(headers) == ["conv_mask.h", "dense_mask.h"]
    text = headers["conv_mask.h"]
    assert "#ifndef FKERAS_CONV_MASK_H\n#define FKERAS_CONV_MASK_H" in text
    assert "static const uint8_t conv_kernel_mask[4] = {\n    0x09, 0x04, 0x00, 0x01,\n};" in text
    assert "#define CONV_BIAS_MASK_WIDTH 3" in text
    assert "#define CONV_BIAS_MASK_SIZE 2" in text
    assert text.endswith("#endif /* FKERAS_CONV_MASK_H */\n")


def test_words_are_as_wide_as_they_need(space_of):
    space = space_of(*((f"w{width}/kernel", (1,), width) for width in (1, 8, 9, 16, 17, 32)))
    headers = "\n".join(c_headers(Mask.of(BitSet(range(len(space))), space)).values())
    for kind, word in (
        ("uint8_t w1_", "0x01"), ("uint8_t w8_", "0xff"), ("uint16_t w9_", "0x01ff"), ("uint16_t w16_", "0xffff"),
        ("uint32_t w17_", "0x0001ffff"), ("uint32_t w32_", "0xffffffff"),
    ):  # fmt: skip
        assert f"{kind}kernel_mask[1] = {{\n    {word},\n" in headers


def test_names_that_are_no_names(space_of):
    paths = ["a*/b\n#error/kernel", "a_b_error/kernel", "3d/kernel", "é/kernel", "A_B_Error/kernel", "bare"]
    space = space_of(*((path, (1,), 4) for path in paths))
    headers = c_headers(Mask.of(BitSet([0]), space))
    assert list(headers) == [
        "a_b_error_mask.h",
        "a_b_error_2_mask.h",
        "layer_3d_mask.h",
        "layer_mask.h",
        "A_B_Error_3_mask.h",
        "bare_mask.h",
    ]
    assert "layer a* /b?#error:" in headers["a_b_error_mask.h"]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_compiler_reads_the_same_words(space_of, tmp_path):
    space = space_of(
        ("conv/kernel", (1, 2, 2), 4), ("conv/bias", (2,), 3), ("a*/b/kernel", (9,), 12), ("empty/k", (0,), 2)
    )
    mask = Mask.of(BitSet(range(0, len(space), 3)), space)
    paths = write_headers(mask, tmp_path / "include")
    names = ["conv_kernel_mask", "conv_bias_mask", "a_b_kernel_mask", "empty_k_mask"]
    prints = "".join(
        f'for (i = 0; i < {name.upper()}_SIZE; i++) printf("%lu ", (unsigned long){name}[i]); puts("");'
        for name in names
    )
    includes = "".join(f'#include "{path.name}"\n' for path in [*paths, *paths])
    (tmp_path / "main.c").write_text(f"#include <stdio.h>\n{includes}int main(void) {{ int i; {prints} return 0; }}\n")
    command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-I", "include", "main.c", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    found = [[int(word) for word in line.split()] for line in printed.splitlines()]
    assert found == [words.tolist() for words in mask.words()]


def test_a_file_is_no_folder_for_headers(space, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="taken is a file; name a folder"):
        write_headers(Mask.of(BitSet([0]), space), tmp_path / "taken")
