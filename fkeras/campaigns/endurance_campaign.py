"""Endurance, measured: a survey over the whole range, then other trials at close looks around the first failures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, partial
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from fkeras.campaigns.accumulation import Accumulation, Looks, State
from fkeras.campaigns.endurance import Endurance, Histories, least_trials
from fkeras.campaigns.limits import Limit
from fkeras.campaigns.verdict import Requirement
from fkeras.engine import Run, Scores
from fkeras.errors import Argument, InputError, whole
from fkeras.faults import FaultSet, Protection, RandomStream
from fkeras.faults.memories import StreamOf
from fkeras.faults.upsets import Upsets
from fkeras.memory import BitSpace
from fkeras.progress import Progress
from fkeras.runs.remembering import RememberingRun
from fkeras.statistics.means import MINIMUM_VALUES

SURVEY_TRIALS = MINIMUM_VALUES
"""Trials of the survey: as many as an asymptotic interval of a mean needs."""
TRIALS = 100
PROOF_LOOKS = 14


class EnduranceCampaign:
    """The histories of a memory under a seed, measured look by look."""

    def __init__(self, run: Run, accumulation: Accumulation, protection: Protection, seed: int) -> None:
        self.run = RememberingRun(run)
        self.accumulation, self.protection, self.seed = accumulation, protection, seed

    def history(self, trial: int, looks: Looks) -> list[FaultSet]:
        """What the network computes with in one trial at each look."""
        space, timed = self.run.space, self.accumulation.unit == "seconds"

        @cache
        def states(plane: int) -> list[State]:
            # Cells that a protection adds are hit at the same rate, each array by itself.
            def streams(part: BitSpace, key: str) -> StreamOf:
                whole = ("fkeras-endurance/1", self.seed, part.layout_digest, key, trial)
                return partial(RandomStream, *whole, *([plane] if plane else []))

            return self.accumulation.states(space, looks, streams, self.run.n_samples)

        def residual(i: int, seconds: float | None) -> FaultSet:
            return self.protection.residual(
                Upsets(
                    space,
                    states(0)[i].draw,
                    lambda plane: states(plane)[i].draw,
                    seconds,
                    (lambda plane, n: cast(Looks, states(plane)[i].ages)) if timed else None,
                    what=self.accumulation.describe(),
                )
            )

        return [residual(i, look if timed else None) for i, look in enumerate(looks.tolist())]

    def measure(
        self,
        metric: str,
        limits: Sequence[Limit],
        looks: Looks,
        trials: range,
        progress: Progress,
        until_all_failed: bool = False,
    ) -> Histories:
        """Every trial at every look; with `until_all_failed` the looks end where every trial has failed by."""
        histories = [self.history(trial, looks) for trial in trials]
        golden = self.run.golden[metric].value
        measured: list[Scores] = []
        failed = np.zeros(len(trials), np.bool_)
        with progress(len(looks) * len(trials), "history", f"endurance, {metric}") as advance:
            for i in range(len(looks)):
                scores = self.run.fault_sets([history[i] for history in histories])[metric]
                measured.append(scores)
                for limit in limits:
                    failed |= limit.broken_by(scores.values, golden)
                advance(len(trials))
                if until_all_failed and failed.all():
                    break
        values = np.stack([scores.values for scores in measured], axis=1)
        undefined = np.stack([scores.undefined for scores in measured], axis=1)
        residual = np.array([[len(faults) for faults in history[: len(measured)]] for history in histories], np.int64)
        broken = np.any(
            [np.zeros(values.shape, np.bool_), *(limit.broken_by(values, golden) for limit in limits)], axis=0
        )
        return Histories(looks[: len(measured)], values, undefined, residual, broken)

    def survived(self, requirement: Requirement, looks: Looks) -> float | None:
        """The largest look that is survived, as `Endurance.largest` with the fewest trials; None for none of them.

        Cheap: looks come in ascending order, a trial that has failed is not measured again, and the first look by
        which one has failed is the end.
        """
        trials = range(least_trials(requirement.max_failure_rate, requirement.confidence))
        histories = [self.history(trial, looks) for trial in trials]
        shown: float | None = None
        for i, look in enumerate(looks.tolist()):
            for start in range(0, len(trials), self.run.batch_size):
                batch = [history[i] for history in histories[start : start + self.run.batch_size]]
                scores = self.run.fault_sets(batch)
                for limit in requirement.limits:
                    values = scores[limit.metric].values
                    if limit.broken_by(values, self.run.golden[limit.metric].value).any():
                        return shown
            shown = look
        return shown


def measure_endurance(
    run: Run,
    metric: str,
    accumulation: Accumulation,
    protection: Protection,
    seed: int,
    requirement: Requirement | None,
    progress: Progress,
    *,
    looks: ArrayLike | None = None,
    end: float | None = None,
    least: float | None = None,
    trials: int = TRIALS,
) -> Endurance:
    """Measure `metric` while faults accumulate.

    looks: where, for all trials. None: 1, 2, 5, 10 ... up to `end` (half the memory's bits unless given; with limits
    and no end, up to where every trial has failed). Without limits that is for all `trials`; with limits it is a
    survey of 30, followed by `trials` others at 14 looks around the first failures, and at `least`.
    """
    whole("trials", trials, 1)
    limits = () if requirement is None else requirement.limits
    if requirement is not None:
        fewest = least_trials(requirement.max_failure_rate, requirement.confidence)
        if trials < fewest:
            raise InputError(
                Argument("trials", trials),
                f" cannot show a share below {100 * requirement.max_failure_rate:.4g} % at "
                f"{requirement.confidence:g} confidence even if none fails; allowed are {fewest} and more",
            )
    kind, faults = run.metrics[metric], EnduranceCampaign(run, accumulation, protection, seed)
    if least is not None:
        if not limits:
            raise InputError(Argument("min_survived"), " needs ", Argument("limits"), ": what is to be survived")
        least = _one_look("min_survived", least, accumulation, len(run.space))

    def measured(looks: Looks, trials: range, until_all_failed: bool = False) -> Histories:
        return faults.measure(metric, limits, looks, trials, progress, until_all_failed)

    trials, proof = int(trials), None
    if looks is not None:
        survey = measured(_checked(looks, accumulation, len(run.space)), range(trials))
        proof = survey if limits else None
    elif not limits:
        survey = measured(_series(accumulation, len(run.space), end), range(trials))
    else:
        survey = measured(_series(accumulation, len(run.space), end), range(SURVEY_TRIALS), end is None)
        close = np.union1d(_closer(survey, accumulation), [] if least is None else [least])
        # Other trials than the survey's, so that where to look was not chosen by what they show.
        proof = measured(close, range(SURVEY_TRIALS, SURVEY_TRIALS + trials))
    return Endurance(
        metric,
        kind.better,
        kind.bounds,
        run.golden[metric],
        requirement,
        survey,
        proof,
        accumulation,
        protection,
        seed,
        run.space,
        run.engine,
        run.n_samples,
    )


def one_two_five(start: float, end: float) -> Looks:
    """1, 2, 5, 10, 20, 50 ... from `start` to `end`, both ends included."""
    low, high = math.floor(math.log10(start)), math.ceil(math.log10(end))
    series = [digit * 10.0**power for power in range(low, high + 1) for digit in (1, 2, 5)]
    return np.array([*(look for look in series if start <= look < end), end])


def _series(accumulation: Accumulation, n_bits: int, end: float | None) -> Looks:
    if n_bits == 0:
        raise InputError("the space has no bits to flip")
    if accumulation.unit == "seconds":
        n_bits, per_second = accumulation.pace(n_bits)
        if per_second <= 0:
            raise InputError("without upsets nothing accumulates; give a rate above 0")
        last = n_bits / 2 / per_second if end is None else end
        if not (math.isfinite(last) and last > 0):
            raise InputError(f"exposure_seconds is {last!r}; allowed are finite numbers above 0")
        return one_two_five(min(0.1 / per_second, last), last)
    last = max(n_bits // 2, 1) if end is None else end
    return one_two_five(1, _one_look("max_flips", last, accumulation, n_bits))


def _closer(survey: Histories, accumulation: Accumulation) -> Looks:
    """Close looks up to the first by which a quarter of the trials has failed, from where one in a hundred may have.

    That is a thirtieth of it, or less, where every flip is as dangerous as the one before; and not above the last look
    but one without a failure. Two looks far below are for bad luck.
    """
    failed = survey.failed_by
    clean = int(np.searchsorted(failed, 1)) - 1
    many = int(np.searchsorted(failed, len(survey) / 4))
    high = float(survey.looks[min(many, len(survey.looks) - 1)])
    low = min(high / 30, float(survey.looks[max(clean - 1, 0)]))
    looks = np.concatenate([[low / 9, low / 3], np.geomspace(low, high, PROOF_LOOKS - 2)])
    return np.unique(np.maximum(np.rint(looks), 1) if accumulation.unit == "flips" else looks)


def _checked(looks: ArrayLike, accumulation: Accumulation, n_bits: int) -> Looks:
    ascending = np.atleast_1d(np.asarray(looks, np.float64))
    fits = ascending.ndim == 1 and ascending.size and (np.diff(ascending) > 0).all()
    if not fits or not _are_looks(ascending, accumulation, n_bits):
        raise InputError(f"looks are {looks!r}; allowed are {_allowed(accumulation, n_bits)}, ascending")
    return ascending


def _one_look(name: str, look: float, accumulation: Accumulation, n_bits: int) -> float:
    if not _are_looks(np.array([look], np.float64), accumulation, n_bits):
        raise InputError(f"{name} is {look!r}; allowed are {_allowed(accumulation, n_bits)}")
    return float(look)


def _are_looks(looks: Looks, accumulation: Accumulation, n_bits: int) -> bool:
    fit = np.isfinite(looks) & (looks > 0)
    if accumulation.unit == "flips":
        fit &= (looks == np.rint(looks)) & (looks <= n_bits)
    return bool(np.all(fit))


def _allowed(accumulation: Accumulation, n_bits: int) -> str:
    return (
        f"whole numbers from 1 to {n_bits:,}" if accumulation.unit == "flips" else "finite numbers of seconds above 0"
    )
