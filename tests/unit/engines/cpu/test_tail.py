"""A row of weighted sums in one pass gives what its nodes give."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras import network as fn
from fkeras.engines.cpu.tail import tail_from
from fkeras.memory.inventory import Inventory

ONE, TWO = (1,), (1, 1)
ROWS = {
    "dense": ((6,), [fn.Dense("6,5"), fn.Bias("5"), fn.Relu(), fn.Dense("5,3")]),
    "dense on a map": ((3, 4, 6), [fn.Dense("6,5"), fn.Bias("5"), fn.Reshape((60,)), fn.Dense("60,2"), fn.Bias("2")]),
    "convolutions": (
        (6, 5, 4),
        [fn.Convolution("3,2,4,5", (2, 1), "same", TWO), fn.Relu(), fn.Convolution("2,2,5,9", TWO, "valid", (2, 1))],
    ),
    "causal": ((7, 4), [fn.Convolution("3,4,5", ONE, "causal", (2,)), fn.Bias("5"), fn.Bias("7,5")]),
    "transposed": (
        (2, 3, 1),
        [
            fn.TransposedConvolution("3,3,33,1", (2, 2), "same", TWO, (4, 6)),
            fn.Bias("33"),
            fn.Relu(),
            fn.TransposedConvolution("2,5,2,33", (3, 1), "valid", TWO, (12, 10)),
            fn.Relu(),
        ],
    ),
    "transposed, over one axis": ((5, 3), [fn.TransposedConvolution("4,2,3", (3,), "same", (2,), (15,))]),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_its_nodes(name: str) -> None:
    shape, operations = ROWS[name]
    rng = np.random.default_rng(0)
    nodes = [
        fn.Node(f"n{number}", operation, (f"n{number - 1}" if number else "x",))
        for number, operation in enumerate(operations)
    ]
    constants = {
        part: rng.normal(size=tuple(map(int, part.split(",")))).astype(np.float32)
        for operation in operations
        for part in operation.parameters
    }
    network = fn.Network(
        "m", (fn.Input("x", shape),), tuple(nodes), (nodes[-1].name,), ("y",), Inventory("m", ()), constants
    )
    x = np.where(rng.random((9, *shape)) < 0.3, 0, rng.normal(size=(9, *shape))).astype(np.float32)
    row = tail_from(network, nodes)
    assert row is not None
    assert row.nodes == tuple(nodes)
    np.testing.assert_allclose(row(x), network([x])[0], rtol=1e-5, atol=1e-5)


def test_a_row_ends_where_another_node_reads_or_something_else_is_done() -> None:
    def row_of(*nodes: tuple[fn.Operation, tuple[str, ...]], outputs: tuple[str, ...] = ()) -> int:
        named = tuple(fn.Node(f"n{number}", *node) for number, node in enumerate(nodes))
        constants = {"w": np.ones((2, 2), np.float32), "b": np.ones(2, np.float32)}
        ends = (*outputs, named[-1].name)
        network = fn.Network("m", (fn.Input("x", (2,)),), named, ends, ends, Inventory("m", ()), constants)
        row = tail_from(network, named)
        return 0 if row is None else len(row.nodes)

    dense, bias, relu = fn.Dense("w"), fn.Bias("b"), fn.Relu()
    assert row_of((dense, ("x",)), (bias, ("n0",)), (relu, ("n1",)), (dense, ("n2",))) == 4
    assert row_of((dense, ("x",)), (relu, ("n0",)), (bias, ("n1",))) == 2, "a bias behind a relu"
    assert row_of((dense, ("x",)), (fn.Function("tanh"), ("n0",)), (dense, ("n1",))) == 1
    assert row_of((dense, ("x",)), (bias, ("n0",)), outputs=("n0",)) == 1
    assert row_of((dense, ("x",)), (bias, ("n0",)), (fn.Merge("add"), ("n0", "n1"))) == 1
    assert row_of((relu, ("x",)), (dense, ("n0",))) == 0
