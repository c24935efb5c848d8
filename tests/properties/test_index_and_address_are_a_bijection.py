"""Law: a flat index and an address are two names of one bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fkeras.memory import BitAddress, BitSpace, FixedPoint, WordTensor


def tensor(path: str, shape: tuple[int, ...], width: int) -> WordTensor:
    size = int(np.prod(shape))
    return WordTensor(
        path,
        shape,
        FixedPoint(width, 0),
        np.zeros(size, np.uint32),
        np.ones(size, np.float32),
        np.zeros(size, np.float32),
    )


PATHS = st.lists(
    st.from_regex(r"[a-z_0-9]{1,4}(/[a-z_0-9]{1,4}){0,2}", fullmatch=True), min_size=1, max_size=4, unique=True
)
SHAPES = st.lists(st.integers(1, 3), max_size=4).map(tuple)


@st.composite
def spaces(draw) -> BitSpace:
    return BitSpace(tuple(tensor(path, draw(SHAPES), draw(st.integers(1, 9))) for path in draw(PATHS)))


@given(space=spaces())
def test_index_and_address_are_a_bijection(space):
    addresses = list(space)
    assert len(set(addresses)) == len(space) == sum(t.size * t.codec.width for t in space.tensors)
    assert [space.index(str(address)) for address in addresses] == list(range(len(space)))
    assert [BitAddress.parse(str(address)) for address in addresses] == addresses
