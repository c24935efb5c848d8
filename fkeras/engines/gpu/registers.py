"""Registers on the device: what is read where bits of their words are wrong, in all samples or in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from fkeras.engines.gpu.operations import Array
from fkeras.engines.gpu.program import padded_to
from fkeras.errors import InputError
from fkeras.faults import FaultSet
from fkeras.faults.register_patch import RegisterPatch
from fkeras.memory import BitSpace, FixedPoint, MixedFixedPoint, Register

MOST_BITS, MOST_BITS_OF_TABLES = 31, 16
"""Of a fixed-point word, so that int32 holds whatever it means; and of one all of whose meanings are looked up."""
Masks = dict[str, NDArray[np.int32]]
"""Of one register under several fault sets, (sets, places): `always` and `once` are elements, `sample` says which has
the latter; `flips`, `ones` and `zeros` of both, one behind the other. Places that are too many name no element."""
Read = Callable[[Array, Array, Mapping[str, Array]], Array]
"""(values, what their words mean, masks of one fault set) -> what is read."""


def why_not(register: Register) -> str:
    """Why the device cannot read a register, "" where it can."""
    if register.limits is not None:
        return "is read through limits"
    most = MOST_BITS if _counts(register) else MOST_BITS_OF_TABLES
    return f"has words of more than {most} bits" if int(np.max(register.codec.width, initial=0)) > most else ""


def _counts(register: Register) -> bool:
    """Whether its words are numbers of steps, a power of two each."""
    codec = register.codec
    one_scale = isinstance(codec, FixedPoint) and np.frexp(register.scale)[0] == 0.5
    return one_scale or isinstance(codec, MixedFixedPoint)  # those of mixed width have no scale


def why_no_words(register: Register, values: NDArray[np.float32]) -> str:
    """Why a register cannot hold some numbers, "" where it can."""
    elements, none = np.tile(np.arange(register.size), len(values)), np.zeros(values.size, np.uint32)
    try:
        register.faulty(values.reshape(-1), elements, none, none, none)
    except InputError:
        return "is to hold data that its words do not mean"
    return ""


def masks_of(
    space: BitSpace, registers: Sequence[Register], faults: Sequence[FaultSet], rows: slice
) -> dict[str, Masks]:
    """By path of the register, what some fault sets do to its words in the samples `rows`."""
    patches = [{patch.register.path: patch for patch in fault.register_patches(space)} for fault in faults]
    return {
        register.path: _stacked(register, [each.get(register.path) for each in patches], rows) for register in registers
    }


def _stacked(register: Register, patches: Sequence[RegisterPatch | None], rows: slice) -> Masks:
    always = [np.zeros((4, 0), np.int64) if patch is None else _always(patch) for patch in patches]
    once = [np.zeros((5, 0), np.int64) if patch is None else _once(patch, rows) for patch in patches]
    n = padded_to(len(patches))
    whole, part = (_filled(columns, n, register.size) for columns in (always, once))
    parts = {"always": whole[0], "once": part[0], "sample": part[4]}
    for number, name in enumerate(("flips", "ones", "zeros"), 1):
        parts[name] = np.concatenate([whole[number], part[number]], axis=1)
    return {name: array.astype(np.uint32).view(np.int32) for name, array in parts.items()}


def _filled(columns: Sequence[NDArray[np.int64]], n: int, nowhere: int) -> NDArray[np.int64]:
    """(rows, places) each as (rows, n, most places)."""
    most = padded_to(max(1, *(part.shape[1] for part in columns)))
    whole = np.zeros((len(columns[0]), n, most), np.int64)
    whole[0] = nowhere
    for number, part in enumerate(columns):
        whole[:, number, : part.shape[1]] = part
    return whole


def _always(patch: RegisterPatch) -> NDArray[np.int64]:
    return np.stack([patch.elements, *(part.astype(np.int64) for part in (patch.flips, patch.ones, patch.zeros))])


def _once(patch: RegisterPatch, rows: slice) -> NDArray[np.int64]:
    """Elements, what happens to them in all, and samples, counted from the first of `rows`."""
    here = (patch.samples >= rows.start) & (patch.samples < rows.stop)
    samples, elements = patch.samples[here] - rows.start, patch.sample_elements[here]
    masks = np.stack([patch.sample_flips[here], *np.zeros((2, samples.size), np.uint32)]).astype(np.int64)
    place = np.searchsorted(patch.elements, elements)
    both = np.flatnonzero(np.append(patch.elements, -1)[np.minimum(place, patch.elements.size)] == elements)
    for mask, lasting in zip(masks, (patch.flips, patch.ones, patch.zeros), strict=True):
        mask[both] ^= lasting[place[both]]
    return np.concatenate([elements[None], masks, samples[None]])


def reads_of(register: Register) -> Read:
    """What is read of a register."""
    faulty = _fixed(register) if _counts(register) else _levels(register)

    def read(values: Array, words: Array, masks: Mapping[str, Array]) -> Array:
        held, result = (x.reshape(len(x), register.size) for x in (words, values))
        always, once, sample = masks["always"], masks["once"], masks["sample"]
        whole, part = ([masks[name][at] for name in ("flips", "ones", "zeros")] for at in _halves(always.size))
        result = result.at[:, always].set(faulty(held[:, always], always, *whole), mode="drop")
        result = result.at[sample, once].set(faulty(held[sample, once], once, *part), mode="drop")
        return result.reshape(values.shape)

    return read


def _halves(n: int) -> tuple[slice, slice]:
    return slice(0, n), slice(n, None)


def _fixed(register: Register) -> Callable[..., Array]:
    codec = register.codec
    assert isinstance(codec, FixedPoint | MixedFixedPoint)
    width, integer, signed = (np.asarray(part, np.int64) for part in (codec.width, codec.integer, codec.signed))
    step = (np.ldexp(1.0, integer + signed - width) * register.scale).astype(np.float32)
    inverse, low_bits = (1 / step).astype(np.float32), ((1 << width) - 1).astype(np.int32)
    sign = np.where(signed & (width > 0), 1 << np.maximum(width - 1, 0), 0).astype(np.int32)

    def faulty(x: Array, elements: Array, flips: Array, ones: Array, zeros: Array) -> Array:
        per_step, steps, low, top = (
            part if part.ndim == 0 else jnp.asarray(part)[elements] for part in (inverse, step, low_bits, sign)
        )
        code = jnp.rint(x * per_step).astype(jnp.int32)
        held = code & low
        wrong = (held ^ flips | ones) & ~zeros
        return (code + ((wrong ^ top) - top) - ((held ^ top) - top)).astype(jnp.float32) * steps

    return faulty


def _levels(register: Register) -> Callable[..., Array]:
    """By tables: the word of the nearest level, and what each word means."""
    codec = register.codec
    assert not isinstance(codec, MixedFixedPoint)
    meanings = codec.decode(np.arange(1 << codec.width, dtype=np.uint32))
    levels = np.unique(meanings)
    between = ((levels[1:] + levels[:-1]) / 2 * register.scale).astype(np.float32)
    words, values = codec.encode(levels).astype(np.int32), (meanings * register.scale).astype(np.float32)

    def faulty(x: Array, elements: Array, flips: Array, ones: Array, zeros: Array) -> Array:
        held = jnp.asarray(words)[jnp.searchsorted(jnp.asarray(between), x)]
        return jnp.asarray(values)[(held ^ flips | ones) & ~zeros]

    return faulty
