"""Fault models: how many bits, which, and the same ones everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.faults import (
    BitErrorRate,
    CellLayout,
    ClusteredUpsets,
    Draw,
    Exposure,
    FaultSet,
    FlipCount,
    RandomStream,
    draw_trial,
    fault_model,
    never_faults,
    trial_upsets,
)
from fkeras.memory import BitSpace, FixedPoint, WordTensor


def space_with(words) -> BitSpace:
    stored = np.array(words, np.uint32)
    return BitSpace(
        (
            WordTensor(
                "k",
                stored.shape,
                FixedPoint(4, 0),
                stored,
                np.ones(stored.size, np.float32),
                FixedPoint(4, 0).decode(stored).astype(np.float32),
            ),
        )
    )


@pytest.fixture
def space() -> BitSpace:
    return space_with(range(16))


def test_a_count_of_flips_is_distinct_and_exact():
    draws = [FlipCount(20).draw(64, RandomStream("count", trial)) for trial in range(50)]
    assert {len(draw.faults) for draw in draws} == {20}
    assert {draw.n_hits for draw in draws} == {20}
    assert {draw.n_cancelled for draw in draws} == {0}


def test_a_count_of_flips_hits_every_bit_equally_often():
    hits = np.zeros(32)
    for trial in range(3000):
        hits[FlipCount(4).draw(32, RandomStream("even", trial)).faults.flips] += 1
    p = 4 / 32
    assert np.abs(hits / 3000 - p).max() < 5 * (p * (1 - p) / 3000) ** 0.5


def test_more_distinct_flips_than_bits_do_not_fit():
    with pytest.raises(InputError, match="65 distinct faults do not fit into a memory of 64 bits"):
        FlipCount(65).draw(64, RandomStream("full"))
    assert len(FlipCount(64).draw(64, RandomStream("full")).faults) == 64


def test_a_bit_error_rate_has_binomial_mean_and_variance():
    sizes = np.array([BitErrorRate(0.1).draw(200, RandomStream("ber", trial)).n_hits for trial in range(4000)])
    assert abs(sizes.mean() - 20) < 5 * (18 / 4000) ** 0.5
    assert abs(sizes.var() - 18) < 5 * 18 * (2 / 4000) ** 0.5


def test_four_hours_at_one_upset_per_fifteen_seconds_are_960():
    assert Exposure(4 * 3600, upsets_per_second=1 / 15).mean_upsets(12_720) == 960.0
    assert Exposure(4 * 3600, upsets_per_bit_second=1 / 15 / 12_720).mean_upsets(12_720) == pytest.approx(960)


def test_a_cross_section_times_a_flux_is_a_rate():
    exposure = Exposure.from_cross_section(
        cross_section_cm2_per_bit=1e-14, flux_per_cm2_second=1e6, exposure_seconds=100, safety_factor=5
    )
    assert exposure.mean_upsets(1000) == pytest.approx(1e-14 * 1e6 * 5 * 1000 * 100)


def test_an_exposure_counts_hits_that_cancel():
    """In a small memory many bits are hit twice: the hits are the flips and the ones that undid one another."""
    exposure = Exposure(1, upsets_per_second=40)
    draws = [exposure.draw(16, RandomStream("exposure", trial)) for trial in range(2000)]
    hits = np.array([draw.n_hits for draw in draws])
    flips = np.array([len(draw.faults) for draw in draws])
    assert (hits - flips == [draw.n_cancelled for draw in draws]).all()
    assert all(draw.n_cancelled % 2 == 0 for draw in draws)
    assert abs(hits.mean() - 40) < 5 * (40 / 2000) ** 0.5
    odd = 16 * (1 - np.exp(-2 * 40 / 16)) / 2
    assert abs(flips.mean() - odd) < 5 * (16 / 4 / 2000) ** 0.5


def test_no_exposure_and_no_memory_have_no_faults():
    assert Exposure(0, upsets_per_second=1).draw(100, RandomStream("x")) == Draw(FaultSet.EMPTY, 0, 0)
    assert Exposure(5, upsets_per_second=1).draw(0, RandomStream("x")) == Draw(FaultSet.EMPTY, 0, 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FlipCount(-1), "n_faults is -1; allowed are whole numbers from 0 up"),
        (lambda: FlipCount(1.5), "n_faults is 1.5"),
        (lambda: FlipCount(True), "n_faults is True"),
        (lambda: BitErrorRate(1.1), "ber is 1.1, a probability per bit; allowed are 0 to 1"),
        (lambda: BitErrorRate(float("nan")), "ber is nan"),
        (lambda: BitErrorRate("1e-3"), "ber is '1e-3'"),
        (lambda: Exposure(1), "an exposure has one rate"),
        (lambda: Exposure(1, 1, 1), "an exposure has one rate"),
        (lambda: Exposure(-1, upsets_per_second=1), "exposure_seconds is -1; allowed are finite numbers from 0 up"),
        (lambda: Exposure(None, upsets_per_second=1), "exposure_seconds is None"),
        (lambda: Exposure(1, upsets_per_second=float("inf")), "upsets_per_second is inf"),
        (
            lambda: Exposure.from_cross_section(
                cross_section_cm2_per_bit=1, flux_per_cm2_second=-1, exposure_seconds=1
            ),
            "flux_per_cm2_second is -1",
        ),
        (
            lambda: Exposure(1, upsets_per_second=1e12).draw(10, RandomStream("x")),
            "check the units of rate and exposure",
        ),
        (lambda: fault_model("960"), "faults='960': allowed are a number of flips or a fault model"),
        (lambda: fault_model(None), "faults=None: allowed are"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_number_is_a_count_of_flips():
    assert fault_model(960) == FlipCount(960)
    assert fault_model(np.int64(3)) == FlipCount(3)
    assert fault_model(BitErrorRate(0.5)) == BitErrorRate(0.5)


def test_known_trials(space):
    """Pinned: a campaign repeated on another machine or with another numpy draws these faults."""
    assert draw_trial(space, FlipCount(5), 0, 0).faults.flips.tolist() == [3, 21, 48, 55, 61]
    assert draw_trial(space, BitErrorRate(0.05), 7, 3).faults.flips.tolist() == [14, 29, 41, 53]
    draw = draw_trial(space, Exposure(60, upsets_per_second=0.5), 1, 2)
    assert (draw.faults.flips.tolist(), draw.n_hits, draw.n_cancelled) == (
        [1, 2, 18, 23, 29, 30, 46, 48, 50, 53, 55],
        23,
        12,
    )


class Renamed(FlipCount):
    """What a project derives from a model of ours."""


PINNED = [
    (FlipCount(5), "FlipCount(n_faults=5)", [9, 26, 39, 48, 60], [0, 2, 31, 48, 58], 0.203019),
    (FlipCount(5, exposure_seconds=60), "FlipCount(n_faults=5)", [9, 26, 39, 48, 60], [0, 2, 31, 48, 58], 0.203019),
    (Renamed(5), "Renamed(n_faults=5)", [15, 31, 42, 45, 49], [4, 12, 22, 26, 38], 0.926257),
    (BitErrorRate(0.05), "BitErrorRate(ber=0.05)", [14, 29, 41, 53], [61], 0.825384),
    (BitErrorRate(0.05, exposure_seconds=60), "BitErrorRate(ber=0.05)", [14, 29, 41, 53], [61], 0.825384),
    (
        Exposure(60, upsets_per_second=0.1),
        "Exposure(exposure_seconds=60.0, upsets_per_bit_second=None, upsets_per_second=0.1)",
        [0, 2, 17, 21, 28, 30, 45, 46],
        [12, 33, 52],
        0.933976,
    ),
    (
        Exposure(60, 1e-3),
        "Exposure(exposure_seconds=60.0, upsets_per_bit_second=0.001, upsets_per_second=None)",
        [22, 26, 50, 61],
        [12, 16, 26, 63],
        0.457295,
    ),
    (
        ClusteredUpsets(3, {2: 0.5, (2, 2): 0.5}, CellLayout(columns=16, word_bits=4, interleaving=2)),
        "ClusteredUpsets(events=FlipCount(n_faults=3), sizes=(((1, 2), 0.5), ((2, 2), 0.5)), "
        "cells=CellLayout(columns=16, word_bits=4, interleaving=2, copies='separated'))",
        [15, 16, 20, 55, 56],
        [23, 24, 26, 29, 40, 44, 56, 60],
        0.42376,
    ),
    (
        ClusteredUpsets(FlipCount(2, exposure_seconds=9), {2: 1}),
        "ClusteredUpsets(events=FlipCount(n_faults=2), sizes=(((1, 2), 1.0),), "
        "cells=CellLayout(columns=None, word_bits=None, interleaving=1, copies='separated'))",
        [45, 46, 62, 63],
        [4, 5, 16, 17],
        0.662573,
    ),
]


@pytest.mark.parametrize(("model", "key", "flips", "copies", "age"), PINNED)
def test_known_draws_of_every_model(space, model, key, flips, copies, age):
    """Pinned: what is in a store, a baseline or a report was drawn with these keys."""
    trial = trial_upsets(space, model, 7, 3)
    assert model.key == key
    assert trial.draw == draw_trial(space, model, 7, 3)
    assert trial.faults.flips.tolist() == flips
    assert trial.plane(1).faults.flips.tolist() == copies
    assert trial.ages(0, 1) == pytest.approx([age], abs=1e-6)


@pytest.mark.parametrize("model", [model for model, *_ in PINNED])
def test_what_a_model_prints_decides_nothing(space, model, monkeypatch):
    drawn = draw_trial(space, model, 7, 3)
    for kind in (FlipCount, BitErrorRate, Exposure, ClusteredUpsets, CellLayout):
        monkeypatch.setattr(kind, "__repr__", lambda self: "<as pretty as you like>")
    assert draw_trial(space, model, 7, 3) == drawn


@dataclass(frozen=True)
class Keyed:
    """A user's model whose repr, but not its key, differs from run to run."""

    key: object

    def draw(self, n_bits, stream):
        return Draw(FaultSet(stream.distinct(3, n_bits)), 3)

    def describe(self, n_bits):
        return "three bits"

    def __repr__(self):
        return object.__repr__(self)


