"""Chance is what the best prediction that needs no input gets; a network beats it by more than luck, or does not."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.metrics import (
    accuracy,
    dataset_metric,
    emd,
    mean_squared_error,
    mispredictions,
    on_output,
    sample_metric,
)
from fkeras.metrics.chance import Chance, chance_of, is_constant
from fkeras.metrics.constant import mean_target

N = 1000
DRAWS = np.random.default_rng(0)
LABELS = DRAWS.integers(0, 4, N)
NOISE = DRAWS.random((N, 4)).astype(np.float32)
GOOD = NOISE + np.eye(4, dtype=np.float32)[LABELS]
MAJORITY = np.bincount(LABELS).max() / N


@pytest.mark.parametrize("targets", [LABELS, LABELS[:, None], np.eye(4)[LABELS], np.eye(4, dtype=int)[LABELS]])
def test_of_classes_it_is_the_most_frequent_one_however_targets_are_written(targets):
    assert chance_of(accuracy(), targets, GOOD) == Chance(MAJORITY, is_beaten=True)
    assert chance_of(mispredictions(), targets, GOOD) == Chance(pytest.approx(1 - MAJORITY), is_beaten=True)


@pytest.mark.parametrize("shape", [(N,), (N, 1)])
def test_of_two_classes_with_one_score_too(shape):
    labels = (DRAWS.random(N) < 0.7).astype(int)
    scores = np.where(labels, 0.9, 0.1).reshape(shape)
    assert chance_of(accuracy(), labels, scores) == Chance(max(labels.mean(), 1 - labels.mean()), is_beaten=True)
    assert not chance_of(accuracy(), labels, np.full(shape, 0.9)).is_beaten


def test_of_errors_it_is_the_mean_target():
    targets = DRAWS.normal(3, 1, (N, 2))
    chance = chance_of(mean_squared_error(), targets, targets + 0.1)
    assert chance == Chance(pytest.approx(targets.var(axis=0).mean(), rel=1e-6), is_beaten=True)


def test_of_the_emd_it_is_the_mean_charge_in_its_cells():
    points, charges = DRAWS.random((5, 2)), DRAWS.random((200, 5))
    outputs = np.zeros((200, 2, 3))
    outputs.reshape(200, 6)[:, 1:] = charges
    metric = emd(points, cells=[1, 2, 3, 4, 5])
    mean = (charges / charges.sum(axis=1, keepdims=True)).mean(axis=0)
    everywhere = np.zeros((200, 6))
    everywhere[:, 1:] = mean
    expected = metric.bind(charges, everywhere.reshape(200, 2, 3)).golden.values.mean()
    assert chance_of(metric, charges, outputs) == Chance(pytest.approx(expected), is_beaten=True)
    assert not chance_of(metric, DRAWS.permutation(charges), outputs).is_beaten


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("metric", [accuracy(), mispredictions()])
def test_shuffled_labels_are_no_better(seed, metric):
    shuffled = np.random.default_rng(seed).permutation(LABELS)
    assert not chance_of(metric, shuffled, GOOD).is_beaten


def test_a_metric_of_the_whole_data_set_is_held_against_shuffled_samples():
    def agreement(targets, outputs):
        return float((outputs.argmax(axis=1) == targets).mean())

    metric = dataset_metric(agreement, "agreement", "higher")
    assert chance_of(metric, LABELS, GOOD) == Chance(MAJORITY, is_beaten=True)
    beaten = [chance_of(metric, np.random.default_rng(seed).permutation(LABELS), GOOD).is_beaten for seed in range(20)]
    assert not any(beaten)


def test_better_on_some_sample_and_worse_on_none_is_no_luck():
    assert chance_of(mean_squared_error(), np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]])).is_beaten
    assert not chance_of(mean_squared_error(), np.array([[0.0], [1.0]]), np.array([[0.5], [0.5]])).is_beaten


def test_a_metric_that_looks_at_nothing_is_blind():
    metric = sample_metric(lambda targets, outputs: np.full(len(targets), 0.25), "one", "lower")
    assert chance_of(metric, LABELS, GOOD) == Chance(0.25, is_beaten=False, is_blind=True)
    of_targets = sample_metric(lambda targets, outputs: targets * 1.0, "two", "lower")
    assert chance_of(of_targets, LABELS, GOOD).is_blind
    whole = dataset_metric(lambda targets, outputs: 0.5, "three", "higher")
    assert chance_of(whole, LABELS, GOOD).is_blind


def test_a_metric_that_looks_is_not_blind_though_the_network_is_constant():
    constant = np.tile([0.0, 1.0, 0.0, 0.0], (N, 1))
    assert chance_of(accuracy(), LABELS, constant) == Chance(MAJORITY, is_beaten=False)
    assert is_constant(constant)
    assert not is_constant(GOOD)
    assert not is_constant(constant[:1])


def test_one_output_of_several():
    metric = on_output(1, accuracy())
    assert chance_of(metric, LABELS, (NOISE, GOOD)) == Chance(MAJORITY, is_beaten=True)
    assert not chance_of(metric, LABELS, (GOOD, NOISE)).is_beaten
    assert chance_of(metric, (None, LABELS), (NOISE, GOOD)) == Chance(MAJORITY, is_beaten=True)


def test_it_means_nothing_where_targets_are_no_predictions_or_the_metric_will_not_have_them():
    picky = sample_metric(lambda targets, outputs: outputs[:, 0] / np.ptp(outputs[:, 0]), "picky", "lower")

    def fails(targets, outputs):
        if len(np.unique(outputs)) < 5:
            raise ValueError("constant")
        return outputs[:, 0]

    assert chance_of(picky, LABELS, GOOD) is None
    assert chance_of(sample_metric(fails, "fails", "lower"), LABELS, GOOD) is None
    assert chance_of(accuracy(), LABELS[:1], GOOD[:1]) is None
    ids = sample_metric(lambda targets, outputs: outputs[:, 0], "ids", "lower")
    assert chance_of(ids, np.array(["a"] * N), GOOD) is None
    assert chance_of(ids, DRAWS.random((N, 7)), GOOD) is None


def test_it_writes_nowhere_and_says_nothing():
    targets, outputs = LABELS.copy(), GOOD.copy()
    logs = sample_metric(lambda t, o: -np.log(o[np.arange(len(t)), t]), "nll", "lower")
    chance_of(logs, targets, outputs)
    assert (targets == LABELS).all()
    assert (outputs == GOOD).all()


@pytest.mark.parametrize(
    ("targets", "outputs"),
    [
        (LABELS.astype(float), GOOD),
        (LABELS + 1, GOOD),
        (LABELS - 1, GOOD),
        (LABELS, GOOD[:5]),
        ({}, GOOD),
        (LABELS, (GOOD,)),
    ],
)
def test_no_mean_target_where_shapes_or_classes_do_not_fit(targets, outputs):
    assert mean_target(targets, outputs) is None
