"""The fault_budget mark: its keywords, their checks, and the budget that they state."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import isfinite
from numbers import Integral, Real
from typing import Any, Literal, NoReturn, TypeVar

import pytest

from pytest_fkeras.names import FIXTURE, GUARD, NAME, BudgetError
from pytest_fkeras.selection import LazyRanking, Method, Protected, Selection

FAULT_KEYWORDS = ("bits", "ber", "upsets_per_second", "upsets_per_bit_second", "faults")
SINGLE_FLIP_KEYWORDS = ("max_critical_bits", "max_sensitive_fraction")
_EXAMPLE = "@fault_budget(bits=960, protected=ranking[:4040], max_emd=1.25)"

_OF_ALL_TRIALS = {"maximum", "minimum", "percentile", "quantile", "worst"}
"""Words for requirements that are stated as a share of trials instead."""

Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Budget:
    """What one fault_budget states; None is "not stated".

    limits: (keyword, value) pairs such as ("max_emd", 1.25); everything else as in `fault_budget`.
    """

    bits: int | None = None
    ber: float | None = None
    upsets_per_second: float | None = None
    upsets_per_bit_second: float | None = None
    exposure_seconds: float | None = None
    faults: Any = None
    min_flips_survived: int | None = None
    max_critical_bits: int | None = None
    max_sensitive_fraction: float | None = None
    min_change: float | None = None
    protected: Any = None
    method: Method = None
    trials: int | Literal["all"] | None = None
    margin: float | None = None
    max_trials: int | None = None
    max_failure_rate: float = 0.05
    confidence: float = 0.95
    seed: int | None = None
    layers: str | Sequence[str] = "*"
    biases: bool = False
    engine: str | None = None
    limits: tuple[tuple[str, float], ...] = ()

    @property
    def is_exhaustive(self) -> bool:
        """Whether every bit is flipped alone, once."""
        return self.trials == "all"

    @property
    def judges(self) -> bool:
        """Whether it states by itself what must hold, without the test's own assertions."""
        return bool(self.limits) or self.min_change is not None


