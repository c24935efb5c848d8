"""HGQ2's quantizers of activations, and its lookup tables, as operations; each compared with what it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fkeras.frontends.description import NoOperation, Place, Step, constant
from fkeras.frontends.keras3.words import Format, format_of, unknown_quantizer
from fkeras.network import Quantize
from fkeras.network import Steps as StepFunction
from fkeras.network.operation import Floats, Shape

WIDEST_TABLE = 16
"""Bits of what a table is asked for."""
_PROBES = 256


def quantizer_step(place: Place, quantizer: Any, part: str, shape: Shape) -> Step:
    """A quantizer of activations, samples of a shape. NoOperation for one that is not known."""
    form = _known(quantizer)
    if form.signed.ndim != len(shape) + 1:
        raise NoOperation(f"its {part} was trained for another shape")
    step = _step(place, form, part)
    probes = _probes(form)
    with np.errstate(all="ignore"):
        actual = step.operation.compute(step.constants, probes)
    if not np.array_equal(actual, place.home.evaluate(quantizer, probes)):
        raise NoOperation(f"what its {part} computes is not known")
    return step


def _known(quantizer: Any) -> Format:
    if why := unknown_quantizer(quantizer):
        raise NoOperation(why)
    return format_of(quantizer)


def _limits(form: Format) -> tuple[Any, Any, Any]:
    """step, low and high of each element, in steps; 0 where it has no bits."""
    stored = form.width > 0
    top = np.ldexp(1.0, np.where(stored, form.integer + form.fraction, 0))
    low = -form.signed * (top - (form.overflow == "SAT_SYM"))
    step = np.ldexp(1.0, np.where(stored, -form.fraction, 0))
    return step, np.where(stored, low, 0.0), np.where(stored, top - 1, 0.0)


def _step(place: Place, form: Format, part: str) -> Step:
    limits = _limits(form)
    overflow = "wrap" if form.overflow == "WRAP" else "saturate"
    if all((each == each.flat[0]).all() for each in limits):
        step, low, high = (float(each.flat[0]) for each in limits)
        return Step(part, Quantize(step, low, high, form.rounding, overflow))
    names = [f"{place.path}/{part}/{name}" for name in ("step", "low", "high")]
    constants = {name: constant(each[0]) for name, each in zip(names, limits, strict=True)}
    return Step(part, Quantize(names[0], names[1], names[2], form.rounding, overflow), constants)


def _probes(form: Format) -> Floats:
    """Numbers on both sides of steps of each element, beyond its ends, and at random."""
    step, low, high = _limits(form)
    generator = np.random.default_rng(0)
    shape = (_PROBES, *form.signed.shape[1:])
    levels = np.floor(generator.uniform(low - 4, high + 5, shape))
    steps = ((levels - 0.5) * step).astype(np.float32)
    ends = np.stack([low[0] - 1, low[0] - 0.5, low[0], high[0], high[0] + 0.5, high[0] + 1, 4 * high[0], -4 * high[0]])
    return np.concatenate(
        [
            steps,
            np.nextafter(steps, np.float32(-np.inf)),
            np.nextafter(steps, np.float32(np.inf)),
            (ends * step).astype(np.float32),
            generator.normal(0, 2, shape).astype(np.float32) * (high * step + step).astype(np.float32),
        ]
    )


def table_step(place: Place, quantizer: Any, function: Callable[[Any], Any], part: str, shape: Shape) -> Step:
    """A function of what a quantizer emits, samples of a shape, as a table of everything that this can be."""
    form = _known(quantizer)
    step, low, high = _limits(form)
    finest = float(step.min())
    first, last = float((low * step).min()) / finest, float((high * step).max()) / finest
    if last - first >= 1 << WIDEST_TABLE:
        raise NoOperation(f"its {part} has more than {1 << WIDEST_TABLE:,} entries")
    asked = (np.arange(first, last + 1) * finest).astype(np.float32)
    names = f"{place.path}/{part}/thresholds", f"{place.path}/{part}/levels"
    held = place.home.evaluate(function, asked.reshape(-1, *(1 for _ in shape))).reshape(-1)
    constants = dict(zip(names, map(constant, (asked[1:], held)), strict=True))
    return Step(part, StepFunction(*names), constants)
