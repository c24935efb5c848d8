"""`--faults`, `--ber` and rates: how bits go wrong; `--limit` and what belongs to it: what must not come of it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from fkeras.cli import arguments, session
from fkeras.errors import InputError

if TYPE_CHECKING:
    from fkeras.campaigns import Requirement
    from fkeras.campaigns.verdict import AnyOutcome
    from fkeras.faults import FaultModel
    from fkeras.study import Study


def add_faults(parser: argparse.ArgumentParser, required: bool) -> None:
    """How bits go wrong."""
    group = parser.add_argument_group("what goes wrong (one of)")
    one = group.add_mutually_exclusive_group(required=required)
    one.add_argument("--faults", type=arguments.whole(1), metavar="N", help="that many distinct bits flip")
    one.add_argument("--ber", type=arguments.real(0, 1), metavar="P", help="every bit flips with this probability")
    add_rates(one)
    group.add_argument(
        "--exposure-seconds",
        type=arguments.real(0),
        metavar="S",
        help="how long: with a rate, or with --faults or --ber for what is scrubbed meanwhile",
    )


def add_rates(group: argparse._ActionsContainer) -> None:
    """Upsets per time."""
    group.add_argument(
        "--upsets-per-second", type=arguments.real(0), metavar="R", help="upsets per second, whole memory"
    )
    group.add_argument("--upsets-per-bit-second", type=arguments.real(0), metavar="R", help="upsets per second and bit")


def add_limits(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """What must not come of it, and how sure that must be."""
    group = parser.add_argument_group("trials and verdict")
    group.add_argument(
        "--limit",
        type=arguments.limit,
        action="append",
        metavar="max_NAME=X",
        help="what the metric NAME must keep in a trial: max_NAME= or min_NAME= a value, or max_NAME_increase= or "
        "max_NAME_drop= from its fault-free value; what that value must be itself is max_golden_NAME= or "
        "min_golden_NAME=; may be repeated",
    )
    group.add_argument(
        "--max-failure-rate",
        type=arguments.share,
        default=0.05,
        metavar="P",
        help="the share of trials that may break a limit (0.05)",
    )
    group.add_argument(
        "--confidence", type=arguments.share, default=0.95, metavar="P", help="how sure the verdict must be (0.95)"
    )
    group.add_argument("--seed", type=arguments.whole(-arguments.MOST), default=0, metavar="N", help="of the draws (0)")
    return group


def faults(options: argparse.Namespace) -> FaultModel | None:
    """The fault model, None where none is named."""
    from fkeras import BitErrorRate, Exposure, FlipCount

    seconds = options.exposure_seconds
    for name in ("ber", "upsets_per_second", "upsets_per_bit_second", "exposure_seconds"):
        if getattr(options, name) == 0:
            raise InputError(
                f"--{name.replace('_', '-')} 0: nothing is ever hit, so nothing could fail; give more than 0"
            )
    has_rate = options.upsets_per_second is not None or options.upsets_per_bit_second is not None
    if (has_rate and seconds is None) or (
        seconds is not None and not has_rate and options.faults is None and options.ber is None
    ):
        raise InputError("a rate of upsets and --exposure-seconds S belong together; give both or neither")
    if has_rate:
        return Exposure(seconds, options.upsets_per_bit_second, options.upsets_per_second)
    if options.ber is not None:
        return BitErrorRate(options.ber, exposure_seconds=seconds)
    return None if options.faults is None else FlipCount(options.faults, exposure_seconds=seconds)


def limits(options: argparse.Namespace) -> dict[str, float]:
    """The limits by keyword."""
    stated = dict(options.limit or ())
    if len(stated) != len(options.limit or ()):
        raise InputError("--limit names one keyword twice; state each limit once")
    return stated


def requirement(options: argparse.Namespace, study: Study) -> Requirement | None:
    """The limits with the share of trials that may break them; None without any."""
    from fkeras.campaigns import required

    allow_chance = vars(options).get("allow_chance", False)
    asked = required(limits(options), study.metrics, options.max_failure_rate, options.confidence, allow_chance)
    return None if asked is None else replace(asked, golden=replace(asked.golden, how_to_allow="--allow-chance"))


def exit_code(outcome: AnyOutcome) -> int:
    """0 where nothing is wrong, 1 for FAIL; a verdict that is none is neither."""
    return {"": session.FINE, "PASS": session.FINE, "FAIL": session.FAILED}.get(outcome, session.UNDECIDED)
