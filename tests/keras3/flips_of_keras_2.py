"""What single flips do to models of QKeras 0.9, measured by it on Keras 2: what QKeras on Keras 3 must give, too.

`python tests/keras3/flips_of_keras_2.py` in its environment, beside the shared data, writes `flips_of_keras_2.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import fkeras

MODELS = ("econ_t_small", "econ_t_medium", "econ_t_large", "rn07_cifar10")
TRUTH = Path(__file__).with_suffix(".json")


def damage(path: Path, engine: str) -> list[float]:
    """The mean squared outputs of a model on random images, without a fault and with each of some flips."""
    model = fkeras.load_model(path)
    generator = np.random.default_rng(0)
    x = (generator.integers(0, 256, (8, *model.input_shape[1:])) / 256).astype(np.float32)
    y = np.zeros((8, *model.output_shape[1:]), np.float32)
    bits = np.sort(generator.choice(len(fkeras.bit_space(model)), 24, replace=False))
    oracle = fkeras.oracle(model, (x, y), metric="mean_squared_error", bits=bits, engine=engine)
    return [oracle.golden, *oracle.values.tolist()]


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[3] / "shared" / "data" / "models"
    measured = {name: damage(folder / f"{name}.h5", "framework") for name in MODELS}
    TRUTH.write_text(json.dumps(measured, indent=1) + "\n")
