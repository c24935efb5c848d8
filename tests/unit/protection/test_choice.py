"""Masks of a size, masks that are enough, and masks for several sets of weights."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.campaigns import Limit, Requirement, Setting, UntilDecided
from fkeras.engine import GoldenScore, Scores
from fkeras.errors import InputError, LayoutError
from fkeras.faults import SECDED, TMR, AssumedImmune, FlipCount, protection
from fkeras.metrics import mean_squared_error
from fkeras.protection import Campaign, Mask, Weights, choose
from fkeras.protection.choice import MOST_EVALUATIONS
from fkeras.sensitivity import Ranking

REQUIREMENT = Requirement((Limit("mse", "max", 0.5),))
PLAN = UntilDecided(REQUIREMENT, 500)


class DangerRun:
    """The metric is 1 when any of the dangerous bits is wrong, else 0."""

    engine, n_samples, batch_size = "made up", 1, 8
    golden_outputs = np.zeros(1)

    def __init__(self, space, dangerous):
        self.space, self.dangerous = space, dangerous
        self.metrics = {"mse": mean_squared_error()}
        self.golden = {"mse": GoldenScore(0.0, 0.0, 0, None)}

    def fault_sets(self, faults):
        values = np.array([float(np.isin(one.flips, self.dangerous).any()) for one in faults])
        return {"mse": Scores(values, np.zeros(len(faults), np.int64), np.zeros(len(faults), np.int64))}


@pytest.fixture
def space(space_of):
    return space_of(("a/kernel", (10,), 4), ("b/kernel", (15,), 4))


def weights(space, first, name="model", dangerous=None, max_evaluations=MOST_EVALUATIONS):
    """Ranked with the bits `first` in front."""
    scores = np.zeros(len(space))
    scores[list(first)] = np.arange(len(first), 0, -1)
    campaign = None
    if dangerous is not None:
        setting = Setting(FlipCount(10), protection(None, space), 3, "made up", 1, space)
        campaign = Campaign(DangerRun(space, dangerous), setting, PLAN, max_evaluations)
    return Weights(name, space, Ranking.from_scores(scores, space, "made up"), campaign)


@pytest.mark.parametrize(
    ("size", "granularity", "n_protected"),
    [
        ({"bits": 7}, "bit", 7),
        ({"bits": 7}, "word", 4),
        ({"bits": 7}, "layer", 0),
        ({"share": 0.25}, "bit", 25),
        ({"share": 0.4}, "layer", 40),
        ({"overhead": 0.5}, "bit", 25),
        ({"overhead": 0.5}, "word", 24),
        ({"overhead": 9.0}, "word", 100),
    ],
)
def test_a_mask_of_a_size(space, size, granularity, n_protected):
    choice = choose([weights(space, range(40))], kind=TMR, granularity=granularity, **size)
    assert len(choice.mask.bits) == n_protected
    assert choice.mask.bits.bits.tolist() == list(range(n_protected))
    assert choice.models[0].shared == 1.0
    assert choice.models[0].common is None


def test_overhead_counts_the_check_bits(space):
    """A word of 4 bits under SECDED has 4 check bits; 6 words are 24 of 100."""
    choice = choose([weights(space, range(40))], kind=SECDED, granularity="word", overhead=0.25)
    assert choice.n_units == 6
    assert "24 of 100 bits (24.0%) in 6 words, mask sha " in str(choice)
    assert "24 bits of 6 words under SECDED, 24 extra bits (overhead 24.0%)" in choice.protection


def test_the_smallest_mask_that_passes(space):
    """All of 12 dangerous bits must be covered: one among 10 flips of 100 is too often."""
    one = weights(space, range(0, 80, 2), dangerous=range(0, 24, 2))
    choice = choose([one], kind=AssumedImmune)
    assert choice.mask.bits.bits.tolist() == list(range(0, 24, 2))
    (model,) = choice.models
    assert (model.common.verdict.outcome, model.common.verdict.failures, model.common.n_bits) == ("PASS", 0, 12)
    assert model.common == model.own
    assumed = choice.mask.provenance["assumptions"]
    assert assumed["requirement"] == "max_mse=0.5 in at least 95 % of trials, at 0.95 confidence"
    assert (assumed["faults"], assumed["seed"]) == ("10 distinct bits, uniform over 100", 3)
    assert "assumed immune" in assumed["protection"]
    assert str(choice).splitlines()[2:] == [
        f"required: {assumed['requirement']}, under {assumed['faults']}, seed 3",
        f"{model.name}: {model.common}",
    ]


def test_the_smallest_mask_of_whole_words(space):
    one = weights(space, range(0, 80, 2), dangerous=range(0, 24, 2))
    choice = choose([one], kind=AssumedImmune, granularity="word")
    assert choice.mask.bits.bits.tolist() == list(range(24))
    assert choice.n_units == 6


def test_a_network_that_needs_no_protection_gets_an_empty_mask(space):
    choice = choose([weights(space, range(9), dangerous=[])], kind=AssumedImmune)
    assert len(choice.mask.bits) == 0
    assert choice.models[0].common.verdict.outcome == "PASS"


def test_one_mask_for_several_weights_says_what_it_costs(space):
    """Dangerous for the first are bits 0 to 9, for the second 5 to 14: 15 together, 10 for each alone."""
    first = weights(space, [*range(10), *range(20, 40)], "first", range(10))
    second = weights(space, [*range(5, 15), *range(40, 60)], "second", range(5, 15))
    choice = choose([first, second], kind=AssumedImmune, aggregate="max")
    assert set(range(15)) <= set(choice.mask.bits.bits.tolist())
    assert [model.common.verdict.outcome for model in choice.models] == ["PASS", "PASS"]
    assert [model.own.n_bits for model in choice.models] == [10, 10]
    assert [model.common.n_bits for model in choice.models] == [len(choice.mask.bits)] * 2
    text = str(choice)
    more = len(choice.mask.bits) - 10
    assert f"{more:+} bits" in text
    assert "first: the mask has" in text
    assert choice.to_dict()["models"][1]["name"] == "second"


def test_one_mask_of_a_size_says_what_it_loses(space):
    """10 bits for both: each covers its own ten by itself, and the common mask cannot."""
    first = weights(space, [*range(10), *range(20, 40)], "first", range(10))
    second = weights(space, [*range(50, 60), *range(20, 40)], "second", range(50, 60))
    choice = choose([first, second], bits=10, kind=AssumedImmune, aggregate="max")
    assert [model.shared for model in choice.models] == [0.5, 0.5]
    assert [model.common.verdict.outcome for model in choice.models] == ["FAIL", "FAIL"]
    assert [model.own.verdict.outcome for model in choice.models] == ["PASS", "PASS"]


def test_the_mask_s_file_has_it_all(space, tmp_path):
    choice = choose([weights(space, range(9))], bits=9, kind=TMR, stated={"layers": "*"})
    choice.mask.write(tmp_path / "protection.json")
    kept = Mask.parse((tmp_path / "protection.json").read_text()).provenance
    assert kept["granularity"] == "bit"
    assert kept["assumptions"]["layers"] == "*"
    assert "9 bits under TMR, 18 extra bits" in kept["assumptions"]["protection"]
    assert kept["models"][0]["content_digest"] == space.content_digest
    assert len(kept["models"][0]["ranking_sha256"]) == 64


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "how many bits\\? give bits=, share= or overhead=, or what must pass"),
        ({"bits": 3, "share": 0.1}, "bits= and share= are two sizes; keep one"),
        ({"bits": 101}, "bits=101; allowed are whole numbers from 0 to 100"),
        ({"bits": 3.5}, "bits=3.5; allowed are whole numbers"),
        ({"share": 1.5}, "share=1.5; allowed are shares of the bits from 0 to 1"),
        ({"overhead": -1}, "overhead=-1; allowed are extra bits"),
        ({"overhead": 0.5}, "overhead= needs a protection that adds bits; write under=fkeras.TMR"),
    ],
)
def test_what_makes_no_sense_is_refused(space, keywords, message):
    with pytest.raises(InputError, match=message):
        choose([weights(space, range(9))], kind=AssumedImmune, **keywords)


def test_what_cannot_pass_is_refused(space):
    one = weights(space, range(9), "tagger", range(100))
    with pytest.raises(
        InputError, match=r"tagger: max_mse=0.5 .* does not pass under FlipCount\(n_faults=10\); not even"
    ):
        choose([one], kind=lambda bits: TMR([]))
    with pytest.raises(InputError, match="max_evaluations is used up: raise it"):
        choose([weights(space, range(9), "tagger", range(100), 20)], kind=AssumedImmune)


def test_weights_of_two_layouts_have_no_common_mask(space, space_of):
    other = space_of(("a/kernel", (10,), 4))
    with pytest.raises(LayoutError, match="the mask of one, to be shared by two, belongs to a memory of layout"):
        choose([weights(space, range(9), "one"), weights(other, range(9), "two")], bits=3, kind=TMR)
