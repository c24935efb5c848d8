"""The verdict: what a campaign proves about a requirement."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from fkeras.campaigns.fault_free import GoldenRequirement
from fkeras.campaigns.limits import GoldenLimit, Limit, parse_limit
from fkeras.errors import Argument, FkerasError, InputError, is_number, is_whole
from fkeras.statistics import Estimate
from fkeras.statistics.proportions import lower_bound, trials_to_decide_fixed, upper_bound
from fkeras.statistics.sequential import anytime_lower_bound, anytime_upper_bound, share_decision, trials_to_decide

MAX_FAILURE_RATE = 0.05
"""The share of trials that may break a limit where nothing else is stated."""


class Outcome(StrEnum):
    """How a requirement stands, the worst first: what was not decided may be let through, what did not run never.

    ASSERTED: the test judges the result itself.
    """

    FAIL = "FAIL"
    NOT_RUN = "NOT_RUN"
    INCONCLUSIVE = "INCONCLUSIVE"
    ASSERTED = "ASSERTED"
    PASS = "PASS"


AnyOutcome = Outcome | Literal[""]
"""With "" for what was not judged."""
WORST_FIRST: tuple[AnyOutcome, ...] = (*Outcome, "")


def worst(outcomes: Iterable[AnyOutcome]) -> AnyOutcome:
    """The worst of several outcomes; "" of none."""
    return min(outcomes, key=WORST_FIRST.index, default="")


class BudgetExceeded(FkerasError, AssertionError):
    """A fault budget whose verdict is FAIL."""


class BrokenSetUp(BudgetExceeded):
    """A fault budget whose network is not what it must be before faults are asked about."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """At most a share `max_failure_rate` of trials may break one of `limits`, at the stated confidence.

    golden: what the network must be without faults, before that is asked.
    """

    limits: tuple[Limit, ...]
    max_failure_rate: float = MAX_FAILURE_RATE
    confidence: float = 0.95
    golden: GoldenRequirement = field(default_factory=GoldenRequirement)

    def __post_init__(self) -> None:
        if not self.limits:
            raise InputError("a requirement needs a limit on what faults do, as in max_emd=1.25")
        if not (is_number(self.max_failure_rate) and 0 <= self.max_failure_rate < 1):
            raise InputError(
                Argument("max_failure_rate", self.max_failure_rate, " is "),
                ", a share of trials; allowed are 0 up to, not including, 1",
            )
        # Below a half, the same trials could show that the share is too large and that it is not.
        if not (is_number(self.confidence) and 0.5 <= self.confidence < 1):
            allowed = "; allowed are numbers from 0.5 up to, not including, 1, such as 0.95"
            raise InputError(Argument("confidence", self.confidence, " is "), allowed)

    def against(self, failures: int) -> str:
        """The failures held against the number that is allowed; "" where a share is."""
        return ""

    def on(self, limits: tuple[Limit, ...], n_bits: int) -> Requirement:
        """The same of these limits, in a memory of `n_bits`."""
        return replace(self, limits=limits)

    def __str__(self) -> str:
        limits = ", ".join(str(limit) for limit in self.limits)
        share = f"at least {1 - self.max_failure_rate:.4%}".rstrip("%").rstrip("0").rstrip(".") + " %"
        trials = f"{share} of trials" if self.max_failure_rate else "all trials"
        return f"{limits} in {trials}, at {self.confidence:.4g} confidence"


def required(
    limits: Mapping[str, float] | None,
    metrics: Collection[str],
    max_failure_rate: float = MAX_FAILURE_RATE,
    confidence: float = 0.95,
    allow_chance: bool = False,
) -> Requirement | None:
    """The requirement that limits by keyword state, as in {"max_emd": 1.25}; None without any."""
    if not limits:
        return None
    of_trials, golden = apart(parse_limit(keyword, value, metrics) for keyword, value in limits.items())
    return Requirement(of_trials, max_failure_rate, confidence, GoldenRequirement(golden, allow_chance))


def apart(limits: Iterable[Limit]) -> tuple[tuple[Limit, ...], tuple[GoldenLimit, ...]]:
    """Limits on what trials give, and those on the fault-free value."""
    limits = tuple(limits)
    golden = tuple(limit for limit in limits if isinstance(limit, GoldenLimit))
    return tuple(limit for limit in limits if not isinstance(limit, GoldenLimit)), golden


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """A verdict as plain values: trials over the limit, one-sided bounds on their share."""

    outcome: Outcome
    failures: int
    trials: int
    share_low: float
    share_high: float


HOPELESS = 100
"""More than this many times the trials that were drawn will not be drawn."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome with its evidence.

    Arguments:
        outcome: PASS, FAIL or INCONCLUSIVE.
        requirement: what was asked.
        failures, trials: counts.
        share: the observed share with its one-sided bounds, each at `requirement.confidence`.
        more_trials: about how many would decide (INCONCLUSIVE), None when not to be expected.
        exact: no statistics needed.
        max_trials: where a campaign that stops once it is decided would have ended, None for a fixed number of trials.
        changed_nothing: INCONCLUSIVE because no trial changed anything, whatever was counted.
        broken: FAIL because the network without faults is not what it must be, in sentences.
    """

    outcome: Outcome
    requirement: Requirement
    failures: int
    trials: int
    share: Estimate
    more_trials: int | None = None
    exact: bool = False
    max_trials: int | None = None
    changed_nothing: bool = False
    broken: tuple[str, ...] = ()

    @property
    def record(self) -> VerdictRecord:
        """The numbers by themselves."""
        return VerdictRecord(self.outcome, self.failures, self.trials, self.share.low, self.share.high)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is so, where the counts do not say it."""
        if self.broken:
            return self.broken
        if self.changed_nothing:
            return (
                "no trial changed anything, so nothing shows that faults reach the outputs: draw more faults or "
                "trials, give data or a metric that can tell, or protect every bit",
            )
        if self.outcome is not Outcome.INCONCLUSIVE:
            return ()
        if self.more_trials is None or self.more_trials > HOPELESS * self.trials:
            return ("the share lies at the limit, more trials will not decide",)
        return (f"about {self.more_trials:,} more trials would decide",)

    def __str__(self) -> str:
        if self.broken:
            return f"{self.outcome}: {'; '.join(self.reasons)}"
        counted = f"{self.failures} of {self.trials} trials over the limit"
        confidence = f"{self.requirement.confidence:.4g} confidence"
        if self.changed_nothing:
            return f"{self.outcome}: {counted}, but {'; '.join(self.reasons)}"
        if self.exact:
            against = self.requirement.against(self.failures)
            return f"{self.outcome}: {counted}, exact ({self.share.method}){against and f': {against}'}"
        saved = (
            "" if self.max_trials is None else f", decided after {self.trials:,} of up to {self.max_trials:,} trials"
        )
        if self.outcome is Outcome.PASS:
            return f"PASS: {counted}, share below {self.share.high:.2%} ({confidence}){saved}"
        if self.outcome is Outcome.FAIL:
            return f"FAIL: {counted}, share above {self.share.low:.2%} ({confidence}){saved}"
        return (
            f"{self.outcome}: {counted}, share between {self.share.low:.2%} and {self.share.high:.2%}, not "
            f"decided against {100 * self.requirement.max_failure_rate:.4g} %: {'; '.join(self.reasons)}"
        )


