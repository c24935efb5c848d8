"""`ranking` in a mark: a recorder, because no model exists when a decorator runs.

It is resolved inside the campaign, against the ranking and the space of the model under test.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from fkeras.errors import InputError
from fkeras.faults.protected import is_several
from fkeras.memory import BitSet, BitSpace, LayerChoice
from fkeras.sensitivity import Ranking

if TYPE_CHECKING:
    from pytest_fkeras.resilience import Source

_LONG_DECIMAL = re.compile(r"\b0\.\d{5,}")
"""A share of more digits than anybody reads."""

Method = str | Callable[..., Any] | None


class Selection:
    """A recorded set of bits. It has no members yet, so nothing may iterate over it, count it or test its truth."""

    __slots__ = ()

    def resolve(self, source: Source) -> BitSet:
        """The bits, once there is a model. InputError when they do not exist there."""
        raise NotImplementedError

    def __or__(self, other: Selection) -> Selection:
        return Combination(self, "|", other) if isinstance(other, Selection) else NotImplemented

    def __sub__(self, other: Selection) -> Selection:
        return Combination(self, "-", other) if isinstance(other, Selection) else NotImplemented

    def under(self, protection: Callable[[BitSet], Any]) -> Protected:
        """These bits under a protection: `ranking[:4040].under(fkeras.TMR)` is `TMR(ranking[:4040])`."""
        if not callable(protection):
            raise TypeError(f"{self!r}.under({protection!r}): write {self!r}.under(fkeras.TMR), the class itself")
        return Protected(self, protection)

    def _refuse(self, what: str, remedy: str) -> NoReturn:
        raise TypeError(
            f"{what} {self!r} is not possible: it only records which bits are meant, and no model exists yet; {remedy}"
        )

    def __iter__(self) -> NoReturn:
        self._refuse("iterating over", "take the fkeras_ranking fixture and write for bit in fkeras_ranking[:k]")

    def __len__(self) -> NoReturn:
        self._refuse("the length of", "take the fkeras_ranking fixture and write len(fkeras_ranking[:k])")

    def __bool__(self) -> NoReturn:
        self._refuse("the truth of", "compare with None instead, as in protected is None")

    def __array__(self, *args: object, **keywords: object) -> NoReturn:
        self._refuse("an array of", f"write TMR({self!r}) with TMR from pytest_fkeras")

    def __contains__(self, bit: object) -> NoReturn:
        self._refuse("membership in", "take the fkeras_ranking fixture and write bit in fkeras_ranking[:k]")


@dataclass(frozen=True, slots=True, repr=False)
class LazyRanking(Selection):
    """A ranking to be: `ranking[:k]`, `ranking[a:b]`, `ranking.fraction(x)`, `ranking("msb")[:k]`.

    `ranking.layers("conv*")` keeps the bits of these layers only: all of them, or its own first k.
    """

    method: Method = None
    globs: tuple[str, ...] = ()

    def __call__(self, method: str | Callable[..., Any]) -> LazyRanking:
        if not isinstance(method, str) and not callable(method):
            raise TypeError(f"ranking({method!r}): write ranking('msb'), another method's name, or a function")
        return LazyRanking(method, self.globs)

    def layers(self, *globs: str) -> LazyRanking:
        """The bits of the layers that match a glob; `!` excludes."""
        if not globs or not all(isinstance(glob, str) for glob in globs):
            raise TypeError(f"ranking.layers({', '.join(map(repr, globs))}): write ranking.layers('conv*')")
        return LazyRanking(self.method, self.globs + globs)

    def __getitem__(self, part: slice) -> Slice:
        if not isinstance(part, slice):
            self._refuse(f"[{part!r}] of", f"write {self!r}[:k] for the first k bits")
        if part.step not in (None, 1):
            raise TypeError(
                f"{self!r}[{part.start}:{part.stop}:{part.step}]: steps are not allowed; write {self!r}[a:b]"
            )
        for end in (part.start, part.stop):
            if end is not None and (isinstance(end, bool) or not isinstance(end, int) or end < 0):
                raise TypeError(
                    f"{self!r}[{part.start}:{part.stop}]: {end!r} is no count of bits; allowed are whole "
                    f"numbers from 0 up, or {self!r}.fraction(0.32)"
                )
        return Slice(self, part.start, part.stop)

    def fraction(self, share: float) -> Fraction:
        """The first `share` (0 to 1) of the bits."""
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise TypeError(f"{self!r}.fraction({share!r}): allowed are shares from 0 to 1")
        return Fraction(self, share)

    def __repr__(self) -> str:
        name = getattr(self.method, "__name__", None) or repr(self.method)
        layers = f".layers({', '.join(map(repr, self.globs))})" if self.globs else ""
        return ("ranking" if self.method is None else f"ranking({name})") + layers

    def order(self, source: Source) -> Any:
        """The flat bits in question, most sensitive first."""
        return self.ranked(source)[1]

    def ranked(self, source: Source) -> tuple[Ranking, Any]:
        """The ranking, and the flat bits in question, most sensitive first."""
        made = source.ranking(self.method)
        return made, made.order if not self.globs else made.order[_in_layers(source.space, self.globs)[made.order]]

    def resolve(self, source: Source) -> BitSet:
        if not self.globs:
            raise InputError(f"{self!r} is a whole ranking; write {self!r}[:k] for its first k bits")
        return _bits(np.flatnonzero(_in_layers(source.space, self.globs)), source, self, ranked=False)


@dataclass(frozen=True, slots=True, repr=False)
class Slice(Selection):
    """`ranking[start:stop]`."""

    ranking: LazyRanking
    start: int | None
    stop: int | None

    def resolve(self, source: Source) -> BitSet:
        made, order = self.ranking.ranked(source)
        for end in (self.start, self.stop):
            if end is not None and end > len(order):
                raise InputError(f"{self!r}: there are {len(order):,} bits; allowed are bounds from 0 to {len(order)}")
        near_tie = "" if self.stop is None else made.near_tie(self.stop, order)
        return _bits(order[self.start : self.stop], source, self, near_tie=near_tie)

    def __repr__(self) -> str:
        start, stop = ("" if end is None else end for end in (self.start, self.stop))
        return f"{self.ranking!r}[{start}:{stop}]"


@dataclass(frozen=True, slots=True, repr=False)
class Fraction(Selection):
    """`ranking.fraction(share)`, rounded to the nearest whole number of bits."""

    ranking: LazyRanking
    share: float

    def resolve(self, source: Source) -> BitSet:
        made, order = self.ranking.ranked(source)
        k = round(self.share * len(order))
        return _bits(order[:k], source, self, near_tie=made.near_tie(k, order))

    def __repr__(self) -> str:
        return f"{self.ranking!r}.fraction({self.share!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Combination(Selection):
    """`a | b` or `a - b`."""

    left: Selection
    sign: str
    right: Selection

    def resolve(self, source: Source) -> BitSet:
        left, right = self.left.resolve(source), self.right.resolve(source)
        return left | right if self.sign == "|" else left - right

    def __repr__(self) -> str:
        right = f"({self.right!r})" if isinstance(self.right, Combination) else repr(self.right)
        left = (
            f"({self.left!r})"
            if isinstance(self.left, Combination) and self.left.sign != self.sign
            else (repr(self.left))
        )
        return f"{left} {self.sign} {right}"


@dataclass(frozen=True, slots=True, repr=False)
class MaskFile(Selection):
    """`mask("protection.json")`: bits frozen in a file, whatever the weights."""

    path: str

    def resolve(self, source: Source) -> BitSet:
        from fkeras.protection import read_mask

        return read_mask(source.directory / self.path).on(source.space, repr(self))

    def __repr__(self) -> str:
        return f"mask({self.path!r})"


def mask(path: str | os.PathLike[str]) -> MaskFile:
    """The bits in a file that `fkeras protect` or `fkeras.protect` wrote, relative to the ini file (or the rootdir)."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"mask({path!r}): write the name of a file, as in mask('protection.json')")
    return MaskFile(os.fspath(path))


