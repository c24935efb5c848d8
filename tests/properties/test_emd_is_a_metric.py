"""The EMD is a metric on distributions, whatever the path to the optimum, and blind to the scale of masses."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fkeras.metrics import emd

N_CELLS = 7
COORDINATES = arrays(np.float64, (N_CELLS, 2), elements=st.integers(0, 3).map(float)).filter(lambda x: np.ptp(x) > 0)
"""A coarse grid: cells coincide, and ties between ways to transport are everywhere."""
MASS = st.one_of(
    st.just(0.0), st.integers(1, 4).map(float), st.floats(1e-3, 1.0), st.sampled_from([1e-300, 1e-17, 1e-12, 1e-9])
)


def distributions(count: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, (count, N_CELLS), elements=MASS).filter(lambda x: bool((x.sum(axis=1) > 0).all()))


def distance(coordinates: np.ndarray, targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    return emd(coordinates, threads=1).bind(targets, outputs).golden.values


@settings(deadline=None)
@given(COORDINATES, distributions(2))
def test_symmetric(coordinates: np.ndarray, pair: np.ndarray) -> None:
    forward, backward = distance(coordinates, pair, pair[::-1])
    assert abs(forward - backward) < 1e-12


@settings(deadline=None)
@given(COORDINATES, distributions(1))
def test_zero_for_equal_distributions(coordinates: np.ndarray, mass: np.ndarray) -> None:
    assert distance(coordinates, mass, mass).tolist() == [0.0]


@settings(deadline=None)
@given(COORDINATES, distributions(2))
def test_at_least_the_smallest_way_for_the_mass_that_must_move(coordinates: np.ndarray, pair: np.ndarray) -> None:
    """Positive unless the masses agree place by place, coinciding cells taken together."""
    places, place = np.unique(coordinates, axis=0, return_inverse=True)
    share = pair / pair.sum(axis=1, keepdims=True)
    at_place = np.zeros((2, len(places)))
    np.add.at(at_place.T, place.reshape(-1), share.T)
    moved = np.abs(at_place[0] - at_place[1]).sum() / 2
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    value = distance(coordinates, pair[:1], pair[1:])[0]
    assert moved * apart[apart > 0].min() - 1e-12 <= value <= moved * apart.max() + 1e-12


@settings(deadline=None)
@given(COORDINATES, distributions(3))
def test_triangle(coordinates: np.ndarray, three: np.ndarray) -> None:
    first, second, around = distance(coordinates, three[[0, 1, 0]], three[[1, 2, 2]])
    assert around <= first + second + 1e-12


@settings(deadline=None)
@given(COORDINATES, distributions(2), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_scale_of_the_masses_does_not_matter(coordinates: np.ndarray, pair: np.ndarray, a: float, b: float) -> None:
    plain = distance(coordinates, pair[:1], pair[1:])
    scaled = distance(coordinates, pair[:1] * a, pair[1:] * b)
    np.testing.assert_allclose(scaled, plain, rtol=0, atol=1e-12)


@settings(deadline=None)
@given(COORDINATES, distributions(3))
def test_a_warm_start_ends_where_a_cold_one_does(coordinates: np.ndarray, three: np.ndarray) -> None:
    target, golden, faulty = three[:1], three[1:2], three[2:]
    warm = emd(coordinates).bind(target, golden).score(faulty, slice(None)).values
    np.testing.assert_allclose(warm, distance(coordinates, target, faulty), rtol=0, atol=1e-13)


@settings(deadline=None, max_examples=50)
@given(COORDINATES, distributions(6), st.permutations(range(3)), st.integers(1, 3))
def test_a_row_scores_the_same_in_any_company(
    coordinates: np.ndarray, masses: np.ndarray, order: list[int], size: int
) -> None:
    scorer = emd(coordinates).bind(masses[:3], masses[::-1][:3])
    together = scorer.score(masses[3:], slice(None)).values
    for start in range(0, 3, size):
        rows = np.array(order[start : start + size])
        assert scorer.score(masses[3:][rows], rows).values.tolist() == together[rows].tolist()


@settings(deadline=None)
@given(COORDINATES, distributions(3))
def test_the_golden_potentials_bound_the_change_from_below_and_are_a_derivative(
    coordinates: np.ndarray, three: np.ndarray
) -> None:
    """The EMD is convex in the output, and the potentials are one of its subgradients."""
    target, golden, faulty = (x / x.sum() for x in three)
    scorer = emd(coordinates).bind(target[None], golden[None])
    slope = scorer.potentials(slice(None))[0] @ (faulty - golden)
    change = scorer.score(faulty[None], slice(None)).values[0] - scorer.golden.values[0]
    assert change >= slope - 1e-12
