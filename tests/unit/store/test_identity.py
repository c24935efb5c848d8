"""Identities: equal things have one digest, everything else another."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from fkeras.errors import IdentityError
from fkeras.store import Identity, digest_of


def test_the_digest_is_sha256_of_canonical_json():
    identity = Identity("oracle", {"seed": 1, "data": "bb"})
    text = '{"data":"bb","format":2,"kind":"oracle","seed":1}'
    assert identity.text == text
    assert identity.digest == hashlib.sha256(text.encode()).hexdigest()
    assert Identity("oracle", {"data": "bb", "seed": 1}).digest == identity.digest


def test_the_file_says_everything():
    identity = Identity("campaign", {"model": {"weights": "aa"}, "bounds": None})
    read = Identity.parse(identity.readable)
    assert read.digest == identity.digest
    assert read.differences(identity) == []


@pytest.mark.parametrize("text", ["", "[]", '{"data": 1}', "{"])
def test_what_is_no_identity_is_refused(text):
    with pytest.raises(ValueError):
        Identity.parse(text)


def test_differences_name_keys_and_both_values():
    one = Identity("oracle", {"model": {"weights": "aa", "tensorflow": "2.18"}, "data": "x" * 64})
    two = Identity("oracle", {"model": {"weights": "aa", "tensorflow": "2.19"}, "data": None, "more": 1})
    assert one.differences(two) == [
        f"data: {'x' * 37}... against null",
        "model.tensorflow: 2.18 against 2.19",
        "more: null against 1",
    ]


ARRAYS = [
    np.arange(6.0),
    np.arange(6.0).astype(np.float32),
    np.arange(6.0).reshape(2, 3),
    np.arange(6.0)[::-1],
    (np.arange(6.0),),
    (np.arange(3.0), np.arange(3.0, 6.0)),
    {"a": np.arange(6.0)},
    {"b": np.arange(6.0)},
    np.array(0.0),
    np.zeros(0),
    np.array(["a"]),
    None,
]


def test_arrays_differ_by_type_shape_values_and_nesting():
    assert len({digest_of(array) for array in ARRAYS}) == len(ARRAYS)


def test_equal_arrays_are_equal_whatever_their_memory_order():
    array = np.arange(6.0).reshape(2, 3)
    assert digest_of((array, {"y": 1, "x": array})) == digest_of((np.asfortranarray(array), {"x": array, "y": 1}))


def test_objects_have_no_digest():
    with pytest.raises(IdentityError, match="Python objects, which have no digest; convert them"):
        digest_of(np.array([object()]))