@dataclass(frozen=True, slots=True, repr=False)
class Protected:
    """`TMR(selection, scrub_interval_seconds=60)`, or `selection.under(protection)`, which has no options (None)."""

    selection: Selection
    protection: Callable[..., Any]
    options: tuple[tuple[str, Any], ...] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.selection, LazyRanking) and not self.selection.globs:
            whole = self.selection
            raise TypeError(f"{self!r}: {whole!r} is a whole ranking; write {whole!r}[:k] for its first k bits")

    def resolve(self, source: Source) -> Any:
        """The protection of the bits, once there is a model."""
        return self.protection(self.selection.resolve(source), **dict(self.options or ()))

    @property
    def scrub_interval_seconds(self) -> float | None:
        """How often the protected memory is written anew, None: never."""
        return dict(self.options or ()).get("scrub_interval_seconds")

    def __repr__(self) -> str:
        name = getattr(self.protection, "__name__", None) or repr(self.protection)
        if self.options is None:
            return f"{self.selection!r}.under({name})"
        return f"{name}({', '.join([repr(self.selection), *(f'{key}={value!r}' for key, value in self.options)])})"


def TMR(bits: Any, **options: Any) -> Any:
    """`fkeras.TMR` of bits that are only recorded, as in `TMR(ranking[:4040], scrub_interval_seconds=60)`."""
    return _protected("TMR", bits, options)


