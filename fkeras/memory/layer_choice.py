"""Which layers are meant: globs over their paths."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from fkeras.errors import Argument, InputError


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
