"""The plugin's state: what one session shares, and what is known of each of its tests."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest

from pytest_fkeras.options import OPTIONS, Choices, Options, golden_limits, ini_folder, is_on, said, stated
from pytest_fkeras.outputs import Outputs, outputs_of

if TYPE_CHECKING:
    from fkeras.recent import Recent
    from fkeras.statistics.tolerance import Tolerance
    from fkeras.store import Store
    from fkeras.study import Study
    from pytest_fkeras.baseline import Against
    from pytest_fkeras.campaign import FaultCampaign
    from pytest_fkeras.fixture_values import FixtureValue
    from pytest_fkeras.gate import Judgement
    from pytest_fkeras.marks import Budget

ANCHOR = "anchor"
"""The folder in a baseline folder with the files of a release, which updates leave alone."""
NO_CACHE = "off"
DEFAULT_CACHE = ".fkeras_cache"
DEFAULT_SAMPLES = 500
_CI_VARIABLES = ("CI", "BUILD_NUMBER")
"""Those by which pytest itself tells that it runs in CI."""

_UPDATES = ("baseline_update", "baseline_update_new_only", "baseline_update_in_ci")
_TOLD = "fkeras"
"""The key under which a worker of pytest-xdist is told what all workers share."""


class Cache(NamedTuple):
    """The folder of this run, None for none; is_kept: whether later runs use it; notice: what reports should say."""

    path: Path | None
    is_kept: bool = True
    notice: str = ""


class Gate(NamedTuple):
    """What was asked for. folder: None without a baseline; update: which files to write at the end.

    inconclusive_passes: what was not decided, by limits or against the baseline, does not fail its test.
    """

    folder: Path | None = None
    tolerances: tuple[Tolerance, ...] = ()
    update: Literal["", "all", "new"] = ""
    is_ci: bool = False
    inconclusive_passes: bool = False


class FkerasSession:
    """What the options ask for, checked before any test, and what the tests share, made when it is first needed.

    config: pytest's. UsageError for options that make no sense.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        told: dict[str, Any] = getattr(config, "workerinput", {}).get(_TOLD, {})
        self.is_worker = hasattr(config, "workerinput")
        self.names_file = Path(told["names"]) if told else None
        """Where a worker writes which budgets it collected."""
        self.options = _options(config)
        samples = stated(config, "hls4ml_samples")
        self.hls4ml_samples = DEFAULT_SAMPLES if samples is None else samples.number
        self.executor_name = _executor_name(config)
        said_of_memory = {name: stated(config, name) for name in ("memory", "words")}
        self.coverage: dict[str, Any] = {name: at.text for name, at in said_of_memory.items() if at is not None}
        """What the ini file says of the memory."""
        if (of := stated(config, "of")) is not None:
            from fkeras.memory.coverage import MEMORIES_OF

            self.coverage["of"] = of.words(MEMORIES_OF)
        self.cache = Cache(Path(told["cache"]), told["is_kept"], told["notice"]) if told else _cache(config)
        self.gate = _gate(config)
        self.outputs = Outputs() if self.is_worker else outputs_of(config)
        _refuse_to_overwrite(self.gate, self.outputs.files)
        self.sources: tuple[Any, ...] | None = None
        """The definitions of the fixtures of model, data and metrics that the last test saw."""

    @cached_property
    def studies(self) -> Recent[Study]:
        """By the fixtures' values."""
        from fkeras.recent import Recent

        return Recent()

    @cached_property
    def fixture_values(self) -> Recent[FixtureValue]:
        """What the fixtures gave, as it was then."""
        from fkeras.recent import Recent

        return Recent()

    @cached_property
    def store(self) -> Store | None:
        """Where results are kept. UsageError for a folder that is no store."""
        from fkeras.errors import InputError
        from fkeras.store import CACHE_BYTES, Store

        try:
            path = self.cache.path
            return None if path is None else Store(path, CACHE_BYTES if self.cache.is_kept else None)
        except InputError as error:
            raise pytest.UsageError(f"--fkeras-cache: {error}") from error

    @property
    def notices(self) -> tuple[str, ...]:
        """What reports should say about the cache."""
        return tuple(filter(None, (self.cache.notice, *(() if self.store is None else self.store.notices))))

    @cached_property
    def executor(self) -> Any:
        """The workers that measure, None without any; they start when first needed and end with the session."""
        if self.executor_name is None:
            return None
        from fkeras.errors import FkerasError
        from fkeras.executors import opened_executor

        stack = ExitStack()
        try:
            executor = stack.enter_context(opened_executor(self.executor_name))
        except FkerasError as error:
            raise pytest.UsageError(f"--fkeras-executor: {error}") from error
        self.config.add_cleanup(stack.close)
        return executor

    @cached_property
    def folder(self) -> Path:
        """A folder of the controller's, which the workers of one run share and which goes away with it."""
        folder = tempfile.TemporaryDirectory(prefix="fkeras-", ignore_cleanup_errors=True)
        self.config.add_cleanup(folder.cleanup)
        return Path(folder.name)

    @cached_property
    def context(self) -> dict[str, str]:
        """What the reports are about: project, commit, branch."""
        from pytest_fkeras.context import context_of

        return context_of(self.config.rootpath)

    @property
    def writes_report(self) -> bool:
        """Whether this run's report goes into a file."""
        return any(stated(self.config, name) is not None for name in ("json", "html"))

    def names_of_workers(self) -> list[str]:
        """The budgets that the workers collected, as far as they wrote it."""
        files = sorted(self.folder.glob("*.json")) if "folder" in self.__dict__ else []
        return [name for file in files for name in json.loads(file.read_text())]

    def tell(self, node: Any) -> None:
        """Tell a worker of pytest-xdist what it shares with the others: without a cache one that lives as long."""
        node.workerinput[_TOLD] = {
            "names": str(self.folder / f"{node.gateway.id}.json"),
            "cache": str(self.cache.path or self.folder / "cache"),
            "is_kept": self.cache.path is not None,
            "notice": self.cache.notice,
        }


