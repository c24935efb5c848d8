"""Activation functions that are known by what they are; another function may have the same name."""

from __future__ import annotations

from typing import Any

from fkeras.frontends.qkeras.setup import tensorflow


def is_linear(activation: Any) -> bool:
    """Whether an activation changes nothing."""
    return activation is None or activation is tensorflow().keras.activations.linear


def is_relu(activation: Any) -> bool:
    """Whether an activation is max(x, 0)."""
    tf = tensorflow()
    return activation in (tf.keras.activations.relu, tf.nn.relu)


def is_softmax(activation: Any) -> bool:
    """Whether an activation is the softmax."""
    tf = tensorflow()
    return activation in (tf.keras.activations.softmax, tf.nn.softmax)


def is_of_qkeras(quantizer: Any, kind: str) -> bool:
    """Whether a quantizer is QKeras' own of this name."""
    return type(quantizer).__name__ == kind and type(quantizer).__module__.split(".")[0] == "qkeras"
