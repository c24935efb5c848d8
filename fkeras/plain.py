"""Frozen values to what JSON can hold, and back.

JSON has no infinity and no NaN: they are written as the texts "inf", "-inf" and "nan", and read where a float belongs.
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from enum import StrEnum
from types import MappingProxyType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

FLAT = MappingProxyType({"flat": True})
"""Metadata of a dataclass's field whose own fields stand among those of the dataclass."""


def plain(value: Any) -> Any:
    """Dataclasses as objects, tuples as lists, numpy's numbers as Python's, numbers that JSON lacks as texts; what has
    a `to_plain()` knows how."""
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
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def restored(kind: Any, value: Any) -> Any:
    """The value of type `kind` that `plain` made `value` from; what the type does not know is left out.

    kind: a dataclass, a StrEnum, a Literal, float, str, int, bool, Any, or tuples, dicts and unions of them with None
    or "". A value that is of its type already stays. TypeError or ValueError for one of another kind.
    """
    if kind is Any or value is None:
        return value
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (UnionType, Union):
        if type(value) in arguments:
            return value
        return restored(next(part for part in arguments if part is not type(None)), value)
    if origin is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(restored(part_kind, part) for part_kind, part in zip(kinds, value, strict=True))
    if origin is dict:
        return {name: restored(arguments[1], part) for name, part in value.items()}
    if origin is Literal and value not in arguments:
        raise ValueError(f"{value!r} is none of {arguments}")
    if origin is not None or (isinstance(value, kind) and not isinstance(value, bool)):
        return value
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        content = {**value, **{field.name: value for field in fields(kind) if field.metadata == FLAT}}
        make: Any = kind
        return make(**{name: restored(hints[name], part) for name, part in content.items() if name in hints})
    if issubclass(kind, StrEnum):
        return kind(value) if value else value
    if isinstance(value, bool) == (kind is bool) and (kind in (float, bool) or value == kind(value)):
        return kind(value)
    raise TypeError(f"{value!r} is no {kind.__name__}")
