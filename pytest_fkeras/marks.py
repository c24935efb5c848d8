"""The fault_budget mark: its keywords, and the budget that they state, in values of the library."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from types import SimpleNamespace
from typing import Any, Literal, NoReturn

import pytest

from fkeras.campaigns import FixedTrials, Limit, Requirement, UntilDecided, parse_limit
from fkeras.campaigns.exhaustive import EachBitAlone
from fkeras.campaigns.limits import INSTEAD_OF_A_QUANTILE, GoldenLimit, speaks_of_all_trials
from fkeras.campaigns.verdict import apart, most_critical, most_sensitive
from fkeras.errors import Argument, InputError
from fkeras.faults import BitErrorRate, Exposure, FaultModel, FlipCount, fault_model, never_faults, whole_seed
from fkeras.faults.fault_models import non_negative
from fkeras.faults.protected import covering
from fkeras.memory import Coverage, FixedPoint
from fkeras.memory.codecs import FloatName
from fkeras.memory.coverage import COVERAGE
from fkeras.memory.space import Memory
from fkeras.statistics import leveugle
from pytest_fkeras.collection import FIXTURE, GUARD, NAME, BudgetError
from pytest_fkeras.selection import LazyRanking, Method, Protected, Selection, parts_of

FAULT_KEYWORDS = ("bits", "ber", "upsets_per_second", "upsets_per_bit_second", "faults")
SINGLE_FLIP_KEYWORDS = ("max_critical_bits", "max_sensitive_fraction")
_EXAMPLE = "@fault_budget(bits=960, protected=ranking[:4040], max_emd=1.25)"

THE_ONLY_METRIC = ""
"""The metric of a limit where a budget does not name it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one fault_budget states, as far as that is known without a model.

    faults: the fault model, EachBitAlone() where every bit is flipped alone; requirement: what must hold, None where
    the test's body says so; golden: what fault-free values must be; trials, margin, max_trials: what is said about the
    number of them (None: nothing); coverage: what is said of the memory, as in `Coverage`; counts_flips: whether a
    report says how many flips are survived; own_keywords: those stated that are no limits; everything else as in
    `fault_budget`. What limits mean is open until metrics have names.
    """

    faults: FaultModel
    requirement: Requirement | None
    golden: tuple[GoldenLimit, ...]
    max_failure_rate: float
    protected: Any
    method: Method
    trials: int | None
    margin: float | None
    max_trials: int | None
    confidence: float
    seed: int | None
    coverage: Mapping[str, Any]
    engine: str | None
    counts_flips: bool
    own_keywords: tuple[str, ...]

    @property
    def is_exhaustive(self) -> bool:
        """Whether every bit is flipped alone, once."""
        return isinstance(self.faults, EachBitAlone)


def fault_budget(
    *,
    bits: int | None = None,
    ber: float | None = None,
    upsets_per_second: float | None = None,
    upsets_per_bit_second: float | None = None,
    exposure_seconds: float | None = None,
    faults: Any = None,
    min_flips_survived: int | None = None,
    max_critical_bits: int | None = None,
    max_sensitive_fraction: float | None = None,
    min_change: float | None = None,
    protected: Any = None,
    method: Method = None,
    trials: int | Literal["all"] | None = None,
    margin: float | None = None,
    max_trials: int | None = None,
    max_failure_rate: float = 0.05,
    confidence: float = 0.95,
    seed: int | None = None,
    layers: str | Sequence[str] = "*",
    biases: bool = False,
    memory: Memory | None = None,
    words: FloatName | None = None,
    of: str | Sequence[str] | None = None,
    input_format: FixedPoint | None = None,
    project: str | os.PathLike[str] | None = None,
    engine: str | None = None,
    **limits: float,
) -> pytest.MarkDecorator:
    """Gate a test on the share of trials (draws of faults, the whole data set evaluated) that break a limit.

    It has one of `bits`, `ber`, a rate of upsets, `faults`, `min_flips_survived`, `max_critical_bits` and
    `max_sensitive_fraction`, and a limit, unless the test looks at the result itself (`fkeras_campaign`).

    Arguments:
        bits: a count of distinct flips; `bits=1, trials="all"`: every bit alone, exhaustively.
        ber: a probability per bit.
        upsets_per_second, upsets_per_bit_second: a rate of the whole memory, or per bit; with `exposure_seconds`.
        exposure_seconds: how long upsets arrive; beside `bits` or `ber` only for a protection that is scrubbed.
        faults: a fault model, or one for each memory, as in {"weights": Exposure(...), "activations": Transient(...)}.
        min_flips_survived: as `bits`, as a requirement; where it is missed, the message says how many are survived.
        max_critical_bits: how many bits may break a limit when flipped alone; every bit is, exactly.
        max_sensitive_fraction: the share of bits that may break a limit, or make the only metric worse, when flipped
            alone.
        min_change: worse by more than this; with `max_sensitive_fraction`.
        protected: `ranking[:k]`, `mask("protection.json")` or bits, assumed immune; `TMR`, `SECDED`,
            `Parity` or `BlindScrubbing` of those; `RangeCheck()`, `KnownWords()` or `Recoded()`, which cover all words;
            or a list of several.
        method: how a bare `ranking` ranks; default: the best for the metric.
        trials: how many; default: until the share is decided.
        margin: in place of `trials`: as many as a proportion needs for this margin (Leveugle's sample size).
        max_trials: where an undecided campaign ends; default: 1000.
        max_failure_rate: the share of trials that may break a limit, 0 up to, not including, 1.
        confidence: of the verdict, from 0.5 up to, not including, 1.
        seed, engine: as in `fkeras.campaign`; default: the session's.
        layers, biases, memory, words, of, input_format, project: which words count as memory, as in `fkeras.bit_space`;
            default: the ini file's, of the memories that `faults` names, else the weights.
        limits: max_NAME, min_NAME, or against the golden model max_NAME_increase and max_NAME_drop; max_golden_NAME and
            min_golden_NAME say what the golden model must be before anything is drawn. A metric's name wins over words
            such as `golden` or `worst` in it.

    Raises:
        BudgetError: at import, for anything else.
    """
    stated = {name: value for name, value in locals().items() if value is not None}
    stated.update(stated.pop("limits"))
    parse_budget((), stated)
    skipif: Any = pytest.mark.skipif
    return BudgetMark(skipif(GUARD, **stated).mark, _ispytest=True)


class BudgetMark(pytest.MarkDecorator):
    """A mark, also for `pytestmark` and `pytest.param(marks=)`, under which a test errors where the plugin is disabled.

    A test that it decorates requests the campaign; others carry a condition that only the plugin knows.
    """

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        decorated = getattr(pytest.mark, NAME)(**self.kwargs)(*arguments, **keywords)
        if isinstance(decorated, pytest.MarkDecorator):
            return super().__call__(*arguments, **keywords)
        return pytest.mark.usefixtures(FIXTURE)(decorated)


@cache
def _signature() -> inspect.Signature:
    return inspect.signature(fault_budget)


def keywords() -> list[str]:
    """What a fault_budget may state besides limits."""
    return [name for name, keyword in _signature().parameters.items() if keyword.kind is keyword.KEYWORD_ONLY]


def parse_budget(arguments: Sequence[object], words: Mapping[str, Any]) -> Budget:
    """The budget that a mark states, or a BudgetError with what to write instead."""
    if arguments:
        _refuse(f"positional arguments {tuple(arguments)!r} are not allowed; write keywords, as in {_EXAMPLE}")
    bound = _signature().bind(**words)
    bound.apply_defaults()
    stated = SimpleNamespace(**bound.arguments)
    counted = "bits" if stated.min_flips_survived is None else "min_flips_survived"

    def spelled(argument: Argument) -> str:
        return str(replace(argument, name=counted) if argument.name == "n_faults" else argument)

    try:
        return _budget(stated)
    except InputError as error:
        raise BudgetError(f"{NAME}: {error.said(spelled)}") from None


def _budget(stated: SimpleNamespace) -> Budget:
    limits, stated.golden = apart(_limit(keyword, value) for keyword, value in stated.limits.items())
    # In place of limits that nobody states, so that whatever is said about trials is checked all the same.
    required = Requirement(limits or (Limit(THE_ONLY_METRIC, "max", 0.0),), stated.max_failure_rate, stated.confidence)
    judges = bool(limits)
    if stated.trials is not None and not isinstance(stated.trials, str):
        FixedTrials(stated.trials)
    _require_one_count_of_flips(stated, limits)
    single_flips = _stated(stated, *SINGLE_FLIP_KEYWORDS)
    if single_flips or stated.min_change is not None:
        required, judges = _of_single_flips(stated, single_flips, limits), True
    faults = _faults(stated)
    zero = [name for name in (*FAULT_KEYWORDS[:-1], "exposure_seconds") if getattr(stated, name) == 0] or ["faults"]
    if judges and never_faults(faults):
        _refuse(f"this budget could not fail: with {zero[0]}={getattr(stated, zero[0])!r} nothing is ever hit")
    _require_trials(stated, required)
    _require_protection(stated.protected)
    if stated.max_failure_rate == 0 and judges and stated.trials != "all" and stated.protected is None:
        _refuse(
            "max_failure_rate=0 cannot be shown by drawing faults, however many trials hold; write a small share such "
            'as max_failure_rate=0.01, or bits=1, trials="all", which flips every bit'
        )
    _require_words(stated)
    stated.requirement = required if judges else None
    # Flips that are spread over a time meet scrubs, and "one after another" has no times.
    stated.counts_flips = stated.min_flips_survived is not None and stated.exposure_seconds is None
    if stated.trials == "all":
        faults, stated.trials = EachBitAlone(), None
    stated.faults = faults
    stated.own_keywords = tuple(_stated(stated, *keywords()))
    return Budget(**{field.name: getattr(stated, field.name) for field in fields(Budget)})


def _refuse(message: str) -> NoReturn:
    raise BudgetError(f"{NAME}: {message}")


def _stated(stated: SimpleNamespace, *names: str) -> list[str]:
    return [name for name in names if getattr(stated, name) is not None]


def _limit(keyword: str, value: object) -> Limit:
    side, _, rest = keyword.partition("_")
    if side not in ("max", "min") or not rest:
        if speaks_of_all_trials(keyword):
            _refuse(f"{keyword}=: {INSTEAD_OF_A_QUANTILE[0].lower()}{INSTEAD_OF_A_QUANTILE[1:]}")
        close = difflib.get_close_matches(keyword, keywords(), 1)
        hint = f"did you mean {close[0]}=?" if close else f"there are {', '.join(keywords())}"
        _refuse(
            f"unknown keyword {keyword}=; {hint} Limits are max_NAME=, min_NAME=, max_NAME_increase= and "
            "max_NAME_drop=, where NAME is a metric; max_golden_NAME= and min_golden_NAME= are limits without faults"
        )
    return parse_limit(keyword, value)


def _require_one_count_of_flips(stated: SimpleNamespace, limits: tuple[Limit, ...]) -> None:
    """A budget that states how many flips must be survived is one of that many bits."""
    if stated.min_flips_survived is not None:
        others = _stated(stated, *FAULT_KEYWORDS, *SINGLE_FLIP_KEYWORDS) + ["trials"] * (stated.trials == "all")
        if others:
            _refuse(f"min_flips_survived= says how many bits flip; leave out {others[0]}=")
        stated.bits = stated.min_flips_survived
    if stated.bits is not None and FlipCount(stated.bits).n_faults == 0:
        name = "bits" if stated.min_flips_survived is None else "min_flips_survived"
        _refuse(f"{name}=0 is no count of flipped bits; allowed are whole numbers from 1 up")
    if stated.min_flips_survived is not None and not limits:
        _refuse("min_flips_survived= needs a limit that is kept, as in min_flips_survived=500, max_emd=1.25")


def _of_single_flips(stated: SimpleNamespace, single_flips: list[str], limits: tuple[Limit, ...]) -> Requirement:
    """What an exhaustive single-bit budget that counts critical or sensitive bits requires."""
    if stated.max_sensitive_fraction is None and stated.min_change is not None:
        _refuse("min_change= says from which change on a bit is sensitive; write max_sensitive_fraction= with it")
    if len(single_flips) > 1:
        _refuse(f"{' and '.join(f'{name}=' for name in single_flips)} ask two questions; write two tests")
    (name,) = single_flips
    for other, usual in (("bits", 1), ("trials", "all"), ("max_failure_rate", 0.05)):
        if getattr(stated, other) not in (None, usual):
            _refuse(f"{name}= flips every bit alone and counts; leave out {other}={getattr(stated, other)!r}")
    stated.bits, stated.trials = 1, "all"
    if name == "max_critical_bits":
        if not limits:
            _refuse(f"{name}= needs the limit that one flip must not break, as in {name}=12, max_emd=1.25")
        return most_critical(limits, stated.max_critical_bits)
    worse = () if stated.min_change is None else (non_negative("min_change", stated.min_change),)
    required = most_sensitive(
        limits + tuple(Limit(THE_ONLY_METRIC, "drop", change) for change in worse or (0.0,) * (not limits)),
        stated.max_sensitive_fraction,
    )
    if (not worse) == (not limits):
        _refuse(
            f"{name}= needs either min_change=, how much worse the only metric must get for a bit to count, or limits "
            "such as max_emd_increase=0.01: every change that the data can show would grow with the data"
        )
    return required


def _faults(stated: SimpleNamespace) -> FaultModel:
    names = _stated(stated, *FAULT_KEYWORDS)
    if len(names) != 1:
        what = "states no faults" if not names else f"states {' and '.join(f'{name}=' for name in names)}"
        _refuse(f"{what}; write exactly one of {', '.join(f'{name}=' for name in FAULT_KEYWORDS)}, as in {_EXAMPLE}")
    seconds, rate = stated.exposure_seconds, names[0] if names[0].startswith("upsets") else None
    if rate is not None and seconds is None:
        _refuse(f"{rate}= needs exposure_seconds=, as in {rate}={getattr(stated, rate)!r}, exposure_seconds=14400")
    intervals = [getattr(part, "scrub_interval_seconds", None) for part in parts_of(stated.protected)]
    interval = next((seconds for seconds in intervals if seconds is not None), None)
    is_timed = interval is not None and stated.trials != "all"
    if rate is None and seconds is not None and (stated.faults is not None or not is_timed):
        _refuse(
            "exposure_seconds= needs a rate: write upsets_per_second= (for the whole memory) or "
            "upsets_per_bit_second= with it (bits= and ber= take it only with a protection that is scrubbed)"
        )
    if is_timed and seconds is None and getattr(stated.faults, "exposure_seconds", None) is None:
        how = "faults=fkeras.FlipCount(960, exposure_seconds=14400)" if stated.faults else "exposure_seconds=14400"
        _refuse(
            f"scrub_interval_seconds={interval!r} needs to know how long the faults take: write "
            f"{how}, or leave scrub_interval_seconds out (never scrubbed)"
        )
    if stated.bits is not None:
        return FlipCount(stated.bits, seconds)
    if stated.ber is not None:
        return BitErrorRate(stated.ber, seconds)
    if rate is not None:
        return Exposure(seconds, stated.upsets_per_bit_second, stated.upsets_per_second)
    if isinstance(stated.faults, int):
        _refuse(f"faults={stated.faults!r} is no fault model; write bits={stated.faults!r}, a count of flipped bits")
    return fault_model(stated.faults)


def _require_trials(stated: SimpleNamespace, required: Requirement) -> None:
    names = _stated(stated, "trials", "margin", "max_trials")
    if len(names) > 1:
        _refuse(
            f"{' and '.join(f'{name}=' for name in names)} contradict one another: trials= is a fixed number, "
            "margin= a sample size, max_trials= the end of a campaign that stops once it is decided; keep one"
        )
    if stated.trials == "all":
        if stated.bits != 1:
            _refuse('trials="all" flips every bit alone; write bits=1, trials="all"')
    elif isinstance(stated.trials, str):
        _refuse(f'trials={stated.trials!r}; allowed are whole numbers from 1 up, or "all" with bits=1')
    if stated.max_trials is not None:
        UntilDecided(required, stated.max_trials)
    if stated.margin is not None:
        leveugle(None, stated.margin, stated.confidence)


def _require_protection(protected: Any) -> None:
    for part in parts_of(protected):
        if isinstance(part, LazyRanking) and not part.globs:
            _refuse(
                f"protected={part!r} is a whole ranking; write {part!r}[:k] for its first k bits, or "
                f"{part!r}.fraction(0.32)"
            )
        if not isinstance(part, Selection | Protected):
            covering(part)


def _require_words(stated: SimpleNamespace) -> None:
    """Which words are measured, how bits are ranked, and who measures."""
    if stated.method is not None and not isinstance(stated.method, str) and not callable(stated.method):
        _refuse(f"method={stated.method!r}; write the name of a ranking method, such as 'hessian', or a function")
    if stated.seed is not None and whole_seed(stated.seed) < 0:
        _refuse(f"seed={stated.seed!r}; allowed are whole numbers from 0 up")
    if stated.of is None and isinstance(stated.faults, Mapping):
        stated.of = tuple(stated.faults)
    stated.coverage = {name: value for name in COVERAGE if (value := getattr(stated, name)) is not None}
    Coverage(**stated.coverage)
    if stated.engine is not None:
        from fkeras.models import engine_parts

        engine_parts(stated.engine)
