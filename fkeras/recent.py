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

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def __getitem__(self, key: Hashable) -> Value:
        self._values.move_to_end(key)
        return self._values[key]

    def __setitem__(self, key: Hashable, value: Value) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._size:
            self._values.popitem(last=False)

    def __iter__(self) -> Iterator[Value]:
        """What is kept, the most recently used first."""
        return reversed(self._values.values())

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What is kept under `key`, made first if need be."""
        if key not in self:
            self[key] = make()
        return self[key]

    def forget(self, key: Hashable) -> None:
        """Make it anew when it is next asked for."""
        self._values.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
