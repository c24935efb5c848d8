"""One run of the command line: errors as text, exit codes, interruptions, warnings of ours in one line."""

from __future__ import annotations

import argparse
import io
import os
import shlex
import signal
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from fkeras.errors import Argument, FkerasError, InputError
from fkeras.printable import printable

FINE, FAILED, MISUSED, UNDECIDED, OUR_MISTAKE, BROKEN_PIPE, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 70, 141, 130, 143


class Misuse(InputError):
    """A command line that cannot be run."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: a batch system wants its machine back."""


def run(parser: Callable[[], argparse.ArgumentParser], argv: Sequence[str]) -> int:
    """Parse and run a command line; the exit code."""
    with _streams():
        return _run(parser, argv)


def _run(parser: Callable[[], argparse.ArgumentParser], argv: Sequence[str]) -> int:
    show = "--traceback" in argv
    try:
        with _warnings_in_one_line(), _terminable(), _everything_printable():
            options = parser().parse_args(argv)
            code: int = options.run(options)
            sys.stdout.flush()
            return code
    except SystemExit as stop:
        return int(stop.code or 0)
    except KeyboardInterrupt as stop:
        say(_interruption(stop, argv))
        return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        return BROKEN_PIPE
    except FkerasError as error:
        hint = _dash_hint(argv) if isinstance(error, Misuse) else ""
        return _refused(error.said(spelled) + hint, error, show)
    except OSError as error:
        return _refused(f"{error}; check the path, its permissions and the space left on the disk", error, show)
    except MemoryError as error:
        return _refused(
            f"not enough memory ({str(error) or 'no details'}); use fewer samples (--samples N) or a larger machine",
            error,
            show,
        )
    except Exception as error:
        code = _refused(f"{type(error).__name__}: {error}", error, show)
        elsewhere = origin(error)
        if elsewhere:
            say(f"This was raised by {elsewhere}; --traceback shows where.")
            return code
        say("This is a mistake in fkeras, not in your input: please report it with the output of --traceback.")
        return OUR_MISTAKE


def say(text: str) -> None:
    """A message to the user, on standard error."""
    print(f"fkeras: {printable(text)}", file=sys.stderr, flush=True)


def show(text: str) -> None:
    """What a command was asked for, on standard output."""
    show_painted(printable(text))


def show_painted(text: str) -> None:
    """The same of a text in which only our own colours are left for the terminal."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"standard output cannot be written ({error.strerror}); send it elsewhere") from None


_OPTIONS = {"n_faults": "faults", "trusted": "trust", "limits": "limit"}
_VALUES = {"(x, y)": "FILE", "fkeras.TMR": "tmr", "fkeras.memory.FixedPoint(8, 0)": "8,0"}


def spelled(argument: Argument) -> str:
    """An argument of the library as the command line writes it.

    >>> spelled(Argument("trusted", True)), spelled(Argument("layers", ["!lstm", "!gru"]))
    ('--trust', "--layers '!lstm' --layers '!gru'")
    """
    option = f"--{_OPTIONS.get(argument.name, argument.name).replace('_', '-')}"
    if argument.verb != "=":
        return f"{option}{argument.verb}{argument.value!r}"
    if argument.value is True:
        return option
    values = argument.value if isinstance(argument.value, list) else [argument.value]
    return " ".join(f"{option} {_VALUES.get(str(value), repr(value))}".rstrip() for value in values)


def origin(error: BaseException) -> str:
    """Whose mistake an unexpected error is: a library that could not be loaded, or code of the user; "" for ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [place for place, frame in enumerate(frames) if frame.filename.startswith(_PACKAGE)]
    below = frames[ours[-1] + 1 :] if ours else frames
    theirs = [frame.filename for frame in below if _is_code_of_the_user(frame.filename)]
    if theirs:
        return f"code of yours, {theirs[-1]}"
    if isinstance(error, ImportError) or any(frame.name == "<module>" for frame in below):
        if (getattr(error, "name", None) or "").partition(".")[0] == "fkeras":
            return ""
        return "a library that could not be loaded: install pytest-fkeras anew, in an environment of its own"
    return ""


_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
_LIBRARIES = tuple({*map(os.path.realpath, sysconfig.get_paths().values()), *sysconfig.get_paths().values()})


def _is_code_of_the_user(name: str) -> bool:
    is_library = name.startswith(_LIBRARIES) or f"{os.sep}site-packages{os.sep}" in name
    return os.path.isabs(name) and not is_library and "__autograph_generated_file" not in name


def _refused(text: str, error: BaseException, show: bool) -> int:
    if show:
        traceback.print_exception(error)
    say(text)
    return MISUSED


def _dash_hint(argv: Sequence[str]) -> str:
    named = [word for word in argv if word.startswith("-") and os.path.lexists(word)]
    return f". The file {named[0]} is named ./{named[0]} here, because options begin with '-'" if named else ""


_RESUMABLE = ("oracle", "campaign", "endurance", "protect")
"""Commands that keep with --store what they measured before an interruption."""


def _interruption(stop: BaseException, argv: Sequence[str]) -> str:
    what = "terminated" if isinstance(stop, Terminated) else "interrupted"
    line = shlex.join(["fkeras", *argv])
    command = next((word for word in argv if not word.startswith("-")), "")
    if not any(word == "--store" or word.startswith("--store=") for word in argv):
        if command not in _RESUMABLE:
            return f"{what}; nothing was kept"
        return f"{what}; nothing was kept. With --store DIR the same line would go on where it stopped:\n  {line}"
    if command == "rank" or (command == "protect" and not any(word.startswith("--limit") for word in argv)):
        return f"{what}; a ranking is stored when it is whole. The same line starts again, unless it was:\n  {line}"
    return f"{what}; what was measured is in the store. The same line goes on from there:\n  {line}"


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that what was measured is saved."""

    def stop(number: int, frame: Any) -> None:
        raise Terminated

    try:
        usual = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)


@contextmanager
def _streams() -> Iterator[None]:
    """Standard streams that may be closed, full or abandoned without a say in the exit code.

    A closed one would be the number of the next file that is opened, and libraries would write into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    usual = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nowhere:
        out, err = sys.stdout or nowhere, sys.stderr or nowhere
        sys.stdout, sys.stderr = out, _Forgiving(err)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = usual
            for stream in (out, err):
                _let_go(stream)


def _let_go(stream: Any) -> None:
    """Write what a stream still holds, or drop it: Python ends with a code of its own over what it cannot write."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            stream.flush()


class _Forgiving:
    """Standard error whose failures are nobody's: there is no other place to say them."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


@contextmanager
def _everything_printable() -> Iterator[None]:
    """Names of files need not be UTF-8; what the output's encoding lacks is printed as an escape."""
    out = sys.stdout
    if not isinstance(out, io.TextIOWrapper):
        yield
        return
    usual = out.errors
    out.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        out.reconfigure(errors=usual)


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Our own warnings as one line each; those of the libraries below say nothing to a user of a command."""

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if category.__module__.split(".")[0] == "fkeras":
            say(f"note: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        yield
