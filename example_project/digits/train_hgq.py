"""Train the digits once more, with HGQ2: every weight learns its own width. In an environment of its own.

pip install 'pytest-fkeras[hgq2]' scikit-learn
python -m digits.train_hgq                                        replaces digits/digits_hgq.keras
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from hgq.layers import QDense
from hgq.utils import trace_minmax

from digits import data

MODEL_FILE = Path(__file__).with_name("digits_hgq.keras")


def build(beta: float) -> keras.Model:
    """64 pixels -> dense 24 -> dense 10 logits; beta: what a bit of an operation costs beside the loss."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Flatten(name="flatten"),
            QDense(24, activation="relu", beta0=beta, name="hidden"),
            QDense(10, beta0=beta, name="logits"),
        ],
        name="digits_hgq",
    )


def train(beta: float, seed: int, epochs: int) -> keras.Model:
    """Train with Adam and a decaying learning rate, then take the ranges of the values that occur."""
    keras.utils.set_random_seed(seed)
    images, labels = data.training_set()
    model = build(beta)
    steps = epochs * -(-len(images) // 32)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(images, labels, batch_size=32, epochs=epochs, verbose=2)
    trace_minmax(model, images)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beta", type=float, default=2e-5, help="the price of bits (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--out", type=Path, default=MODEL_FILE)
    arguments = parser.parse_args()

    model = train(arguments.beta, arguments.seed, arguments.epochs)
    images, labels = data.test_set()
    accuracy = np.mean(model.predict(images, verbose=0).argmax(axis=1) == labels)
    keras.Model(model.inputs, model.outputs, name=model.name).save(arguments.out)  # without its optimizer
    print(f"test accuracy {accuracy:.4f}, saved {arguments.out} ({arguments.out.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
