"""The same digits by HGQ2, where every weight has a width of its own; in an environment with HGQ2."""

from __future__ import annotations

import importlib.util

import pytest

from pytest_fkeras import fault_budget, ranking

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hgq") is None,
    reason="needs HGQ2: pip install 'pytest-fkeras[hgq2]' in an environment of its own",
)


@fault_budget(bits=50, protected=ranking.fraction(1 / 3), max_accuracy_drop=0.03)
def test_survives_50_flips_with_a_third_of_its_bits_protected():
    pass


@fault_budget(bits=50, protected=ranking.fraction(1 / 3), max_accuracy_drop=0.03, memory="hls4ml")
def test_survives_as_many_in_the_words_that_hls4ml_stores():
    pass
