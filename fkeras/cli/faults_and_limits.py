"""`--faults`, `--ber` and rates: how bits go wrong; `--limit` and what belongs to it: what must not come of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

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
    """Upsets per time, and what goes wrong memory by memory."""
    group.add_argument(
        "--faults-in",
        type=_in_memory,
        action="append",
        metavar="MEMORY=WHAT",
        help="what goes wrong in one memory: N flips, ber:P, upsets:R (per bit and second, with --exposure-seconds), "
        "transient:P (anew in every inference), stuck0:N, stuck1:N; may be repeated",
    )
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
    arguments.add_seed(group)
    return group


def _in_memory(text: str) -> tuple[str, tuple[str, float]]:
    """A memory, and what goes wrong in it: a kind and a number."""
    memory, _, what = text.partition("=")
    kind, colon, number = what.rpartition(":")
    counts = ("", "stuck0", "stuck1")
    try:
        if memory and kind in (*counts, "ber", "upsets", "transient") and bool(kind) == bool(colon):
            return memory, (kind, int(number) if kind in counts else float(number))
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(
        f"{text!r}; write a memory and what goes wrong there, as in weights=960 or activations=transient:1e-6"
    )


def per_memory(options: argparse.Namespace) -> FaultModel | None:
    """The fault model of `--faults-in`, None where it names nothing."""
    from fkeras import BitErrorRate, Exposure, FlipCount, StuckAt, Transient
    from fkeras.faults import fault_model

    if not options.faults_in:
        return None
    stated, seconds = dict(options.faults_in), options.exposure_seconds
    if len(stated) != len(options.faults_in):
        raise InputError("--faults-in names one memory twice; state each once")
    timed = [memory for memory, (kind, _) in stated.items() if kind == "upsets"]
    if timed and seconds is None:
        raise InputError(f"--faults-in {timed[0]}=upsets:R needs --exposure-seconds S")
    kinds: dict[str, Callable[[Any], FaultModel]] = {
        "": lambda n: FlipCount(n, seconds),
        "ber": lambda p: BitErrorRate(p, seconds),
        "upsets": lambda rate: Exposure(seconds, rate),
        "transient": lambda p: Transient(p),
        "stuck0": lambda n: StuckAt(0, n),
        "stuck1": lambda n: StuckAt(1, n),
    }
    return fault_model({memory: kinds[kind](number) for memory, (kind, number) in stated.items()})


def faults(options: argparse.Namespace) -> FaultModel | None:
    """The fault model, None where none is named."""
    from fkeras import BitErrorRate, Exposure, FlipCount

    by_memory = per_memory(options)
    if by_memory is not None:
        return by_memory
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
