"""Exact optimal transport from few source cells to all cells, compiled: a dual simplex on the transportation tree.

A basis is a spanning tree over m sources and n sinks. Its potentials (u per source, v per sink, u + v = distance
on every arc of the tree, u + v <= distance everywhere) do not depend on the masses, so when only the output changes
the golden tree stays dual feasible, and a dual simplex walks from it to the new optimum.

Both sides are exact. Distances lie on a grid (see `on_grid`), so potentials, being sums of a few of them, carry no
rounding. Masses are integers that sum to 2**60 while the tree is chosen, so flows are exact as well and may be
updated in any order. No tolerance decides anything, and Bland's rule then proves that the walk ends. The value is
the dual objective over the unrounded masses: no mass is ever dropped.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkeras.compiled import compiled

MASS_UNITS = 1 << 60
"""Total mass while a tree is chosen: small enough that sums of masses cannot overflow int64."""
GRID_BITS = 44
"""Bits of a distance; the 9 bits left in a float64 hold the sums of distances that make a potential."""


class Samples(NamedTuple):
    """Targets, and the golden tree of each, for all samples; ragged, as samples have different numbers of sources.

    first_source (n_samples + 1,): where a sample's sources start in source (which cell), share (its part of the
    mass, float64) and supply (the same in units). Sample s has its m + n tree nodes from
    first_source[s] + s * n on in parent, order and potential; where there are two sources, order is that of `split`.
    """

    first_source: NDArray[np.int64]
    source: NDArray[np.int64]
    share: NDArray[np.float64]
    supply: NDArray[np.int64]
    parent: NDArray[np.int32]
    order: NDArray[np.int32]
    potential: NDArray[np.float64]


class Tree(NamedTuple):
    """The tree of one sample: nodes 0 ... m-1 are sources, m ... m+n-1 sinks, and node 0 is the root.

    order: the nodes in preorder, so that a subtree is a stretch of it; place: its inverse; size: nodes of the
    subtree; surplus: supply minus demand of the subtree, hence the flow on the arc above it; potential: u and v.
    """

    parent: NDArray[np.int32]
    order: NDArray[np.int32]
    place: NDArray[np.int32]
    size: NDArray[np.int32]
    surplus: NDArray[np.int64]
    potential: NDArray[np.float64]


class Scratch(NamedTuple):
    """Working memory of a pivot: slack, tightest source and list of the sinks that pass (n,), stretch (m + n,)."""

    slack: NDArray[np.float64]
    tightest: NDArray[np.int64]
    passed: NDArray[np.int64]
    stretch: NDArray[np.int32]


def on_grid(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances rounded to 44 bits below the largest: off by 3e-14 of it at most, and sums of them are exact."""
    step = 2.0 ** (np.ceil(np.log2(distance.max())) - GRID_BITS)
    rounded: NDArray[np.float64] = np.rint(distance / step) * step
    return rounded


@compiled
def normalized(row: Any, cells: Any, mass: Any) -> bool:
    """Write the masses of `cells` to `mass`, summing to 1; False if they are not finite, negative or all zero."""
    total, low = 0.0, 0.0
    for j in range(cells.size):
        x = np.float64(row[cells[j]])
        mass[j] = x
        total += x
        low = min(low, x)
    if low < 0.0 or not total > 0.0:
        return False
    if total == np.inf:  # an infinite mass, or finite ones with an infinite sum
        high = mass.max()
        if high == np.inf:
            return False
        total = 0.0
        for j in range(mass.size):
            mass[j] /= high
            total += mass[j]
    for j in range(mass.size):
        mass[j] /= total
    return True


@compiled
def normalize_rows(charges: Any, cells: Any, mass: Any) -> None:
    """`normalized` of every row, each of which must be a distribution."""
    for k in range(len(charges)):
        normalized(charges[k], cells, mass[k])


@compiled
def mass_units(mass: Any, units: Any) -> None:
    """Masses that sum to 1 as integers that sum to exactly MASS_UNITS; the largest takes the rest."""
    rest = MASS_UNITS
    largest = 0
    for j in range(mass.size):
        units[j] = np.int64(mass[j] * MASS_UNITS)
        rest -= units[j]
        if mass[j] > mass[largest]:
            largest = j
    units[largest] += rest


