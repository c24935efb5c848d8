"""Sensitive or not: exact, and few samples for most bits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from fkeras.campaigns.oracle import find_sensitive
from fkeras.engine import Scores
from fkeras.progress import silent


def test_it_finds_every_breaking_flip_and_stops_at_the_first() -> None:
    generator = np.random.default_rng(0)
    breaks = generator.random((30, 100)) < generator.choice([0.0, 0.005, 0.3], (30, 1))
    margins = generator.random(100)
    margins[::10] = np.nan  # wrong anyway
    asked: list[tuple[int, int]] = []

    def start(rows):
        def flips(bits):
            asked.append((len(bits), len(rows)))
            harmed = breaks[np.ix_(bits, rows)].sum(1)
            return {"mispredictions": Scores(harmed / len(rows), np.zeros(len(bits), np.int64), harmed)}

        return SimpleNamespace(flips=flips, batches=lambda bits: np.array_split(np.arange(len(bits)), 3))

    bits = generator.permutation(30)
    found = find_sensitive(start, margins, bits, silent)
    np.testing.assert_array_equal(found, breaks[bits][:, ~np.isnan(margins)].any(1))
    assert sum(n_bits * n_rows for n_bits, n_rows in asked) < 0.8 * 30 * 90


def test_the_closest_samples_are_tried_first() -> None:
    tried = []

    def start(rows):
        tried.extend(rows)
        none = Scores.zeros(1)
        return SimpleNamespace(flips=lambda bits: {"m": none}, batches=lambda bits: [np.arange(1)])

    find_sensitive(start, np.arange(40.0)[::-1], np.array([0]), silent)
    assert set(tried[:16]) == set(range(24, 40))
    assert sorted(tried) == list(range(40))
