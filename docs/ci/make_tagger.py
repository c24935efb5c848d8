"""The tutorial's network and data: tagger.h5 and validation.npz, trained on scikit-learn's digits in a few seconds."""

from __future__ import annotations

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # for QKeras, before TensorFlow is imported

import numpy as np
import tf_keras as keras
from qkeras import QActivation, QDense
from sklearn.datasets import load_digits

keras.utils.set_random_seed(1)
digits = load_digits()
x, y = (digits.data / 16).astype(np.float32), digits.target
model = keras.Sequential(
    [
        keras.Input((64,)),
        QDense(32, kernel_quantizer="quantized_bits(6,0,alpha=1)", bias_quantizer="quantized_bits(6,0,alpha=1)"),
        QActivation("quantized_relu(6,2)"),
        QDense(10, kernel_quantizer="quantized_bits(6,0,alpha=1)", bias_quantizer="quantized_bits(6,0,alpha=1)"),
    ],
    name="tagger",
)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"])
model.fit(x[:1300], y[:1300], epochs=60, verbose=0)
model.save("tagger.h5")
np.savez("validation.npz", x=x[1300:], y=y[1300:])
print("accuracy on the validation data", model.evaluate(x[1300:], y[1300:], verbose=0)[1])
