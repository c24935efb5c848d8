"""Where and with what a result was made."""

from __future__ import annotations

import os
import platform
from datetime import date
from typing import Any

from fkeras.report.document import package_version

_PACKAGES = ("numpy", "scipy", "tensorflow", "tf-keras", "qkeras", "pytest-fkeras")


def provenance() -> dict[str, Any]:
    """Versions, machine and date of this run."""
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": {name: package_version(name) for name in _PACKAGES},
    }
