"""`fkeras hls4ml-resources`: words, bits and protection beside hls4ml's own numbers, and masks in its order."""

from __future__ import annotations

import argparse
from pathlib import Path

from fkeras.cli import arguments, output, session, studies
from fkeras.cli.hls4ml_check import add_project
from fkeras.errors import InputError

SUMMARY = "show what an hls4ml project stores and what protection adds; write masks in hls4ml's order"
EXAMPLES = """\
  fkeras hls4ml-resources tagger.h5 --project my-project
  fkeras hls4ml-resources tagger.h5 --project my-project --mask protection.json --masks-to my-project/masks

One row per tensor: the array of hls4ml that holds it, its type, words, bits, protected bits, what TMR adds, whether
the words are stored at all, strategy, reuse factor and multipliers; below, the synthesis report where the project has
one. --masks-to writes protection.json, protection.csv and C headers, one mask word per entry of weights/wN.txt.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    arguments.add_model(parser)
    add_project(parser)
    parser.add_argument("--mask", metavar="FILE", help="protected bits, as `fkeras protect` writes them")
    parser.add_argument("--masks-to", metavar="FOLDER", help="write the mask in hls4ml's order there (needs --mask)")
    arguments.add_json(parser, "the table")


def run(options: argparse.Namespace) -> int:
    """Print the table, write the masks."""
    import fkeras.hls4ml
    from fkeras.protection import read_mask

    output.check_targets(options)
    if options.masks_to and not options.mask:
        raise InputError(f"--masks-to {options.masks_to} needs --mask FILE: which bits are protected")
    if options.masks_to:
        there = Path(options.masks_to)
        output.check_masks(there, "--masks-to", (path.name for path in there.glob("*_mask.h")), options)
    with studies.studied(options) as study:
        model, space = study.model, study.space
    mask = read_mask(options.mask) if options.mask else None
    table = fkeras.hls4ml.resources(
        model,
        project=options.project,
        protected=None if mask is None else mask.on(space),
        space=space,
    )
    session.show(str(table))
    if options.json:
        from fkeras.plain import plain

        output.write_json(options.json, {"schema": "fkeras-hls4ml-resources/1", "model": options.model, **plain(table)})
    if mask is not None and options.masks_to:
        moved = fkeras.hls4ml.reordered(mask, model, project=options.project, space=space)
        for path in fkeras.hls4ml.write_masks(moved, options.masks_to):
            session.show(f"wrote {path}")
    return 0
