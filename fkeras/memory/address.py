"""Bit addresses: one bit of one word, as text that people read, write and paste."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fkeras.errors import InputError

_PATTERN = re.compile(r"(?P<tensor>[^\[\]:=\s][^\[\]:=]*)\[(?P<element>\d+(?:,\d+)*)?\]:(?P<bit>\d+)")


@dataclass(frozen=True, slots=True, order=True)
class BitAddress:
    """One stored bit, as text that people read, write and paste.

    Arguments:
        tensor: the tensor's path.
        element: the element's index in Keras' shape.
        bit: the bit within the word, 0 is the most significant.

    >>> str(BitAddress("encoder/encoded_vector/kernel", (3, 1), 0))
    'encoder/encoded_vector/kernel[3,1]:0'
    >>> BitAddress.parse("conv/kernel[1,1,0,5]:2").element
    (1, 1, 0, 5)
    """

    tensor: str
    element: tuple[int, ...]
    bit: int

    def __str__(self) -> str:
        return f"{self.tensor}[{','.join(map(str, self.element))}]:{self.bit}"

    @classmethod
    def parse(cls, text: str) -> BitAddress:
        """Read what `str` prints. InputError for any other text."""
        match = _PATTERN.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            raise InputError(
                f"{text!r} is not a bit address; write tensor[index,...]:bit, "
                "as in 'encoder/encoded_vector/kernel[3,1]:0' (0 = most significant bit)"
            )
        element = tuple(int(part) for part in (match["element"] or "").split(",") if part)
        return cls(match["tensor"], element, int(match["bit"]))
