"""`fkeras area`: what a protected weight memory takes, measured by synthesis."""

from __future__ import annotations

import argparse

from fkeras.cli import arguments, output, session

SUMMARY = "synthesize the RTL of a weight memory: its area, whether every cell survives, and proofs of its decoders"
EXAMPLES = """\
  fkeras area rtl
  fkeras area rtl --liberty sky130_fd_sc_hd__tt_025C_1v80.lib --json area.json

Areas are in equivalents of a NAND of two inputs, by the transistors that Yosys counts for its own gates, or in the unit
of a liberty file; the same words without protection are measured beside them. Flip-flops that hold stored bits are
counted after synthesis: copies that were merged protect nothing. Decoders are proven to be the library's for every
pattern of their cells. Exit code 1 where a cell is lost or a decoder refuted. It needs Yosys.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("folder", metavar="DIR", help="what `fkeras protect --rtl DIR` wrote")
    parser.add_argument("--liberty", metavar="FILE", help="a .lib file of standard cells, in whose unit areas then are")
    arguments.add_json(parser, "the areas")


def run(options: argparse.Namespace) -> int:
    """Synthesize and report."""
    from fkeras.rtl import rtl_area
    from fkeras.rtl.area import area_content

    output.check_targets(options)
    result = rtl_area(options.folder, liberty=options.liberty)
    if options.json:
        output.write_json(options.json, area_content(result, options.folder))
    session.show(str(result))
    return session.FINE if result.holds else session.FAILED
