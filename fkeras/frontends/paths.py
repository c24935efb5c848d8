"""Paths of layers: the names of nested models and of the layer itself, each path once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def unique_paths(layers: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """(path, layer) with no path twice: where names meet (layer `a/b` beside layer `b` of model `a`), the later ones
    get `~2`, `~3`, ... behind them."""
    walked = list(layers)
    natural, taken = {path for path, _ in walked}, set[str]()
    for path, layer in walked:
        unique, number = path, 2
        while unique in taken or (unique != path and unique in natural):
            unique, number = f"{path}~{number}", number + 1
        taken.add(unique)
        yield unique, layer