@compiled
def fill_supply(samples: Any) -> None:
    """`mass_units` of every sample's sources."""
    first = samples.first_source
    for s in range(first.size - 1):
        mass_units(samples.share[first[s] : first[s + 1]], samples.supply[first[s] : first[s + 1]])


def samples_of(mass: NDArray[np.float64]) -> Samples:
    """The samples of targets (n_samples, n_cells), each row of mass 1, with room for their trees."""
    n_samples = len(mass)
    sample, source = np.nonzero(mass)
    first_source = np.searchsorted(sample, np.arange(n_samples + 1)).astype(np.int64)
    n_nodes = source.size + mass.size
    samples = Samples(
        first_source=first_source,
        source=source.astype(np.int64),
        share=mass[sample, source],
        supply=np.empty(source.size, dtype=np.int64),
        parent=np.empty(n_nodes, dtype=np.int32),
        order=np.empty(n_nodes, dtype=np.int32),
        potential=np.empty(n_nodes),
    )
    fill_supply(samples)
    return samples


@compiled
def star(source: Any, distance: Any, parent: Any, order: Any, potential: Any) -> None:
    """A dual feasible tree for any masses: all sinks hang on source 0, every other source on its tightest sink."""
    m, n = source.size, distance.shape[0]
    parent[0] = 0
    potential[0] = 0.0
    for j in range(n):
        parent[m + j] = 0
        potential[m + j] = distance[source[0], j]
    for i in range(1, m):
        u, tightest = np.inf, 0
        for j in range(n):
            gap = distance[source[i], j] - potential[m + j]
            if gap < u:
                u, tightest = gap, j
        parent[i] = m + tightest
        potential[i] = u
    order[0] = 0
    place = 1
    for j in range(n):
        order[place] = m + j
        place += 1
        for i in range(1, m):
            if parent[i] == m + j:
                order[place] = i
                place += 1


@compiled
def fill_surplus(supply: Any, demand: Any, parent: Any, order: Any, surplus: Any) -> bool:
    """Write supply minus demand of each node's subtree; True if every arc of the tree carries a flow >= 0."""
    m = supply.size
    for i in range(m):
        surplus[i] = supply[i]
    for j in range(demand.size):
        surplus[m + j] = -demand[j]
    feasible = True
    for k in range(order.size - 1, 0, -1):
        node = order[k]
        flow = surplus[node]
        surplus[parent[node]] += flow
        feasible &= (flow >= 0) if node < m else (flow <= 0)
    return feasible


@compiled
def fill_places(tree: Any) -> None:
    """Write `place` and `size` from `order` and `parent`."""
    for k in range(tree.order.size):
        tree.place[tree.order[k]] = k
        tree.size[k] = 1
    for k in range(tree.order.size - 1, 0, -1):
        node = tree.order[k]
        tree.size[tree.parent[node]] += tree.size[node]


@compiled
def leaving_node(m: int, n: int, tree: Any, bland: bool) -> int:
    """The node whose arc to its parent carries the most negative flow (Bland: the first arc that does); 0: none."""
    best, lowest, first = 0, 0, m * n
    for node in range(1, m + n):
        flow = tree.surplus[node] if node < m else -tree.surplus[node]
        if flow < 0:
            if bland:
                arc = node * n + tree.parent[node] - m if node < m else tree.parent[node] * n + node - m
                if arc < first:
                    first, best = arc, node
            elif flow < lowest:
                lowest, best = flow, node
    return best


@compiled
def add_to_ancestors(tree: Any, node: int, count: int, weight: int) -> None:
    """Add to the size and surplus of `node` and of everything above it."""
    while True:
        tree.size[node] += count
        tree.surplus[node] += weight
        if node == 0:
            return
        node = tree.parent[node]


