"""Command line and ini options: the table of all there are, what a session says of them, and which of them wins."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest

if TYPE_CHECKING:
    from fkeras.campaigns.limits import GoldenLimit

DEFAULT_SEED = 0
MAX_TRIALS = 1000
TRIALS_WITHOUT_LIMIT = 100
"""How many trials a budget gets whose test looks at the result itself."""
PREFIX = "fkeras_"


class Option(NamedTuple):
    """A row of the table: the option `--fkeras-NAME`, the ini key `fkeras_NAME`, or both.

    usage: the name, and after "=" what it takes, unless it is a switch. text: in Markdown, for docs/reference.md;
    --help shows what stands before the first semicolon. only: where it may stand. least: of a whole number. allowed:
    the words that it may say. example: what to write instead of nothing. is_repeated: whether the command that shows a
    failure again repeats it.
    """

    usage: str
    text: str
    only: Literal["", "ini", "command line"] = ""
    least: int = 0
    allowed: tuple[str, ...] = ()
    example: str = ""
    is_repeated: bool = False

    @property
    def name(self) -> str:
        """The name, with underscores."""
        return self.usage.partition("=")[0]

    @property
    def metavar(self) -> str:
        """What it takes; "" for a switch."""
        return self.usage.partition("=")[2]

    @property
    def key(self) -> str:
        """The ini key, and where pytest keeps what the command line says."""
        return PREFIX + self.name

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return f"--fkeras-{self.name.replace('_', '-')}"

    @property
    def help(self) -> str:
        """What pytest says about it."""
        return self.text.partition(";")[0].replace("`", "")


_TABLE = (
    Option("seed=N", "seed of all draws and rankings (0)", is_repeated=True),
    Option("trials=N", "a fixed number of trials for every campaign", least=1, is_repeated=True),
    Option("max_trials=N", f"where an undecided campaign ends ({MAX_TRIALS})", least=1, is_repeated=True),
    Option("engine=NAME", "who computes: `auto`, `cpu`, `gpu`, `framework` or `hls4ml` (auto)", is_repeated=True),
    Option(
        "hls4ml=PATH",
        "hls4ml project (directory or YAML) for engine `hls4ml` and `fkeras_hls4ml_agrees`, relative to the ini file; "
        "every report says which words it does not store",
        only="ini",
    ),
    Option("hls4ml_samples=N", "how many samples `fkeras_hls4ml_agrees` compares (500)", only="ini", least=1),
    Option(
        "cache=DIR|off",
        "folder for rankings, oracles and trials, reused while nothing that they depend on changes, or `off` "
        "(`.fkeras_cache`); the option is relative to where pytest is started, the key and the default to the ini "
        "file; see [the store](store.md)",
    ),
    Option(
        "executor=NAME",
        "who measures: `processes:N` on this machine, or `dask:ADDRESS` (a scheduler's address or its .json file); "
        "instead of `-n`, not beside it; see [many machines](scaling.md)",
    ),
    Option(
        "json=PATH",
        "write the report as JSON (schema `fkeras-report/1`); the key is relative to the ini file; see "
        "[reports](reports.md)",
        example="report.json",
    ),
    Option(
        "html=PATH",
        "write the report as a self-contained HTML page; the key is relative to the ini file",
        example="report.html",
    ),
    Option(
        "trend=PATH",
        "write a point per test and number for github-action-benchmark (`customSmallerIsBetter`); the key is relative "
        "to the ini file",
        example="trend.json",
    ),
    Option(
        "badge=PATH",
        "write what shields.io reads as an endpoint; the key is relative to the ini file",
        example="badge.json",
    ),
    Option(
        "openmetrics=PATH",
        "write the numbers as OpenMetrics, as GitLab's metrics reports read it; the key is relative to the ini file",
        example="metrics.txt",
    ),
    Option("force", "let reports replace files that fkeras did not write; else they are refused", only="command line"),
    Option(
        "junit", "add verdict, share, limits and seed to JUnit XML as properties (strict xunit2 readers refuse them)"
    ),
    Option("step_summary", "append the verdicts to GitHub's step summary when there is one (true)", only="ini"),
    Option(
        "annotations",
        "on GitHub, mark failed tests beside their lines, by `::error` at the end of the output (true)",
        only="ini",
    ),
    Option(
        "model=PATH",
        "model file (`.h5`, `.keras`, `.fkn`) for the `fkeras_model` fixture, relative to the ini file",
        only="ini",
    ),
    Option(
        "data=PATH",
        "npz file with arrays `x` and `y` for the `fkeras_data` fixture, relative to the ini file; several inputs are "
        "`x0`, `x1`, ... in the model's order or `x_NAME` by its names, several targets `y0`, ... or `y_NAME`",
        only="ini",
    ),
    Option(
        "golden=LIMITS",
        "what fault-free values must be in every test whose budget measures the metric, as in "
        "`min_golden_accuracy=0.9`; FAIL before anything is drawn where they are not; the mark's own limit on the same "
        "side wins",
        only="ini",
    ),
    Option(
        "allow_chance",
        "let budgets pass whose fault-free network is no better than the best prediction that needs no input (false)",
        only="ini",
    ),
    Option(
        "memory=NAME",
        "whose words are the memory: `quantizer`, or `hls4ml`, as it stores the same values (those of a `.fkn` file, "
        "else `quantizer`); see [Keras 3](keras3.md)",
        only="ini",
        allowed=("quantizer", "hls4ml"),
    ),
    Option(
        "words=FLOAT",
        "the IEEE words of kernels without a quantizer: `float32`, `float16` or `bfloat16` (none: not covered)",
        only="ini",
        allowed=("float32", "float16", "bfloat16"),
    ),
    Option(
        "of=NAMES",
        "which memories are measured and ranked where a budget names none: `weights`, `biases`, `tables`, "
        "`activations`, `inputs`, `outputs`, `accumulators` (weights); see [registers](registers.md)",
        only="ini",
        example="weights activations",
    ),
    Option(
        "area=PATH",
        "what `fkeras area DIR --json PATH` measured, relative to the ini file; budgets under that protection report "
        "it, all others that their area is assumed",
        only="ini",
    ),
    Option("metrics=NAMES", "names of metrics for the `fkeras_metrics` fixture, such as `accuracy`", only="ini"),
    Option(
        "baseline=DIR",
        "compare every budget with its file in DIR, or with an earlier `--fkeras-json` report (the file, or a folder "
        "with it); in CI a missing baseline fails with the command that makes it; `DIR/anchor/` is shown beside it",
        example="baselines",
        is_repeated=True,
    ),
    Option(
        "compare_fail=METRIC:AMOUNT",
        "fail where a metric got worse than the baseline's by more than this, as in `emd:5%,accuracy:0.01`; this is a "
        "share of the baseline's mean, or a number in the metric's unit, and at most `max_failure_rate` of draws may "
        "be past it; `emd.mean:5%` asks it of the mean ([how](statistics.md)). What did not change passes; a missing "
        "baseline fails with the command that makes it. A tolerance that judged nothing fails the run: a metric that "
        "no model under test has at once, one that no budget measures when all tests ran",
        is_repeated=True,
    ),
    Option(
        "baseline_update",
        "write what was measured as the new baseline, refused in CI (`CI` or `BUILD_NUMBER` is set)",
        only="command line",
    ),
    Option(
        "baseline_update_new_only",
        "the same for budgets that have no baseline yet, all others are compared",
        only="command line",
    ),
    Option(
        "baseline_update_in_ci",
        "the same as `--fkeras-baseline-update`, also in CI; for a job that publishes a branch's baseline",
        only="command line",
    ),
    Option(
        "inconclusive=fail|pass",
        "what an INCONCLUSIVE budget does to its test: `fail` or `pass` (fail)",
        only="ini",
        allowed=("fail", "pass"),
    ),
)
OPTIONS = {option.name: option for option in _TABLE}
INI_KEYS = tuple(option.key for option in OPTIONS.values() if option.only != "command line")
"""Each of them says that the project uses fkeras, so none has a default."""


def add_options(parser: pytest.Parser) -> None:
    """Declare the table to pytest."""
    group = parser.getgroup("fkeras", "fault budgets for quantized neural networks")
    for option in OPTIONS.values():
        if option.only != "ini":
            value: dict[str, Any] = {"metavar": option.metavar} if option.metavar else {"action": "store_true"}
            group.addoption(option.flag, dest=option.key, default=None, help=option.help.replace("%", "%%"), **value)
        if option.only != "command line":
            kind: Literal["string", "bool"] = "string" if option.metavar else "bool"
            parser.addini(option.key, option.help, type=kind, default=None)


class Stated(NamedTuple):
    """What one place says of an option: its text, how messages call the place, and where paths in it start."""

    option: Option
    text: str
    spelling: str
    folder: Path

    @property
    def path(self) -> Path:
        """The text as a path."""
        return self.folder / os.path.expanduser(self.text)

    @property
    def existing_path(self) -> Path:
        """The text as the path of something that exists. UsageError where it does not."""
        if not self.path.exists():
            raise pytest.UsageError(f"{self.spelling} names {self.path}, which does not exist")
        return self.path

    def words(self, allowed: Sequence[str]) -> tuple[str, ...]:
        """The text as words, each once. UsageError for one that is not allowed."""
        words = tuple(dict.fromkeys(self.text.replace(",", " ").split()))
        for word in words:
            if word not in allowed:
                raise pytest.UsageError(f"{self.spelling}: {word!r}; allowed are {', '.join(allowed)}")
        return words

    @property
    def number(self) -> int:
        """The text as a whole number. UsageError where it is none, or too small."""
        least = self.option.least
        try:
            number = int(self.text)
        except ValueError:
            number = least - 1
        if number < least:
            raise pytest.UsageError(f"{self.spelling} is {self.text!r}; allowed are whole numbers from {least} up")
        return number


def said(config: pytest.Config, name: str) -> tuple[Stated | None, Stated | None]:
    """What the command line and the ini file say of an option, None for nothing. UsageError for a file with no name."""
    option = OPTIONS[name]
    typed, written = getattr(config.option, option.key, None), config.getini(option.key)
    if typed == "" and option.example:
        what = "folder" if option.metavar == "DIR" else "file"
        raise pytest.UsageError(f"{option.flag} names no {what}; write {option.flag}={option.example}")
    return (
        _said(option, typed, option.flag, config.invocation_params.dir),
        _said(option, written, f"the ini option {option.key}", ini_folder(config)),
    )


def _said(option: Option, text: str | None, spelling: str, folder: Path) -> Stated | None:
    # An empty text says nothing, but it is no number.
    return Stated(option, text or "", spelling, folder) if text or (text == "" and option.metavar == "N") else None


def stated(config: pytest.Config, name: str) -> Stated | None:
    """What the command line says of an option, or else the ini file. UsageError for a word that is not allowed."""
    typed, written = said(config, name)
    winner = typed or written
    if winner is not None and winner.option.allowed and winner.text not in winner.option.allowed:
        allowed = " and ".join(winner.option.allowed)
        raise pytest.UsageError(f"{winner.spelling} is {winner.text!r}; allowed are {allowed}")
    return winner


def is_on(config: pytest.Config, name: str, default: bool = False) -> bool:
    """Whether a switch is on: on the command line, or as the ini file says."""
    option = OPTIONS[name]
    says = None if option.only == "command line" else config.getini(option.key)
    return bool(getattr(config.option, option.key, False) or (default if says is None else says))


def ini_folder(config: pytest.Config) -> Path:
    """Where paths in the ini file start: its folder, or the rootdir without one."""
    return config.inipath.parent if config.inipath else config.rootpath


def golden_limits(text: str) -> tuple[tuple[str, float], ...]:
    """Keywords and values of what fault-free values must be. UsageError for a text that says something else."""
    limits = []
    for word in text.replace(",", " ").split():
        keyword, _, value = word.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = nan
        if not re.fullmatch(r"(max|min)_golden_\w+", keyword) or not isfinite(number):
            raise pytest.UsageError(
                f"the ini option fkeras_golden: {word!r} is no limit on a fault-free value; write max_golden_NAME= or "
                "min_golden_NAME= and a number, as in fkeras_golden = min_golden_accuracy=0.9"
            )
        limits.append((keyword, number))
    return tuple(limits)


class Choices(NamedTuple):
    """What one place says; None where it says nothing."""

    seed: int | None = None
    trials: int | None = None
    max_trials: int | None = None
    engine: str | None = None

    @classmethod
    def read(cls, said: Mapping[str, Stated | None]) -> Choices:
        """The choices that a place states, by name. UsageError for those that are none."""
        numbers = {name: at.number for name in ("seed", "trials", "max_trials") if (at := said.get(name)) is not None}
        trials, engine = said.get("trials"), said.get("engine")
        if trials is not None and said.get("max_trials") is not None:
            contradiction = "is a fixed number of trials and contradicts the option for max_trials; keep one of them"
            raise pytest.UsageError(f"{trials.spelling} {contradiction}")
        return cls(**numbers, engine=None if engine is None else engine.text)


class Options(NamedTuple):
    """The command line wins over the mark, the mark over the ini file."""

    command_line: Choices = Choices()
    ini: Choices = Choices()
    hls4ml_project: str | None = None
    golden: tuple[tuple[str, float], ...] = ()
    allow_chance: bool = False

    def golden_limits(self, metrics: Collection[str]) -> tuple[GoldenLimit, ...]:
        """What the ini file says that fault-free values must be. UsageError for one of a metric that is not there."""
        from fkeras.campaigns.limits import GoldenLimit

        limits = []
        for keyword, value in self.golden:
            side, _, name = keyword.split("_", 2)
            if name not in metrics:
                raise pytest.UsageError(
                    f"the ini option fkeras_golden: {keyword}: no metric '{name}' here; there are "
                    f"{', '.join(sorted(metrics))}; what holds for some tests only is a keyword of their fault_budget"
                )
            limits.append(GoldenLimit(name, "max" if side == "max" else "min", value))
        return tuple(limits)

    def seed(self, stated: int | None = None) -> int:
        """The seed of a budget that states `stated`."""
        for seed in (self.command_line.seed, stated, self.ini.seed):
            if seed is not None:
                return seed
        return DEFAULT_SEED

    def engine(self, stated: str | None = None) -> str:
        """The engine of a budget that states `stated`."""
        chosen = self.command_line.engine or stated or self.ini.engine or "auto"
        return f"hls4ml:{self.hls4ml_project}" if chosen == "hls4ml" and self.hls4ml_project else chosen

    def trials(
        self, *, trials: int | None, margin: float | None, max_trials: int | None, has_limits: bool
    ) -> tuple[Literal["fixed", "margin", "until"], float]:
        """How many trials a sampled budget gets: a fixed number, a margin, or until decided with a maximum."""
        stated = (
            ("fixed", self.command_line.trials),
            ("until", self.command_line.max_trials),
            ("fixed", trials),
            ("margin", margin),
            ("until", max_trials),
            ("fixed", self.ini.trials),
            ("until", self.ini.max_trials),
        )
        for kind, value in stated:
            if value is not None and (has_limits or kind != "until"):
                return kind, value  # type: ignore[return-value]
        return ("until", MAX_TRIALS) if has_limits else ("fixed", TRIALS_WITHOUT_LIMIT)
