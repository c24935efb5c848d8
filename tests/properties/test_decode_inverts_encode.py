"""Law: decode(encode(x)) == x for every x that some word has, and decode is total."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fkeras.memory import Binary, FixedPoint, PowerOfTwo, Ternary

POWERS = st.builds(PowerOfTwo, st.integers(2, 8), st.none() | st.integers(-9, 0), st.sampled_from([1, 2]))
CODECS = st.one_of(
    st.builds(FixedPoint, st.integers(1, 32), st.integers(-3, 8), st.booleans()),
    st.just(Binary()),
    st.just(Ternary()),
    POWERS,
)


@given(codec=CODECS, data=st.data())
def test_decode_inverts_encode(codec, data):
    words = np.array(data.draw(st.lists(st.integers(0, 2**codec.width - 1), min_size=1, max_size=20)), np.uint32)
    values = codec.decode(words)
    assert np.isfinite(values).all()
    assert (codec.decode(codec.encode(values)) == values).all()


@given(
    codec=st.one_of(
        st.builds(FixedPoint, st.integers(1, 32), st.integers(-3, 8), st.booleans()),
        st.just(Binary()),
        POWERS,
    ),
    data=st.data(),
)
def test_encode_inverts_decode_where_no_two_words_share_a_value(codec, data):
    words = np.array(data.draw(st.lists(st.integers(0, 2**codec.width - 1), min_size=1, max_size=20)), np.uint32)
    assert (codec.encode(codec.decode(words)) == words).all()