SESSION = pytest.StashKey[FkerasSession]()
"""Where pytest's config has it."""


@dataclass(slots=True)
class TestState:
    """What is known of one test, as far as it got; fixtures: those made for its draws, see `strategies`."""

    __test__ = False

    budget: Budget | None = None
    campaign: FaultCampaign | None = None
    against: Against | None = None
    judgement: Judgement | None = None
    fixtures: set[str] = field(default_factory=set)


_TEST = pytest.StashKey[TestState]()


def state_of(item: pytest.Item) -> TestState:
    """What is known of a test."""
    return item.stash.setdefault(_TEST, TestState())


def _options(config: pytest.Config) -> Options:
    typed, written = zip(*(said(config, name) for name in Choices._fields), strict=True)
    project, golden = stated(config, "hls4ml"), stated(config, "golden")
    return Options(
        Choices.read(dict(zip(Choices._fields, typed, strict=True))),
        Choices.read(dict(zip(Choices._fields, written, strict=True))),
        None if project is None else str(project.existing_path),
        () if golden is None else golden_limits(golden.text),
        is_on(config, "allow_chance"),
    )


def _executor_name(config: pytest.Config) -> str | None:
    name = stated(config, "executor")
    if name is None:
        return None
    from fkeras.errors import InputError
    from fkeras.executors import parse_executor

    try:
        parse_executor(name.text)
    except InputError as error:
        raise pytest.UsageError(f"--fkeras-executor: {error}") from None
    return name.text


def _cache(config: pytest.Config) -> Cache:
    folder = stated(config, "cache")
    if folder is not None and folder.text == NO_CACHE:
        return Cache(None)
    path = ini_folder(config) / DEFAULT_CACHE if folder is None else folder.path
    nearest = next(one for one in (path, *path.parents) if one.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        return Cache(None, notice=f"{path} cannot be written, so results are not kept for the next run")
    return Cache(path)


def _gate(config: pytest.Config) -> Gate:
    baseline, tolerances = stated(config, "baseline"), stated(config, "compare_fail")
    folder = None if baseline is None else baseline.path
    if folder is not None and os.path.lexists(folder) and not (folder.is_dir() or folder.is_file()):
        raise pytest.UsageError(f"{folder} is no folder and no report (a pipe, a link to nothing?); name a folder")
    chosen = [OPTIONS[name].flag for name in _UPDATES if is_on(config, name)]
    is_ci = any(os.environ.get(name) for name in _CI_VARIABLES)
    if len(chosen) > 1:
        raise pytest.UsageError(f"{' and '.join(chosen)} contradict one another; keep one of them")
    if folder is None and (chosen or tolerances):
        asked = chosen[0] if chosen else OPTIONS["compare_fail"].flag
        raise pytest.UsageError(
            f"{asked} needs a baseline: add --fkeras-baseline=DIR, or the ini option fkeras_baseline"
        )
    if is_ci and chosen and chosen != ["--fkeras-baseline-update-in-ci"]:
        raise pytest.UsageError(
            f"{chosen[0]} is refused where the environment variable CI or BUILD_NUMBER is set, because a "
            "gate that moves itself gates nothing; update on your machine and commit the files, or say "
            "--fkeras-baseline-update-in-ci"
        )
    if chosen and folder is not None and folder.is_file():
        raise pytest.UsageError(f"{folder} is a report and is only read; name a folder to write baselines into")
    update: Literal["", "all", "new"] = "" if not chosen else "new" if chosen[0].endswith("new-only") else "all"
    inconclusive = stated(config, "inconclusive")
    passes = inconclusive is not None and inconclusive.text == "pass"
    return Gate(folder, () if tolerances is None else _tolerances(tolerances.text), update, is_ci, passes)


def _refuse_to_overwrite(gate: Gate, reports: Sequence[Path]) -> None:
    """UsageError for a report that is the baseline too, or would be the next run's."""
    if gate.folder is None:
        return
    baseline = os.path.realpath(gate.folder)
    for path in map(os.path.realpath, reports):
        if path == baseline:
            raise pytest.UsageError(
                f"{path} is both the baseline and this run's report, which would replace it; write the report elsewhere"
            )
        if path.endswith(".json") and os.path.dirname(path) in (baseline, os.path.join(baseline, ANCHOR)):
            raise pytest.UsageError(
                f"{path} lies in the baseline folder: the next run would be compared with this one's report; write it "
                "elsewhere"
            )


def _tolerances(text: str) -> tuple[Tolerance, ...]:
    from fkeras.errors import InputError
    from fkeras.statistics.tolerance import parse_tolerances

    try:
        return parse_tolerances(text)
    except InputError as error:
        raise pytest.UsageError(f"--fkeras-compare-fail: {error}") from None


def share_threads() -> None:
    """On a worker, before TensorFlow and numba are imported, take a share of the processors; elsewhere nothing."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))
    if workers > 0:
        from fkeras.threads import share_of, suggest_threads

        suggest_threads(share_of(workers))
