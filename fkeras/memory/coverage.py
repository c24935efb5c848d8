"""What counts as memory: which layers, and which of their words and registers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, get_args

from fkeras.errors import Argument, InputError, one_of
from fkeras.memory.codecs import FixedPoint, Float, FloatName
from fkeras.memory.register import REGISTERS
from fkeras.memory.space import BitSpace, Memory, require_memory


class LayerChoice:
    """Layer globs: a pattern matches the whole path or its last part; `!` excludes; no match is an error."""

    def __init__(self, patterns: str | Sequence[str]) -> None:
        globs: list[str] = list(patterns) if isinstance(patterns, list | tuple) else [patterns]  # type: ignore[list-item]
        if not globs or not all(isinstance(pattern, str) and pattern.strip("!") for pattern in globs):
            allowed = ": allowed are a glob such as 'conv*', '!name' to exclude, or a list"
            raise InputError(Argument("layers", patterns), allowed)
        self._include = [pattern for pattern in globs if not pattern.startswith("!")] or ["*"]
        self._exclude = [pattern[1:] for pattern in globs if pattern.startswith("!")]
        self._matched: set[str] = set()

    def __call__(self, path: str) -> bool:
        return self._any(self._include, path) and not self._any(self._exclude, path)

    def _any(self, patterns: list[str], path: str) -> bool:
        hits = [p for p in patterns if fnmatchcase(path, p) or fnmatchcase(path.rsplit("/", 1)[-1], p)]
        self._matched.update(hits)
        return bool(hits)

    def require_matches(self, paths: Sequence[str]) -> None:
        """InputError for a pattern that matched no layer."""
        for path in paths:
            self._any(self._exclude, path)
            self._any(self._include, path)
        idle = [pattern for pattern in self._include + self._exclude if pattern not in self._matched]
        if idle and paths:
            raise InputError(f"layers: no layer matches {idle[0]!r}; the model has {', '.join(paths)}")


STORED = ("weights", "biases", "tables")
MEMORIES_OF = (*STORED, *REGISTERS)
"""What may be covered: words that are stored, and words that every sample writes anew."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which words of a model count as memory.

    Arguments:
        layers: globs on a layer's path (`outer/inner/layer`) or its last name; `!` excludes.
        biases: whether biases do, besides kernels.
        memory: whose words: "quantizer", each as wide as its quantizer makes it; "hls4ml", as hls4ml stores the values;
            None: those that a network file holds, else the quantizers'.
        words: the IEEE words in which what has no quantizer is stored; None: it is not covered.
        of: which memories: "weights", "biases", "tables", and registers: "activations", "inputs", "outputs",
            "accumulators"; one or several.
        input_format: in which words inputs come that no quantizer reads.
        project: the hls4ml project (directory or YAML) in whose words accumulators add up.
    """

    layers: str | Sequence[str] = "*"
    biases: bool = False
    memory: Memory | None = None
    words: FloatName | None = None
    of: str | Sequence[str] = "weights"
    input_format: FixedPoint | None = None
    project: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        LayerChoice(self.layers)
        if not isinstance(self.layers, str):
            object.__setattr__(self, "layers", tuple(self.layers))
        if not isinstance(self.biases, bool):
            raise InputError(Argument("biases", self.biases), "; write True or False")
        if self.memory is not None:
            require_memory(self.memory)
        if self.words is not None:
            one_of("words", self.words, get_args(FloatName))
        several: object = self.of
        memories = several if isinstance(several, list | tuple) else (several,)
        for name in memories or ("",):
            one_of("of", name, MEMORIES_OF)
        distinct = tuple(dict.fromkeys(memories))
        object.__setattr__(self, "of", distinct[0] if len(distinct) == 1 else distinct)
        if self.biases and not {"weights", "biases"}.intersection(distinct):
            of = "; they are beside weights: write "
            raise InputError(Argument("biases", True), of, Argument("of", [*distinct, "biases"]))
        stated: object = self.input_format
        if stated is not None and not isinstance(stated, FixedPoint):
            allowed = "; allowed is a format, as fkeras.memory.FixedPoint(8, 0)"
            raise InputError(Argument("input_format", self.input_format), allowed)
        path: object = self.project
        if path is not None:
            if not isinstance(path, str | os.PathLike):
                allowed = "; allowed is the path of an hls4ml project: its directory or YAML file"
                raise InputError(Argument("project", self.project), allowed)
            object.__setattr__(self, "project", os.fspath(path))
            if "accumulators" not in memories:
                needed = Argument("of", "accumulators")
                raise InputError(
                    Argument("project", self.project), " says how wide accumulators are; use it with ", needed
                )

    @property
    def memories(self) -> tuple[str, ...]:
        """Which memories, each once."""
        return (self.of,) if isinstance(self.of, str) else tuple(self.of)

    def __str__(self) -> str:
        text = self.layers if isinstance(self.layers, str) else ",".join(self.layers)
        text += " with biases" if self.biases else ""
        text += " as hls4ml stores them" if self.memory == "hls4ml" else ""
        text += f", of {', '.join(self.memories)}" if self.of != "weights" else ""
        text += f", inputs in {self.input_format}" if self.input_format is not None else ""
        text += f", accumulators of {self.project}" if self.project is not None else ""
        return text if self.words is None else f"{text}, also what has no quantizer, in {self.words}"

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def require_met(self, space: BitSpace) -> None:
        """InputError for a space whose stored words are others."""
        if not space.tensors:
            return
        if self.memory not in (None, space.memory):
            raise InputError(Argument("memory", self.memory), f": this model gives the words of {space.memory!r} only")
        if self.words is not None and not any(tensor.codec == Float(self.words) for tensor in space.tensors):
            raise InputError(Argument("words", self.words), ": this model gives no such words")


COVERAGE = tuple(part.name for part in fields(Coverage))
"""What can be said of it."""
