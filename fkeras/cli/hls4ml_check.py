"""`fkeras hls4ml-check`: does the chip compute what the model computes?"""

from __future__ import annotations

import argparse

from fkeras.cli import arguments, output, session, studies

SUMMARY = "compare a model with hls4ml's emulation of the chip, fault-free and under faults"
EXAMPLES = """\
  fkeras hls4ml-check tagger.h5 --data validation.npz
  fkeras hls4ml-check tagger.h5 --data validation.npz --project my-hls4ml-project --json check.json
  fkeras hls4ml-check encoder.h5 --data wafers.npz --samples 2000 --faults 960 --trials 50

Without --project the precisions follow from the model's quantizers; with it they are those of the project's
hls4ml_config.yml. The report names the first layer where the two part and the likely cause (input precision,
accumulator overflow, rounding mode, ...), and the words that the project does not store at all. Needs the extra
pytest-fkeras[hls4ml] and g++. The exit code is 0 where every output is the same, 1 where one differs.
"""


def add_project(parser: argparse._ActionsContainer) -> None:
    """Which hls4ml project."""
    parser.add_argument(
        "--project", metavar="PATH", help="hls4ml project directory, or its YAML (default: made for the model)"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    arguments.add_model(parser)
    add_project(parser)
    group = parser.add_argument_group("data and faults")
    group.add_argument("--data", dest="inputs", required=True, metavar="FILE", help=".npz with the array x (inputs)")
    group.add_argument(
        "--samples", type=arguments.whole(1), metavar="N", help="only the first N samples (default: all)"
    )
    group.add_argument("--faults", type=arguments.whole(0), default=1, metavar="N", help="flips at once (1)")
    group.add_argument("--trials", type=arguments.whole(0), default=20, metavar="N", help="draws of faults (20)")
    arguments.add_seed(group)
    arguments.add_json(parser, "the comparison")


def run(options: argparse.Namespace) -> int:
    """Compare and report."""
    import fkeras.hls4ml
    from fkeras.npz import read_inputs

    output.check_targets(options)
    x = studies.first(read_inputs(options.inputs), options.samples, options.inputs)
    with studies.studied(options) as study:
        found = fkeras.hls4ml.agreement(
            study.model,
            x,
            project=options.project,
            space=study.space,
            faults=options.faults,
            trials=options.trials,
            seed=options.seed,
        )
    if options.json:
        from fkeras.plain import plain

        content = {"schema": "fkeras-hls4ml-check/1", "model": options.model, "agrees": found.agrees, **plain(found)}
        output.write_json(options.json, content)
    session.show(str(found))
    return session.FINE if found.agrees else session.FAILED
