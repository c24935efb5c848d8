"""Addresses print as people write them."""

from __future__ import annotations

import pytest

from fkeras.errors import InputError
from fkeras.memory import BitAddress


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("encoder/encoded_vector/kernel[3,1]:0", BitAddress("encoder/encoded_vector/kernel", (3, 1), 0)),
        ("bias[7]:5", BitAddress("bias", (7,), 5)),
        ("scalar[]:1", BitAddress("scalar", (), 1)),
    ],
)
def test_prints_and_parses(text, address):
    assert str(address) == text
    assert BitAddress.parse(f"  {text}\n") == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kernel",
        "kernel[1]",
        "kernel[1]:",
        "kernel[-1]:0",
        "kernel[1,]:0",
        "[1]:0",
        "kernel[1]:0 x",
        "kernel[a]:0",
        "kernel[1]:0=1",
    ],
)
def test_other_text_is_refused_with_an_example(text):
    with pytest.raises(InputError, match=r"is not a bit address; write tensor\[index,...\]:bit"):
        BitAddress.parse(text)
