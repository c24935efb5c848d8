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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("report", metavar="REPORT", help="a report (JSON)")
    parser.add_argument("--html", metavar="FILE", help="write one page that needs nothing else")
    parser.add_argument("--markdown", metavar="FILE", help="write the summary that continuous integration shows")
    parser.add_argument("-v", "--verbose", action="store_true", help="print what pytest -v prints: all assumptions")
    arguments.add_force(parser)


def run(options: argparse.Namespace) -> int:
    """Print or write."""
    import shutil

    from fkeras.files import write_text
    from fkeras.report import markdown_summary, read_report, report_text, write_html
    from fkeras.report.terminal import wants_colour

    output.check_targets(options)
    report = read_report(options.report)
    if options.html:
        write_html(report, options.html)
    if options.markdown:
        write_text(options.markdown, markdown_summary(report))
    if not options.html and not options.markdown:
        width = shutil.get_terminal_size((100, 24)).columns
        text = report_text(report, width, wants_colour(), details=options.verbose)
        session.show_painted(text.removesuffix("\n"))
    return 0
