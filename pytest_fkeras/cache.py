"""Where results are kept from run to run, and shared by the workers of one run."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pytest_fkeras.places import ini_folder

if TYPE_CHECKING:
    from fkeras.store import Store

OFF = "off"
DEFAULT = ".fkeras_cache"
HELP = f"folder for rankings, oracles and trials, reused while nothing that they depend on changes, or {OFF}"
_TOLD = "fkeras_cache"
"""The key under which a worker is told which folder all workers share."""


class Cache(NamedTuple):
    """The folder of this run, None for none; is_kept: whether later runs use it; notice: what reports should say."""

    path: Path | None
    is_kept: bool = True
    notice: str = ""


CACHE = pytest.StashKey[Cache]()
_store = pytest.StashKey["Store | None"]()


def add_options(group: pytest.OptionGroup, parser: pytest.Parser) -> None:
    """The option and its ini key."""
    group.addoption("--fkeras-cache", dest="fkeras_cache", default=None, metavar=f"DIR|{OFF}", help=HELP)
    parser.addini("fkeras_cache", f"{HELP} (default {DEFAULT}); relative to the ini file", default=None)


def configure(config: pytest.Config) -> None:
    """Settle which folder this process uses; the controller tells the workers."""
    told = getattr(config, "workerinput", {}).get(_TOLD)
    if told is not None:
        config.stash[CACHE] = Cache(Path(told["path"]), told["is_kept"], told["notice"])
        return
    config.stash[CACHE] = cache_of(config)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Controller(config.stash[CACHE]), "fkeras_cache")


def cache_of(config: pytest.Config) -> Cache:
    """What the command line (relative to where pytest was started) or the ini file (relative to it) asks for."""
    text, base = config.option.fkeras_cache, config.invocation_params.dir
    if text is None:
        text, base = config.getini("fkeras_cache"), ini_folder(config)
    text = text or DEFAULT
    if text == OFF:
        return Cache(None)
    path = base / Path(text).expanduser()
    if not _is_writable(path):
        return Cache(None, notice=f"{path} cannot be written, so results are not kept for the next run")
    return Cache(path)


def store_of(config: pytest.Config) -> Store | None:
    """The store of this run. UsageError for a folder that is none."""
    if _store not in config.stash:
        from fkeras.errors import InputError
        from fkeras.store import CACHE_BYTES, Store

        cache = config.stash[CACHE]
        try:
            found = None if cache.path is None else Store(cache.path, CACHE_BYTES if cache.is_kept else None)
        except InputError as error:
            raise pytest.UsageError(f"--fkeras-cache: {error}") from error
        config.stash[_store] = found
    return config.stash[_store]


def notices_of(config: pytest.Config) -> tuple[str, ...]:
    """What reports should say about the cache."""
    cache, store = config.stash[CACHE], config.stash.get(_store, None)
    return tuple(filter(None, (cache.notice, *(() if store is None else store.notices))))


class _Controller:
    """Under pytest-xdist: all workers share one folder, without a cache one that lives as long as the run."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        if self._cache.path is None and self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="fkeras-", ignore_cleanup_errors=True)
        path = self._cache.path if self._folder is None else self._folder.name
        node.workerinput[_TOLD] = {
            "path": str(path),
            "is_kept": self._folder is None,
            "notice": self._cache.notice,
        }

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()


def _is_writable(path: Path) -> bool:
    """Whether a folder can be written, or made."""
    nearest = next(one for one in (path, *path.parents) if one.exists())
    return os.access(nearest, os.W_OK | os.X_OK)
