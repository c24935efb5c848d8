"""The registry: names, needs, callables."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.metrics import accuracy, dataset_metric, mean_squared_error
from fkeras.sensitivity import methods
from fkeras.sensitivity.methods import METHODS, default_method, make_ranking


def test_an_unknown_name_lists_every_method_on_its_own_line(evidence):
    with pytest.raises(InputError, match="no ranking method is called 'hesian'") as caught:
        make_ranking("hesian", evidence)
    for name in METHODS:
        assert f"\n  {name}: " in str(caught.value)


@pytest.mark.parametrize("name", sorted(name for name, method in METHODS.items() if "x" in method.needs))
def test_methods_that_look_at_data_say_so(blind, name):
    with pytest.raises(InputError, match=rf"method '{name}' needs .*pass data=\(x, y\)"):
        make_ranking(name, blind)


@pytest.mark.parametrize("name", sorted(name for name, method in METHODS.items() if not method.needs))
def test_methods_without_needs_work_without_data(blind, name):
    assert len(make_ranking(name, blind)) == 18


def test_a_callable_scores_the_space(evidence):
    def last_first(space):
        return np.arange(len(space))

    ranking = make_ranking(last_first, evidence)
    assert (ranking.method, ranking.order[0]) == ("last_first", 17)


def test_a_callable_with_two_arguments_gets_the_evidence(evidence, quadratic):
    def steepest(space, evidence):
        return np.repeat(np.abs(evidence.derivatives().gradient()), [4, 4, 4, 3, 3])

    assert make_ranking(steepest, evidence).order[:4].tolist() == [4, 5, 6, 7]


def test_a_callable_of_the_wrong_length_is_refused(evidence):
    with pytest.raises(InputError, match="allowed are 18"):
        make_ranking(lambda space: np.zeros(3), evidence)


def test_rankings_carry_name_and_layout(evidence, space):
    ranking = make_ranking("gradient", evidence)
    assert (ranking.method, ranking.layout_digest) == ("gradient", space.layout_digest)


def test_without_data_the_default_is_msb(blind):
    assert make_ranking(None, blind).method == "msb"


def test_with_a_metric_that_grades_samples_the_default_is_adaptive(evidence):
    evidence.metric = mean_squared_error()
    assert default_method(evidence) == "adaptive"


def test_a_metric_that_only_counts_samples_is_not_the_default_judge(evidence):
    evidence.metric = accuracy()
    assert default_method(evidence) == "displacement"


def test_large_memories_are_not_flipped_by_default(evidence, monkeypatch):
    evidence.metric = mean_squared_error()
    monkeypatch.setattr(methods, "MOST_BITS_BY_DEFAULT", 17)
    assert default_method(evidence) == "displacement"


def test_a_metric_of_the_whole_data_set_is_not_sampled_by_default(evidence):
    evidence.metric = dataset_metric(lambda targets, outputs: 0.5, "auc", "higher")
    assert default_method(evidence) == "displacement"


def test_with_data_and_no_metric_the_default_is_displacement(evidence):
    assert make_ranking(None, evidence).method == "displacement"
