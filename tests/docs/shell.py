"""A shell for documentation tests: `python`, `fkeras` and `pytest` lines, each in a process of its own.

Each process is forked from one that has already imported TensorFlow, which would otherwise be most of the time.
Run as a program it is that process: a JSON list [argv, environment] per line in, an exit code per line out.
"""

from __future__ import annotations

import json
import os
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from types import TracebackType

PROGRAMS = ("python", "fkeras", "pytest")


class Shell:
    """Runs lines in a folder. `run(line)` gives the exit code and what was printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        for name in ("CI", "PYTEST_ADDOPTS", "GITHUB_STEP_SUMMARY", "PYTEST_XDIST_WORKER"):
            environment.pop(name, None)
        self._server = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, line: str, **environment: str) -> tuple[int, str]:
        """The exit code of a line and its output, both streams."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        argv = shlex.split(line, comments=True)
        if argv[0] == "pytest":  # what a developer's own environment has installed besides must not matter
            argv[1:1] = ["-p", "no:randomly", "-p", "no:cacheprovider"]
        output = self.folder / ".output"
        print(json.dumps([argv, {"COLUMNS": "80", **environment}, str(output)]), file=self._server.stdin, flush=True)
        code = int(self._server.stdout.readline())
        return code, output.read_text(encoding="utf-8")

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.communicate()


def _run(argv: list[str]) -> int:
    if argv[0] == "fkeras":
        from fkeras.cli import main

        return main(argv[1:])
    if argv[0] == "pytest":
        import pytest

        return int(pytest.main(argv[1:]))
    sys.argv = argv[1:]
    runpy.run_path(argv[1], run_name="__main__")
    return 0


def _serve() -> None:
    import fkeras.backends.tf.setup as setup

    setup.tensorflow()
    setup.qkeras()
    for line in sys.stdin:
        argv, environment, output = json.loads(line)
        child = os.fork()
        if child:
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
            continue
        code = 70
        try:
            os.environ.update(environment)
            handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            code = _run(argv)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


if __name__ == "__main__":
    _serve()
