"""Our EMD against one `ot.emd2` call per sample, as a campaign uses it, on one core.

Real wafers, sparse and busy, behind ECON-T Medium with single bits flipped; and made-up ones: 48 hexagonal cells, about
2 hit (sparse) or 20 (busy), outputs that blur them, faults that deform all outputs. Binding solves the golden problem
once and is reported apart, as a campaign spreads it over all its faults.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("POT_BACKEND_DISABLE_TENSORFLOW", "1")

import numpy as np
import ot

from fkeras.metrics import emd

Wafers = dict[str, np.ndarray]
N_SAMPLES, N_FAULTS, N_CALLS, REPEATS = 1000, 20, 1000, 3


def made_up(n_hit: int, n_samples: int = N_SAMPLES, n_faults: int = N_FAULTS, seed: int = 0) -> Wafers:
    """Made-up wafers with n_hit of 48 hexagonal cells hit on average."""
    rng = np.random.default_rng(seed)
    coordinates = np.array([[2.0 * x + y % 2, np.sqrt(3.0) * y] for y in range(6) for x in range(8)])
    near = np.exp(-ot.dist(coordinates, coordinates, "euclidean") / 2)
    target = np.floor(rng.exponential(60.0, (n_samples, 48)) + 1) * (rng.random((n_samples, 48)) < n_hit / 48)
    target[np.arange(n_samples), rng.integers(0, 48, n_samples)] += 50.0
    golden = (target / target.sum(axis=1, keepdims=True)) @ near + 0.02 * rng.random((n_samples, 48))
    size = 10.0 ** rng.uniform(-3, 0, (n_faults, n_samples, 1))
    pattern = rng.standard_normal((n_faults, 1, 48)) @ near
    faulty = golden * np.exp(np.clip(size * pattern, -5, 5))
    return {
        "coordinates": coordinates,
        "cells": np.arange(48),
        "target": target,
        "golden": golden.astype(np.float32),
        "faulty": faulty.astype(np.float32),
    }


def measure(case: Wafers, n_calls: int = N_CALLS, repeats: int = REPEATS, seed: int = 0) -> dict[str, Any]:
    """Microseconds per sample of ours and of ot.emd2, their ratio, and their largest difference."""
    target, faulty, cells = case["target"].astype(np.float64), case["faulty"], case["cells"]
    metric = emd(case["coordinates"], cells=cells, threads=1)
    metric.bind(target[:2], case["golden"][:2]).score(faulty[0, :2], slice(0, 2))  # compile
    started = time.perf_counter()
    scorer = metric.bind(target, case["golden"])
    bind_seconds = time.perf_counter() - started

    ours = np.inf
    for _ in range(repeats):
        started = time.perf_counter()
        values = [scorer.score(outputs, slice(None)).values for outputs in faulty]
        ours = min(ours, time.perf_counter() - started)
    ours /= faulty.shape[0] * faulty.shape[1]

    distance = ot.dist(case["coordinates"], case["coordinates"], "euclidean")
    rng = np.random.default_rng(seed)
    theirs, error = 0.0, 0.0
    for _ in range(n_calls):
        fault, sample = rng.integers(faulty.shape[0]), rng.integers(faulty.shape[1])
        source = target[sample] / target[sample].sum()
        output = faulty[fault, sample][cells].astype(np.float64)
        if output.min() < 0 or not 0 < output.sum() < np.inf:
            continue
        output /= output.sum()
        started = time.perf_counter()
        value = ot.emd2(source, output, distance)
        theirs += (time.perf_counter() - started) / n_calls
        error = max(error, abs(value - values[fault][sample]))
    return {
        "cells_hit": float((target > 0).sum(axis=1).mean()),
        "bind_us": 1e6 * bind_seconds / len(target),
        "ours_us": 1e6 * ours,
        "emd2_us": 1e6 * theirs,
        "ratio": theirs / ours,
        "largest_difference": float(error),
    }


def real(data: Path, wafers: str) -> Wafers:
    """Validation ("sparse") or CALQ_output ("busy") wafers behind ECON-T Medium, without and with wrong bits."""
    import fkeras
    from benchmarks.speed.cases import econ_t, images_of

    case = econ_t(data, "medium").part(N_SAMPLES)
    assert case.geometry is not None
    x, charges = case.x, case.y
    if wafers == "busy":
        charges = np.loadtxt(data / "hgcal/CALQ_output.csv.gz", delimiter=",", skiprows=1, max_rows=N_SAMPLES)
        x = images_of(charges.astype(np.float32), np.load(data / "hgcal/geometry.npz"))
    space = fkeras.bit_space(case.model)
    faulty = []
    for bit in np.random.default_rng(0).choice(len(space), N_FAULTS, replace=False):
        with fkeras.injected(case.model, fkeras.FaultSet([int(bit)]), space) as view:
            faulty.append(view.predict(x).reshape(len(x), -1))
    return {
        "coordinates": case.geometry[0],
        "cells": case.geometry[1],
        "target": charges,
        "golden": case.model.predict(x, verbose=0).reshape(len(x), -1),
        "faulty": np.stack(faulty),
    }


def measured(data: Path | None) -> list[dict[str, Any]]:
    """Sparse and busy wafers, made up and, with data, real."""
    cases = [("made up, sparse", made_up(1)), ("made up, busy", made_up(20))]
    if data is not None:
        cases += [(f"real, {wafers}", real(data, wafers)) for wafers in ("sparse", "busy")]
    return [{"wafers": name, **measure(case)} for name, case in cases]
