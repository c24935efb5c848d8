"""On monotone words BinFI is never wrong, and no word costs more probes than a binary search."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.sensitivity.baselines import binfi


def memory(size: int, width: int) -> BitSpace:
    zeros = np.zeros(size, np.uint32)
    return BitSpace(
        (
            WordTensor(
                "a/kernel", (size,), FixedPoint(width, 0), zeros, np.ones(size, np.float32), np.zeros(size, np.float32)
            ),
        )
    )


@given(st.data(), st.integers(1, 12), st.integers(1, 8))
def test_monotone_words_are_found_exactly(data, width, size):
    boundaries = data.draw(st.lists(st.integers(0, width), min_size=size, max_size=size))
    sensitive = np.concatenate([np.arange(width) < boundary for boundary in boundaries])
    found = binfi(memory(size, width), sensitive)
    assert np.array_equal(found.predicted, sensitive)
    assert np.diff(found.probe_ends, prepend=0).max() <= np.ceil(np.log2(width + 1))


@given(st.data(), st.integers(1, 12), st.integers(1, 8))
def test_no_bit_is_flipped_twice_and_errors_are_counted(data, width, size):
    sensitive = np.array(data.draw(st.lists(st.booleans(), min_size=size * width, max_size=size * width)))
    found = binfi(memory(size, width), sensitive)
    assert np.unique(found.probes).size == found.probes.size
    wrong = np.union1d(found.false_negatives(sensitive), found.false_positives(sensitive))
    assert np.array_equal(wrong, np.flatnonzero(found.predicted != sensitive))
    assert not np.isin(found.probes, wrong).any() or not _monotone(sensitive, width)


def _monotone(sensitive: np.ndarray, width: int) -> bool:
    words = sensitive.reshape(-1, width).astype(int)
    return bool((np.diff(words, axis=1) <= 0).all())
