"""Text for terminals: names come from files, and files from anywhere."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with control characters, and those that hide or reorder others, as escapes; line breaks stay.

    >>> printable("conv\x1b[2J, \u202eevoc\\n")
    'conv\\\\x1b[2J, \\\\u202eevoc\\n'
    """
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def in_one_line(text: str) -> str:
    """The same without line breaks: what stands in a table's cell begins no line of its own."""
    return printable(" ".join(text.splitlines()))
