"""Clustered upsets: which cells a particle upsets, and what that does to TMR and to words."""

from __future__ import annotations

from itertools import product
from math import exp

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.faults import (
    SECDED,
    TMR,
    AssumedImmune,
    CellLayout,
    ClusteredUpsets,
    Exposure,
    FlipCount,
    RandomStream,
    draw_trial,
    fault_model,
    never_faults,
    trial_upsets,
)
from fkeras.memory import BitSet


def footprint(model, n_bits, trial=0):
    return model.draw(n_bits, RandomStream("cluster", trial)).faults.flips.tolist()


@pytest.mark.parametrize("events", [FlipCount(12), Exposure(10, upsets_per_second=1.2)])
def test_clusters_of_one_cell_are_the_events(events):
    """The same stream gives the same bits, so the law is the same."""
    for trial in range(20):
        stream = [RandomStream("law", trial) for _ in range(2)]
        plain, clustered = events.draw(100, stream[0]), ClusteredUpsets(events, {1: 1.0}).draw(100, stream[1])
        assert clustered == plain


def test_a_cluster_lies_along_its_row():
    """Rows of 5 cells: what would reach over the end of the row is cut off."""
    model = ClusteredUpsets(1, {3: 1.0}, CellLayout(columns=5))
    found = {tuple(footprint(model, 15, trial)) for trial in range(200)}
    assert found == {(s, *range(s + 1, min(s + 3, 5 * (s // 5) + 5))) for s in range(15)}


def test_a_cluster_of_rows_and_columns():
    model = ClusteredUpsets(1, {(2, 2): 1.0}, CellLayout(columns=4))
    found = {tuple(footprint(model, 12, trial)) for trial in range(200)}
    assert (0, 1, 4, 5) in found
    assert (3, 7) in found  # at the right edge
    assert (9, 10) in found  # in the last row
    assert (11,) in found
    assert len(found) == 12


def test_a_last_row_that_is_not_full():
    model = ClusteredUpsets(1, {(2, 1): 1.0}, CellLayout(columns=4))
    assert {tuple(footprint(model, 6, trial)) for trial in range(100)} == {(0, 4), (1, 5), (2,), (3,), (4,), (5,)}


def test_interleaving_puts_a_cluster_into_several_words():
    """Words of 6 bits: without interleaving two neighbours are one word's (MBU), with it never."""
    for interleaving, shares in ((1, {True, False}), (4, {False})):
        model = ClusteredUpsets(1, {2: 1.0}, CellLayout(word_bits=6, interleaving=interleaving))
        pairs = [footprint(model, 96, trial) for trial in range(100)]
        assert {pair[0] // 6 == pair[1] // 6 for pair in pairs if len(pair) == 2} == shares


def test_every_bit_has_one_cell():
    for layout in (CellLayout(), CellLayout(word_bits=5, interleaving=3), CellLayout(word_bits=7, interleaving=2)):
        assert sorted(layout.order(100).tolist()) == list(range(100))


def test_sizes_are_drawn_with_their_probabilities():
    """In one long row the hits are 1, 2 or 5 per event; chi-square with 2 degrees of freedom: 18.4 once in 10,000."""
    model = ClusteredUpsets(1, {1: 0.7, 2: 0.2, 5: 0.1})
    sizes = [model.draw(20_000, RandomStream("sizes", trial)).n_hits for trial in range(2000)]
    counts = np.array([sizes.count(n) for n in (1, 2, 5)])
    expected = 2000 * np.array([0.7, 0.2, 0.1])
    assert counts.sum() == 2000
    assert ((counts - expected) ** 2 / expected).sum() < 18.4
    assert model.mean_cells == pytest.approx(1.6)


def test_known_draw():
    """Pinned: the same on another machine and with another numpy."""
    model = ClusteredUpsets(4, {1: 0.5, 3: 0.3, (2, 2): 0.2}, CellLayout(columns=8, word_bits=4, interleaving=2))
    draw = model.draw(64, RandomStream("known"))
    assert (draw.faults.flips.tolist(), draw.n_hits, draw.n_cancelled) == KNOWN


KNOWN = ([7, 10, 16, 17, 20, 36], 6, 0)


def wrong_probability(events_per_cell: float) -> float:
    """A bit in the middle of a row of triples under clusters of two cells: its copies are wrong where an odd number of
    the two events that reach them struck; enumerated over the parities of the four events' places."""
    q = (1 - exp(-2 * events_per_cell)) / 2
    total = 0.0
    for before, first, second, third in product((0, 1), repeat=4):
        copies = (before ^ first, first ^ second, second ^ third)
        chance = np.prod([q if odd else 1 - q for odd in (before, first, second, third)])
        total += chance * (sum(copies) >= 2)
    return total


def wrong_bits(space, model, trials):
    """How often each bit of a fully covered memory is wrong."""
    tmr = TMR(range(len(space)))
    wrong = np.zeros(len(space))
    for trial in range(trials):
        wrong[tmr.residual(trial_upsets(space, model, 11, trial)).flips] += 1
    return wrong / trials


def test_neighbouring_copies_fall_together(memory):
    """A cluster of two cells is in one triple in two of three cases: TMR no longer helps. 5 standard errors."""
    space, trials = memory(20), 600
    model = ClusteredUpsets(Exposure(1, upsets_per_bit_second=0.02), {2: 1.0}, CellLayout(copies="adjacent"))
    found, expected = wrong_bits(space, model, trials)[1:].mean(), wrong_probability(0.02)
    assert expected == pytest.approx(2 * 0.02, rel=0.1)
    assert abs(found - expected) < 5 * (expected / (119 * trials)) ** 0.5


def test_copies_in_arrays_of_their_own_do_not(memory):
    """Three arrays, each hit by itself: a cell is wrong with p, a vote with 3p^2 - 2p^3."""
    space, trials = memory(20), 600
    model = ClusteredUpsets(Exposure(1, upsets_per_bit_second=0.02), {2: 1.0}, CellLayout(copies="separated"))
    p = (1 - exp(-4 * 0.02)) / 2
    found, expected = wrong_bits(space, model, trials)[1:].mean(), 3 * p**2 - 2 * p**3
    assert abs(found - expected) < 5 * (2 * expected / (119 * trials)) ** 0.5
    assert expected < wrong_probability(0.02) / 8


def test_one_particle_on_three_cells_always_wins_over_neighbouring_copies(memory):
    """Exactly one event in each of the arrays; the one on first copies covers a whole triple."""
    space = memory(10)
    for trial in range(30):
        near, far = (
            TMR(range(60)).residual(
                trial_upsets(space, ClusteredUpsets(1, {3: 1.0}, CellLayout(copies=copies)), 0, trial)
            )
            for copies in ("adjacent", "separated")
        )
        assert 1 <= len(near) <= 3
        hits = [
            trial_upsets(space, ClusteredUpsets(1, {3: 1.0}), 0, trial).plane(i).faults.flips.tolist() for i in range(3)
        ]
        twice = [bit for bit in range(60) if sum(bit in plane for plane in hits) >= 2]
        assert far.flips.tolist() == twice


def test_clusters_of_one_do_not_care_where_copies_sit(memory):
    space = memory(10)
    events = Exposure(1, upsets_per_bit_second=0.1)
    share = [
        wrong_bits(space, ClusteredUpsets(events, {1: 1.0}, CellLayout(copies=copies)), 400).mean()
        for copies in ("adjacent", "separated")
    ]
    p = (1 - exp(-0.2)) / 2
    expected = 3 * p**2 - 2 * p**3
    assert np.abs(np.array(share) - expected).max() < 5 * (expected / (60 * 400)) ** 0.5


def test_the_unprotected_part_sees_the_same_faults_wherever_copies_sit(memory):
    space = memory(10)
    for copies in ("adjacent", "separated"):
        model = ClusteredUpsets(6, {1: 0.5, 3: 0.5}, CellLayout(columns=12, copies=copies))
        for trial in range(10):
            drawn = draw_trial(space, model, 2, trial).faults
            for bits in (BitSet(np.arange(20)), BitSet(np.arange(0, 60, 2))):
                left = TMR(bits).residual(trial_upsets(space, model, 2, trial))
                assert left.without(bits) == AssumedImmune(bits).residual(trial_upsets(space, model, 2, trial))
                assert left.without(bits) == drawn.without(bits)


def test_a_cluster_is_scrubbed_as_one(memory):
    """Its cells are hit at one moment: a scrub cannot come between them."""
    space = memory(10)
    model = ClusteredUpsets(FlipCount(1, exposure_seconds=100), {3: 1.0}, CellLayout(copies="adjacent"))
    plain, scrubbed = TMR(range(60)), TMR(range(60), 50)
    shares = [len(scrubbed.residual(trial_upsets(space, model, 3, trial))) for trial in range(200)]
    always = [len(plain.residual(trial_upsets(space, model, 3, trial))) for trial in range(200)]
    assert min(always) >= 1
    assert np.mean(shares) == pytest.approx(np.mean(always) / 2, rel=0.2)


def test_interleaving_is_what_lets_secded_work(memory):
    """One cluster of two cells, no hits on check cells of that word: detected in one word, or mended in two."""
    space = memory(16)
    lost = {}
    for interleaving in (1, 4):
        model = ClusteredUpsets(1, {2: 1.0}, CellLayout(word_bits=6, interleaving=interleaving))
        coded = SECDED(range(96)).on(space)
        found = [coded.counts(trial_upsets(space, model, 0, trial)) for trial in range(150)]
        lost[interleaving] = np.mean([detected + silent for detected, silent in found])
    # 80 of 96 places of a cluster lie within one word; further words are lost by chance meetings with check cells.
    assert lost[1] > 0.75
    assert lost[4] < 0.35


def test_it_is_a_fault_model_like_others(memory):
    model = ClusteredUpsets(Exposure(60, upsets_per_second=0.1), {1: 0.9, 2: 0.1})
    assert fault_model(model) is model
    assert model.exposure_seconds == 60
    assert never_faults(ClusteredUpsets(0, {2: 1.0}))
    assert not never_faults(model)
    assert model == ClusteredUpsets(Exposure(60, upsets_per_second=0.1), {(1, 2): 0.1, 1: 0.9, 4: 0.0})
    assert hash(model) == hash(ClusteredUpsets(model.events, model.sizes, model.cells))
    assert TMR([0]).expected_wrong_bits(model, 10) is None
    assert repr(eval(repr(model))) == repr(model)
    assert ClusteredUpsets(3, {1: 0.9, (2, 2): 0.1}, CellLayout(64, 6, 4, "adjacent")).describe(96) == (
        "clusters of cells (probabilities by size: 1 0.9, 2x2 0.1; rows of 64 cells, 4 words interleaved, TMR copies "
        "adjacent), struck places: 3 distinct bits, uniform over 96"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClusteredUpsets("3", {1: 1}), "faults='3'"),
        (lambda: ClusteredUpsets(ClusteredUpsets(1, {1: 1}), {1: 1}), "events is .* FlipCount or Exposure"),
        (lambda: ClusteredUpsets(3, {}), "the probabilities add up to 0; they must add up to 1"),
        (lambda: ClusteredUpsets(3, {1: 0.9}), "add up to 0.9"),
        (lambda: ClusteredUpsets(3, {0: 1.0}), "sizes: 0 is no cluster; allowed are numbers of cells from 1 up"),
        (lambda: ClusteredUpsets(3, {(1, 2, 3): 1.0}), r"\(1, 2, 3\) is no cluster"),
        (lambda: ClusteredUpsets(3, {1: 1.2, 2: -0.2}), "the probability of 1 is 1.2"),
        (lambda: ClusteredUpsets(3, {1: float("nan")}), "the probability of 1 is nan"),
        (lambda: ClusteredUpsets(3, {1: 1.0}, "adjacent"), "cells is 'adjacent'; allowed is a fkeras.CellLayout"),
        (lambda: CellLayout(columns=0), "columns is 0; allowed are whole numbers from 1 up"),
        (lambda: CellLayout(interleaving=2), "interleaving=2 needs to know how long a stored word is; give word_bits"),
        (lambda: CellLayout(copies="near"), "copies is 'near'; allowed are 'separated' and 'adjacent'"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
