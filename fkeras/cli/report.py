"""`fkeras report`: a report's file as text or as a page."""

from __future__ import annotations

import argparse

from fkeras.cli import arguments, output, session

SUMMARY = "show a report that pytest wrote, or make a page of it that opens anywhere"
EXAMPLES = """\
  fkeras report resilience.json
  fkeras report resilience.json --html resilience.html
  fkeras report resilience.json --markdown summary.md

Reports are written by `pytest --fkeras-json=FILE`.
"""
_FORMS = {
    "html": "write one page that needs nothing else",
    "markdown": "write the summary that continuous integration shows",
    "trend": "write points for github-action-benchmark (customSmallerIsBetter)",
    "badge": "write what shields.io reads as an endpoint",
    "openmetrics": "write the numbers as OpenMetrics",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("report", metavar="REPORT", help="a report (JSON)")
    for name, text in _FORMS.items():
        parser.add_argument(f"--{name}", metavar="FILE", help=text)
    parser.add_argument("-v", "--verbose", action="store_true", help="print what pytest -v prints: all assumptions")
    arguments.add_force(parser)


def run(options: argparse.Namespace) -> int:
    """Print or write."""
    import shutil

    from fkeras.report import read_report, report_text
    from fkeras.report.forms import FORMS
    from fkeras.report.table import wants_colour

    output.check_targets(options)
    report = read_report(options.report)
    paths = {name: path for name in _FORMS if (path := getattr(options, name))}
    for name, path in paths.items():
        FORMS[name].write(report, path)
    if not paths:
        width = shutil.get_terminal_size((100, 24)).columns
        text = report_text(report, width, wants_colour(), details=options.verbose)
        session.show_painted(text.removesuffix("\n"))
    return 0