@compiled
def move(tree: Any, node: int, new_top: int, new_parent: int, stretch: Any) -> None:
    """Cut the subtree of `node` off, root it at its member `new_top`, hang that below `new_parent`."""
    order, place, size = tree.order, tree.place, tree.size
    start, count, weight = place[node], size[node], tree.surplus[node]
    add_to_ancestors(tree, tree.parent[node], -count, -weight)
    add_to_ancestors(tree, new_parent, count, weight)

    # From new_top up to node: each becomes a child of the one before, with all that was not below that one.
    filled, below = 0, new_parent
    inner_start = inner_stop = place[new_top] + size[new_top]
    inner_size, inner_surplus = 0, 0
    y = new_top
    while True:
        outer_start, outer_stop = place[y], place[y] + size[y]
        for k in range(outer_start, inner_start):
            stretch[filled] = order[k]
            filled += 1
        for k in range(inner_stop, outer_stop):
            stretch[filled] = order[k]
            filled += 1
        inner_start, inner_stop = outer_start, outer_stop
        old_size, old_surplus, above = size[y], tree.surplus[y], tree.parent[y]
        size[y] = count - inner_size
        tree.surplus[y] = weight - inner_surplus
        tree.parent[y] = below
        inner_size, inner_surplus = old_size, old_surplus
        if y == node:
            break
        below, y = y, above

    target = place[new_parent] + 1
    if target <= start:
        for k in range(start - 1, target - 1, -1):
            order[k + count] = order[k]
            place[order[k]] = k + count
    else:
        for k in range(start + count, target):
            order[k - count] = order[k]
            place[order[k]] = k - count
        target -= count
    for k in range(count):
        order[target + k] = stretch[k]
        place[stretch[k]] = target + k


@compiled
def fill_slack(source: Any, distance: Any, tree: Any, first: int, stop: int, below_rises: bool, scratch: Any) -> None:
    """For each sink outside the rising part: how far the part can rise until its first arc there is tight."""
    m, n = source.size, distance.shape[0]
    slack, tightest = scratch.slack, scratch.tightest
    for j in range(n):
        slack[j] = np.inf
    for i in range(m):
        if (first <= tree.place[i] < stop) == below_rises:
            u, row = tree.potential[i], distance[source[i]]
            for j in range(n):
                gap = row[j] - u
                if gap < slack[j]:
                    slack[j] = gap
                    tightest[j] = i
    for j in range(n):
        if (first <= tree.place[m + j] < stop) == below_rises:
            slack[j] = np.inf
        else:
            slack[j] -= tree.potential[m + j]


@compiled
def pivot(source: Any, distance: Any, tree: Any, scratch: Any, leaving: int, bland: bool) -> float:
    """One long step of the dual simplex from the arc above `leaving`; returns how far the potentials moved.

    Cutting the arc leaves a part with too much mass. The potentials of its sources rise, those of its sinks fall,
    until an arc from one of its sources to a sink outside is tight: it enters. If that sink is a leaf and takes
    less than the excess, it joins the part and the rise goes on: each such sink saves a pivot.
    """
    m, n = source.size, distance.shape[0]
    slack, tightest, stretch = scratch.slack, scratch.tightest, scratch.stretch
    first, stop = tree.place[leaving], tree.place[leaving] + tree.size[leaving]
    below_rises = leaving >= m
    excess = tree.surplus[leaving] if below_rises else -tree.surplus[leaving]
    fill_slack(source, distance, tree, first, stop, below_rises, scratch)

    n_passed = 0
    while True:
        entering, rise = 0, np.inf
        for j in range(n):
            if slack[j] < rise or (bland and slack[j] == rise and tightest[j] < tightest[entering]):
                entering, rise = j, slack[j]
        node = m + entering
        if bland or tree.size[node] > 1 or excess + tree.surplus[node] <= 0:
            break
        excess += tree.surplus[node]
        slack[entering] = np.inf
        scratch.passed[n_passed] = entering
        n_passed += 1

    if rise > 0.0:
        shift = rise if below_rises else -rise
        for k in range(first, stop):
            node = tree.order[k]
            tree.potential[node] += shift if node < m else -shift
    for k in range(n_passed):
        j = scratch.passed[k]
        i = tightest[j]
        tree.potential[m + j] = distance[source[i], j] - tree.potential[i]
        move(tree, m + j, m + j, i, stretch)
    new_top, new_parent = tightest[entering], m + entering
    if not below_rises:
        new_top, new_parent = new_parent, new_top
    move(tree, leaving, new_top, new_parent, stretch)
    return rise


