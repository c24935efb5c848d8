"""`--protected`, `--mask` and `--under`: which bits a campaign takes for covered, and by what."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from fkeras.cli import arguments
from fkeras.errors import InputError

if TYPE_CHECKING:
    from fkeras.study import Study

CELLS = {"immune": "AssumedImmune", "tmr": "TMR", "secded": "SECDED", "parity": "Parity"}
CHECKS = {"range-check": "RangeCheck", "known-words": "KnownWords", "recoded": "Recoded"}


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
        "whose own cells are hit too; and what checks all words, bits named or not, without a further bit: "
        "range-check, known-words or recoded; both with a comma, as in tmr,known-words",
    )
    group.add_argument(
        "--scrub-interval-seconds",
        type=arguments.real(0),
        metavar="S",
        help="how often tmr, secded, parity and checks mend",
    )


def kind(options: argparse.Namespace) -> Any:
    """A function from bits to their protection, and that of all words."""
    import fkeras

    seconds, stated = options.scrub_interval_seconds, options.under
    scrubbed = {} if seconds is None else {"scrub_interval_seconds": seconds}
    if stated.cells in ("", "immune"):
        if scrubbed and not stated.check:
            raise InputError(
                "--scrub-interval-seconds goes with --under tmr, secded or parity, or with a check of words such as "
                "known-words; immune bits need none"
            )
        cover: Any = fkeras.AssumedImmune
    else:
        cover = partial(getattr(fkeras, CELLS[stated.cells]), **scrubbed)
    if not stated.check:
        return cover
    check = getattr(fkeras, CHECKS[stated.check])(**scrubbed)
    return lambda bits: [cover(bits), check] if len(bits) else check


def chosen(options: argparse.Namespace, study: Study) -> Any:
    """The protection, or None."""
    import fkeras

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
    ranking = study.rank(options.method)
    best = ranking.fraction(options.protected) if isinstance(options.protected, float) else ranking[: options.protected]
    return make(best)
