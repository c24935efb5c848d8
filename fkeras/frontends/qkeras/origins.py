"""Where classes come from that QKeras users meet in model files, so that a message can say what is missing."""

from __future__ import annotations

import json
import re
from typing import Any

_ORIGINS = (
    (
        r"hgq\b.*|HGQ>.*|H(Quantizer|Dense|DenseBatchNorm|Conv[12]D|Conv2DBatchNorm|Activation|Add|Bias)|"
        r"P(Reshape|Flatten|Concatenate|MaxPooling[12]D|AveragePooling[12]D)|FixedPointQuantizer|Signature",
        "HGQ (hgq.layers)",
    ),
    (r"[Vv]itis.*", "Vitis AI's quantizer (vitis_quantize)"),
    (
        r"larq\b.*|Quant(Dense|Conv[123]D(Transpose)?|DepthwiseConv2D|SeparableConv[12]D|LocallyConnected[12]D)|"
        r"SteSign|ApproxSign|SwishSign|MagnitudeAwareSign|SteTern|SteHeaviside|DoReFaQuantizer|WeightClip",
        "larq (larq.layers)",
    ),
    (
        r"Binary(Dense|Conv[12]D)|Ternary(Dense|Conv[12]D)|Clip2?|DropoutNoScale",
        "the BinaryNet scripts (binary_layers.py, ternary_layers.py) that hls4ml's examples use, not from a package",
    ),
    (r"tensorflow_addons\b.*|Addons>.*", "tensorflow_addons"),
    (r"tensorflow_hub\b.*|KerasLayer", "tensorflow_hub, whose layers load a model from elsewhere"),
    (
        r"Quantize(Wrapper(V2)?|Layer|Annotate)|ClusterWeights|.*QuantizeConfig",
        "tensorflow_model_optimization's own quantization or clustering, which is not QKeras'",
    ),
)

_FOR_KERAS_3 = {"hgq": "HGQ2's", "qkeras": "those of QKeras for Keras 3 (qkeras-v3)"}


def origin(name: str, module: Any) -> str:
    """Half a sentence on the package that a class comes from, "" where we do not know it.

    name: the class, as the file has it; module: the module that the file names, or None.
    """
    for pattern, package in _ORIGINS:
        if any(re.fullmatch(pattern, text) for text in (name, name.rpartition(">")[2], str(module))):
            return f". It comes from {package}"
    return ""


def origin_of_keras_3(config: Any) -> str:
    """Half a sentence on the package for Keras 3 whose layers a configuration holds, "" where there is none."""
    modules = set(re.findall(r'"module": "(\w+)', json.dumps(config)))
    names = [name for package, name in _FOR_KERAS_3.items() if package in modules]
    return f", and the layers of this file are {names[0]}, which does not run there" if names else ""
