"""The code blocks of the documentation, and the commands and files in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BLOCK = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"# (\S+\.(?:py|toml))$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; kind: its language, such as "shell"."""

    kind: str
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines that are not empty; in a shell block, its commands."""
        return [line for line in self.text.splitlines() if line.strip()]

    @property
    def file_name(self) -> str | None:
        """The file that the block is, named in its first line."""
        found = _NAME.match(self.lines[0]) if self.lines else None
        return found[1] if found else None


def blocks(page: str) -> list[Block]:
    """The blocks of a page in docs/, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [Block(found["kind"].strip(), found["text"]) for found in _BLOCK.finditer(text)]