def SECDED(bits: Any, **options: Any) -> Any:
    """`fkeras.SECDED` of bits that are only recorded, as in `SECDED(ranking.layers("conv*"))`."""
    return _protected("SECDED", bits, options)


def Parity(bits: Any, **options: Any) -> Any:
    """`fkeras.Parity` of bits that are only recorded, as in `Parity(mask("protection.json"))`."""
    return _protected("Parity", bits, options)


def BlindScrubbing(bits: Any, **options: Any) -> Any:  # noqa: N802  the name of its class
    """`fkeras.BlindScrubbing` of bits that are only recorded, as in `BlindScrubbing(ranking.layers("*"),
    scrub_interval_seconds=60)`."""
    return _protected("BlindScrubbing", bits, options)


def parts_of(protected: Any) -> tuple[Any, ...]:
    """The protections that `protected=[...]` joins, or the one that it is; a list of bits is one."""
    is_list = isinstance(protected, list | tuple)
    if is_list and (is_several(protected) or any(isinstance(part, Selection | Protected) for part in protected)):
        return tuple(protected)
    return (protected,)


def resolved(protected: Any, source: Source) -> Any:
    """`protected=` with all that is recorded in it resolved, once there is a model."""
    from fkeras.faults.protected import word_check

    parts = tuple(_with_importance(part, source) for part in parts_of(protected))
    beside = source.behind(next(filter(None, map(word_check, parts)), None))
    parts = tuple(part.resolve(beside) if isinstance(part, Selection | Protected) else part for part in parts)
    return parts[0] if len(parts) == 1 else parts


def _with_importance(part: Any, source: Source) -> Any:
    importance = getattr(part, "importance", None)
    return replace(part, importance=importance.ranked(source)[0]) if isinstance(importance, LazyRanking) else part


def _protected(name: str, bits: Any, options: dict[str, Any]) -> Any:
    from fkeras import faults

    kind = getattr(faults, name)
    if not isinstance(bits, Selection):
        return kind(bits, **options)
    kind([], **options)  # wrong options are errors here, when the test module is imported
    return Protected(bits, kind, tuple(options.items()))


def _bits(bits: Any, source: Source, selection: Selection, ranked: bool = True, near_tie: str = "") -> BitSet:
    origin = "; ".join(filter(None, ("ranked anew for these weights" if ranked else "", near_tie)))
    label = _LONG_DECIMAL.sub(lambda number: f"{float(number[0]):.4g}", repr(selection))
    return BitSet(bits, source.space.layout_digest, label, origin)


def _in_layers(space: BitSpace, globs: tuple[str, ...]) -> Any:
    chosen = LayerChoice(globs)
    layers = [tensor.path.rpartition("/")[0] for tensor in space.arrays]
    chosen.require_matches(layers)
    return np.repeat([chosen(layer) for layer in layers], [tensor.n_bits for tensor in space.arrays])


ranking = LazyRanking()
"""The bits by sensitivity, most sensitive first, by the default method or the mark's `method=`."""
