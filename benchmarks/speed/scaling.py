"""Oracle time against the number of bits, of samples and of cores."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.speed.cases import Case
from benchmarks.speed.timing import timed
from fkeras.models import start_run

SHARES = (0.125, 0.25, 0.5, 1.0)
BIT_STRIDE = 8
"""Against samples and cores every eighth word is flipped."""


def against_bits(case: Case) -> list[dict[str, Any]]:
    """All samples, more and more words."""
    return [_one(case, 1.0, share) for share in SHARES]


def against_samples(case: Case) -> list[dict[str, Any]]:
    """A share of the words, more and more samples."""
    return [_one(case, share, 1 / BIT_STRIDE) for share in SHARES]


def _one(case: Case, sample_share: float, bit_share: float) -> dict[str, Any]:
    some = case.part(round(len(case.x) * sample_share))
    run = start_run(some.model, (some.x, some.y), {"metric": some.metric})
    bits = np.concatenate(
        [
            np.arange(start, stop).reshape(-1, tensor.codec.width)[:: round(1 / bit_share)].reshape(-1)
            for tensor, start, stop in zip(
                run.space.tensors, run.space.offsets[:-1], run.space.offsets[1:], strict=True
            )
        ]
    )
    for start in run.space.offsets[:-1]:
        run.flips(np.array([start]))
    took = timed(lambda: [run.flips(bits[part]) for part in run.batches(bits)])
    return {"case": case.name, "bits": len(bits), "samples": len(some.x), "seconds": took.wall, "cpu_seconds": took.cpu}
