"""Every error that fkeras raises on purpose.

Each message says what is wrong, what was given, what is allowed and what to do about it. What was given may be
anything: no message has control characters.
"""

from __future__ import annotations

from fkeras.printable import printable


class FkerasError(Exception):
    """The base of all errors raised by fkeras."""

    def __str__(self) -> str:
        return printable(super().__str__())


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
