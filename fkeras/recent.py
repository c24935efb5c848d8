"""A small cache that forgets what was used longest ago."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

KEPT = 8
Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Values by key, the `size` most recently used ones."""

    def __init__(self, size: int = KEPT) -> None:
        self._size = size
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What is kept under `key`, made first if need be."""
        if key not in self._values:
            self._values[key] = make()
        self._values.move_to_end(key)
        while len(self._values) > self._size:
            self._values.popitem(last=False)
        return self._values[key]

    def forget(self, key: Hashable) -> None:
        """Make it anew when it is next asked for."""
        self._values.pop(key, None)

    def __iter__(self) -> Iterator[Value]:
        """What is kept, the most recently used first."""
        return reversed(self._values.values())