@compiled
def optimize(source: Any, distance: Any, tree: Any, scratch: Any, patience: int) -> int:
    """Pivot from a dual feasible tree until its flows are feasible; returns the number of pivots.

    The most negative flow leaves first; after more than `patience` pivots without progress Bland's rule takes over
    until the dual objective grows again. It cannot repeat a tree, and neither can a growing objective: this ends.
    """
    m, n = source.size, distance.shape[0]
    fill_places(tree)
    pivots, without_progress = 0, 0
    while True:
        bland = without_progress > patience
        leaving = leaving_node(m, n, tree, bland)
        if leaving == 0:
            return pivots
        rise = pivot(source, distance, tree, scratch, leaving, bland)
        without_progress = 0 if rise > 0.0 else without_progress + 1
        pivots += 1


@compiled
def dual_value(source: Any, share: Any, mass: Any, potential: Any, difference: Any) -> float:
    """The dual objective, with output minus target taken first, so that equal distributions give exactly 0."""
    m = source.size
    value = 0.0
    for j in range(mass.size):
        difference[j] = mass[j]
    for i in range(m):
        difference[source[i]] -= share[i]
        value += share[i] * (potential[i] + potential[m + source[i]])
    for j in range(mass.size):
        value += potential[m + j] * difference[j]
    return max(value, 0.0)


@compiled
def split(source: Any, share: Any, mass: Any, distance: Any, order: Any, potential: Any) -> None:
    """The potentials of two sources and all sinks: in their order, by how much nearer the second source is than the
    first, sinks go to the second until it has given all."""
    first, second = distance[source[0]], distance[source[1]]
    rest, last = share[1], order[0]
    for k in range(mass.size):
        last = order[k]
        rest -= mass[last]
        if rest <= 0.0:
            break
    potential[0], potential[1] = 0.0, second[last] - first[last]
    for j in range(mass.size):
        potential[2 + j] = min(first[j], second[j] - potential[1])


@compiled
def solve(
    outputs: Any, cells: Any, rows: Any, distance: Any, samples: Any, golden: bool, values: Any, undefined: Any
) -> int:
    """Write the EMD of each output to the target of its sample; returns the number of pivots.

    outputs (k, size) float, cells (n,) the element of each cell, rows (k,) the sample of each output, distance
    (n, n) on the grid. golden=True starts from scratch and keeps the tree; False starts from the kept one.
    Undefined outputs get NaN in values (k,) and True in undefined (k,).
    """
    n, first = cells.size, samples.first_source
    most = np.max(first[1:] - first[:-1]) + n
    mass, difference, demand = np.empty(n), np.empty(n), np.empty(n, np.int64)
    scratch = Scratch(np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64), np.empty(most, np.int32))
    space = np.empty((4, most), np.int32)
    surplus, potential = np.empty(most, np.int64), np.empty(most)
    pivots = 0
    for k in range(rows.size):
        begin, end = first[rows[k]], first[rows[k] + 1]
        m = end - begin
        source, share = samples.source[begin:end], samples.share[begin:end]
        start = begin + rows[k] * n
        kept_parent = samples.parent[start : start + m + n]
        kept_order = samples.order[start : start + m + n]
        kept_potential = samples.potential[start : start + m + n]
        if golden and m == 2:
            kept_order[:n] = np.argsort(distance[source[1]] - distance[source[0]])
        elif golden:
            star(source, distance, kept_parent, kept_order, kept_potential)
        undefined[k] = not normalized(outputs[k], cells, mass)
        if undefined[k]:
            values[k] = np.nan
            continue
        if m == 1:
            value = 0.0
            for j in range(n):
                value += distance[source[0], j] * mass[j]
            values[k] = value
            continue
        if m == 2:
            optimum = kept_potential if golden else potential[: m + n]
            split(source, share, mass, distance, kept_order, optimum)
            values[k] = dual_value(source, share, mass, optimum, difference)
            continue
        mass_units(mass, demand)
        if fill_surplus(samples.supply[begin:end], demand, kept_parent, kept_order, surplus[: m + n]):
            values[k] = dual_value(source, share, mass, kept_potential, difference)
            continue
        tree = Tree(
            space[0, : m + n],
            space[1, : m + n],
            space[2, : m + n],
            space[3, : m + n],
            surplus[: m + n],
            potential[: m + n],
        )
        tree.parent[:], tree.order[:], tree.potential[:] = kept_parent, kept_order, kept_potential
        pivots += optimize(source, distance, tree, scratch, m + n)
        values[k] = dual_value(source, share, mass, tree.potential, difference)
        if golden:
            kept_parent[:], kept_order[:], kept_potential[:] = tree.parent, tree.order, tree.potential
    return pivots
