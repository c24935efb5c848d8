"""What the speed benchmark extrapolates and counts."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_a_line_separates_what_is_paid_once_from_what_a_bit_costs(monkeypatch) -> None:
    from benchmarks.speed.timing import line_through

    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(time, "process_time", lambda: 2 * clock[0])
    seen = []

    def measure(bits: np.ndarray) -> None:
        seen.append(bits.size)
        clock[0] += 3.0 + 0.25 * bits.size

    line = line_through(measure, np.arange(800).reshape(100, 8), 60.0)
    assert line.start.wall == pytest.approx(3.0)
    assert line.per_bit.wall == pytest.approx(0.25)
    assert line.per_bit.cpu == pytest.approx(0.5)
    assert line.n_bits == seen[-1] == 256, "doubled until a sample took 60 s"
    everything = line_through(measure, np.arange(24).reshape(3, 8), 1e9)
    assert everything.n_bits == 24


def test_outputs_that_an_input_position_adds_to() -> None:
    from benchmarks.speed.operations import _outputs_of

    layer = dict(
        height_in=1, width_in=4, height=1, width=4, rows=1, columns=3, stride_y=1, stride_x=1, before_y=0, before_x=1
    )
    np.testing.assert_array_equal(_outputs_of(layer, 4), [2, 3, 3, 2])
    np.testing.assert_array_equal(_outputs_of(layer | {"stride_x": 2, "width": 2}, 4), [1, 2, 1, 1])
    np.testing.assert_array_equal(_outputs_of(layer, 9), np.ones(9))
