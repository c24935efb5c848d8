"""Every error that fkeras raises on purpose.

Each message says what is wrong, what was given, what is allowed and what to do about it. What was given may be
anything: no message has control characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any, TypeGuard

from fkeras.printable import printable


class Name(str):
    """Text that stands for itself in a message, as names do, instead of in quotation marks."""

    __slots__ = ()
    __repr__ = str.__str__


_NO_VALUE = Name()


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument that a message speaks of, for every front to spell its own way; str() is Python's.

    verb: " is " where the message goes on to say what is wrong with the value.
    """

    name: str
    value: Any = _NO_VALUE
    verb: str = "="

    def __str__(self) -> str:
        return f"{self.name}{self.verb}{self.value!r}"


def said(parts: Iterable[object], spell: Callable[[Argument], str] = str) -> str:
    """The message that texts and arguments make."""
    return printable("".join(spell(part) if isinstance(part, Argument) else str(part) for part in parts))


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a finite real number; True and False are none."""
    try:
        return not isinstance(value, bool) and isinstance(value, Real) and isfinite(value)
    except OverflowError:  # a whole number beyond all others
        return False


def is_whole(value: Any, least: int, most: float = inf) -> TypeGuard[int]:
    """Whether a value is a whole number from `least` to `most`; True and False are none."""
    return not isinstance(value, bool) and isinstance(value, Integral) and least <= int(value) <= most


class FkerasError(Exception):
    """The base of all errors raised by fkeras; made of texts, and of the arguments that these speak of."""

    def __str__(self) -> str:
        return self.said()

    def said(self, spell: Callable[[Argument], str] = str) -> str:
        """The message, in which `spell` says how an argument is written."""
        return said(self.args, spell)

    def within(self, where: str) -> FkerasError:
        """The same error with more in front."""
        return type(self)(where, *self.args)


class InputError(FkerasError, ValueError):
    """An argument, a file or a data set that cannot be used as it is."""


class ModelError(InputError):
    """A model file that cannot be loaded, or a model that cannot be analysed."""


class UnsupportedError(ModelError):
    """A layer or quantizer whose stored words are not known; named, never skipped in silence."""


class LayoutError(InputError):
    """Bits that belong to one memory layout were used with another."""


class EnvironmentSetupError(FkerasError, RuntimeError):
    """The process was set up in a way that keeps fkeras from working; the message says what to change."""


class MissingExtraError(FkerasError, ImportError):
    """An optional dependency is missing; the message names the extra to install."""


class StoreError(FkerasError, OSError):
    """A store of results that cannot be read or written: full disk, no permission, not a store."""


class IdentityError(InputError):
    """Results whose identity is unknown, or differs where it must be one."""


class ChangedError(InputError):
    """A model or data that are no longer what they were when measuring began."""


class NotStored(UserWarning):
    """Something was measured but not stored, or stored results were not used; the message says why."""


def one_of(name: str, value: object, allowed: Iterable[str]) -> str:
    """`value` where it is one of the words that are allowed, else an InputError with the argument's name."""
    words = list(allowed)
    if not isinstance(value, str) or value not in words:
        raise InputError(Argument(name, value), f"; allowed are {', '.join(map(repr, words))}")
    return value


def whole(name: str, value: object, least: int, most: float = inf) -> int:
    """`value` as an int. InputError with the argument's name unless it is a whole number from `least` to `most`."""
    if not is_whole(value, least, most):
        upper = "up" if most == inf else f"to {most:,}"
        raise InputError(Argument(name, value, " is "), f"; allowed are whole numbers from {least} {upper}")
    return int(value)
