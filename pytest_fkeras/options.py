"""Command line and ini options: what there is, and which of them wins. Pure: knows no pytest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

DEFAULT_SEED = 0
MAX_TRIALS = 1000
TRIALS_WITHOUT_LIMIT = 100
"""How many trials a budget gets whose test looks at the result itself."""

HELP = {
    "seed": "seed of all fault draws and rankings (default 0)",
    "trials": "a fixed number of trials for every campaign",
    "max_trials": f"trials after which an undecided campaign ends (default {MAX_TRIALS})",
    "engine": "engine that computes outputs under faults: auto, reference or hls4ml (default auto)",
}
INI_ONLY = {
    "model": "model file for the fkeras_model fixture, relative to the ini file",
    "data": "npz file with arrays x and y (or x0, x1, ...) for the fkeras_data fixture, relative to the ini file",
    "hls4ml": "hls4ml project (directory or YAML) for engine hls4ml and fkeras_hls4ml_agrees, relative to the ini file",
    "hls4ml_samples": "how many samples fkeras_hls4ml_agrees compares (default 500)",
    "metrics": "names of metrics for the fkeras_metrics fixture, such as accuracy",
}
_LEAST = {"seed": 0, "trials": 1, "max_trials": 1}


class Choices(NamedTuple):
    """What one place says; None where it says nothing."""

    seed: int | None = None
    trials: int | None = None
    max_trials: int | None = None
    engine: str | None = None

    @classmethod
    def read(cls, texts: Mapping[str, str | None], spelling: str) -> Choices:
        """The choices that texts by name state. ValueError names an option by `spelling`, as in "--fkeras-{}"."""
        numbers: dict[str, int] = {}
        for name, least in _LEAST.items():
            text = texts.get(name)
            if text is not None:
                label = spelling.format(name if "_{}" in spelling else name.replace("_", "-"))
                numbers[name] = whole_number(text, least, label)
        if "trials" in numbers and "max_trials" in numbers:
            raise ValueError(
                f"{spelling.format('trials')} is a fixed number of trials and contradicts the option for "
                "max_trials; keep one of them"
            )
        return cls(**numbers, engine=texts.get("engine"))


def whole_number(text: str, least: int, label: str) -> int:
    """`text` as an integer, or a ValueError that says what is allowed."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise ValueError(f"{label} is {text!r}; allowed are whole numbers from {least} up")
    return number


class Options(NamedTuple):
    """The command line wins over the mark, the mark over the ini file."""

    command_line: Choices = Choices()
    ini: Choices = Choices()
    hls4ml_project: str | None = None

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
