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
