"""A histogram shows the data's gaps and peaks, and none of its own."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.statistics.histograms import bin_edges


@pytest.mark.parametrize("most", [2, 30, 40])
@pytest.mark.parametrize("n_samples", [3, 20, 497, 10_000])
def test_every_bin_holds_as_many_of_the_values_that_can_occur(n_samples, most):
    """All values of a metric that counts samples, once each, are flat but for a last bin that is partly beyond."""
    for n_values in (2, 7, 45, n_samples):
        values = np.arange(min(n_values, n_samples)) / n_samples
        counts, edges = np.histogram(values, bin_edges(values, most))
        assert counts.sum() == values.size
        assert len(set(counts[:-1].tolist())) <= 1
        assert counts[-1] <= counts[0]
        assert counts.size <= most
        assert (np.diff(edges) > 0.999 / n_samples).all()


def test_values_of_any_kind_lie_within_as_many_bins_as_asked_for():
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=500), rng.random(3), np.array([0.0, 1e-12, 1.0]), np.array([-1e300, 0, 1e300])):
        edges = bin_edges(values, 30)
        assert np.histogram(values, edges)[0].sum() == values.size
        assert edges.size <= 31


@pytest.mark.parametrize("values", [[1.0], [0.1 + 0.2, 0.3], [-1.7e308, 1.7e308], [5e-324, 1e-323], [1e300] * 3])
def test_what_has_no_steps_is_one_bin(values):
    edges = bin_edges(np.array(values), 30)
    assert np.histogram(values, edges)[0].sum() == len(values)
    assert (edges[1:] > edges[:-1]).all()
