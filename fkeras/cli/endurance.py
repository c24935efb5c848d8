"""`fkeras endurance`: how many flips, or how long, a model survives."""

from __future__ import annotations

import argparse

from fkeras.cli import arguments, faults_and_limits, memory_protection, output, session, studies
from fkeras.errors import InputError

SUMMARY = "let flips accumulate: how many, or how many seconds, does the model survive"
EXAMPLES = """\
  fkeras endurance tagger.h5 --data validation.npz --metric accuracy --limit max_accuracy_drop=0.02
  fkeras endurance tagger.h5 --data validation.npz --metric accuracy --limit max_accuracy_drop=0.02 --min-survived 100
  fkeras endurance encoder.h5 --data wafers.npz --metric emd --geometry geometry.npz --limit max_emd=1.25 \\
      --upsets-per-second 0.067 --mask protection.json --under tmr --scrub-interval-seconds 60
  fkeras endurance tagger.h5 --data validation.npz --metric accuracy --limit max_accuracy_drop=0.02 \\
      --faults-in weights=upsets:5e-6 --faults-in activations=transient:1e-7 --exposure-seconds 14400

With a rate everything is in seconds, else in flips. With --min-survived the exit code is a verdict: 0 where that much
is shown to be survived, 1 where more than --max-failure-rate of the trials are shown to fail by then, 3 otherwise.
Without --limit there is only the curve. OUT.json has the curve, the claim and what both rest on.
"""


def looks(text: str) -> list[float]:
    """Reads 1,10,100."""
    return [arguments.real(0)(part) for part in text.split(",")]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    arguments.add_model(parser)
    arguments.add_data(parser)
    time = parser.add_argument_group("flips, or time")
    faults_and_limits.add_rates(time.add_mutually_exclusive_group())
    time.add_argument("--looks", type=looks, metavar="A,B,C", help="where to measure (default: found by itself)")
    time.add_argument("--max-flips", type=arguments.whole(1), metavar="N", help="the last look")
    time.add_argument("--exposure-seconds", type=arguments.real(0), metavar="S", help="the last look, with a rate")
    memory_protection.add_arguments(parser)
    group = faults_and_limits.add_limits(parser)
    group.add_argument("--trials", type=arguments.whole(1), default=100, metavar="N", help="histories to draw (100)")
    group.add_argument(
        "--min-survived", type=arguments.real(0), metavar="X", help="flips (seconds) that must be shown to be survived"
    )
    arguments.add_machine(parser)
    arguments.add_search(parser)
    arguments.add_json(parser, "the curve and the claim")


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, judge."""
    from fkeras.report.endurance import endurance_text

    output.check_targets(options)
    if options.min_survived is not None and not options.limit:
        raise InputError("--min-survived needs --limit: what is to be survived")
    faults = faults_and_limits.per_memory(options)
    with studies.studied(options) as study:
        result = study.endurance(
            faults=faults,
            limits=faults_and_limits.requirement(options, study),
            upsets_per_bit_second=options.upsets_per_bit_second,
            upsets_per_second=options.upsets_per_second,
            looks=options.looks,
            max_flips=options.max_flips,
            exposure_seconds=options.exposure_seconds,
            min_survived=options.min_survived,
            trials=options.trials,
            protected=memory_protection.chosen(options, study),
        )
    if options.json:
        output.write_json(options.json, {"schema": "fkeras-endurance/1", "model": options.model, **result.to_dict()})
    session.show(endurance_text(result))
    if options.min_survived is None:
        return session.FINE
    outcome = result.outcome(options.min_survived)
    failed = result.failed_by(options.min_survived)
    seen = "" if failed is None else f", by then {failed:,} of {options.trials:,} trials failed"
    more = "; raise --trials" if outcome == "INCONCLUSIVE" else ""
    session.show(f"\n{outcome}: {result.text_of(options.min_survived)} must be survived{seen}{more}")
    return faults_and_limits.exit_code(outcome)
