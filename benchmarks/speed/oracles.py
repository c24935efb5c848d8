"""How long the oracle takes, against the naive way in the same process."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numpy as np

import fkeras
from benchmarks.speed.cases import Case
from benchmarks.speed.machine import seconds_since_start
from benchmarks.speed.naive import naive
from benchmarks.speed.operations import forward_operations
from benchmarks.speed.timing import NONE, Seconds, line_through, timed, timed_until
from fkeras.models import start_run
from fkeras.progress import silent

NAIVE_BITS = 3


def counts(case: Case, enough_seconds: float | None) -> dict[str, Any]:
    """The exhaustive oracle: every bit, exact; extrapolated when `enough_seconds` per tensor are given."""
    run = start_run(case.model, (case.x, case.y), {"metric": case.metric})
    offsets = run.space.offsets
    before = naive_seconds(case, run.space)

    def measure(bits: np.ndarray) -> None:
        for part in run.batches(bits):
            run.flips(bits[part])

    ours, sampled = NONE, 0
    for tensor, (start, stop) in enumerate(pairwise(offsets)):
        bits, path = np.arange(start, stop), run.space.tensors[tensor].path
        measure(bits[:1])
        if enough_seconds is None:
            took = timed(lambda: measure(bits))  # noqa: B023
        else:
            batches = [bits[part] for part in run.batches(bits)]
            drawn = [batches[one] for one in np.random.default_rng(tensor).permutation(len(batches))]
            part, n_bits = timed_until(measure, drawn, enough_seconds)
            took, sampled = part * (len(bits) / n_bits), sampled + n_bits
        print(f"  {path}: {len(bits):,} bits, {took.wall:.0f} s", flush=True)
        ours += took
    naive_bit = quicker(before, naive_seconds(case, run.space))
    how = "measured" if enough_seconds is None else f"extrapolated from {sampled:,} bits"
    return line_of(case, f"{case.name}, exact", len(run.space), naive_bit, ours, how)


def sensitive(case: Case, enough_seconds: float | None) -> dict[str, Any]:
    """Yes or no for every bit: does its flip break a prediction?"""
    space, data = fkeras.bit_space(case.model), (case.x, case.y)
    before = naive_seconds(case, space)

    def measure(bits: np.ndarray) -> None:
        fkeras.sensitive_bits(case.model, data, bits=bits, space=space, progress=silent)

    ours, sampled = NONE, 0
    if enough_seconds is None:
        ours = timed(lambda: measure(np.arange(len(space))))
    else:
        for tensor, (start, stop) in enumerate(pairwise(space.offsets)):
            line = line_through(measure, words_of(space, tensor, np.arange(start, stop)), enough_seconds)
            took = line.start + line.per_bit * (stop - start)
            print(f"  {space.tensors[tensor].path}: {stop - start:,} bits, {took.wall:.0f} s", flush=True)
            ours, sampled = ours + took, sampled + line.n_bits
    naive_bit = quicker(before, naive_seconds(case, space))
    how = "measured" if enough_seconds is None else f"extrapolated from {sampled:,} bits"
    return line_of(case, f"{case.name}, yes or no", len(space), naive_bit, ours, how)


def words_of(space: Any, tensor: int, bits: np.ndarray) -> np.ndarray:
    """Words of a tensor in random order, (n, width) bits."""
    return np.random.default_rng(tensor).permutation(bits.reshape(-1, space.tensors[tensor].codec.width))


def naive_seconds(case: Case, space: Any) -> Seconds:
    """Per bit, on a few random bits."""
    measure, bits = naive(case, space), np.random.default_rng(0).choice(len(space), NAIVE_BITS, replace=False)
    if case.geometry is None:
        measure(int(bits[0]))  # compiles
    return timed(lambda: [measure(int(bit)) for bit in bits]) * (1 / NAIVE_BITS)


def quicker(one: Seconds, other: Seconds) -> Seconds:
    """The smaller of two timings, so that a disturbance is not counted for us."""
    return Seconds(min(one.wall, other.wall), min(one.cpu, other.cpu))


def line_of(case: Case, name: str, n_bits: int, naive_bit: Seconds, ours: Seconds, how: str) -> dict[str, Any]:
    """One line of the table."""
    operations = forward_operations(case.model) * len(case.x)
    return {
        "case": name,
        "bits": n_bits,
        "samples": len(case.x),
        "naive_seconds_per_bit": naive_bit.wall,
        "naive_hours": naive_bit.wall * n_bits / 3600,
        "ours_seconds": ours.wall,
        "ours_ms_per_bit": ours.wall / n_bits * 1e3,
        "ratio": naive_bit.wall * n_bits / ours.wall,
        "ratio_of_processor_time": naive_bit.cpu * n_bits / ours.cpu,
        "naive_gflops": operations / naive_bit.wall / 1e9,
        "ours_as_if_gflops": operations * n_bits / ours.wall / 1e9,
        "how": how,
    }


def verdict(case: Case) -> dict[str, Any]:
    """A verdict on 960 flips at once that none fails: cold, imports included, and warm."""
    metric, name = case.metric, case.metric.name
    run = start_run(case.model, (case.x, case.y), {name: metric})
    golden = run.golden[name].value
    limit = golden + 0.97 * (metric.bounds[1] - golden)
    campaign_of(case, limit)
    cold = seconds_since_start()
    return {"failing_share": 0.0, **_verdict(case, limit), "cold_seconds": cold}


def verdict_at(case: Case, failing_share: float) -> dict[str, Any]:
    """The same where this share of all draws fails, as far as 1,000 others tell; warm."""
    data = case.x, case.y
    others = fkeras.campaign(case.model, data, metric=case.metric, faults=960, trials=1000, seed=1, progress=silent)
    limit = float(np.quantile(others.values, 1 - failing_share))
    return {"failing_share": failing_share, **_verdict(case, limit)}


def campaign_of(case: Case, limit: float) -> Any:
    """960 flips at once until the share over the limit is decided."""
    data, limits = (case.x, case.y), {f"max_{case.metric.name}": limit}
    return fkeras.campaign(case.model, data, metric=case.metric, faults=960, limits=limits, progress=silent)


def _verdict(case: Case, limit: float) -> dict[str, Any]:
    started = time.perf_counter()
    result = campaign_of(case, limit)
    seconds = time.perf_counter() - started
    return {
        "case": case.name,
        "samples": len(case.x),
        "verdict": result.verdict(result.plan.requirement).outcome.value,
        "trials": len(result),
        "warm_seconds": seconds,
    }
