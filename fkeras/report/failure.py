"""What a test prints when its fault budget is not met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fkeras.report.record import protection_text

if TYPE_CHECKING:
    from fkeras.campaigns import CampaignResult, Culprit, Requirement, Verdict
    from fkeras.memory import BitSpace


TELLING_TRIALS = 100
"""What the message suggests for naming bits where a campaign was decided after a handful of trials."""


def failure_text(
    result: CampaignResult, requirement: Requirement, verdict: Verdict, culprits: Sequence[Culprit], rerun: str
) -> str:
    """Requirement, share of trials over it with its bound, seed, most damaging bits, and how to see it again."""
    import numpy as np

    from fkeras.campaigns.blame import LEAST_FAILING

    setting, n_bits = result.setting, len(result.setting.space)
    limits = ", ".join(str(limit) for limit in requirement.limits)
    lines = [
        f"{verdict}, limits {limits}",
        f"  required    {requirement}",
        f"  faults      {setting.fault_model.describe(n_bits)}; seed {setting.seed}",
        f"  protection  {protection_text(setting)}",
    ]
    for limit in requirement.limits:
        one = result[limit.metric]
        broken = bool(limit.broken_by(np.array([one.golden.value]), one.golden.value)[0])
        lines.append(
            f"  {limit.metric:<11} mean {one.estimate.best:.6g} over {len(result)} trials, golden "
            f"{golden_text(one.golden.value, one.golden.standard_error)}"
            + ("; the golden model breaks the limit already" if broken else "")
        )
    if culprits:
        lines.append("  most damaging bits (an association over the trials, unless alone)")
        lines += [f"    {culprit}: {change_text(setting.space, culprit.bit)}" for culprit in culprits]
    elif 0 < verdict.failures < LEAST_FAILING:
        lines.append(f"  most damaging bits: {too_few_to_name(verdict.failures)}")
        if verdict.max_trials is not None and verdict.trials < TELLING_TRIALS:
            lines[-1] += f"; --fkeras-trials={TELLING_TRIALS} draws on"
    return "\n".join([*lines, f"  again       {rerun}"])


def change_text(space: BitSpace, bit: int) -> str:
    """The value of a bit's word before and after its flip."""
    from fkeras.faults import FaultSet

    for patch in FaultSet([bit]).patches(space):  # type: ignore[arg-type]
        tensor = space.tensors[patch.tensor]
        return f"{tensor.golden[patch.elements[0]]:.6g} -> {patch.values[0]:.6g}"
    raise AssertionError("a flip changes its word")


def too_few_to_name(failures: int) -> str:
    """Why no bits are named."""
    return f"too few failing trials ({failures}) to name any"


def golden_text(value: float, standard_error: float) -> str:
    """A golden value with the data set's own standard error."""
    return f"{value:.6g}" if standard_error != standard_error else f"{value:.6g} +- {standard_error:.2g} (data)"
