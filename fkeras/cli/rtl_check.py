"""`fkeras rtl-check`: does the RTL of a weight memory read what the library says?"""

from __future__ import annotations

import argparse
from dataclasses import replace

from fkeras.cli import arguments, faults_and_limits, output, session
from fkeras.errors import InputError

SUMMARY = "simulate the RTL of a weight memory, and compare what it reads under hits with the library, bit for bit"
EXAMPLES = """\
  fkeras protect tagger.h5 --share 32% --granularity word --under secded --rtl rtl
  fkeras rtl-check rtl
  fkeras rtl-check rtl --faults 960 --exposure-seconds 14400 --trials 20

Every cell is hit alone, then every pair of cells within a codeword or a triple, and the same before every scrub and
reload; with --faults also the fault sets of a campaign. Files that are not as fkeras writes them are named, and
simulated as they are. Exit code 1 where anything is read that the library does not say. It needs Icarus Verilog and
cocotb.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("folder", metavar="DIR", help="what `fkeras protect --rtl DIR` wrote")
    faults_and_limits.add_faults(parser, required=False)
    group = parser.add_argument_group("trials")
    group.add_argument("--trials", type=arguments.whole(1), metavar="N", help="fault sets of the campaign (10)")
    arguments.add_seed(group)
    arguments.add_json(parser, "what was simulated")


def run(options: argparse.Namespace) -> int:
    """Simulate and report."""
    from fkeras.rtl import rtl_check

    output.check_targets(options)
    faults = faults_and_limits.faults(options)
    if options.trials is not None and faults is None:
        raise InputError(f"--trials {options.trials} are those of a campaign; say by --faults N how many bits flip")
    result = rtl_check(options.folder, faults=faults, trials=options.trials or 10, seed=options.seed)
    if options.json:
        content = {"schema": "fkeras-rtl-check/1", "folder": options.folder, "agrees": result.agrees}
        stores = [replace(store, read=()) for store in result.stores]
        output.write_json(options.json, {**content, "changed": result.changed, "stores": stores})
    session.show(str(result))
    return session.FINE if result.agrees else session.FAILED