def broken_verdict(requirement: Requirement, failures: int, trials: int, problems: tuple[str, ...]) -> Verdict:
    """FAIL, whatever was counted: what faults do to such a network means nothing."""
    share = Estimate(0.0, failures / trials if trials else 0.0, 1.0, requirement.confidence, "not judged")
    return Verdict(Outcome.FAIL, requirement, failures, trials, share, broken=problems)


def judge(requirement: Requirement, failures: int, trials: int, *, max_trials: int | None, exact: str = "") -> Verdict:
    """The verdict on `failures` of `trials`.

    max_trials: the most that would have been drawn, where the number of trials depended on the results and the
    bounds must hold at every moment; None where that number was fixed beforehand;
    exact: why no statistics are needed, as where every trial has the same result whatever is drawn; "": they are.
    """
    limit, confidence, best = requirement.max_failure_rate, requirement.confidence, failures / trials
    if exact:
        outcome = Outcome.PASS if best <= limit else Outcome.FAIL
        return Verdict(outcome, requirement, failures, trials, Estimate(best, best, best, 1.0, exact), exact=True)
    low_of, high_of, method, trials_needed = (
        (lower_bound, upper_bound, "Clopper-Pearson", trials_to_decide_fixed)
        if max_trials is None
        else (anytime_lower_bound, anytime_upper_bound, "confidence sequence", trials_to_decide)
    )
    low, high = low_of(failures, trials, confidence), high_of(failures, trials, confidence)
    if max_trials is not None:
        decision = share_decision(failures, trials, limit, confidence)
    else:
        decision = "below" if high <= limit else "above" if low > limit else None
    return Verdict(
        Outcome.INCONCLUSIVE if decision is None else Outcome.PASS if decision == "below" else Outcome.FAIL,
        requirement,
        failures,
        trials,
        Estimate(min(low, best), best, max(high, best), confidence, f"one-sided {method} bounds"),
        trials_needed(failures, trials, limit, confidence) if decision is None else None,
        max_trials=max_trials,
    )


