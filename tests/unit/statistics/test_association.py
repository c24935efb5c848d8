"""Fisher's exact test against SciPy's hypergeometric distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from fkeras.statistics.association import chance_of_together


@given(st.data())
def test_it_is_the_hypergeometric_tail(data):
    n = data.draw(st.integers(1, 2000))
    first, second = data.draw(st.integers(0, n)), data.draw(st.integers(0, n))
    together = data.draw(st.integers(0, min(first, second)))
    expected = hypergeom.sf(together - 1, n, first, second)
    assert chance_of_together(together, first, second, n) == pytest.approx(expected, rel=1e-8, abs=1e-300)


def test_more_than_there_are_never_happens_and_none_always():
    assert chance_of_together(4, 3, 9, 10) == 0
    assert chance_of_together(0, 3, 9, 10) == pytest.approx(1)
    assert np.isclose(chance_of_together(2, 3, 9, 10), 1)  # at least two of three are among nine of ten
