"""What counts as memory is said in one value, which refuses what nobody means."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.memory import BitSpace, Coverage, FixedPoint, Float, WordTensor


def space(codec, memory="quantizer"):
    tensor = WordTensor("a/kernel", (1,), codec, np.zeros(1, np.uint32), np.ones(1, "f4"), np.zeros(1, "f4"))
    return BitSpace((tensor,), memory=memory)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers": []}, "layers=[]: allowed are a glob"),
        ({"biases": "yes"}, "biases='yes'; write True or False"),
        ({"biases": True, "of": "inputs"}, "biases=True; they are beside weights: write of=['inputs', 'biases']"),
        ({"memory": "chip"}, "memory='chip'; allowed are 'quantizer', 'hls4ml'"),
        ({"memory": ["hls4ml"]}, "memory=['hls4ml']; allowed are 'quantizer', 'hls4ml'"),
        ({"words": "float64"}, "words='float64'; allowed are 'float32', 'float16', 'bfloat16'"),
        ({"words": True}, "words=True; allowed are 'float32', 'float16', 'bfloat16'"),
    ],
)
def test_anything_else_is_refused(fields, message):
    with pytest.raises(InputError) as error:
        Coverage(**fields)
    assert message in str(error.value)


def test_its_text_tells_all_coverages_apart():
    every = [
        Coverage(layers, biases, memory, words)
        for layers in ("*", ["a", "b"])
        for biases in (False, True)
        for memory in (None, "hls4ml")
        for words in (None, "float16")
    ]
    assert len(set(map(str, every))) == len(every)
    assert str(Coverage(["conv*", "!b"], True)) == "conv*,!b with biases"  # part of the names of baselines
    assert Coverage(["a"]) == Coverage(("a",))


@pytest.mark.parametrize(
    ("coverage", "space", "message"),
    [
        (Coverage(memory="hls4ml"), space(FixedPoint(4, 0)), "memory='hls4ml': this model gives the words of 'quantiz"),
        (Coverage(words="float16"), space(Float("float32")), "words='float16': this model gives no such words"),
        (Coverage(memory="hls4ml"), space(FixedPoint(4, 0), "hls4ml"), None),
        (Coverage(), space(FixedPoint(4, 0), "hls4ml"), None),
        (Coverage(words="float32"), space(Float("float32")), None),
    ],
)
def test_a_space_of_other_words_is_not_what_was_asked_for(coverage, space, message):
    if message is None:
        coverage.require_met(space)
        return
    with pytest.raises(InputError) as error:
        coverage.require_met(space)
    assert message in str(error.value)
