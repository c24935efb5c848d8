"""Code that a model file brings along, or names: refused unless it is known to compute and nothing else.

A Lambda layer holds code. A layer that stands for a call of TensorFlow (`x + 1`, `tf.reshape(x, ...)`) names a
function, and TensorFlow has functions that write files and load libraries; loading the model calls it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fkeras.errors import ModelError

_KNOWN_PACKAGES = ("builtins", "fkeras", "keras", "qkeras", "tensorflow_model_optimization", "tf_keras")
_LAMBDAS = ("Lambda", "__lambda__")
_CALLS = ("TFOpLambda", "SlicingOpLambda")
"""Layers whose configuration names a function of TensorFlow."""
_ANY_CALLS = ("ClassMethod", "TensorFlowOpLayer")
"""Layers that can call anything, and that Keras writes for few models."""
_COMPUTING_MODULES = ("__operators__", "linalg", "math", "nn", "signal")
_COMPUTING = {
    *("abs", "add", "add_n", "argmax", "argmin", "argsort", "batch_to_space", "boolean_mask", "broadcast_to", "cast"),
    *("ceil", "clip_by_norm", "clip_by_value", "complex", "concat", "convert_to_tensor", "cos", "cosh", "cumsum"),
    *("depth_to_space", "divide", "einsum", "equal", "exp", "expand_dims", "eye", "fill", "floor", "gather"),
    *("gather_nd", "greater", "greater_equal", "identity", "less", "less_equal", "logical_and", "logical_not"),
    *("logical_or", "matmul", "maximum", "meshgrid", "minimum", "multiply", "negative", "norm", "not_equal", "one_hot"),
    *("ones", "ones_like", "pad", "pow", "range", "rank", "realdiv", "reduce_all", "reduce_any", "reduce_max"),
    *("reduce_mean", "reduce_min", "reduce_prod", "reduce_sum", "repeat", "reshape", "reverse", "roll", "round"),
    *("shape", "sigmoid", "sign", "sin", "sinh", "size", "slice", "sort", "space_to_batch", "space_to_depth", "split"),
    *("sqrt", "square", "squeeze", "stack", "stop_gradient", "strided_slice", "subtract", "tan", "tanh", "tensordot"),
    *("tile", "transpose", "truediv", "unstack", "where", "zeros", "zeros_like"),
}


def refuse_code(config: Any, file: Path, custom_objects: Mapping[str, Any]) -> None:
    """ModelError when loading the file would run code that it brings along, or call or import what it merely names."""
    for entry in _entries(config):
        kind, inner, module = str(entry["class_name"]), entry.get("config"), entry.get("module")
        code = _code_in(kind.split(".")[-1], inner if isinstance(inner, dict) else {})
        if code:
            raise ModelError(
                f"{file}: holds code ({code}) that would run when the model is loaded or used; if you trust where "
                "the file comes from, pass trusted=True"
            )
        wanted = str(inner) if kind == "function" else str(entry.get("registered_name") or kind)
        if module is not None and str(module).split(".")[0] not in _KNOWN_PACKAGES and wanted not in custom_objects:
            raise ModelError(
                f"{file}: asks for '{wanted}' of module '{module}'; pass it in "
                f"custom_objects={{'{wanted}': ...}}, or, if you trust where the file comes from, pass "
                "trusted=True to import the module"
            )


def _code_in(kind: str, config: Mapping[str, Any]) -> str:
    """What a layer would run, "" where that is known to compute only."""
    name = f" '{config['name']}'" if config.get("name") else ""
    if kind in _LAMBDAS:
        return f"Lambda layer{name}" if name else "a lambda"
    if kind in _ANY_CALLS:
        return f"{kind} layer{name}"
    if kind in _CALLS and not _computes(str(config.get("function"))):
        return f"{kind} layer{name} that calls tf.{config.get('function')}"
    return ""


def _computes(symbol: str) -> bool:
    """Whether a function of TensorFlow only computes from its arguments."""
    home, _, name = symbol.removeprefix("compat.v1.").rpartition(".")
    return home.split(".")[0] in _COMPUTING_MODULES or (not home and name in _COMPUTING)


def _entries(config: Any) -> Iterator[dict[str, Any]]:
    """Every object description inside a configuration."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        for value in config.values():
            yield from _entries(value)
    elif isinstance(config, list):
        for value in config:
            yield from _entries(value)
