"""The paper's evaluation: what it samples, keeps and scales."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.paper.bundle import Bundle
from fkeras.memory import BitSpace, FixedPoint, WordTensor

ROOT = Path(__file__).resolve().parents[3]


def memory() -> BitSpace:
    return BitSpace(
        tuple(
            WordTensor(
                name,
                (size,),
                FixedPoint(width, 0),
                np.arange(size, dtype=np.uint32) % 4,
                np.ones(size, np.float32),
                np.zeros(size, np.float32),
            )
            for name, size, width in (("a", 200, 8), ("b", 40, 5), ("c", 3, 4))
        )
    )


def test_sampled_words_are_whole_and_the_same_share_of_every_tensor():
    from benchmarks.paper.cases import sampled_words

    space = memory()
    bits = sampled_words(space, 0.1)
    place = space.locate(bits)
    assert np.bincount(place.tensor).tolist() == [20 * 8, 4 * 5, 1 * 4]
    for tensor, width in enumerate((8, 5, 4)):
        elements, counts = np.unique(place.element[place.tensor == tensor], return_counts=True)
        assert np.all(counts == width)
        assert elements.size == np.bincount(place.tensor)[tensor] // width
    assert np.all(np.diff(bits) > 0)
    assert sampled_words(space, 1).tolist() == list(range(len(space)))


def test_the_judged_words_are_a_memory_in_the_order_of_the_bits():
    from benchmarks.paper.cases import Case, sampled_words

    space = memory()
    bits = sampled_words(space, 0.1)
    none = (np.zeros(0), np.zeros(0))
    case = Case("any", None, space, none, none, "mse", "mse", bits, 1, (), "msb", 0.0, "mse")
    judged = case.judged_space
    assert np.array_equal(judged.bit_positions, space.bit_positions[bits])
    place, inner = space.locate(bits), judged.locate(np.arange(bits.size))
    assert np.array_equal(place.tensor, inner.tensor)
    for number, tensor in enumerate(judged.tensors):
        outer = place.element[place.tensor == number]
        assert np.array_equal(tensor.words[inner.element[inner.tensor == number]], space.tensors[number].words[outer])


def test_what_was_measured_is_not_measured_again(tmp_path):
    from benchmarks.paper.measure import Store

    calls = []

    def measure() -> Bundle:
        calls.append(1)
        return Bundle({"values": np.full(2, len(calls))}, {})

    store = Store(tmp_path)
    first = store.get("oracle", {"data": "x"}, measure)
    assert store.get("oracle", {"data": "x"}, measure).digest == first.digest
    assert store.get("oracle", {"data": "y"}, measure).arrays["values"].tolist() == [2, 2]
    assert len(calls) == 2
    assert first.facts["identity"] == {"data": "x"}


def test_tmr_overhead_is_two_further_copies_of_the_protected_share():
    from benchmarks.paper.design import Design

    design = Design("M", 1000, 2.9, "EMD", 0.5, known=100, ranked=250)
    assert design.overhead(design.known) == pytest.approx(0.2)
    assert design.point.protected_total == 1500