def test_a_users_model_may_have_a_key_and_then_its_repr_is_free(space):
    assert draw_trial(space, Keyed("FlipCount(n_faults=3)"), 0, 0) == draw_trial(space, FlipCount(3), 0, 0)
    with pytest.raises(InputError, match="holds a memory address"):
        fault_model(Keyed("three bits at 0x7f00"))
    with pytest.raises(InputError, match="holds a memory address"):
        fault_model(Keyed(3))  # no text, so no key


@pytest.mark.parametrize(
    ("model", "less", "short"),
    [
        (FlipCount(960, exposure_seconds=60), FlipCount(240, exposure_seconds=60), "960"),
        (BitErrorRate(1e-3), BitErrorRate(0.25e-3), "ber 0.001"),
        (Exposure(60, upsets_per_second=4), Exposure(15, upsets_per_second=4), "~240"),
        (ClusteredUpsets(8, {2: 1.0}), ClusteredUpsets(2, {2: 1.0}), "8 clusters"),
        (
            ClusteredUpsets(Exposure(60, 1e-3), {2: 1.0}),
            ClusteredUpsets(Exposure(15, 1e-3), {2: 1.0}),
            "~6 clusters",
        ),
    ],
)
def test_a_share_of_a_model_and_a_word_for_it(model, less, short):
    assert model.scaled(0.25) == less
    assert model.scaled(1) == model
    assert model.short(100) == short
    with pytest.raises(InputError, match="share is -1; allowed are finite numbers from 0 up"):
        model.scaled(-1)


