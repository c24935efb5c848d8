"""How many operations a network takes, and how many the CPU engine's additions really do."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from benchmarks.speed.cases import Case
from benchmarks.speed.timing import best
from fkeras.models import start_run


def forward_operations(model: Any) -> float:
    """Multiplications and additions of one sample through all kernels."""
    total = 0.0
    for layer in model._flatten_layers(include_self=False):
        for name in ("kernel", "depthwise_kernel"):
            if hasattr(layer, name):
                positions = layer.input_shape if "Transpose" in type(layer).__name__ else layer.output_shape
                total += 2.0 * prod(getattr(layer, name).shape) * prod(positions[1:-1])
    return total


def additions(case: Case, tensor: int, n_samples: int = 64, n_faults: int = 64) -> dict[str, float]:
    """Operations per second that the layer behind a tensor does on real changes, counted exactly."""
    from fkeras.engines.cpu.chain import _packed
    from fkeras.engines.cpu.flow import Golden
    from fkeras.engines.cpu.states import states_of

    some = case.part(n_samples)
    run = start_run(some.model, (some.x, some.y), {"metric": some.metric})
    worker = run.worker(tensor)
    bits = np.arange(*run.space.offsets[tensor : tensor + 2])
    part = next(iter(run.batches(bits)))
    faults = worker.site.faults(run.space, bits[np.random.default_rng(0).choice(part, min(n_faults, len(part)), False)])
    chunk = worker._activations(worker._activations.chunks[0])
    channel = chunk.channel(int(faults.channel[0]), faults)
    link = _packed(worker.chain.links[:1])
    layer, end = link.program.layers[0], link.end_floats
    golden = tuple(np.ascontiguousarray(whole[:, :end]) for whole in chunk.chain)
    seconds = operations = 0.0
    for states in states_of(worker._pointwise, channel, chunk.inputs):
        given = states.values, states.sample, states.changed, channel.number, Golden(channel.golden, *golden)
        seconds += best(lambda: link.flow(*given), 3).wall  # noqa: B023
        changed = states.values != channel.golden[states.sample]
        reached = _outputs_of(layer, states.values.shape[1])
        operations += 2.0 * (changed * reached).sum() * int(layer["channels"])
    return {"gflops": operations / seconds / 1e9, "changed_share": float(changed.mean())}


def _outputs_of(layer: Any, n_positions: int) -> np.ndarray:
    """How many output positions each input position adds to."""
    height, width = int(layer["height_in"]), int(layer["width_in"])
    if height * width != n_positions:
        return np.ones(n_positions)
    along = []
    for size, out, window, stride, before in (
        (height, layer["height"], layer["rows"], layer["stride_y"], layer["before_y"]),
        (width, layer["width"], layer["columns"], layer["stride_x"], layer["before_x"]),
    ):
        first = np.arange(int(out)) * int(stride) - int(before)
        along.append([int(((first <= at) & (at < first + int(window))).sum()) for at in range(size)])
    return np.outer(*along).reshape(-1)
