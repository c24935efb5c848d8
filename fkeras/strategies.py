"""Hypothesis strategies for fault sets and bit addresses.

Nothing is asked of a model before the first draw, so strategies can stand in a decorator. Positions in a ranking are
drawn, not bits: hypothesis shrinks towards small numbers, hence towards fewer and then more significant bits.

Importing this module makes the hypothesis profile "fkeras" known, which has no deadline (the first evaluation of a
model compiles it): load it with `hypothesis.settings.load_profile("fkeras")` or --hypothesis-profile=fkeras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from hypothesis import currently_in_test_context, note, settings, target
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from fkeras.errors import InputError
from fkeras.faults import FaultSet
from fkeras.memory import BitAddress, BitSpace
from fkeras.sensitivity import Ranking
from fkeras.sensitivity.positional import msb_scores

TOP_SHARE = 0.01
"""The first branch of every draw takes its bits from this share of the ranking."""

settings.register_profile("fkeras", deadline=None)

_offered: ContextVar[tuple[Callable[[], BitSpace], Callable[[], Ranking]] | None] = ContextVar("offered", default=None)


def fault_sets(
    source: BitSpace | Ranking | None = None, *, max_faults: int, min_faults: int = 1
) -> st.SearchStrategy[FaultSet]:
    """Sets of `min_faults` to `max_faults` flips.

    source: a ranking, or a space (then most significant bits come first); None: the fkeras_ranking fixture of the
    test that draws. Shrinks to fewer flips, then to bits higher in the ranking. InputError for counts that do not
    fit, at the call or, against the memory, at the first draw.
    """
    if not 0 <= min_faults <= max_faults or max_faults < 1:
        raise InputError(
            f"min_faults={min_faults!r}, max_faults={max_faults!r}; allowed are 0 <= min_faults <= "
            "max_faults with at least one fault"
        )
    return _fault_sets(source, min_faults, max_faults)


@st.composite
def _fault_sets(draw: st.DrawFn, source: BitSpace | Ranking | None, min_faults: int, max_faults: int) -> FaultSet:
    ranking = _ranking(source)
    if min_faults > len(ranking):
        raise InputError(f"min_faults={min_faults}: the memory has {len(ranking):,} bits")
    chosen = draw(
        st.lists(_positions(len(ranking)), min_size=min_faults, max_size=min(max_faults, len(ranking)), unique=True)
    )
    return FaultSet(ranking.order[np.array(chosen, np.int64)], layout_digest=ranking.layout_digest)


def bit_addresses(space: BitSpace | None = None, ranking: Ranking | None = None) -> st.SearchStrategy[BitAddress]:
    """Addresses of single bits.

    space: None is the fault_space fixture of the test that draws. ranking: what to shrink along; None puts most
    significant bits first.
    """
    return _bit_addresses(space, ranking)


@st.composite
def _bit_addresses(draw: st.DrawFn, space: BitSpace | None, ranking: Ranking | None) -> BitAddress:
    used = _under_test()[0]() if space is None else space
    order = _ranking(used if ranking is None else ranking).order
    used.require_layout(None if ranking is None else ranking.layout_digest, "this ranking")
    return used.address(int(order[draw(_positions(len(order)))]))


@contextmanager
def source_of_draws(space: Callable[[], BitSpace], ranking: Callable[[], Ranking]) -> Iterator[None]:
    """While the block lasts, strategies without a source ask these functions; the pytest plugin does so per test."""
    token = _offered.set((space, ranking))
    try:
        yield
    finally:
        _offered.reset(token)


def aim_at(damage: float, label: str) -> None:
    """Inside a hypothesis test, make it look for inputs with more `damage`; elsewhere nothing, nor for inf or NaN.

    Of several calls with one label in one test case the first counts.
    """
    if not (currently_in_test_context() and np.isfinite(damage)):
        return
    try:
        target(float(damage), label=label)
    except InvalidArgument:
        return


def say(text: str) -> None:
    """Inside a hypothesis test, print this with the example that fails; elsewhere nothing."""
    if currently_in_test_context():
        note(text)


def _positions(n: int) -> st.SearchStrategy[int]:
    if n == 0:
        raise InputError("the memory has no bits to draw from")
    return st.integers(0, max(1, round(TOP_SHARE * n)) - 1) | st.integers(0, n - 1)


def _ranking(source: BitSpace | Ranking | None) -> Ranking:
    if source is None:
        return _under_test()[1]()
    if isinstance(source, BitSpace):
        return Ranking.from_scores(msb_scores(source), source, "msb")
    if isinstance(source, Ranking):
        return source
    raise InputError(f"fault_sets draws from a BitSpace or a Ranking, got {type(source).__name__}")


def _under_test() -> tuple[Callable[[], BitSpace], Callable[[], Ranking]]:
    offered = _offered.get()
    if offered is None:
        raise InputError(
            "no model is under test here: pass a space or a ranking, or draw inside a pytest test with "
            "the plugin pytest_fkeras loaded"
        )
    return offered
