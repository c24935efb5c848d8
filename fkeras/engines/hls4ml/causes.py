"""Why a layer's result on the chip is not QKeras': the usual suspects, each checked on the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engines.hls4ml.convert import Conversion
from fkeras.engines.hls4ml.precision import FixedType
from fkeras.errors import InputError

SMALL = 1e-5
"""A relative difference that float32 arithmetic explains."""


def cause_of(
    conversion: Conversion,
    layer: str,
    node: str,
    ours: NDArray[Any],
    theirs: NDArray[Any],
    inputs: Sequence[NDArray[Any]],
    is_removed: bool,
    bare: NDArray[Any] | None,
    rows: NDArray[np.int64],
) -> str:
    """The likely cause that `layer`, whose result is that of `node`, is the first to differ.

    ours, theirs: what QKeras and the chip compute, (n_samples, n) each; is_removed: hls4ml has no node for the layer;
    bare: what QKeras computes before the activation inside the layer, which is a node by itself; None without one;
    rows: (n_samples,) the numbers of the samples in the user's data.
    """
    graph = conversion.graph.graph
    nodes = [graph[name] for name in (*conversion.names.get(layer, ()), node) if name in graph]
    place = _first_difference(ours, theirs, rows)
    if is_removed:
        remedy = (
            "use quantized_relu there or alpha=1: the type of a separate scale is always inferred"
            if node.endswith("_alpha")
            else f"state another precision for '{node}'"
        )
        return (
            f"quantizer removed: hls4ml {conversion.version} goes on with the result of '{node}'. It drops a "
            "quantized_bits activation behind a layer of the same type, or of one that it infers ('auto'): "
            f"{remedy}{place}"
        )
    wrong = ours != theirs
    largest = float(np.abs(ours - theirs)[wrong].max())
    sums = [node_before for node_before in nodes if node_before.name != node] if bare is not None else nodes
    for cause in (
        _input_change(conversion, nodes, inputs),
        _overflow(sums, (ours if bare is None else bare)[wrong]),
        _overflow([node_before for node_before in nodes if node_before not in sums], ours[wrong]),
        _constants_change(nodes),
    ):
        if cause:
            return cause + place
    result = _coarsest(nodes)
    scaled = f"{layer}_alpha" in graph
    if scaled and largest <= SMALL * max(1.0, float(np.abs(ours).max())):
        return (
            "separate scale: the chip multiplies with it in fixed point, QKeras in float32; the results are at most "
            f"{largest:g} apart{place}"
        )
    if result is not None and largest <= result.step:
        return (
            f"rounding mode: {result} keeps {result.fraction} bits right of the point and rounds {result.rounding}; "
            f"the results are at most one step of {result.step:g} apart{place}"
        )
    return f"not known; the results are at most {largest:g} apart{place}"


def _first_difference(ours: NDArray[Any], theirs: NDArray[Any], rows: NDArray[np.int64]) -> str:
    sample, element = np.argwhere(ours != theirs)[0]
    return (
        f" (the first: sample {rows[sample]}, element {element}, {ours[sample, element]:g} in QKeras, "
        f"{theirs[sample, element]:g} on the chip)"
    )


def _overflow(nodes: Sequence[Any], values: NDArray[Any]) -> str:
    """Whether values that came out differently are outside of a type that they pass through."""
    for kind in ("accum_t", "result_t"):
        for node in nodes:
            held = fixed_type(node.get_attr(kind).precision if node.get_attr(kind) is not None else None)
            if held is not None and (values.max() > held.highest or values.min() < held.lowest):
                reach = values.max() if values.max() > held.highest else values.min()
                what = "accumulator overflow" if kind == "accum_t" else "result overflow"
                return (
                    f"{what}: QKeras reaches {reach:g}, '{node.name}' has {held}, {held.lowest:g} to {held.highest:g}; "
                    "give it more integer bits"
                )
    return ""


def _coarsest(nodes: Sequence[Any]) -> FixedType | None:
    """The type with the largest step that a result passes through."""
    kinds = ("accum_t", "result_t")
    types = [
        fixed_type(node.get_attr(kind).precision) for node in nodes for kind in kinds if node.get_attr(kind) is not None
    ]
    return max((held for held in types if held is not None), key=lambda held: held.step, default=None)


def _input_change(conversion: Conversion, nodes: Sequence[Any], inputs: Sequence[NDArray[Any]]) -> str:
    """What the type of an input that feeds the layer does to the data."""
    fed = {str(name) for node in nodes for name in node.inputs}
    for variable, x in zip(conversion.graph.get_input_variables(), inputs, strict=True):
        held = fixed_type(variable.type.precision)
        if held is None or variable.name not in fed:
            continue
        changed = int((rounded(x, held) != x).sum())
        if changed:
            return (
                f"input precision: hls4ml reads '{variable.name}' as {held}, which changes {changed:,} of {x.size:,} "
                "values; give the input more bits"
            )
    return ""


def rounded(x: NDArray[Any], held: FixedType) -> NDArray[np.float64]:
    """What a type makes of numbers; ties to even where it rounds."""
    codes = np.asarray(x, np.float64) / held.step
    codes = np.rint(codes) if held.rounding.startswith("RND") else np.floor(codes)
    low, high = held.lowest / held.step, held.highest / held.step
    if held.overflow.startswith("SAT"):
        return np.clip(codes, low, high) * held.step
    return ((codes - low) % (high - low + 1) + low) * held.step


def _constants_change(nodes: Sequence[Any]) -> str:
    """Whether weights without a quantizer are rounded by the type that hls4ml keeps them in."""
    for variable in [variable for node in nodes for variable in node.get_weights()]:
        held = fixed_type(variable.type.precision)
        data = np.asarray(getattr(variable, "data_unquantized", variable.data), np.float64)
        if getattr(variable, "quantizer", None) is None and held is not None and (rounded(data, held) != data).any():
            return (
                f"weight precision: '{variable.name}' has no quantizer, and {held} changes "
                f"{int((rounded(data, held) != data).sum())} of its {data.size} values"
            )
    return ""


def fixed_type(precision: Any) -> FixedType | None:
    """hls4ml's type as ours; None for what is no fixed-point type."""
    if precision is None:
        return None
    try:
        return FixedType.parse(str(precision))
    except InputError:
        return None
