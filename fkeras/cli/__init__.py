"""The command line `fkeras`: one file per command.

A command is a file here and its name in COMMANDS. It has SUMMARY (one line), EXAMPLES (shown below its help),
`add_arguments(parser)` and `run(options) -> exit code`. Loading it must load nothing heavy: `fkeras --help` is quick.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from fkeras.cli import session

COMMANDS = (
    "inspect",
    "rank",
    "oracle",
    "campaign",
    "endurance",
    "protect",
    "merge",
    "export",
    "report",
    "compare",
    "hls4ml-check",
    "hls4ml-resources",
    "rtl-check",
    "area",
)

_EPILOG = """\
examples:
  fkeras inspect tagger.h5
  fkeras oracle tagger.h5 --data validation.npz --metric accuracy --store results --json oracle.json
  fkeras campaign tagger.h5 --data validation.npz --metric accuracy --faults 100 --limit max_accuracy_drop=0.02

`fkeras COMMAND --help` explains a command, with examples.

exit codes: 0 done, or the verdict is PASS; 1 the verdict is FAIL, or a comparison is past its limit; 2 the arguments,
a file or the model cannot be used, and the message says what to change; 3 not decided; 70 a mistake in fkeras;
130 interrupted (Ctrl-C), 143 terminated (SIGTERM): with --store the same line goes on where it stopped.
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are ours."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where the help is."""
        if "expected one argument" in message:
            message += "; a value that begins with '-' is written --option=-value"
        raise session.Misuse(f"{message}; see `{self.prog} --help`")


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    whole = Parser(
        prog="fkeras",
        description="Bit flips in the stored weights of quantized neural networks: which matter, and how many survive.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    from fkeras import __version__

    whole.add_argument("--version", action="version", version=f"fkeras {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module: Any = importlib.import_module(f"fkeras.cli.{name.replace('-', '_')}")
        one = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=f"{module.SUMMARY[0].upper()}{module.SUMMARY[1:]}.",
            epilog=f"examples:\n{module.EXAMPLES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(one)
        one.add_argument("--traceback", action="store_true", help="show Python's traceback of an error")
        one.set_defaults(run=module.run)
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (the process's own unless given) and return its exit code; nothing is raised."""
    return session.run(parser, list(sys.argv[1:] if argv is None else argv))
