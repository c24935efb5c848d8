"""The float layers behind the CPU engine's states, on the device: what is asked for next is computed meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from fkeras.arithmetic.passes import Floats, Ints
from fkeras.engines.cpu.suffix import Suffix
from fkeras.engines.gpu.operations import Array, Values
from fkeras.engines.gpu.program import Device, padded_to, scratch_bytes
from fkeras.metrics.metric import Outputs

MOST_ROWS = 2**15


class DeviceSuffix(Suffix):
    """As `Suffix`; outputs stay on the device until somebody looks at them."""

    def __init__(self, device: Device, end: str) -> None:
        super().__init__(device.network, end)
        self._device = device
        rows = scratch_bytes() // (device.scratch(self.nodes) + device.held(self.side))
        self.rows = int(np.clip(1 << max(0, rows.bit_length() - 1), 1, MOST_ROWS))
        self._run = jax.jit(self._traced)

    def __call__(self, samples: Ints, ends: Floats, golden: Mapping[str, Floats]) -> Outputs:
        """Outputs for k states: ends (k, ...) the end tensor, samples (k,) whose side inputs to use."""
        k = len(ends)
        tensors = {self.end: ends, **{name: golden[name][samples] for name in self.side}}
        filled = {name: np.concatenate([x, np.repeat(x[-1:], padded_to(k) - k, 0)]) for name, x in tensors.items()}
        outputs = tuple(part[:k] for part in self._run(filled, self._device.values))
        return outputs[0] if len(outputs) == 1 else outputs

    def _traced(self, tensors: Mapping[str, Array], values: Values) -> tuple[Any, ...]:
        results = self._device.compute(self.nodes, tensors, values)
        return tuple(results[name] for name in self._device.network.outputs)
