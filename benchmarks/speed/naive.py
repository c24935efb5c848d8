"""The naive way: write one flipped weight, run the whole model, score every sample."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

import fkeras
from benchmarks.speed.cases import Case

os.environ.setdefault("POT_BACKEND_DISABLE_TENSORFLOW", "1")


def naive(case: Case, space: Any) -> Callable[[int], Any]:
    """What measures one bit, compiled where it can be."""
    return _emd(case, space) if case.geometry is not None else _mispredictions(case, space)


def _emd(case: Case, space: Any) -> Callable[[int], Any]:
    """Keras' predict, and one `ot.emd2` call a sample."""
    import ot

    assert case.geometry is not None
    coordinates, cells = case.geometry
    distance = ot.dist(coordinates, coordinates, "euclidean")
    source = case.y.astype(np.float64) / case.y.sum(1, keepdims=True)

    def measure(bit: int) -> float:
        with fkeras.injected(case.model, fkeras.FaultSet([bit]), space) as faulty:
            out = np.asarray(faulty.predict(case.x, batch_size=1024)).reshape(len(case.x), -1)[:, cells]
        out = out.astype(np.float64)
        out /= out.sum(1, keepdims=True)
        return float(np.mean([ot.emd2(a, b, distance) for a, b in zip(source, out, strict=True)]))

    return measure


def _mispredictions(case: Case, space: Any) -> Callable[[int], Any]:
    """One pass of the network, batch norms folded, kernels as arguments, compiled by XLA; 500 images a call."""
    from fkeras.frontends.qkeras.forward import Forward, golden_values, patched_values
    from fkeras.frontends.qkeras.setup import tensorflow

    tf = tensorflow()
    forward, golden = Forward(case.model, space), golden_values(space)
    compiled = tf.function(lambda batch, values: forward([batch], values)[0], jit_compile=True)
    parts = [slice(start, start + 500) for start in range(0, len(case.x), 500)]

    def measure(bit: int) -> int:
        values = patched_values(space, golden, fkeras.FaultSet([bit]).patches(space))
        values = [tf.constant(value) for value in values]
        scores = [compiled(tf.constant(case.x[part]), values).numpy() for part in parts]
        return int((np.concatenate(scores).argmax(1) != case.y).sum())

    return measure
