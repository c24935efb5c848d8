"""Where the words of a Keras 3 model enter its computation: a quantizer's output, or a number without a quantizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """A stored tensor; attribute: the quantizer's of its layer, "" where it is a variable."""

    path: str
    layer: Any
    attribute: str
    variable: Any = None


ONE_AT_A_TIME = RLock()
"""Threads may ask one model: while its quantizers are replaced nobody else reads what they give."""


class _Instead:
    """A quantizer that gives something else when it is called, and is itself otherwise."""

    def __init__(self, quantizer: Any, function: Callable[[Any], Any]) -> None:
        self._quantizer, self._function = quantizer, function

    def __call__(self, x: Any, *arguments: Any, **keywords: Any) -> Any:
        return self._function(x)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._quantizer, name)


@contextmanager
def replaced(slots: Sequence[Slot], replacement: Callable[[Slot], Callable[[Any], Any]]) -> Iterator[None]:
    """Within the block layers call `replacement(slot)` instead of their quantizers; nothing of the model changes."""
    with ONE_AT_A_TIME:
        originals = [(slot, getattr(slot.layer, slot.attribute)) for slot in slots if slot.attribute]
        try:
            for slot, original in originals:
                object.__setattr__(slot.layer, slot.attribute, _Instead(original, replacement(slot)))
            yield
        finally:
            for slot, original in originals:
                object.__setattr__(slot.layer, slot.attribute, original)
