"""`--fkeras-executor`: campaigns on other processes and machines."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fkeras.engine import Run

HELP = "who measures: processes:N on this machine, or dask:ADDRESS (a scheduler's address or its .json file)"
_workers = pytest.StashKey[Any]()


def add_options(group: pytest.OptionGroup, parser: pytest.Parser) -> None:
    """The option and its ini key."""
    group.addoption("--fkeras-executor", dest="fkeras_executor", default=None, metavar="NAME", help=HELP)
    parser.addini("fkeras_executor", HELP, default=None)


def configure(config: pytest.Config) -> None:
    """Refuse what names no executor, before any test."""
    if text := _text(config):
        from fkeras.errors import InputError
        from fkeras.executors import parse_executor

        try:
            parse_executor(text)
        except InputError as error:
            raise pytest.UsageError(f"--fkeras-executor: {error}") from None


def measured_by(config: pytest.Config, run: Run, model: Any, data: Any, metrics: Mapping[str, Any], engine: str) -> Run:
    """`run`, measured by the workers that the session asks for; they start when first needed and end with it."""
    text = _text(config)
    if not text:
        return run
    from fkeras.engines import on_workers
    from fkeras.errors import FkerasError
    from fkeras.executors import opened_executor

    if any(one.function.__module__ != "pytest_fkeras.plugin" for one in _starters(config)):
        raise pytest.UsageError(
            "--fkeras-executor sends Keras models to workers, and this project starts engines of its own "
            "(pytest_fkeras_start_run): leave the option out"
        )
    if _workers not in config.stash:
        stack = ExitStack()
        try:
            config.stash[_workers] = stack.enter_context(opened_executor(text))
        except FkerasError as error:
            raise pytest.UsageError(f"--fkeras-executor: {error}") from error
        config.add_cleanup(stack.close)
    return on_workers(run, model, data, metrics, engine, config.stash[_workers])


def _text(config: pytest.Config) -> str | None:
    text: str | None = config.option.fkeras_executor or config.getini("fkeras_executor")
    return text


def _starters(config: pytest.Config) -> list[Any]:
    implementations: list[Any] = config.hook.pytest_fkeras_start_run.get_hookimpls()
    return implementations
