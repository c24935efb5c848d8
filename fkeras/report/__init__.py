"""From results to text: records, tables, reports, pages, figures. Computes nothing.

>>> from fkeras.report import SCHEMA
>>> SCHEMA
'fkeras-report/1'
"""

from fkeras.report.compare import compare_reports, comparison_lines
from fkeras.report.document import SCHEMA, Report, read_report, schema
from fkeras.report.markdown import markdown_summary
from fkeras.report.page import html_page, write_html
from fkeras.report.record import BudgetRecord
from fkeras.report.table import report_text

__all__ = [
    "SCHEMA",
    "BudgetRecord",
    "Report",
    "compare_reports",
    "comparison_lines",
    "html_page",
    "markdown_summary",
    "read_report",
    "report_text",
    "schema",
    "write_html",
]
