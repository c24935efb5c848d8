"""The command as a process: start-up, interruption, pipes."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numpy", "tensorflow", "numba", "scipy", "matplotlib", "pyarrow", "dask", "tqdm", "tabulate", "pytest")


def test_help_loads_nothing_heavy():
    program = (
        "import sys; from fkeras.cli import main, COMMANDS; main(['--help']); [main([c, '--help']) for c in COMMANDS]; "
        f"print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
