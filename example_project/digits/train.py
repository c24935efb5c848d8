"""Train the digits network and save it without its optimizer.

python -m digits.train                                            replaces digits/digits.h5
python -m digits.train --seed 7 --out /tmp/again.h5               an equal retraining
python -m digits.train --integer-bits -3 --out /tmp/narrow.h5     the same memory, worse weights
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # QKeras needs Keras 2, chosen before TensorFlow is imported

import numpy as np
from qkeras import QActivation, QConv2D, QDense, quantized_bits, quantized_relu
from tensorflow import keras

from digits import data

WORD_BITS = 6
MODEL_FILE = Path(__file__).with_name("digits.h5")


def build(integer_bits: int = 0) -> keras.Model:
    """8x8x1 -> conv 8 (3x3) -> conv 16 (3x3, stride 2) -> dense 10 logits: 2,664 six-bit kernel words."""

    def weights() -> dict[str, quantized_bits]:
        return {
            "kernel_quantizer": _kernel_quantizer(integer_bits),
            "bias_quantizer": quantized_bits(8, 1, alpha=1),
        }

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 8, 1), name="image"),
            QActivation(quantized_bits(5, 1, keep_negative=0, alpha=1), name="pixels"),
            QConv2D(8, 3, padding="same", name="conv1", **weights()),
            QActivation(quantized_relu(8, 1), name="relu1"),
            QConv2D(16, 3, strides=2, name="conv2", **weights()),
            QActivation(quantized_relu(8, 1), name="relu2"),
            layers.Flatten(name="flatten"),
            QDense(10, name="logits", **weights()),
        ],
        name="digits",
    )


def _kernel_quantizer(integer_bits: int) -> quantized_bits:
    if integer_bits >= 0:
        return quantized_bits(WORD_BITS, integer_bits, alpha=1)
    # QKeras cannot compute with negative integer bits; a power of two as scale gives the same range and step.
    return quantized_bits(WORD_BITS, 0, alpha=2.0**integer_bits)


def train(integer_bits: int, seed: int, epochs: int) -> keras.Model:
    """Train with Adam and a decaying learning rate; the same seed gives the same network on one machine."""
    keras.utils.set_random_seed(seed)
    images, labels = data.training_set()
    model = build(integer_bits)
    batch_size = 32
    steps = epochs * -(-len(images) // batch_size)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(images, labels, batch_size=batch_size, epochs=epochs, verbose=2)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--integer-bits", type=int, default=0, help="kernels lie in [-2^N, 2^N) (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--out", type=Path, default=MODEL_FILE)
    arguments = parser.parse_args()

    model = train(arguments.integer_bits, arguments.seed, arguments.epochs)
    images, labels = data.test_set()
    accuracy = np.mean(model.predict(images, verbose=0).argmax(axis=1) == labels)
    model.save(arguments.out, include_optimizer=False, save_format="h5")
    print(f"test accuracy {accuracy:.4f}, saved {arguments.out} ({arguments.out.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
