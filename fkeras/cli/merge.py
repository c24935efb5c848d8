"""`fkeras merge`: stores become one."""

from __future__ import annotations

import argparse

from fkeras.cli import session

SUMMARY = "put stores together, such as those that the jobs of a farm have filled"
EXAMPLES = """\
  fkeras merge part1 part2 part3 --into results
  fkeras merge part* --into results

Results of one identity (model, data, memory, metric, faults, seed, engine) add up; shares of different things are
refused, with the difference named. Sources are only read, and merging again changes nothing. Afterwards the line that
the jobs ran, without --shard and with --store results, reads the whole.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("sources", nargs="+", metavar="STORE", help="stores, or single results in them")
    parser.add_argument("--into", required=True, metavar="DIR", help="the store to add to; made if need be")


def run(options: argparse.Namespace) -> int:
    """Merge, and say what is there now."""
    import fkeras

    for merged in fkeras.merge(options.sources, options.into):
        what = f"{merged.identity.kind} {merged.identity.digest[:12]}"
        session.show(f"{what}: {merged.n_rows:,} rows, {merged.n_new:,} of them new")
    return 0
