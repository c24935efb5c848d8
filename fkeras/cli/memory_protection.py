"""`--protected`, `--mask` and `--under`: which bits a campaign takes for covered, and by what."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

from fkeras.cli import arguments
from fkeras.errors import InputError

if TYPE_CHECKING:
    from fkeras.study import Study

CELLS = {
    "immune": "AssumedImmune",
    "tmr": "TMR",
    "secded": "SECDED",
    "parity": "Parity",
    "blind-scrubbing": "BlindScrubbing",
}
CHECKS = {"range-check": "RangeCheck", "known-words": "KnownWords", "recoded": "Recoded"}
OPTIONS = ("scrub_interval_seconds", "scrub_from", "on_detected")
"""What more may be said of them, as their arguments are called."""


@dataclass(frozen=True)
class Under:
    """What covers the bits that are named, "" for nothing said, and what checks all words, "" for nothing."""

    cells: str
    check: str


def under(text: str) -> Under:
    """Reads tmr, known-words or tmr,known-words."""
    names = text.split(",")
    cells = [name for name in names if name in CELLS]
    checks = [name for name in names if name in CHECKS]
    if len(cells) > 1 or len(checks) > 1 or len(cells) + len(checks) < len(names):
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r}; allowed are one of {', '.join(CELLS)}, one of {', '.join(CHECKS)}, or one of each with a "
            "comma between them, as in tmr,known-words"
        )
    return Under("".join(cells), "".join(checks))


def share_or_count(text: str) -> int | float:
    """Reads 4040 or 32%: a number of bits, or a share of them as a float from 0 to 1."""
    try:
        return arguments.share(text) if text.endswith("%") else arguments.whole(0)(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r}; allowed are a number of bits, as in 4040, or a share of them up to 100%, as in 32%"
        ) from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which bits, and by what."""
    group = parser.add_argument_group("protection")
    one = group.add_mutually_exclusive_group()
    one.add_argument(
        "--protected",
        type=share_or_count,
        metavar="K",
        help="the K (or K%%) most sensitive bits, ranked for these weights",
    )
    one.add_argument("--mask", metavar="FILE", help="the bits in a protection.json of `fkeras protect`")
    group.add_argument("--method", metavar="NAME", help="how --protected ranks, see `fkeras rank --help`")
    add_kind(group)


def add_kind(group: argparse._ActionsContainer) -> None:
    """By what."""
    group.add_argument(
        "--under",
        type=under,
        default=Under("", ""),
        metavar="KIND",
        help="what covers them: immune (they cannot fail, whatever that takes; the default), tmr, secded or parity, "
        "whose own cells are hit too, or blind-scrubbing, which adds none; and what checks all words, bits named or "
        "not, without a further bit: range-check, known-words or recoded; both with a comma, as in tmr,known-words",
    )
    group.add_argument(
        "--scrub-interval-seconds",
        type=arguments.real(0),
        metavar="S",
        help="how often what is covered is written anew (default: never)",
    )
    group.add_argument(
        "--scrub-from",
        choices=("good copy", "itself"),
        help="from a good copy (default), or from what tmr, secded and checks read themselves",
    )
    group.add_argument(
        "--on-detected",
        choices=("zero", "reload", "keep"),
        help="what a word reads that secded or parity know to be wrong: 0 (default), what is loaded again, or what its "
        "cells hold",
    )


def kind(options: argparse.Namespace) -> Any:
    """A function from bits to their protection, and that of all words."""
    import fkeras

    kinds = {name: getattr(fkeras, kind) for name, kind in {**CELLS, **CHECKS}.items()}
    cells, check_name = options.under.cells or "immune", options.under.check
    asked = {name: value for name in OPTIONS if (value := getattr(options, name)) is not None}
    for name in asked:
        takes_it = [kind for kind, protection in kinds.items() if _takes(protection, name)]
        if cells not in takes_it and check_name not in takes_it:
            raise InputError(
                f"--{name.replace('_', '-')} goes with --under {', '.join(takes_it[:-1])} or {takes_it[-1]}"
            )

    def stated(kind: str) -> Any:
        return partial(kinds[kind], **{name: value for name, value in asked.items() if _takes(kinds[kind], name)})

    cover = stated(cells)
    cover([])  # what makes no sense is refused before anything is ranked
    if not check_name:
        return cover
    check = stated(check_name)()
    return lambda bits: [cover(bits), check] if len(bits) else check


def _takes(protection: Any, argument: str) -> bool:
    return argument in {field.name for field in fields(protection)}


def chosen(options: argparse.Namespace, study: Study) -> Any:
    """The protection, or None."""
    import numpy as np

    import fkeras
    from fkeras.faults.protected import word_check
    from fkeras.memory import BitSet

    make = kind(options)
    if options.protected is None:
        if options.method is not None:
            raise InputError(f"--method {options.method} says how --protected ranks; give --protected K too")
        if options.mask is not None:
            return make(fkeras.read_mask(options.mask).on(study.space, options.mask))
        if options.under.cells not in ("", "immune"):
            raise InputError(
                f"--under {options.under.cells} says what covers bits; name them by --protected K or --mask FILE"
            )
        return make([]) if options.under.check else None
    if isinstance(options.protected, int) and options.protected > len(study.space):
        raise InputError(
            f"--protected {options.protected:,}: the memory has {len(study.space):,} bits; allowed are 0 to that many"
        )
    if options.protected == 1.0 and isinstance(options.protected, float) and options.method is None:
        return make(BitSet(np.arange(len(study.space)), study.space.layout_digest, "all bits"))
    ranking = study.rank(options.method, behind=word_check(make([])))
    best = ranking.fraction(options.protected) if isinstance(options.protected, float) else ranking[: options.protected]
    return make(best)