def test_trials_do_not_depend_on_the_words_or_on_how_numbers_are_held(space):
    retrained = space_with([3] * 16)
    same = [
        draw_trial(one, model, seed, trial).faults
        for one, model, seed, trial in (
            (space, FlipCount(5), 4, 9),
            (retrained, FlipCount(np.int64(5)), np.int32(4), np.int64(9)),
        )
    ]
    assert same[0] == same[1]
    assert draw_trial(space, Exposure(60, upsets_per_second=1), 0, 0) == draw_trial(
        space, Exposure(60.0, upsets_per_second=np.float64(1)), 0, 0
    )


def test_trials_differ_by_seed_number_and_model(space):
    drawn = {
        draw_trial(space, model, seed, trial).faults.digest
        for model, seed, trial in (
            (FlipCount(5), 0, 0),
            (FlipCount(5), 0, 1),
            (FlipCount(5), 1, 0),
            (FlipCount(6), 0, 0),
        )
    }
    assert len(drawn) == 4


class Nameless:
    def draw(self, n_bits, stream):
        return Draw(FaultSet([0]), 1)

    def describe(self, n_bits):
        return "always bit 0"


@dataclass(frozen=True)
class AlwaysOneBit:
    bit: int

    def draw(self, n_bits, stream):
        return Draw(FaultSet([self.bit]), 1)

    def describe(self, n_bits):
        return f"always bit {self.bit}"


def test_a_model_whose_name_is_a_memory_address_is_refused(space):
    message = "holds a memory address that differs from run to run; give the class a __repr__"
    with pytest.raises(InputError, match=message):
        fault_model(Nameless())
    with pytest.raises(InputError, match=message):
        draw_trial(space, Nameless(), 0, 0)


def test_a_users_model_that_names_its_parameters_is_taken(space):
    assert draw_trial(space, fault_model(AlwaysOneBit(3)), 0, 0).faults == FaultSet([3])


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (FlipCount(960), "960 distinct bits, uniform over 12,720"),
        (BitErrorRate(1e-3), "bit error rate 0.001, 12.72 of 12,720 bits expected"),
        (
            Exposure(14400, upsets_per_second=1 / 15),
            "Poisson, 0.0666667 upsets/s on the memory for 14400 s, 960 upsets expected, a bit may be hit twice",
        ),
        (Exposure(10, 1e-3), "Poisson, 0.001 upsets/bit/s for 10 s, 127.2 upsets expected, a bit may be hit twice"),
    ],
)
def test_reports_say_what_was_drawn(model, text):
    assert model.describe(12_720) == text


@pytest.mark.parametrize(
    ("model", "never"),
    [
        (FlipCount(0), True),
        (BitErrorRate(0), True),
        (Exposure(0, upsets_per_second=1), True),
        (Exposure(5, upsets_per_bit_second=0), True),
        (FlipCount(1), False),
        (BitErrorRate(1e-300), False),
        (Exposure(1e-9, upsets_per_second=1), False),
    ],
)
def test_models_that_never_draw_a_fault_are_known(model, never):
    assert never_faults(model) is never
