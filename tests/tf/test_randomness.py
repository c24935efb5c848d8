"""A layer that gives other outputs at each call is refused by name, before anything is measured."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras
from fkeras.errors import UnsupportedError


def always(layer):
    """A layer called with training=True, whatever the model is called with."""
    return lambda x: layer(x, training=True)


def own(tf, call, name):
    return type("Own", (tf.keras.layers.Layer,), {"call": lambda self, x: call(x)})(name=name)


def jittered(array):
    return array + np.random.rand(*array.shape).astype("f")


RANDOM = {
    "dropout": lambda tf: always(tf.keras.layers.Dropout(0.001, name="odd")),
    "noise": lambda tf: always(tf.keras.layers.GaussianNoise(0.1, name="odd")),
    "gaussian dropout": lambda tf: always(tf.keras.layers.GaussianDropout(0.1, name="odd")),
    "uniform": lambda tf: own(tf, lambda x: x + tf.random.uniform(tf.shape(x), seed=1), "odd"),
    "categorical": lambda tf: own(
        tf, lambda x: x + tf.cast(tf.random.categorical(x, 1, dtype=tf.int32), x.dtype), "odd"
    ),
    "numpy": lambda tf: own(
        tf,
        lambda x: tf.ensure_shape(tf.numpy_function(jittered, [x], tf.float32), x.shape),
        "odd",
    ),
    "inside a function": lambda tf: own(tf, tf.function(lambda x: x + tf.random.normal(tf.shape(x))), "odd"),
    "faults of its own": lambda tf: __import__("fkeras.layers").layers.FQDense(
        4, kernel_quantizer="quantized_bits(4,0,1)", ber=0.01, name="odd"
    ),
}
CALM = {
    "dropout": lambda tf: tf.keras.layers.Dropout(0.5),
    "noise": lambda tf: tf.keras.layers.GaussianNoise(0.5),
    "a fixed seed": lambda tf: own(tf, lambda x: x + tf.random.stateless_uniform(tf.shape(x), (1, 2)), "calm"),
    "numpy": lambda tf: own(
        tf, lambda x: tf.ensure_shape(tf.numpy_function(lambda a: a + 1, [x], tf.float32), x.shape), "calm"
    ),
    "a branch not taken": lambda tf: own(
        tf, lambda x: tf.cond(tf.reduce_sum(x) > 1e30, lambda: x + tf.random.normal(tf.shape(x)), lambda: x), "calm"
    ),
}


def model_with(tf, q, layer):
    kernel = q.quantized_bits(4, 0, alpha=1)
    x = tf.keras.Input((4,))
    y = q.QDense(4, kernel_quantizer=kernel, bias_quantizer=kernel, name="memory")(x)
    y = tf.keras.layers.Dense(3, name="top")(layer(y))
    return tf.keras.Model(x, y)


DATA = np.random.default_rng(1).normal(size=(8, 4)).astype("f"), np.arange(8) % 3


@pytest.mark.parametrize("kind", RANDOM)
def test_random_layers_are_refused(tf, q, kind):
    model = model_with(tf, q, RANDOM[kind](tf))
    where = "model '.*'" if kind == "numpy" else "layer 'odd'"
    space = fkeras.bit_space(model, "memory")
    with pytest.raises(UnsupportedError, match=f"{where} gives other outputs at each call"):
        fkeras.campaign(model, DATA, metric="accuracy", faults=2, trials=2, space=space)
    if kind != "numpy":
        with pytest.raises(UnsupportedError, match="layer 'odd'"):
            fkeras.rank(model, DATA, method="gradient", space=space)


@pytest.mark.parametrize("kind", CALM)
def test_others_are_not(tf, q, kind):
    model = model_with(tf, q, CALM[kind](tf))
    assert len(fkeras.campaign(model, DATA, metric="accuracy", faults=2, trials=2)) == 2
