"""Seconds, and how to extrapolate them from a stratified sample of bits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Seconds:
    """Wall-clock and processor time; the second is what a busy machine leaves comparable."""

    wall: float
    cpu: float

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall - other.wall, self.cpu - other.cpu)

    def __mul__(self, factor: float) -> Seconds:
        return Seconds(self.wall * factor, self.cpu * factor)


NONE = Seconds(0.0, 0.0)


def timed(work: Callable[[], Any]) -> Seconds:
    """How long a piece of work takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def timed_until(
    measure: Callable[[np.ndarray], Any], batches: list[np.ndarray], enough_seconds: float
) -> tuple[Seconds, int]:
    """How long so many of the batches take as fill these seconds, and how many bits they have."""
    took, n_bits = NONE, 0
    for batch in batches:
        took += timed(lambda: measure(batch))  # noqa: B023
        n_bits += batch.size
        if took.wall >= enough_seconds:
            break
    return took, n_bits


def best(work: Callable[[], Any], repeat: int) -> Seconds:
    """The shortest of some timings."""
    return min((timed(work) for _ in range(repeat)), key=lambda seconds: seconds.wall)


@dataclass(frozen=True, slots=True)
class Line:
    """start + per_bit x bits, through the smallest and the largest sample that were timed."""

    start: Seconds
    per_bit: Seconds
    n_bits: int


def line_through(measure: Callable[[np.ndarray], Any], words: np.ndarray, enough_seconds: float) -> Line:
    """Time `measure` on samples of words, twice as many each time, until one takes `enough_seconds`.

    words (n, width): all bits of some words in random order, so that every sample has every bit position equally often.
    """
    measure(words[:1].reshape(-1))
    size = max(1, min(4, len(words) // 2))
    took = {size: timed(lambda: measure(words[:size].reshape(-1)))}
    while size < len(words) and (took[size].wall < enough_seconds or len(took) < 2):
        size = min(2 * size, len(words))
        took[size] = timed(lambda: measure(words[:size].reshape(-1)))  # noqa: B023
    small, large = min(took), max(took)
    lever = (large - small) * words.shape[1] or words.size
    per_bit = (took[large] - (took[small] if large > small else NONE)) * (1 / lever)
    per_bit = Seconds(max(per_bit.wall, 0.0), max(per_bit.cpu, 0.0))
    start = took[large] - per_bit * (large * words.shape[1])
    return Line(Seconds(max(start.wall, 0.0), max(start.cpu, 0.0)), per_bit, words[:large].size)
