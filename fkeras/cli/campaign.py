"""`fkeras campaign`: many flips at once, many draws, and a verdict."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fkeras.cli import arguments, faults_and_limits, memory_protection, output, session, studies
from fkeras.errors import InputError

if TYPE_CHECKING:
    from fkeras.campaigns import CampaignResult, Verdict
    from fkeras.faults import SampleFlips

SUMMARY = "draw many flips at once, again and again, and judge the outcome"
EXAMPLES = f"""\
  fkeras campaign tagger.h5 --data validation.npz --metric accuracy --faults 100 --trials 200 --json campaign.json
  fkeras campaign encoder.h5 --data wafers.npz --metric emd --geometry geometry.npz --faults 960 --protected 4040 \\
      --limit max_emd=1.25
  fkeras campaign tagger.h5 --data validation.npz --metric accuracy --faults 960 --exposure-seconds 14400 \\
      --mask protection/protection.json --under tmr --scrub-interval-seconds 60 --limit max_accuracy_drop=0.02
  fkeras campaign tagger.h5 --data validation.npz --metric accuracy --ber 1e-3 --limit max_accuracy_drop=0.02
  fkeras campaign tagger.h5 --data validation.npz --metric accuracy --faults-in weights=960 \\
      --faults-in activations=transient:1e-6 --limit max_accuracy_drop=0.02

With --limit and no --trials, draws go on until the share of draws that break it is decided against --max-failure-rate
at --confidence. The exit code is the verdict: 0 PASS, 1 FAIL, 3 not decided; a --shard has none and ends with 0. A
fault-free network that is no better than chance, or breaks a limit such as min_golden_accuracy=0.9, is FAIL at once.
The faults depend on the seed, the layout and the fault model only. OUT.json has `values` (the metric in each trial),
`bits` (the flat indices that flipped in each trial, protected ones taken away), `bits_set_to_0` and `bits_set_to_1`
(those that a protection forced, as SECDED and parity may), `bits_in_samples` (sample and bit of each flip that lasted
for one inference), and `golden`; also by trial `hits` (upsets drawn),
`cancelled` (those that undid one another), `residual` (faulty bits left) and `undefined` (samples without a score).

{arguments.BIT_INDICES}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    arguments.add_model(parser)
    arguments.add_data(parser)
    faults_and_limits.add_faults(parser, required=True)
    memory_protection.add_arguments(parser)
    parser.add_argument(
        "--area",
        metavar="FILE",
        help="what `fkeras area DIR --json FILE` measured: where it is of this protection, the report says so",
    )
    group = faults_and_limits.add_limits(parser)
    group.add_argument(
        "--trials",
        type=arguments.whole(1),
        metavar="N",
        help="a fixed number of draws (default: 100, or with --limit until decided)",
    )
    group.add_argument(
        "--max-trials", type=arguments.whole(1), metavar="N", help="end of a campaign that stays undecided (1000)"
    )
    group.add_argument(
        "--allow-chance",
        action="store_true",
        help="judge a network too that is no better than the best prediction that needs no input",
    )
    arguments.add_machine(parser)
    arguments.add_farm(parser)
    arguments.add_json(parser, "bits, values and golden")


def run(options: argparse.Namespace) -> int:
    """Draw, measure, judge."""
    from fkeras.campaigns import MAX_TRIALS

    output.check_targets(options)
    faults, limits = faults_and_limits.faults(options), faults_and_limits.limits(options)
    assert faults is not None
    if options.max_trials and (options.trials or not limits):
        raise InputError("--max-trials ends a campaign that stops once it is decided: it needs --limit and no --trials")
    if options.shard is not None and limits and options.trials is None:
        raise InputError(
            f"--shard {options.shard}: a campaign that ends when it is decided cannot be shared out; give --trials N, "
            "merge the shares, and judge them by the same line without --shard"
        )
    with studies.studied(options) as study:
        requirement = faults_and_limits.requirement(options, study)
        session.show(f"seed {options.seed}")
        result = study.campaign(
            faults=faults,
            trials=options.trials,
            protected=memory_protection.chosen(options, study),
            limits=requirement,
            max_trials=options.max_trials or MAX_TRIALS,
            shard=options.shard,
        )
    verdict = None if requirement is None or options.shard is not None else result.verdict(requirement)
    if options.json:
        output.write_json(options.json, _content(result, verdict, options))
    session.show("\n".join(_lines(result, verdict)))
    if options.shard is not None:
        # A share proves nothing, and batch systems take any other code for a job that failed.
        session.show(
            f"this is share {options.shard}: the verdict comes from the same line without --shard, after the merge"
        )
        return session.FINE
    return session.FINE if verdict is None else faults_and_limits.exit_code(verdict.outcome)


