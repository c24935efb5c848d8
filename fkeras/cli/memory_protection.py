"""`--protected`, `--mask` and `--under`: which bits a campaign takes for covered, and by what."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fkeras.cli import arguments
from fkeras.errors import InputError

if TYPE_CHECKING:
    from fkeras.study import Study

KINDS = ("immune", "tmr", "secded", "parity")


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
        choices=KINDS,
        default="immune",
        help="what covers them: immune (they cannot fail, whatever that takes; the default), tmr, secded or parity, "
        "whose own cells are hit too",
    )
    group.add_argument(
        "--scrub-interval-seconds", type=arguments.real(0), metavar="S", help="how often tmr, secded or parity mend"
    )


def kind(options: argparse.Namespace) -> Any:
    """A function from bits to their protection."""
    import fkeras

    seconds = options.scrub_interval_seconds
    if options.under == "immune":
        if seconds is not None:
            raise InputError("--scrub-interval-seconds goes with --under tmr, secded or parity; immune bits need none")
        return fkeras.AssumedImmune
    make = {"tmr": fkeras.TMR, "secded": fkeras.SECDED, "parity": fkeras.Parity}[options.under]
    return lambda bits: make(bits, scrub_interval_seconds=seconds)


def chosen(options: argparse.Namespace, study: Study) -> Any:
    """The protection, or None."""
    import fkeras

    make = kind(options)
    if options.protected is None:
        if options.method is not None:
            raise InputError(f"--method {options.method} says how --protected ranks; give --protected K too")
        if options.mask is not None:
            return make(fkeras.read_mask(options.mask).on(study.space, options.mask))
        if options.under != "immune":
            raise InputError(
                f"--under {options.under} says what covers bits; name them by --protected K or --mask FILE"
            )
        return None
    if isinstance(options.protected, int) and options.protected > len(study.space):
        raise InputError(
            f"--protected {options.protected:,}: the memory has {len(study.space):,} bits; allowed are 0 to that many"
        )
    ranking = study.rank(options.method)
    best = ranking.fraction(options.protected) if isinstance(options.protected, float) else ranking[: options.protected]
    return make(best)
