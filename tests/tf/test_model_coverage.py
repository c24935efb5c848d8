"""The benchmark of coverage sees every model whose words are read, whatever else is asked."""

from __future__ import annotations

import pytest

from benchmarks.model_coverage import Witness
from fkeras.frontends.qkeras import reading


@pytest.mark.parametrize("arguments", [(), ("*", True), ("*", False, "quantizer")])
def test_a_model_is_judged_whatever_is_asked_of_its_words(q, tf, kit, arguments) -> None:
    inputs = tf.keras.Input((4,))
    x = q.QActivation("quantized_bits(6,1,alpha=1)")(inputs)
    kernel = "quantized_bits(5,1,alpha=1)"
    model = kit.randomize(tf.keras.Model(inputs, q.QDense(2, kernel_quantizer=kernel, use_bias=False)(x)))
    witness = Witness()
    space = witness._watching(reading.bit_space)(model, *arguments)
    assert [(row.layers, row.kernels, row.why) for row in witness.rows] == [(3, len(space.tensors), "")]
