"""`fkeras compare`: one report against an earlier one."""

from __future__ import annotations

import argparse

from fkeras.cli import arguments, faults_and_limits, session

SUMMARY = "compare a report with an earlier one, on identical fault sets where they drew the same"
EXAMPLES = """\
  fkeras compare main.json branch.json
  fkeras compare main.json branch.json --fail=accuracy:0.01
  fkeras compare main.json branch.json --fail=emd:5% --fail=accuracy.mean:0.01

Reports are written by `pytest --fkeras-json=FILE`. With --fail the exit code is a verdict: 0 where no metric is worse
by more, 1 where one is, 3 where the trials do not tell or a test is missing. What did not change passes. Else a smaller
share of draws than the test's max_failure_rate must be worse by more; of `emd.mean`, the mean must not be.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("old", metavar="OLD", help="the earlier report (JSON)")
    parser.add_argument("new", metavar="NEW", help="the report to judge (JSON)")
    parser.add_argument(
        "--fail",
        action="append",
        metavar="METRIC:BY",
        help="how much worse a metric may be: a share of the old mean, as in emd:5%%, or a number in its unit",
    )
    parser.add_argument(
        "--confidence", type=arguments.share, default=0.95, metavar="P", help="how sure the verdict must be (0.95)"
    )


def run(options: argparse.Namespace) -> int:
    """Compare, print, judge."""
    import shutil

    from fkeras.report import compare_reports, comparison_lines, read_report
    from fkeras.report.table import painted, wants_colour
    from fkeras.statistics.tolerance import parse_tolerances

    tolerances = parse_tolerances(",".join(options.fail)) if options.fail else ()
    found = compare_reports(read_report(options.old), read_report(options.new), tolerances, options.confidence)
    width = shutil.get_terminal_size((100, 24)).columns
    lines = comparison_lines(found, width, painted) if wants_colour() else comparison_lines(found, width)
    session.show_painted("\n".join(lines))
    return faults_and_limits.exit_code(found.outcome)
