"""A mask reads back as it was written, is refused by other memories, and names what is wrong with a file."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fkeras.errors import InputError, LayoutError
from fkeras.memory import BitSet, BitSpace, FixedPoint, WordTensor
from fkeras.protection import Mask, read_mask

BITS = [0, 3, 5, 15, 16, 21, 22, 29]


@pytest.fixture
def mask(space) -> Mask:
    return Mask.of(BitSet(BITS, space.layout_digest, "ranking[:8]"), space, {"granularity": "bit"})


def test_it_reads_back(mask, space, tmp_path):
    path = tmp_path / "new" / "protection.json"
    mask.write(path)
    read = read_mask(path)
    assert read.bits.bits.tolist() == BITS
    assert (read.bits.label, read.provenance["granularity"]) == ("ranking[:8]", "bit")
    assert set(read.provenance["versions"]) == {"fkeras", "numpy"}
    assert read.digest == mask.digest
    assert read.on(space).bits.tolist() == BITS
    assert read.on(space, "mask('protection.json')").label == "mask('protection.json')"
    assert read.on(space).origin == f"a fixed mask, not ranked anew, sha {mask.digest[:8]}"


def test_the_file_says_it_plainly(mask):
    """Bits 0, 3, 5, 15 of 16: 1001 0100 0000 0001; 0 and 5 of 6: 1000 01; 0 and 7 of 8."""
    content = json.loads(mask.text())
    assert content["schema"] == "fkeras-protection/1"
    assert (content["n_bits"], content["n_protected"]) == (30, 8)
    assert [(one["path"], one["shape"], one["word_bits"], one["protected"]) for one in content["tensors"]] == [
        ("conv/kernel", [1, 2, 2], 4, "9401"),
        ("conv/bias", [2], 3, "84"),
        ("dense/kernel", [2], 4, "81"),
    ]


def test_mask_words_are_in_storage_order(mask):
    assert [words.tolist() for words in mask.words()] == [[0b1001, 0b0100, 0, 0b0001], [0b100, 0b001], [0b1000, 0b0001]]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 32)), max_size=4), st.data())
def test_every_set_of_bits_reads_back(sizes, data):
    values = [np.zeros(n, np.float32) for n, _ in sizes]
    space = BitSpace(
        tuple(
            WordTensor(f"t{i}/kernel", (n,), FixedPoint(width, 1), np.zeros(n, np.uint32), values[i] + 1, values[i])
            for i, (n, width) in enumerate(sizes)
        )
    )
    bits = sorted(data.draw(st.sets(st.integers(0, max(0, len(space) - 1)))) if len(space) else [])
    read = Mask.parse(Mask.of(BitSet(bits), space).text())
    assert read.bits.bits.tolist() == bits
    assert read.on(space).bits.tolist() == bits


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (
            [("conv/kernel", (1, 2, 2), 4), ("conv/bias", (2,), 4), ("dense/kernel", (2,), 4)],
            "tensor 'conv/bias' (2,) of 3-bit words in the mask is 'conv/bias' (2,) of 4-bit words in the model",
        ),
        ([("conv/kernel", (1, 2, 2), 4), ("conv/bias", (2,), 3)], "the mask has 3 tensors, the model 2"),
    ],
)
def test_another_layout_is_refused_with_the_first_difference(mask, space_of, tensors, message):
    with pytest.raises(LayoutError) as caught:
        mask.on(space_of(*tensors), "mask('protection.json')")
    assert message in str(caught.value)
    assert "mask('protection.json') was made for a memory of layout" in str(caught.value)
    assert "choose bits for this model by `fkeras protect`" in str(caught.value)


def changed(mask, **changes):
    content = json.loads(mask.text())
    for key, value in changes.items():
        if value is None:
            del content[key]
        else:
            content[key] = value
    return json.dumps(content)


def with_tensor(mask, **changes):
    content = json.loads(mask.text())
    return json.dumps({**content, "tensors": [{**content["tensors"][0], **changes}, *content["tensors"][1:]]})


DAMAGED = {
    "empty": (lambda mask: "", "is no JSON"),
    "cut short": (lambda mask: mask.text()[:200], "is no JSON (.*): damaged, cut short, or another kind of file"),
    "nested": (lambda mask: "[" * 100_000, "is no JSON"),
    "a list": (lambda mask: "[1, 2]", "is no protection mask: 'schema' is 'None', expected 'fkeras-protection/1'"),
    "foreign": (lambda mask: '{"schema": "fkeras-report/1"}', "is no protection mask: 'schema' is 'fkeras-report/1'"),
    "newer": (
        lambda mask: changed(mask, schema="fkeras-protection/2"),
        "has schema 'fkeras-protection/2', this version of fkeras reads 'fkeras-protection/1'",
    ),
    "no tensors": (lambda mask: changed(mask, tensors=None), "has no 'tensors'"),
    "tensors": (lambda mask: changed(mask, tensors={"a": 1}), "'tensors' is a dict, expected a list"),
    "a number": (lambda mask: changed(mask, tensors=[3]), "tensor number 0 has no readable description"),
    "path": (lambda mask: with_tensor(mask, path=3), "tensor number 0 has no readable 'path'"),
    "shape": (lambda mask: with_tensor(mask, shape=[1, -2]), "tensor number 0 has no readable 'shape'"),
    "huge": (lambda mask: with_tensor(mask, shape=[2**40]), "tensor number 0 has no readable 'shape'"),
    "width": (lambda mask: with_tensor(mask, word_bits=33), "tensor number 0 has no readable 'word_bits'"),
    "digits": (lambda mask: with_tensor(mask, protected=7), "tensor number 0 has no readable 'protected'"),
    "too few": (lambda mask: with_tensor(mask, protected="94"), "needs 4 hexadecimal digits, 'protected' has 2"),
    "no hex": (lambda mask: with_tensor(mask, protected="94zz"), "'protected' is not hexadecimal"),
    "other bits": (lambda mask: with_tensor(mask, protected="9400"), "its 7 bits are not the 8 of its sha256"),
    "moved": (lambda mask: with_tensor(mask, protected="9402"), "its 8 bits are not the 8 of its sha256: altered"),
    "renamed": (lambda mask: with_tensor(mask, path="x/kernel"), "its tensors are not those of its layout_digest"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_wrong_with_a_file_is_named(mask, tmp_path, case):
    make, message = DAMAGED[case]
    path = tmp_path / "protection.json"
    path.write_text(make(mask))
    with pytest.raises(InputError, match=message.replace("(.*)", "\x00").replace("\x00", "(.*)")) as caught:
        read_mask(path)
    assert str(path) in str(caught.value)
    assert "write it with `fkeras protect`" in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"nothing.json does not exist \(looked in .*\); write it with"):
        read_mask(tmp_path / "nothing.json")
    with pytest.raises(InputError, match="is a directory"):
        read_mask(tmp_path)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        read_mask(tmp_path / "binary.json")


def test_bits_of_another_memory_make_no_mask(space):
    with pytest.raises(LayoutError, match="belongs to a memory of layout elsewhere"):
        Mask.of(BitSet([1], "elsewhere"), space)
    with pytest.raises(InputError, match="bit 30 does not exist"):
        Mask.of(BitSet([30]), space)
