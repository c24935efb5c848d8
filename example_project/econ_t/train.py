"""Train the ECON-T Medium autoencoder and save it without its optimizer.

python -m econ_t.train                                            replaces econ_t/econ_t_medium.h5
python -m econ_t.train --seed 7 --out /tmp/again.h5               an equal retraining
python -m econ_t.train --integer-bits -4 --out /tmp/narrow.h5     the same memory, worse weights
ECON_T_CSV=wafers.csv python -m econ_t.train --out /tmp/real.h5   on real wafers
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # QKeras needs Keras 2, chosen before TensorFlow is imported

import tensorflow as tf
from qkeras import QActivation, QConv2D, QDense, quantized_bits, quantized_relu
from tensorflow import keras

from econ_t import data, geometry

WORD_BITS = 6
MODEL_FILE = Path(__file__).with_name("econ_t_medium.h5")
CELL_OF_OUTPUT = geometry.cell_of_output()


def build(integer_bits: int = 1) -> keras.Model:
    """8x8x1 wafer -> 16 latent values on the chip (72 + 2,048 six-bit kernel words) -> 8x8x1, decoded in float."""
    wafer = keras.Input((8, 8, 1), name="wafer")
    return keras.Model(wafer, _decoder()(_encoder(integer_bits)(wafer)), name="econ_t_medium")


def _kernel_quantizer(integer_bits: int) -> quantized_bits:
    if integer_bits >= 0:
        return quantized_bits(WORD_BITS, integer_bits, alpha=1)
    # QKeras cannot compute with negative integer bits; a power of two as scale gives the same range and step.
    return quantized_bits(WORD_BITS, 0, alpha=2.0**integer_bits)


def _encoder(integer_bits: int) -> keras.Model:
    def weights() -> dict[str, quantized_bits]:
        return {
            "kernel_quantizer": _kernel_quantizer(integer_bits),
            "bias_quantizer": quantized_bits(WORD_BITS, 1, alpha=1),
        }

    layers = [
        keras.layers.Input((8, 8, 1), name="charge_share"),
        QActivation(quantized_bits(8, 1, keep_negative=0, alpha=1), name="input_bits"),
        QConv2D(8, 3, strides=2, padding="same", name="conv", **weights()),
        QActivation(quantized_relu(8, 1), name="conv_relu"),
        keras.layers.Flatten(name="flatten"),
        # Biased into the range of the ReLU behind it, so that no latent value starts, and stays, at 0.
        QDense(16, name="latent", bias_initializer=keras.initializers.Constant(0.5), **weights()),
        QActivation(quantized_relu(9, 1), name="latent_relu"),
    ]
    return keras.Sequential(layers, name="encoder")


def _decoder() -> keras.Model:
    layers = [
        keras.layers.Input((16,), name="received"),
        keras.layers.Dense(128, activation="relu", name="expand"),
        keras.layers.Reshape((4, 4, 8), name="reshape"),
        keras.layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu", name="upsample"),
        keras.layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid", name="image"),
    ]
    return keras.Sequential(layers, name="decoder")


def smoothed_error(images: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Distance between charge shares (n,), smoothed over neighbours: charge that moves far costs more, as in the EMD.

    With ``d`` the difference of the shares and ``D`` the distances of the cells it is ``sqrt(d^T (max(D) - D) d)``: for
    equal totals the root of the energy distance of the two distributions, and the total is learned as well.
    Without the root, small misplaced charges would hardly count, while the EMD grows linearly with them.
    """
    difference = _cells(images) - _cells(outputs)
    distances = geometry.distances()
    closeness = tf.constant(distances.max() - distances, dtype=difference.dtype)
    squared = tf.reduce_sum(difference * (difference @ closeness), axis=1)
    return tf.sqrt(squared + 1e-4)  # the root's slope at 0 would be infinite


def _cells(images: tf.Tensor) -> tf.Tensor:
    return tf.gather(tf.reshape(images, (-1, geometry.IMAGE_SIDE**2)), CELL_OF_OUTPUT, axis=1)


def train(integer_bits: int, seed: int, epochs: int) -> keras.Model:
    """Train with Adam and a decaying learning rate; the same seed gives the same network on one machine."""
    keras.utils.set_random_seed(seed)
    images = geometry.images(data.training_set())
    model = build(integer_bits)
    batch_size = 128
    steps = epochs * -(-len(images) // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(6e-3, steps)
    model.compile(optimizer=keras.optimizers.Adam(schedule), loss=smoothed_error)
    model.fit(images, images, batch_size=batch_size, epochs=epochs, verbose=2)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--integer-bits", type=int, default=1, help="kernels lie in [-2^N, 2^N) (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--out", type=Path, default=MODEL_FILE)
    arguments = parser.parse_args()

    model = train(arguments.integer_bits, arguments.seed, arguments.epochs)
    images, _ = data.validation_set()
    loss = model.evaluate(images, images, batch_size=len(images), verbose=0)
    model.save(arguments.out, include_optimizer=False, save_format="h5")
    print(f"validation loss {loss:.4f}, saved {arguments.out} ({arguments.out.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
