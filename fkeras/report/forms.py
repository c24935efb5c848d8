"""The files that a report is written to, and what makes the text of each."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from fkeras.files import write_text
from fkeras.report.document import Report
from fkeras.report.markdown import markdown_summary
from fkeras.report.page import html_page
from fkeras.report.services import badge, openmetrics, trend


class Form(NamedTuple):
    """kind: of file, as `fkeras.files` knows them; text: what stands in it."""

    kind: str
    text: Callable[[Report], str]

    def write(self, report: Report, path: str | os.PathLike[str]) -> None:
        """Write PATH, complete or not at all."""
        write_text(path, self.text(report))


FORMS = {
    "json": Form("report", Report.to_json),
    "html": Form("page", html_page),
    "markdown": Form("summary", markdown_summary),
    "trend": Form("trend", trend),
    "badge": Form("badge", badge),
    "openmetrics": Form("metrics report", openmetrics),
}
"""By the name of the option that asks for it."""
