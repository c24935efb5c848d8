"""The EMD kernel against POT, a plain linear program, the closed form on a line, and its own certificate."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

os.environ.setdefault("POT_BACKEND_DISABLE_TENSORFLOW", "1")
import ot

from fkeras.metrics import emd
from fkeras.metrics import transport_kernel as kernel

HEXAGONAL = np.array([[2.0 * x + y % 2, np.sqrt(3.0) * y] for y in range(6) for x in range(8)])
"""48 cells whose neighbours are 2 apart, like a sensor's: nearly every distance occurs many times."""


def share(mass: np.ndarray) -> np.ndarray:
    scaled = mass.astype(np.float64) / mass.max(axis=-1, keepdims=True)
    return scaled / scaled.sum(axis=-1, keepdims=True)


def pot(targets: np.ndarray, outputs: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
    distance = cdist(coordinates, coordinates)
    return np.array([ot.emd2(a, b, distance) for a, b in zip(share(targets), share(outputs), strict=True)])


def wafers(rng: np.random.Generator, count: int, n_hit: int) -> np.ndarray:
    """Integer charges in n_hit of the 48 cells."""
    charges = np.zeros((count, len(HEXAGONAL)))
    for row in charges:
        row[rng.choice(len(row), n_hit, replace=False)] = rng.integers(1, 200, n_hit)
    return charges


def assert_cold_and_warm_equal_pot(targets: np.ndarray, golden: np.ndarray, faulty: np.ndarray, xy: np.ndarray) -> None:
    scorer = emd(xy).bind(targets, golden)
    np.testing.assert_allclose(scorer.golden.values, pot(targets, golden, xy), rtol=0, atol=1e-9)
    scores = scorer.score(faulty, slice(None))
    np.testing.assert_allclose(scores.values, pot(targets, faulty, xy), rtol=0, atol=1e-9)
    assert not scores.undefined.any()


@pytest.mark.parametrize("n_hit", [1, 2, 3, 18, 48])
def test_equals_pot_on_sparse_and_busy_wafers(n_hit: int) -> None:
    rng = np.random.default_rng(n_hit)
    targets = wafers(rng, 30, n_hit)
    golden = targets + rng.random(targets.shape)
    assert_cold_and_warm_equal_pot(targets, golden, golden * rng.random(targets.shape) ** 2, HEXAGONAL)


def adversarial(
    kind: str, rng: np.random.Generator, n_hit: int = 20
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(targets with n_hit cells at most, golden, faulty, coordinates) that ask for trouble."""
    xy = HEXAGONAL
    targets, golden, faulty = (wafers(rng, 20, 20) for _ in range(3))
    if kind == "duplicated coordinates":
        xy = HEXAGONAL[rng.integers(0, 12, len(HEXAGONAL))]
    elif kind == "equal masses":
        targets, golden, faulty = (np.minimum(x, 1.0) for x in (targets, golden, faulty))
    elif kind == "nearly all zero":
        golden, faulty = (x * (rng.random(x.shape) < 0.1) + np.eye(20, 48) for x in (golden, faulty))
    elif kind == "masses from 1e-300 to 1":
        targets, golden, faulty = (10.0 ** rng.uniform(-300, 0, (20, 48)) for _ in range(3))
    elif kind == "masses around the rounding of 1":
        targets, golden, faulty = (10.0 ** rng.uniform(-20, 0, (20, 48)) for _ in range(3))
    elif kind == "all distances equal or zero":
        xy = np.repeat([[0.0, 0.0, 0.0], [1.0, 0, 0], [0.5, np.sqrt(0.75), 0]], 16, axis=0)
    np.put_along_axis(targets, np.argsort(-targets, axis=1, kind="stable")[:, n_hit:], 0.0, axis=1)
    if kind == "target equals output":
        faulty = targets * 3.0
    return targets, golden, faulty, xy


@pytest.mark.parametrize(
    "kind",
    [
        "duplicated coordinates",
        "equal masses",
        "nearly all zero",
        "masses from 1e-300 to 1",
        "masses around the rounding of 1",
        "target equals output",
        "all distances equal or zero",
    ],
)
@pytest.mark.parametrize("n_hit", [2, 20])
def test_equals_pot_on_hard_cases(kind: str, n_hit: int) -> None:
    assert_cold_and_warm_equal_pot(*adversarial(kind, np.random.default_rng(len(kind)), n_hit))


def test_equals_a_plain_linear_program() -> None:
    rng = np.random.default_rng(5)
    for n in (2, 3, 5, 8):
        xy = rng.integers(0, 4, (n, 2)) + np.arange(n)[:, None] * 0.25
        target, golden, faulty = (share(rng.integers(0, 4, n) + np.eye(n)[0]) for _ in range(3))
        rows = np.concatenate([np.kron(np.eye(n), np.ones(n)), np.kron(np.ones(n), np.eye(n))])
        program = linprog(cdist(xy, xy).reshape(-1), A_eq=rows, b_eq=np.concatenate([target, faulty]), method="highs")
        assert program.status == 0
        value = emd(xy).bind(target[None], golden[None]).score(faulty[None], slice(None)).values[0]
        assert value == pytest.approx(program.fun, abs=1e-9)


def test_equals_the_closed_form_on_a_line() -> None:
    rng = np.random.default_rng(6)
    x = np.sort(rng.integers(0, 60, 48).astype(np.float64))
    xy = np.stack([0.6 * x, 0.8 * x], axis=1)
    targets, golden, faulty = rng.exponential(size=(3, 50, 48)) ** 4
    between = np.cumsum(share(faulty) - share(targets), axis=1)[:, :-1]
    expected = (np.abs(between) * np.diff(x)).sum(axis=1)
    values = emd(xy).bind(targets, golden).score(faulty, slice(None)).values
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-11)


def solved(target: np.ndarray, output: np.ndarray, xy: np.ndarray) -> tuple[kernel.Samples, np.ndarray, float]:
    distance = kernel.on_grid(cdist(xy, xy))
    samples = kernel.samples_of(normalized(target)[None])
    value, undefined = np.empty(1), np.empty(1, dtype=np.bool_)
    cells, rows = np.arange(len(xy)), np.zeros(1, dtype=np.intp)
    kernel.solve(output[None], cells, rows, distance, samples, True, value, undefined)
    return samples, distance, float(value[0])


def units(mass: np.ndarray) -> list[int]:
    out = np.empty(mass.size, dtype=np.int64)
    kernel.mass_units(normalized(mass), out)
    return [int(x) for x in out]


def normalized(mass: np.ndarray) -> np.ndarray:
    out = np.empty_like(mass)
    assert kernel.normalized(mass, np.arange(mass.size), out)
    return out


def flows(parent: np.ndarray, order: np.ndarray, surplus: list[int], m: int) -> dict[tuple[int, int], int]:
    """The flow on each (source node, sink index) arc of the tree, in Python integers."""
    carried = list(surplus)
    result = {}
    for node in order[:0:-1]:
        above = parent[node]
        source, sink, flow = (node, above, carried[node]) if node < m else (above, node, -carried[node])
        result[int(source), int(sink) - m] = flow
        carried[above] += carried[node]
    assert carried[0] == 0
    return result


@pytest.mark.parametrize("kind", ["plain", "duplicated coordinates", "equal masses", "masses from 1e-300 to 1"])
def test_the_kept_tree_certifies_its_optimum(kind: str) -> None:
    """Dual feasible and tight on the tree, flows not negative, both without any tolerance; and no gap."""
    targets, outputs, _, xy = adversarial(kind, np.random.default_rng(1))
    for target, output in zip(targets, outputs, strict=True):
        samples, distance, value = solved(target, output, xy)
        m, n = samples.source.size, len(xy)
        u, v = samples.potential[:m], samples.potential[m:]
        cost = distance[samples.source]
        assert (cost - u[:, None] - v[None, :]).min() == 0.0
        flow = flows(samples.parent, samples.order, samples.supply.tolist() + [-x for x in units(output)], m)
        assert len(flow) == m + n - 1
        assert min(flow.values()) >= 0
        assert all(u[i] + v[j] == cost[i, j] for i, j in flow)
        primal = sum(cost[i, j] * amount for (i, j), amount in flow.items()) / kernel.MASS_UNITS
        assert primal == pytest.approx(value, abs=1e-13)


def started(samples: kernel.Samples, distance: np.ndarray, output: np.ndarray) -> tuple[kernel.Tree, kernel.Scratch]:
    """The star of a single sample with the flows to `output` on it, ready for pivots."""
    m, n = samples.source.size, len(distance)
    tree = kernel.Tree(
        *(np.empty(m + n, dtype=np.int32) for _ in range(4)), np.empty(m + n, dtype=np.int64), np.empty(m + n)
    )
    scratch = kernel.Scratch(
        np.empty(n), np.zeros(n, dtype=np.int64), np.empty(n, dtype=np.int64), np.empty(m + n, dtype=np.int32)
    )
    kernel.star(samples.source, distance, tree.parent, tree.order, tree.potential)
    kernel.fill_surplus(samples.supply, np.array(units(output)), tree.parent, tree.order, tree.surplus)
    kernel.fill_places(tree)
    return tree, scratch


def test_blands_rule_reaches_the_same_optimum() -> None:
    """The rule that guarantees the end rarely gets to work, so here patience is short, or there is none."""
    targets, outputs, _, xy = adversarial("all distances equal or zero", np.random.default_rng(2))
    pivots = dict.fromkeys((-1, 0, 1000), 0)
    for target, output in zip(targets, outputs, strict=True):
        samples, distance, value = solved(target, output, xy)
        for patience in pivots:
            tree, scratch = started(samples, distance, output)
            pivots[patience] += kernel.optimize(samples.source, distance, tree, scratch, patience)
            dual = kernel.dual_value(
                samples.source, samples.share, normalized(output), tree.potential, np.empty(len(xy))
            )
            assert dual == pytest.approx(value, abs=1e-13)
    assert pivots[-1] > pivots[0] > pivots[1000]  # Bland's walk is the longer one, so it was taken


def test_a_pivot_leaves_a_true_preorder_with_true_sums() -> None:
    rng = np.random.default_rng(3)
    target, output = wafers(rng, 1, 12)[0], rng.random(48)
    samples, distance, _ = solved(target, target, HEXAGONAL)
    m, n = samples.source.size, 48
    tree, scratch = started(samples, distance, output)
    weight = np.array(samples.supply.tolist() + [-x for x in units(output)])
    pivots = 0
    while leaving := kernel.leaving_node(m, n, tree, False):
        kernel.pivot(samples.source, distance, tree, scratch, leaving, False)
        pivots += 1
        assert sorted(tree.order) == list(range(m + n))
        assert (tree.order[tree.place] == np.arange(m + n)).all()
        for node in range(1, m + n):
            below = tree.order[tree.place[node] : tree.place[node] + tree.size[node]]
            assert (tree.surplus[node]) == weight[below].sum()
            above = tree.parent[node]
            assert tree.place[above] < tree.place[node]
            assert tree.place[node] + tree.size[node] <= tree.place[above] + tree.size[above]
            assert (node < m) != (above < m)
            source, sink = (node, above) if node < m else (above, node)
            assert tree.potential[source] + tree.potential[sink] == distance[samples.source[source], sink - m]
    assert pivots > 3


def test_threads_change_nothing() -> None:
    rng = np.random.default_rng(4)
    targets = wafers(rng, 1300, 5)
    golden, faulty = targets + rng.random(targets.shape), targets + rng.random(targets.shape)
    one, four = (emd(HEXAGONAL, threads=count).bind(targets, golden) for count in (1, 4))
    assert one.golden.values.tolist() == four.golden.values.tolist()
    assert one.score(faulty, slice(None)).values.tolist() == four.score(faulty, slice(None)).values.tolist()


def real_wafers(shared_data: Path, busy: bool, count: int) -> tuple[np.ndarray, np.ndarray]:
    geometry = np.load(shared_data / "hgcal" / "geometry.npz")
    if not busy:
        return np.load(shared_data / "econ_t_val.npz")["calq"][:count].astype(np.float64), geometry["coordinates"]
    with gzip.open(shared_data / "hgcal" / "CALQ_output.csv.gz", "rt", newline="") as file:
        lines = csv.reader(file)
        names = next(lines)
        charges = np.array([next(lines) for _ in range(count)], dtype=np.float64)
    order = [names.index(f"CALQ_{cell}") for cell in range(48)]
    charges = charges[:, order]
    return charges[charges.sum(axis=1) > 0], geometry["coordinates"]


@pytest.mark.parametrize("busy", [False, True], ids=["sparse", "busy"])
def test_equals_pot_on_real_wafers(shared_data: Path, busy: bool) -> None:
    """Blurred charges stand in for a network's outputs, more blurred ones for a faulty network's."""
    charges, xy = real_wafers(shared_data, busy, 200)
    rng = np.random.default_rng(7)
    near = np.exp(-cdist(xy, xy))
    golden = share(charges) @ near + 1e-3 * rng.random(charges.shape)
    faulty = golden * rng.uniform(0.5, 1.5, charges.shape) * (rng.random(charges.shape) < 0.9) + 1e-12
    assert_cold_and_warm_equal_pot(charges, golden, faulty, xy)
