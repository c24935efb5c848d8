"""What `protected=` may be, and which protection of a memory it means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError
from fkeras.faults.joined import Joined
from fkeras.faults.protections import AssumedImmune, Placed, Protection
from fkeras.faults.word_checks import WordCheck
from fkeras.memory import BitSet, BitSpace

Single = BitSet | Sequence[int] | NDArray[np.integer[Any]] | Protection | Placed
Protectable = Single | Sequence[Single] | None


def protection(protected: Protectable, space: BitSpace) -> Protection:
    """Bare bits are assumed immune; None protects nothing; a list joins what is in it. Bits of another layout are
    refused."""
    if is_several(protected):
        parts = tuple(protection(part, space) for part in cast(Sequence[Single], protected))
        return parts[0] if len(parts) == 1 else Joined(parts)
    stated = covering(protected)
    bits = getattr(stated, "bits", None)  # a check covers what it finds in the memory
    if bits is not None:
        space.require_layout(bits.layout_digest, "the protected set")
        space.check(bits.bits)
    placed: Protection = stated.on(space) if callable(getattr(stated, "on", None)) else stated
    return placed


def is_several(protected: Any) -> bool:
    """Whether it is a list of protections, and not one of bits."""
    return (
        isinstance(protected, list | tuple)
        and len(protected) > 0
        and any(isinstance(part, BitSet | np.ndarray | Sequence) or _protects(part) for part in protected)
    )


def covering(protected: Any) -> Any:
    """What `protected` means before the memory is known. InputError where it is no bits and no protection."""
    if protected is None:
        return AssumedImmune(BitSet(np.zeros(0, np.int64), label="nothing"))
    if is_several(protected):
        return [covering(part) for part in protected]
    if isinstance(protected, BitSet | Sequence | np.ndarray) and not isinstance(protected, str):
        try:
            return AssumedImmune(BitSet.of(protected))
        except TypeError as error:  # what numpy makes no number of
            raise InputError(Argument("protected", protected), f": {error}") from None
    if _protects(protected):
        return protected
    raise InputError(
        Argument("protected", protected),
        ": allowed are bits (ranking[:k], flat indices), a protection such as fkeras.TMR(ranking[:k]) or "
        "fkeras.KnownWords(), or a list of several",
    )


def word_check(protected: Any) -> WordCheck | None:
    """The check of words in what `protected` means."""
    parts = protected if is_several(protected) else [protected]
    return next((part for part in parts if isinstance(part, WordCheck)), None)


def _protects(thing: Any) -> bool:
    if isinstance(getattr(thing, "bits", None), BitSet):
        return callable(getattr(thing, "residual", None)) or callable(getattr(thing, "on", None))
    return isinstance(thing, WordCheck)
