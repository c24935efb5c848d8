"""One run of the command line: errors as text, exit codes, interruptions, warnings of ours in one line."""

from __future__ import annotations

import argparse
import io
import os
import re
import shlex
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fkeras.errors import FkerasError, InputError

FINE, FAILED, MISUSED, UNDECIDED, OUR_MISTAKE, BROKEN_PIPE, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 70, 141, 130, 143


class Misuse(InputError):
    """A command line that cannot be run."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: a batch system wants its machine back."""


def run(parser: Callable[[], argparse.ArgumentParser], argv: Sequence[str]) -> int:
    """Parse and run a command line; the exit code."""
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
    except BrokenPipeError:
        # The reader of our output left, as `| head` does; Python must not complain about it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Misuse as error:
        return _refused(f"{error}{_dash_hint(argv)}", error, show)
    except FkerasError as error:
        return _refused(str(error), error, show)
    except OSError as error:
        return _refused(f"{error}; check the path, its permissions and the space left on the disk", error, show)
    except MemoryError as error:
        return _refused(
            f"not enough memory ({str(error) or 'no details'}); use fewer samples (--samples N) or a larger machine",
            error,
            show,
        )
    except Exception as error:
        _refused(f"{type(error).__name__}: {error}", error, show)
        say("This is a mistake in fkeras, not in your input: please report it with the output of --traceback.")
        return OUR_MISTAKE


def say(text: str) -> None:
    """A message to the user, on standard error, without the control characters that a file name may bring along."""
    visible = "".join(c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    print(f"fkeras: {visible}", file=sys.stderr, flush=True)


_OPTIONS = {
    "trusted": "trust",
    "limits": "limit",
    **{
        name: name.replace("_", "-")
        for name in ("biases", "weights", "layers", "metric", "bits", "share", "overhead", "trials", "faults", "store",
                     "max_trials", "max_flips", "exposure_seconds", "looks", "under")
    },
}  # fmt: skip
_ARGUMENT = re.compile(rf"(?<![\w-])({'|'.join(_OPTIONS)})=(True\b)?(?=(\S?))")


def in_words_of_the_shell(text: str) -> str:
    """A message of the library, which speaks of its arguments, as the command line says it.

    >>> in_words_of_the_shell("pass trusted=True, or exclude it with layers='!lstm'")
    "pass --trust, or exclude it with --layers '!lstm'"
    """

    def option(found: re.Match[str]) -> str:
        has_value = found[2] is None and found[3] not in ("", ",", ";", ".", ":", ")")
        return f"--{_OPTIONS[found[1]]}{' ' if has_value else ''}"

    return _ARGUMENT.sub(option, text).replace("fkeras.TMR", "tmr").replace("data=(x, y)", "--data FILE")


def _refused(text: str, error: BaseException, show: bool) -> int:
    if show:
        import traceback

        traceback.print_exception(error)
    say(in_words_of_the_shell(text))
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
