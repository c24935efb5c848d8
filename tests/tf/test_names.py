"""Names that TensorFlow cannot compute under are refused in a sentence, with a remedy that works."""

from __future__ import annotations

import pytest

import fkeras
from fkeras.errors import ModelError
from fkeras.frontends.qkeras.setup import qkeras, tensorflow

Q4 = "quantized_bits(4,0,1,alpha=1)"


def named(name: str):
    keras = tensorflow().keras
    inputs = keras.Input((4,))
    return keras.Model(inputs, qkeras().QDense(2, kernel_quantizer=Q4, name="out")(inputs), name=name)


@pytest.mark.parametrize("name", ["a model", "модель", "-m", "m\x1b[2J", "m:0", "100%"])
def test_a_name_that_tensorflow_refuses(name):
    with pytest.raises(ModelError, match=r"the model is called .* save it under another one") as caught:
        fkeras.bit_space(named(name))
    assert "\x1b" not in str(caught.value)
    keras, model = tensorflow().keras, named(name)
    assert len(fkeras.bit_space(keras.Model(model.inputs, model.outputs, name="renamed"))) == 32


@pytest.mark.parametrize("name", ["m/n", "m-2", "M.1", "a>b", "9"])
def test_a_name_that_tensorflow_takes(name):
    assert len(fkeras.bit_space(named(name))) == 32
