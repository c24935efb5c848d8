"""MRFI: injects on every forward pass, at fixed positions."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import mrfi
import numpy as np
from mrfi import MRFI, EasyConfig

from benchmarks.peers.twin import ROWS, Twin

KINDS = ["Conv2d", "Linear"]


class Words:
    """Values as words of one grid; MRFI's own fixed point scales by 127/4, which is no power of two."""

    @classmethod
    def quantize(cls, x: Any, step: float) -> None:
        """To whole steps."""
        x.div_(step).round_()

    @classmethod
    def dequantize(cls, x: Any, step: float) -> None:
        """From whole steps."""
        x.mul_(step)


def injection(kind: str, step: float, width: int, modules: list[str]) -> dict[str, Any]:
    """MRFI's words for faults of a kind in words of a width; none yet."""
    mrfi.add_function("fkeras_words", Words)
    return {
        "type": kind,
        "module_type": modules,
        "quantization": {"method": "fkeras_words", "layerwise": False, "step": step},
        "selector": {"method": "FixPositions", "positions": []},
        "error_mode": {"method": "IntFixedBitFlip", "bit_width": width, "bit": []},
    }


class Mrfi:
    """Its `FixPositions` and `IntFixedBitFlip` in weights."""

    def __init__(self, twin: Twin) -> None:
        self.name = f"MRFI {version('MRFI')}, fixed positions"
        self._twin = twin
        (step,) = {tensor.codec.step * float(np.unique(tensor.scale)[0]) for tensor in twin.space.tensors}
        config = injection("weight", step, 8, KINDS) | {"name": ["weight"]}
        self._model = MRFI(twin.model(), EasyConfig({"faultinject": [config]}))
        self._shapes = [tuple(layer.weight.shape) for layer in twin.model() if hasattr(layer, "weight")]
        self._positions, self._bits = (
            self._model.get_configs(f"weights.0.{part}", module_type=KINDS) for part in ("selector", "error_mode")
        )

    def accuracy(self, bits: Sequence[int]) -> float:
        """The twin's with flipped bits."""
        words = self._twin.words(bits)
        for layer, shape in enumerate(self._shapes):
            here = [word for word in words if word.layer == layer]
            self._positions[layer].args.positions = [int(np.ravel_multi_index(word.index, shape)) for word in here]
            self._bits[layer].args.bit = [word.bit for word in here]
        return self._twin.accuracy(self._model)


class MrfiNeurons:
    """The same in what the twin's quantizers make; the images' number is a multiple of a call's."""

    def __init__(self, twin: Twin) -> None:
        self.name = f"MRFI {version('MRFI')}, fixed positions"
        self._twin = twin.channels_first  # the only order that it can index
        ((step, width),) = {(one.codec.step, one.codec.width) for one in twin.registers.registers}
        # These words have no sign; MRFI takes the top bit for one.
        config = injection("activation_out", step, width + 1, ["Rounded"])
        self._model = MRFI(self._twin.model(), EasyConfig({"faultinject": [config]}))
        self._shapes = [tuple(np.roll(register.shape, 1)) for register in twin.registers.registers]
        self._positions, self._bits = (
            self._model.get_configs(f"activation_out.0.{part}", module_type="Rounded")
            for part in ("selector", "error_mode")
        )
        self._rows = next(rows for rows in range(ROWS, 0, -1) if len(twin.y) % rows == 0)

    def accuracy(self, bits: Sequence[int]) -> float:
        """The twin's with flipped bits of activations."""
        neurons = self._twin.neurons(bits)
        for layer, shape in enumerate(self._shapes):
            here = [one for one in neurons if one.layer == layer]
            places = [int(np.ravel_multi_index(one.index, shape)) for one in here]
            of_image = range(0, self._rows * int(np.prod(shape)), int(np.prod(shape)))
            self._positions[layer].args.positions = [first + place for first in of_image for place in places]
            self._bits[layer].args.bit = [one.bit for one in here] * self._rows
        return self._twin.accuracy(self._model, self._rows)
