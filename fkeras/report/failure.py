"""What a test prints when its fault budget is not met."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fkeras.campaigns import CampaignResult, Culprit, MinimalFaults, ProtectionCurve, Requirement, Verdict
from fkeras.faults import FaultSet
from fkeras.memory import BitSpace
from fkeras.report.record import protection_text

MOST_SHOWN = 10
"""Faults of a minimal set that get a line of their own."""
MOST_PASTED = 100
"""A larger fault set gets no line to paste."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was found out about a missed budget; None where nothing was looked for or found.

    protected, would_pass, does_not_pass: `protected=` as stated, the least found to pass, and what is known of the most
    below it that does not; survived: the flips that are survived (0: not even the fewest tried), of how many, in how
    many trials; problem: what went wrong while looking.
    """

    minimal: MinimalFaults | None = None
    curve: ProtectionCurve | None = None
    protected: str = ""
    would_pass: str | None = None
    does_not_pass: str | None = None
    survived: tuple[int, int, int] | None = None
    problem: str | None = None


def failure_text(
    result: CampaignResult,
    requirement: Requirement,
    verdict: Verdict,
    culprits: Sequence[Culprit],
    rerun: str,
    explanation: Explanation | None = None,
) -> str:
    """Requirement, share of trials over it with its bound, seed, what explains it, and how to see it again."""
    setting, n_bits = result.setting, len(result.setting.space)
    limits = ", ".join(str(limit) for limit in requirement.limits)
    lines = [
        f"{verdict}, limits {limits}",
        f"  required    {requirement}",
        f"  faults      {setting.fault_model.describe(n_bits)}; seed {setting.seed}",
        f"  protection  {protection_text(setting)}",
    ]
    for limit in requirement.limits:
        trials = result[limit.metric]
        broken = limit.is_broken_without_faults(trials.golden.value)
        lines.append(
            f"  {limit.metric:<11} mean {trials.estimate.best:.6g} over {len(result)} trials, golden "
            f"{golden_text(trials.golden.value, trials.golden.standard_error)}"
            + ("; the golden model breaks the limit already" if broken else "")
        )
    if verdict.outcome == "INCONCLUSIVE":
        fixed = "trials= in the budget, or --fkeras-trials=N"
        until = "max_trials= in the budget, or --fkeras-max-trials=N"
        lines.append(f"  more trials {fixed if verdict.max_trials is None else until}")
    if explanation is not None:
        lines += _explained(explanation, setting.space)
    if culprits:
        lines.append("  most damaging bits (an association over the trials, unless alone)")
        lines += [f"    {culprit}: {change_text(setting.space, culprit.bit)}" for culprit in culprits]
    return "\n".join([*lines, f"  again       {rerun}"])


def broken_text(problems: Sequence[str], golden_limits: Sequence[str], rerun: str) -> str:
    """Why the network without faults is not what it must be, a line each."""
    lines = [f"FAIL: {problems[0]}", *(f"  and         {problem}" for problem in problems[1:])]
    if golden_limits:
        lines.append(f"  required    {', '.join(golden_limits)}")
    return "\n".join([*lines, "  faults      what they do to such a network says nothing", f"  again       {rerun}"])


def _explained(explanation: Explanation, space: BitSpace) -> Iterator[str]:
    minimal = explanation.minimal
    if minimal is not None:
        record = minimal.record(space)
        n, values = len(record.faults), ", ".join(f"{name} {value:.6g}" for name, value in minimal.values.items())
        single = "it cannot be left out" if n == 1 else "none of them can be left out"
        sure = single if minimal.is_minimal else f"fewer may do: the {minimal.evaluations} evaluations ran out"
        yield f"  minimal     {record.of_how_many} will do, {sure}: {values}"
        for text, change in list(zip(record.faults, record.changes, strict=True))[:MOST_SHOWN]:
            yield f"    {_with_sign(text, space)}: {change}"
        if n > MOST_SHOWN:
            yield f"    and {n - MOST_SHOWN} more"
        if n <= MOST_PASTED:
            yield f"  example     {example_line(minimal)}"
    if explanation.would_pass is not None:
        less = "" if explanation.does_not_pass is None else f"; {explanation.does_not_pass}"
        passing = f"protected={explanation.would_pass}, on the same faults"
        yield f"  would pass  {passing}; you have {explanation.protected}{less}"
    elif explanation.curve is not None and explanation.curve.points:
        most = explanation.curve.points[-1].k
        yield f"  would pass  no protected= that was tried, up to {most:,} bits; you have {explanation.protected}"
    if explanation.survived is not None:
        flips, required, trials = explanation.survived
        how = f"none of {trials} trials over a limit by then" if flips else "not even the fewest that were tried"
        yield f"  survived    {flips:,} flips of {required:,}: {how}"
    if explanation.problem is not None:
        yield f"  not found   the minimal fault set: {explanation.problem}"


def faults_text(faults: FaultSet, space: BitSpace) -> str:
    """The faults by address, the first of them; sign bits are marked."""
    texts = [_with_sign(text, space) for text in faults.text(space).split()]
    more = f" and {len(texts) - MOST_SHOWN} more" if len(texts) > MOST_SHOWN else ""
    return (", ".join(texts[:MOST_SHOWN]) or "no fault") + more


def _with_sign(text: str, space: BitSpace) -> str:
    address = re.split("[=@]", text)[0]  # what it is stuck at, or in which sample it flips
    return f"{text} (sign)" if space.is_sign(address) else text


def example_line(minimal: MinimalFaults) -> str:
    """What to paste above a hypothesis test whose argument `faults` is drawn from fault_sets (after import fkeras)."""
    line = f"@example(faults=fkeras.{minimal.faults!r})"
    return f"{line}  # as read: without the protection" if minimal.is_as_read else line


def change_text(space: BitSpace, bit: int) -> str:
    """The value of a bit's word before and after its flip."""
    for patch in FaultSet([bit]).patches(space):  # type: ignore[arg-type]
        tensor = space.tensors[patch.tensor]
        return f"{tensor.golden[patch.elements[0]]:.6g} -> {patch.values[0]:.6g}"
    return "another value in each sample"  # of a register


def golden_text(value: float, standard_error: float) -> str:
    """A golden value with the data set's own standard error."""
    return f"{value:.6g}" if standard_error != standard_error else f"{value:.6g} +- {standard_error:.2g} (data)"