_KEYWORDS = tuple(field.name for field in fields(Budget) if field.name != "limits")


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
        faults: a fault model.
        min_flips_survived: as `bits`, as a requirement; where it is missed, the message says how many are survived.
        max_critical_bits: how many bits may break a limit when flipped alone; every bit is, exactly.
        max_sensitive_fraction: the share of bits that may break a limit, or make the only metric worse, when flipped
            alone.
        min_change: worse by more than this; with `max_sensitive_fraction`.
        protected: `ranking[:k]`, `mask("protection.json")` or bits, assumed immune; `TMR`, `SECDED` or `Parity` of
            those.
        method: how a bare `ranking` ranks; default: the best for the metric.
        trials: how many; default: until the share is decided.
        margin: in place of `trials`: as many as a proportion needs for this margin (Leveugle's sample size).
        max_trials: where an undecided campaign ends; default: 1000.
        max_failure_rate: the share of trials that may break a limit, 0 up to, not including, 1.
        confidence: of the verdict, between 0 and 1.
        seed, engine: as in `fkeras.campaign`; default: the session's.
        layers, biases: which words count as memory, as in `fkeras.bit_space`.
        limits: max_NAME, min_NAME, or against the golden model max_NAME_increase and max_NAME_drop.

    Raises:
        BudgetError: at import, for anything else.
    """
    stated = {
        "bits": bits,
        "ber": ber,
        "upsets_per_second": upsets_per_second,
        "upsets_per_bit_second": upsets_per_bit_second,
        "exposure_seconds": exposure_seconds,
        "faults": faults,
        "min_flips_survived": min_flips_survived,
        "max_critical_bits": max_critical_bits,
        "max_sensitive_fraction": max_sensitive_fraction,
        "min_change": min_change,
        "protected": protected,
        "method": method,
        "trials": trials,
        "margin": margin,
        "max_trials": max_trials,
        "max_failure_rate": max_failure_rate,
        "confidence": confidence,
        "seed": seed,
        "layers": layers,
        "biases": biases,
        "engine": engine,
    }
    parse_budget((), {**stated, **limits})

    given = {key: value for key, value in stated.items() if value is not None}
    skipif: Any = pytest.mark.skipif
    return BudgetMark(skipif(GUARD, **given, **limits).mark, _ispytest=True)


class BudgetMark(pytest.MarkDecorator):
    """A mark, also for `pytestmark` and `pytest.param(marks=)`, under which a test errors where the plugin is disabled.

    A test that it decorates requests the campaign; others carry a condition that only the plugin knows.
    """

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        decorated = getattr(pytest.mark, NAME)(**self.kwargs)(*arguments, **keywords)
        if isinstance(decorated, pytest.MarkDecorator):
            return super().__call__(*arguments, **keywords)
        return pytest.mark.usefixtures(FIXTURE)(decorated)


def parse_budget(arguments: Sequence[object], keywords: Mapping[str, Any]) -> Budget:
    """The budget that a mark states, or a BudgetError with what to write instead."""
    if arguments:
        _refuse(f"positional arguments {tuple(arguments)!r} are not allowed; write keywords, as in {_EXAMPLE}")
    limits = {key: value for key, value in keywords.items() if key not in _KEYWORDS}
    for keyword, value in limits.items():
        _check_limit(keyword, value)
    budget = Budget(**{key: keywords[key] for key in _KEYWORDS if key in keywords}, limits=tuple(limits.items()))
    budget = _single_flips(_survival(budget))
    _check_faults(budget)
    _check_trials(budget)
    _check_rest(budget)
    return budget


def _refuse(message: str) -> NoReturn:
    raise BudgetError(f"{NAME}: {message}")


def _is_number(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and isfinite(value)


def _is_whole(value: object, least: int) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= least


def _check_limit(keyword: str, value: object) -> None:
    side, _, rest = keyword.partition("_")
    if set(keyword.lower().split("_")) & _OF_ALL_TRIALS or keyword in ("max", "min"):
        _refuse(
            f"{keyword}=: the worst trial so far is no bound, because more trials find worse ones; write a limit and "
            "the share of trials that may break it: max_emd=1.25, max_failure_rate=0.01 is a 99 % quantile of at most "
            "1.25"
        )
    if side not in ("max", "min") or not rest:
        close = difflib.get_close_matches(keyword, _KEYWORDS, 1)
        hint = f"did you mean {close[0]}=?" if close else f"there are {', '.join(_KEYWORDS)}"
        _refuse(
            f"unknown keyword {keyword}=; {hint} Limits are max_NAME=, min_NAME=, max_NAME_increase= and "
            "max_NAME_drop=, where NAME is a metric"
        )
    if not _is_number(value):
        _refuse(f"{keyword}={value!r}: a limit is a finite number")


def _survival(budget: Budget) -> Budget:
    """A budget of `bits` flips for one that states how many must be survived."""
    least = budget.min_flips_survived
    if least is None:
        return budget
    other = [name for name in (*FAULT_KEYWORDS, *SINGLE_FLIP_KEYWORDS) if getattr(budget, name) is not None]
    if other or budget.trials == "all":
        _refuse(f"min_flips_survived= says how many bits flip; leave out {other[0] if other else 'trials'}=")
    if not _is_whole(least, 1):
        _refuse(f"min_flips_survived={least!r} is no count of flipped bits; allowed are whole numbers from 1 up")
    if not budget.limits:
        _refuse("min_flips_survived= needs a limit that is kept, as in min_flips_survived=500, max_emd=1.25")
    return replace(budget, bits=least)


def _single_flips(budget: Budget) -> Budget:
    """An exhaustive single-bit budget for one that counts critical or sensitive bits."""
    given = [name for name in SINGLE_FLIP_KEYWORDS if getattr(budget, name) is not None]
    if budget.min_change is not None and "max_sensitive_fraction" not in given:
        _refuse("min_change= says from which change on a bit is sensitive; write max_sensitive_fraction= with it")
    if not given:
        return budget
    name, value = given[0], getattr(budget, given[0])
    if len(given) > 1:
        _refuse(f"{' and '.join(f'{one}=' for one in given)} ask two questions; write two tests")
    for one, usual in (("bits", 1), ("trials", "all"), ("max_failure_rate", 0.05)):
        if getattr(budget, one) not in (None, usual):
            _refuse(f"{name}= flips every bit alone and counts; leave out {one}={getattr(budget, one)!r}")
    if name == "max_critical_bits":
        if not _is_whole(value, 0):
            _refuse(f"{name}={value!r} is no count of bits; allowed are whole numbers from 0 up")
        if not budget.limits:
            _refuse(f"{name}= needs the limit that one flip must not break, as in {name}=12, max_emd=1.25")
        return replace(budget, bits=1, trials="all")
    if not (_is_number(value) and 0 <= value < 1):
        _refuse(f"{name}={value!r} is no share of bits that could be exceeded; allowed are 0 up to, not including, 1")
    if (budget.min_change is None) == (not budget.limits):
        _refuse(
            f"{name}= needs either min_change=, how much worse the only metric must get for a bit to count, or limits "
            "such as max_emd_increase=0.01: every change that the data can show would grow with the data"
        )
    if budget.min_change is not None and not (_is_number(budget.min_change) and budget.min_change >= 0):
        _refuse(f"min_change={budget.min_change!r}; allowed are finite numbers from 0 up")
    return replace(budget, bits=1, trials="all", max_failure_rate=float(value))


def _check_faults(budget: Budget) -> None:
    given = [name for name in FAULT_KEYWORDS if getattr(budget, name) is not None]
    if len(given) != 1:
        what = "states no faults" if not given else f"states {' and '.join(f'{name}=' for name in given)}"
        _refuse(f"{what}; write exactly one of {', '.join(f'{name}=' for name in FAULT_KEYWORDS)}, as in {_EXAMPLE}")
    if budget.bits is not None and not _is_whole(budget.bits, 1):
        _refuse(
            f"bits={budget.bits!r} is no count of flipped bits; allowed are whole numbers from 1 up "
            "(ber= is a probability per bit)"
        )
    if budget.ber is not None and not (_is_number(budget.ber) and 0 <= budget.ber <= 1):
        _refuse(f"ber={budget.ber!r} is no probability per bit; allowed are numbers from 0 to 1 (bits= is a count)")
    rate = next((name for name in ("upsets_per_second", "upsets_per_bit_second") if name in given), None)
    scrub_interval = getattr(budget.protected, "scrub_interval_seconds", None)
    is_timed = scrub_interval is not None and not budget.is_exhaustive
    if rate is None and budget.exposure_seconds is not None and (budget.faults is not None or not is_timed):
        _refuse(
            "exposure_seconds= needs a rate: write upsets_per_second= (for the whole memory) or "
            "upsets_per_bit_second= with it (bits= and ber= take it only with a protection that is scrubbed)"
        )
    exposure = budget.exposure_seconds if budget.faults is None else getattr(budget.faults, "exposure_seconds", None)
    if is_timed and rate is None and exposure is None:
        how = "faults=fkeras.FlipCount(960, exposure_seconds=14400)" if budget.faults else "exposure_seconds=14400"
        _refuse(
            f"scrub_interval_seconds={scrub_interval!r} needs to know how long the faults take: write "
            f"{how}, or leave scrub_interval_seconds out (never scrubbed)"
        )
    if rate is not None or budget.exposure_seconds is not None:
        if rate is not None and budget.exposure_seconds is None:
            _refuse(f"{rate}= needs exposure_seconds=, as in {rate}={getattr(budget, rate)!r}, exposure_seconds=14400")
        for name in (rate, "exposure_seconds") if rate else ("exposure_seconds",):
            value = getattr(budget, name)
            if not (_is_number(value) and value >= 0):
                _refuse(f"{name}={value!r}; allowed are finite numbers from 0 up")
    hit_by = [] if rate is None else [rate, "exposure_seconds"]
    for name in ["ber", *hit_by]:
        if getattr(budget, name) == 0 and budget.limits:
            _refuse(f"this budget could not fail: with {name}=0 nothing is ever hit")
    if budget.faults is not None and not (
        callable(getattr(budget.faults, "draw", None)) and callable(getattr(budget.faults, "describe", None))
    ):
        _refuse(
            f"faults={budget.faults!r} is no fault model; allowed are fkeras.FlipCount, BitErrorRate, Exposure or "
            "an object with draw and describe (bits= takes a count)"
        )


def _check_trials(budget: Budget) -> None:
    given = [name for name in ("trials", "margin", "max_trials") if getattr(budget, name) is not None]
    if len(given) > 1:
        _refuse(
            f"{' and '.join(f'{name}=' for name in given)} contradict one another: trials= is a fixed number, "
            "margin= a sample size, max_trials= the end of a campaign that stops once it is decided; keep one"
        )
    if budget.is_exhaustive and budget.bits != 1:
        _refuse('trials="all" flips every bit alone; write bits=1, trials="all"')
    if budget.trials is not None and not budget.is_exhaustive and not _is_whole(budget.trials, 1):
        _refuse(f'trials={budget.trials!r}; allowed are whole numbers from 1 up, or "all" with bits=1')
    if budget.max_trials is not None and not _is_whole(budget.max_trials, 1):
        _refuse(f"max_trials={budget.max_trials!r}; allowed are whole numbers from 1 up")
    if budget.margin is not None and not (_is_number(budget.margin) and 0 < budget.margin < 1):
        _refuse(
            f"margin={budget.margin!r} is no margin of a proportion; allowed are numbers between 0 and 1, such as 0.01"
        )


def _check_rest(budget: Budget) -> None:
    protected = budget.protected
    if isinstance(protected, LazyRanking) and not protected.globs:
        _refuse(
            f"protected={protected!r} is a whole ranking; write {protected!r}[:k] for its first k bits, or "
            f"{protected!r}.fraction(0.32)"
        )
    is_recorded = isinstance(protected, Selection | Protected)
    is_bits = hasattr(protected, "__iter__") and not isinstance(protected, str | Mapping)
    is_protection = hasattr(protected, "residual") or hasattr(protected, "on")
    if not (protected is None or is_recorded or is_bits or is_protection):
        _refuse(
            f"protected={protected!r}; write ranking[:k], TMR(ranking[:k]), mask('protection.json'), flat bit indices, "
            "or a protection"
        )
    if budget.method is not None and not isinstance(budget.method, str) and not callable(budget.method):
        _refuse(f"method={budget.method!r}; write the name of a ranking method, such as 'hessian', or a function")
    if not (_is_number(budget.max_failure_rate) and 0 <= budget.max_failure_rate < 1):
        _refuse(
            f"max_failure_rate={budget.max_failure_rate!r} is no share of trials; allowed are 0 up to, not including, 1"
        )
    is_sampled = not budget.is_exhaustive and budget.protected is None
    if budget.max_failure_rate == 0 and budget.judges and is_sampled:
        _refuse(
            "max_failure_rate=0 cannot be shown by drawing faults, however many trials hold; write a small share such "
            'as max_failure_rate=0.01, or bits=1, trials="all", which flips every bit'
        )
    if not (_is_number(budget.confidence) and 0.5 <= budget.confidence < 1):
        _refuse(f"confidence={budget.confidence!r}; allowed are numbers from 0.5 up to, not including, 1, such as 0.95")
    if budget.seed is not None and not _is_whole(budget.seed, 0):
        _refuse(f"seed={budget.seed!r}; allowed are whole numbers from 0 up")
    layers = budget.layers
    if not isinstance(layers, str) and not (isinstance(layers, Sequence) and all(isinstance(g, str) for g in layers)):
        _refuse(f"layers={layers!r}; write a glob such as 'conv*', '!name' to exclude, or a list of them")
    if not isinstance(budget.biases, bool):
        _refuse(f"biases={budget.biases!r}; write True or False")
    if budget.engine is not None and not isinstance(budget.engine, str):
        _refuse(f"engine={budget.engine!r}; write the name of an engine, such as 'auto' or 'reference'")
