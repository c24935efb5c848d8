"""Oracles over groups of samples make the oracle over all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fkeras.campaigns.oracle import Oracle, combined
from fkeras.errors import InputError


def part(samples: np.ndarray, golden: np.ndarray) -> Oracle:
    """The oracle of a table (n_bits, n_samples) of scores."""
    bits = np.arange(len(samples))
    return Oracle(
        "table",
        "lower",
        False,
        bits,
        bits % 2,
        samples.mean(axis=1),
        np.zeros(bits.size, np.int64),
        (samples > golden).sum(axis=1),
        golden.mean(),
        golden.std(ddof=1) / np.sqrt(golden.size),
        golden.size,
        bits.size,
        "layout",
        "content",
        "table",
    )


@pytest.fixture
def parts() -> list[Oracle]:
    draw = np.random.default_rng(0)
    scores, golden = draw.normal(size=(6, 30)), draw.normal(size=30)
    return [part(scores, golden), *(part(scores[:, rows], golden[rows]) for rows in np.split(np.arange(30), [8, 13]))]


def test_groups_of_any_size_give_what_all_samples_give(parts):
    whole, groups = parts[0], combined(parts[1:])
    assert groups.values == pytest.approx(whole.values)
    assert groups.delta == pytest.approx(whole.delta)
    assert groups.harmed.tolist() == whole.harmed.tolist()
    assert groups.golden == pytest.approx(whole.golden)
    assert groups.golden_standard_error == pytest.approx(whole.golden_standard_error)
    assert groups.n_samples == 30


def test_each_groups_deltas_are_kept(parts):
    groups = combined(parts[1:])
    assert groups.group_deltas.shape == (6, 3)
    assert np.array_equal(groups.group_deltas[:, 1], parts[2].delta)


def test_other_words_are_refused(parts):
    with pytest.raises(InputError, match="different bits, words or metrics"):
        combined([parts[1], replace(parts[2], content_digest="other")])
