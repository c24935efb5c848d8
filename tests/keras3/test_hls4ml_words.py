"""memory="hls4ml" of HGQ2 models against what hls4ml makes of them, element by element."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest

import fkeras

hls4ml = pytest.importorskip("hls4ml", reason="needs hls4ml 1.3 beside HGQ2: pip install hls4ml")


@pytest.mark.parametrize("name", ["hgq_mlp", "hgq_cnn", "hgq_bn"])
def test_words_and_values(keras3_data: Any, hgq: Any, name: str, tmp_path: Any) -> None:
    model = fkeras.load_model(keras3_data / "models" / f"{name}.keras")
    config = {"Model": {"Precision": "ap_fixed<16,6>", "ReuseFactor": 1, "Strategy": "latency"}}
    project = hls4ml.converters.convert_from_keras_model(
        model, output_dir=str(tmp_path / "project"), backend="Vitis", hls_config=config
    )
    own, wide = (fkeras.bit_space(model, biases=True, memory=memory) for memory in ("quantizer", "hls4ml"))
    arrays = {
        f"{node.name}/{'kernel' if part == 'weight' else part}": weight
        for node in project.get_layers()
        for part, weight in node.weights.items()
    }
    assert [tensor.path for tensor in wide.tensors] == list(arrays)
    for tensor, narrow in zip(wide.tensors, own.tensors, strict=True):
        array, precision = arrays[tensor.path], arrays[tensor.path].type.precision
        codec: Any = tensor.codec
        assert (codec.width, codec.integer + codec.signed, codec.signed) == (
            precision.width, precision.integer, precision.signed,
        )  # fmt: skip
        codes = np.ldexp(np.asarray(array.data, np.float64), precision.fractional).reshape(-1)
        np.testing.assert_array_equal(tensor.words, codes.astype(np.int64) & ((1 << precision.width) - 1))
        np.testing.assert_array_equal(tensor.golden, narrow.golden)  # the values of both memories
    if name == "hgq_bn" and shutil.which("g++"):
        with np.load(keras3_data / f"{name}.npz") as truth:
            x, golden = truth["x16"] / np.float32(16), truth["golden"]
        project.compile()
        outputs = project.predict(np.ascontiguousarray(x.reshape(len(x), *model.input_shape[1:])))
        np.testing.assert_array_equal(outputs.reshape(golden.shape), golden)