@dataclass(frozen=True, slots=True)
class SingleFlipRequirement(Requirement):
    """Of all bits, each flipped alone, at most a share `max_failure_rate` may break one of `limits`; exact.

    most_bits: that share as a number of bits, where it was stated as one; kind: what such bits are called.
    """

    most_bits: int | None = None
    kind: str = "critical"

    def __str__(self) -> str:
        limits = ", ".join(str(limit) for limit in self.limits)
        most = f"{self.max_failure_rate:.4%}".rstrip("%").rstrip("0").rstrip(".") + " % of bits"
        if self.most_bits is not None:
            most = "no bit" if self.most_bits == 0 else f"{self.most_bits:,} bit" + "s" * (self.most_bits != 1)
        at_most = most if self.most_bits == 0 else f"at most {most}"
        return f"{at_most} {self.kind}: one flip alone breaks {limits}"

    def against(self, failures: int) -> str:
        return "" if self.most_bits is None else f"{failures:,} of {self.most_bits:,} allowed {self.kind} bits"

    def on(self, limits: tuple[Limit, ...], n_bits: int) -> SingleFlipRequirement:
        if self.most_bits is None:
            return replace(self, limits=limits)
        return replace(most_critical(limits, self.most_bits, n_bits), golden=self.golden)


def most_critical(limits: tuple[Limit, ...], most_bits: int, n_bits: int | None = None) -> SingleFlipRequirement:
    """At most `most_bits` of `n_bits` (None: not known yet) bits may break a limit alone.

    InputError for a number that nothing exceeds.
    """
    stated = Argument("max_critical_bits", most_bits)
    if not is_whole(most_bits, 0):
        raise InputError(stated, " is no count of bits; allowed are whole numbers from 0 up")
    if n_bits is not None and most_bits >= n_bits:
        raise InputError(stated, f" could not fail: the memory has {n_bits:,} bits; allowed are 0 to {n_bits - 1}")
    return SingleFlipRequirement(limits, most_bits / n_bits if n_bits else 0.0, most_bits=int(most_bits))


def most_sensitive(limits: tuple[Limit, ...], share: float) -> SingleFlipRequirement:
    """At most a share of the bits may make the metric worse by more than a limit alone."""
    if not (is_number(share) and 0 <= share < 1):
        wrong = " is no share of bits that could be exceeded; allowed are 0 up to, not including, 1"
        raise InputError(Argument("max_sensitive_fraction", share), wrong)
    return SingleFlipRequirement(limits, float(share), kind="sensitive")