def _lines(result: CampaignResult, verdict: Verdict | None) -> list[str]:
    import numpy as np

    from fkeras.report.record import protection_text

    setting, n_bits = result.setting, len(result.setting.space)
    (trials,) = result.by_metric.values()
    lines = [
        f"{len(result):,} trials of {setting.fault_model.describe(n_bits)}, seed {setting.seed}, "
        f"{setting.n_samples:,} samples, engine {setting.engine}",
        f"protected: {protection_text(setting)}",
        f"golden {trials.metric}: {trials.golden.value:.6g}{_chance_text(result)}",
        *(f"cannot hurt: {dead}" for dead in result.fault_free.dead),
    ]
    if len(result):
        mean = result.estimate
        interval = f"[{mean.low:.6g}, {mean.high:.6g}] at 95 % ({mean.method})"
        lines.append(f"mean {trials.metric} over trials: {mean.best:.6g} {interval}")
        least, median, most = np.quantile(trials.values, (0, 0.5, 1), method="nearest").tolist()
        lines.append(f"trials from {least:.6g} to {most:.6g}, median {median:.6g}")
    if result.undefined:
        lines.append(f"{result.undefined:,} sample scores were undefined and count as the worst")
    if verdict is None:
        return lines
    lines += [
        f"the golden model breaks {limit} already"
        for limit in verdict.requirement.limits
        if limit.is_broken_without_faults(trials.golden.value)
    ]
    return [*lines, f"required: {verdict.requirement}", str(verdict)]


def _chance_text(result: CampaignResult) -> str:
    chances = ", ".join(f"{chance.value:.6g}" for chance in result.fault_free.chance.values())
    return f" (chance: {chances})" if chances else ""


def _pairs(flips: SampleFlips) -> list[list[int]]:
    """Sample and bit of each flip that lasts for one sample."""
    return [list(pair) for pair in zip(flips.samples.tolist(), flips.bits.tolist(), strict=True)]


def _content(result: CampaignResult, verdict: Verdict | None, options: argparse.Namespace) -> dict[str, Any]:
    from fkeras.plain import plain
    from fkeras.report.record import protection_text

    setting, space = result.setting, result.setting.space
    (trials,) = result.by_metric.values()
    trial_numbers = range(len(result))
    return {
        "schema": "fkeras-campaign/1",
        "model": options.model,
        "metric": trials.metric,
        "better": trials.better,
        "bits": (setting.residual(trial).flips.tolist() for trial in trial_numbers),
        "bits_set_to_0": (setting.residual(trial).set_to_0.tolist() for trial in trial_numbers),
        "bits_set_to_1": (setting.residual(trial).set_to_1.tolist() for trial in trial_numbers),
        "bits_in_samples": (_pairs(setting.residual(trial).in_samples) for trial in trial_numbers),
        "values": trials.values.tolist(),
        "golden": trials.golden.value,
        "golden_standard_error": trials.golden.standard_error,
        "hits": result.hits.tolist(),
        "cancelled": result.cancelled.tolist(),
        "residual": result.residual.tolist(),
        "undefined": trials.undefined.tolist(),
        "fault_model": setting.fault_model.describe(len(space)),
        "protection": protection_text(setting),
        "seed": setting.seed,
        "n_samples": setting.n_samples,
        "n_bits": len(space),
        "layout_digest": space.layout_digest,
        "content_digest": space.content_digest,
        "engine": setting.engine,
        "verdict": None
        if verdict is None
        else {
            "outcome": verdict.outcome,
            "text": str(verdict),
            "requirement": str(verdict.requirement),
            "broken": list(verdict.broken),
            **plain(verdict.record),
        },
    }
