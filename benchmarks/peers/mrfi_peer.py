"""MRFI: injects into weights on every forward pass, at fixed positions."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import mrfi
import numpy as np
from mrfi import MRFI, EasyConfig

from benchmarks.peers.twin import Twin, Word

KINDS = ["Conv2d", "Linear"]


class Words:
    """Values as int8 words of one grid; MRFI's own fixed point scales by 127/4, which is no power of two."""

    step = 1.0

    @classmethod
    def quantize(cls, x: Any) -> None:
        """To whole steps."""
        x.div_(cls.step).round_()

    @classmethod
    def dequantize(cls, x: Any) -> None:
        """From whole steps."""
        x.mul_(cls.step)


class Mrfi:
    """Its `FixPositions` and `IntFixedBitFlip`."""

    def __init__(self, twin: Twin) -> None:
        self.name = f"MRFI {version('MRFI')}, fixed positions"
        self._twin = twin
        (Words.step,) = {tensor.codec.step * float(np.unique(tensor.scale)[0]) for tensor in twin.space.tensors}
        mrfi.add_function("fkeras_words", Words)
        injection = {
            "type": "weight",
            "name": ["weight"],
            "module_type": KINDS,
            "quantization": {"method": "fkeras_words", "layerwise": False},
            "selector": {"method": "FixPositions", "positions": []},
            "error_mode": {"method": "IntFixedBitFlip", "bit_width": 8, "bit": []},
        }
        self._model = MRFI(twin.model(), EasyConfig({"faultinject": [injection]}))
        self._shapes = [tuple(layer.weight.shape) for layer in twin.model() if hasattr(layer, "weight")]
        self._positions, self._bits = (
            self._model.get_configs(f"weights.0.{part}", module_type=KINDS) for part in ("selector", "error_mode")
        )

    def accuracy(self, words: Sequence[Word]) -> float:
        """The twin's with faulty words."""
        for layer, shape in enumerate(self._shapes):
            here = [word for word in words if word.layer == layer]
            self._positions[layer].args.positions = [int(np.ravel_multi_index(word.index, shape)) for word in here]
            self._bits[layer].args.bit = [word.bit for word in here]
        return self._twin.accuracy(self._model)
