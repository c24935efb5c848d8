"""What a Keras 3 model computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.frontends.keras3.setup import array, keras

_SAMPLES = 512


def outputs_of(model: Any, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """The outputs of a model in inference, in order."""
    structure = (getattr(model, "_functional", None) or model)._inputs_struct
    parts = []
    for start in range(0, len(inputs[0]), _SAMPLES):
        chunk = [keras().ops.convert_to_tensor(x[start : start + _SAMPLES]) for x in inputs]
        outputs = model(keras().tree.pack_sequence_as(structure, chunk), training=False)
        parts.append([array(output) for output in keras().tree.flatten(outputs)])
    return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
