"""Frozen dataclasses to what JSON can hold, and back.

JSON has no infinity and no NaN: they are written as the texts "inf", "-inf" and "nan", and read where a float belongs.
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def plain(value: Any) -> Any:
    """Dataclasses as objects, tuples as lists, numbers that JSON lacks as texts."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def restored(kind: Any, value: Any) -> Any:
    """The value of type `kind` that `plain` made `value` from; what the type does not know is left out.

    kind: a dataclass, float, str, int, bool, Any, or tuples, dicts and optionals of them.
    """
    if value is None or kind is Any:
        return value
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        make: Any = kind
        return make(**{name: restored(hints[name], one) for name, one in value.items() if name in hints})
    arguments = get_args(kind)
    if get_origin(kind) in (UnionType, Union):
        return restored(next(one for one in arguments if one is not type(None)), value)
    if get_origin(kind) is tuple:
        if arguments[-1] is Ellipsis:
            return tuple(restored(arguments[0], one) for one in value)
        return tuple(restored(one, part) for one, part in zip(arguments, value, strict=True))
    if get_origin(kind) is dict:
        return {name: restored(arguments[1], one) for name, one in value.items()}
    return float(value) if kind is float else value
