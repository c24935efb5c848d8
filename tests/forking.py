"""Python programs in processes forked from one that has imported already what takes long to import.

Run as a program, this file is that process: it takes requests from a socket until the other end closes.
"""

from __future__ import annotations

import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
import types
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LIMIT = 1 << 17  # bytes of a request


class ForkServer:
    """Starts Python programs, in a `with`; preload: statements that every one of them finds executed."""

    def __init__(self, preload: str) -> None:
        self._control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far:
            self._server = subprocess.Popen(
                [sys.executable, "-P", __file__, str(far.fileno()), preload],
                pass_fds=[far.fileno()],
                env={name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TF_"))},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._server.wait()

    def popen(
        self,
        args: Sequence[str | os.PathLike[str]],
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> Forked:
        """Does what subprocess.Popen does with `[sys.executable, *more]`."""
        ours: list[Any] = [None, None]
        theirs = []
        for place, stream in enumerate((stdin, stdout, stderr)):
            if stream == subprocess.PIPE:
                reading, writing = os.pipe()
                ours[place] = open((writing, reading)[place], ("wb", "rb")[place], 0)  # noqa: SIM115
                theirs.append((reading, writing)[place])
            elif stream == subprocess.DEVNULL:
                theirs.append(os.open(os.devnull, os.O_RDWR))
            else:
                theirs.append(
                    os.dup(place if stream is None else stream if isinstance(stream, int) else stream.fileno())
                )
        status, far = socket.socketpair()
        request = [[os.fspath(word) for word in args], dict(os.environ if env is None else env), str(cwd or Path.cwd())]
        with far:
            socket.send_fds(self._control, [json.dumps(request).encode()], [*theirs, far.fileno()])
        for file in theirs:
            os.close(file)
        return Forked(status, *ours)


class Forked:
    """A process as subprocess.Popen shows it."""

    def __init__(self, status: socket.socket, stdin: Any, stdout: Any) -> None:
        self._status, self.stdin, self.stdout = status, stdin, stdout
        self.pid, self.returncode = int(status.recv(20)), None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._status.settimeout(timeout)
            try:
                self.returncode = int(self._status.recv(20))
            except TimeoutError:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
            self._status.close()
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


def serve(control: socket.socket) -> None:
    """Fork a process for every request, and tell how each ends."""
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for ready in select.select([control, *running], [], [])[0]:
            if ready is not control:
                pid, status = running.pop(ready)
                status.sendall(b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                status.close()
                os.close(ready)
                continue
            request, files, _, _ = socket.recv_fds(control, LIMIT, 4)
            if not request:
                return
            child = os.fork()
            if not child:
                control.close()
                for other, (_, status) in running.items():
                    os.close(other)
                    status.close()
                _become(*json.loads(request), files)
            for file in files[:3]:
                os.close(file)
            status = socket.socket(fileno=files[3])
            status.sendall(b"%d" % child)
            running[os.pidfd_open(child)] = child, status


def _become(args: list[str], environment: dict[str, str], folder: str, files: list[int]) -> None:
    code = 1
    try:
        for place, file in enumerate(files[:3]):
            os.dup2(file, place)
        for file in files:
            os.close(file)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.path[:0] = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path not in sys.path]
        _run(args[1:])
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(args: list[str]) -> None:
    """What `python ARGS` does."""
    while args[0] in ("-u", "-B", "-W"):
        if args.pop(0) == "-W":
            sys.warnoptions.append(args[0])
            warnings.simplefilter(args.pop(0))
    if args[0] == "-c":
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        sys.argv, sys.path[:0] = ["-c", *args[2:]], [""]
        exec(args[1], vars(main))
    elif args[0].startswith("-m"):
        name, *more = [args[0][2:], *args[1:]] if args[0] != "-m" else args[1:]
        sys.argv, sys.path[:0] = [name, *more], [str(Path.cwd())]
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[:0] = args, [str(Path(args[0]).resolve().parent)]
        runpy.run_path(args[0], run_name="__main__")


def _execute(preload: str) -> None:
    """In a pytest session, which loads its plugins and rewrites what it will want to rewrite in the processes."""
    import pytest

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_preload.py").write_text(preload)
        options = ["--quiet", "--import-mode=importlib", "-p", "no:cacheprovider", "--rootdir", folder]
        code = pytest.main(["-c", os.devnull, *options, folder])
    if code != pytest.ExitCode.NO_TESTS_COLLECTED:
        sys.exit(f"the imports failed ({code})")


if __name__ == "__main__":
    _execute(sys.argv[2])
    serve(socket.socket(fileno=int(sys.argv[1])))
