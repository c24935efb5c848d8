"""Frozen values to what JSON can hold, and back.

JSON has no infinity and no NaN: they are written as the texts "inf", "-inf" and "nan", and read where a float belongs.
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from enum import StrEnum
from types import MappingProxyType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

FLAT = MappingProxyType({"flat": True})
"""Metadata of a dataclass's field whose own fields stand among those of the dataclass."""


def plain(value: Any) -> Any:
    """Dataclasses as objects, tuples as lists, numbers that JSON lacks as texts; what has a `to_plain()` knows how."""
    if hasattr(value, "to_plain"):
        return value.to_plain()
    if is_dataclass(value):
        content: dict[str, Any] = {}
        for field in fields(value):
            part = plain(getattr(value, field.name))
            content |= part if field.metadata == FLAT else {field.name: part}
        return content
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def restored(kind: Any, value: Any) -> Any:
    """The value of type `kind` that `plain` made `value` from; what the type does not know is left out.

    kind: a dataclass, a StrEnum, float, str, int, bool, Any, or tuples, dicts and unions of them with None or "". A
    value that is of its type already stays.
    """
    if value is None or kind is Any:
        return value
    arguments = get_args(kind)
    if get_origin(kind) in (UnionType, Union):
        return restored(next(part for part in arguments if part is not type(None)), value)
    if get_origin(kind) is tuple:
        if arguments[-1] is Ellipsis:
            return tuple(restored(arguments[0], part) for part in value)
        return tuple(restored(part_kind, part) for part_kind, part in zip(arguments, value, strict=True))
    if get_origin(kind) is dict:
        return {name: restored(arguments[1], part) for name, part in value.items()}
    if kind is float:
        return float(value)
    if issubclass(kind, StrEnum):
        return kind(value) if value else value
    if isinstance(value, kind) or not is_dataclass(kind):
        return value
    hints = get_type_hints(kind)
    content = {**value, **{field.name: value for field in fields(kind) if field.metadata == FLAT}}
    make: Any = kind
    parts = {name: restored(hints[name], part) for name, part in content.items() if name in hints}
    return make(**parts)
