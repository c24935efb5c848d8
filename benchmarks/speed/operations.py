"""How many operations a network takes."""

from __future__ import annotations

from math import prod
from typing import Any


def forward_operations(model: Any) -> float:
    """Multiplications and additions of one sample through all kernels."""
    total = 0.0
    for layer in model._flatten_layers(include_self=False):
        for name in ("kernel", "depthwise_kernel"):
            if hasattr(layer, name):
                positions = layer.input_shape if "Transpose" in type(layer).__name__ else layer.output_shape
                total += 2.0 * prod(getattr(layer, name).shape) * prod(positions[1:-1])
    return total
