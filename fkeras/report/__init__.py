"""From results to text: records, tables, reports, pages, figures. Computes nothing.

>>> from fkeras.report import SCHEMA
>>> SCHEMA
'fkeras-report/1'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "fkeras.report.compare": ("ReportComparison", "compare_reports", "comparison_lines"),
    "fkeras.report.document": ("SCHEMA", "Report", "read_report", "schema"),
    "fkeras.report.markdown": ("markdown_summary",),
    "fkeras.report.page": ("html_page", "write_html"),
    "fkeras.report.record": ("BudgetRecord",),
    "fkeras.report.terminal": ("report_text",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "SCHEMA",
    "BudgetRecord",
    "Report",
    "ReportComparison",
    "compare_reports",
    "comparison_lines",
    "html_page",
    "markdown_summary",
    "read_report",
    "report_text",
    "schema",
    "write_html",
]

if TYPE_CHECKING:
    from fkeras.report.compare import ReportComparison, compare_reports, comparison_lines
    from fkeras.report.document import SCHEMA, Report, read_report, schema
    from fkeras.report.markdown import markdown_summary
    from fkeras.report.page import html_page, write_html
    from fkeras.report.record import BudgetRecord
    from fkeras.report.terminal import report_text


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'fkeras.report' has no attribute {name!r}")
