"""A ranking that knows the metric: few exact flips where they decide most, corrected by the metric's slope.

Each bit's mean damage is estimated by a difference estimator: what exact flips on some samples show, plus the slope's
prediction for all samples minus its prediction for those samples. The prediction needs no injection, so it is had for
all samples; its share (beta) is fitted, so that where it explains nothing it changes nothing. A pilot flips every bit
on a few samples; each later round draws new samples and flips only the bits whose place in the ranking is least sure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.faults import RandomStream
from fkeras.sensitivity.derivatives import LossDerivatives
from fkeras.sensitivity.evidence import SubjectEvidence
from fkeras.sensitivity.flips import displacements, loss_changes

N_PILOTS, PILOT_SHARE = 2, 0.3
N_ROUNDS, ROUND_BITS = 2, 0.25
"""More and smaller ones gain less than a point in the third digit of rho; every run of the engine costs its set-up."""
PASSES = 7
"""Evaluations of every sample that the rest costs: golden outputs, and two backward passes worth three each."""
LARGEST_SHARE = 0.25
"""More samples than there are would be needed for the later rounds."""
PRIOR_WEIGHT = 4.0
"""How many observations the variance that a whole class of bits suggests is worth."""
TENSOR_FLOOR = 0.25
"""Share of a tensor's damage per displacement that is believed of a class at least."""
Values = NDArray[np.float64]


def adaptive_scores(evidence: SubjectEvidence, share: float = 0.01, fewest_samples: int = 0) -> Values:
    """Expected size of each bit's mean damage, from about `share` of the exhaustive oracle's work.

    share: of bits x samples, above 0 and up to 0.25, derivatives included; at least one sample per pilot and round is
    used, so that a few hundred bits or samples cost more. fewest_samples: on a small data set more than the share is
    spent, as much as this many samples (a quarter of the data at most) cost, lest chance decide. A bit whose damage was
    infinite on some sample scores infinity. Nearly unbiased before the last step, which shrinks noisy estimates towards
    what the bit's output displacement suggests.
    Sources: difference (regression) estimators, Cochran, "Sampling Techniques", ch. 7; the last step is empirical
    Bayes with a normal prior.
    """
    if not 0 < share <= LARGEST_SHARE:
        raise InputError(
            f"share={share!r}; allowed are shares of the oracle's work above 0 and up to {LARGEST_SHARE}: "
            "beyond that measure the oracle itself"
        )
    study = _Study(evidence)
    wanted = max(share - PASSES / len(evidence.space), 0.0) * evidence.n_samples
    wanted = max(wanted, min(fewest_samples, LARGEST_SHARE * evidence.n_samples))
    pilot = max(1, round(PILOT_SHARE * wanted / N_PILOTS))
    later = max(1, round((1 - PILOT_SHARE) * wanted / (N_ROUNDS * ROUND_BITS)))
    everything = np.arange(len(evidence.space))
    for _ in range(N_PILOTS):
        study.observe(everything, pilot)
    n_bits = round(ROUND_BITS * everything.size)
    for _ in range(N_ROUNDS):
        gain = study.estimate().gain(later)
        study.observe(np.sort(np.argsort(-gain, kind="stable")[:n_bits]), later)
    estimate = study.estimate()
    return np.where(study.infinite, np.inf, estimate.expected_size())


@dataclass(frozen=True, slots=True, eq=False)
class _Observation:
    """Exact mean damage of some bits on `weight` samples, and the slope's prediction for the same; (n_bits,)."""

    seen: NDArray[np.bool_]
    damage: Values
    predicted: Values
    weight: int


@dataclass(frozen=True, slots=True, eq=False)
class _Estimate:
    """Mean damage of each bit, its standard error, samples behind it, and the spread that its class suggests."""

    mean: Values
    error: Values
    n_samples: Values
    prior_deviation: Values

    def gain(self, n_more: int) -> Values:
        """How much misplaced damage `n_more` samples of a bit would settle: bits it may change places with, times
        the error, times the share of the variance that goes away."""
        size = np.abs(self.mean)
        ordered = np.sort(size)
        rivals = np.searchsorted(ordered, size + self.error) - np.searchsorted(ordered, size - self.error)
        gain: Values = rivals * self.error * n_more / (self.n_samples + n_more)
        return gain

    def expected_size(self) -> Values:
        """Root of the posterior mean of the squared damage."""
        prior, noise = np.square(self.prior_deviation), np.square(self.error)
        reliability = np.divide(prior, prior + noise, out=np.zeros_like(prior), where=prior + noise > 0)
        size: Values = np.sqrt(np.square(reliability * self.mean) + reliability * noise)
        return size


class _Study:
    """What has been observed of every bit so far."""

    def __init__(self, evidence: SubjectEvidence) -> None:
        space = evidence.space
        self._evidence = evidence
        self._slope: LossDerivatives | None = evidence.damage_derivatives()
        stream = RandomStream("fkeras-adaptive/1", evidence.seed, space.layout_digest, evidence.n_samples)
        self._rows = np.argsort(stream.raw(evidence.n_samples), kind="stable").astype(np.int64)
        self._used = 0
        self._predicted = self._prediction(None)
        plain = evidence.derivatives() if self._slope is None else self._slope
        self._displacement = displacements(plain, stream)
        # Bits of one tensor and position behave alike: they share beta and the size of the residuals.
        place = space.locate(np.arange(len(space)))
        self._tensors = place.tensor
        _, self._classes = np.unique(np.stack([place.tensor, place.bit]), axis=1, return_inverse=True)
        self._observations: list[_Observation] = []
        self.infinite = np.zeros(len(space), np.bool_)

    def _prediction(self, rows: NDArray[np.int64] | None) -> Values:
        if self._slope is None:
            return np.zeros(len(self._evidence.space))
        changes = loss_changes(self._slope, rows)
        return np.where(np.isfinite(changes), changes, 0.0)

    def observe(self, bits: NDArray[np.int64], n_samples: int) -> None:
        """Flip `bits` on samples that were not used before, as long as there are any."""
        rows = np.sort(self._rows[self._used : self._used + n_samples])
        self._used += rows.size
        if rows.size == 0 or bits.size == 0:
            return
        run = self._evidence.run(rows)
        (golden,), n_bits = run.golden.values(), len(self._evidence.space)
        seen, damage = np.zeros(n_bits, np.bool_), np.zeros(n_bits)
        for batch in run.batches(bits):
            (scores,) = run.flips(bits[batch]).values()
            damage[bits[batch]] = scores.values - golden.value
        self.infinite |= ~np.isfinite(damage)
        seen[bits] = True
        seen &= np.isfinite(damage)
        self._observations.append(_Observation(seen, np.where(seen, damage, 0.0), self._prediction(rows), rows.size))

    def estimate(self) -> _Estimate:
        """The difference estimator of every bit, class by class."""
        weight = np.stack([observation.seen * float(observation.weight) for observation in self._observations], axis=1)
        damage, predicted = (
            np.stack([getattr(observation, name) for observation in self._observations], axis=1)
            for name in ("damage", "predicted")
        )
        n_samples, groups = np.maximum(weight.sum(axis=1), 1.0), np.count_nonzero(weight, axis=1)
        mean, local = (weight * damage).sum(axis=1) / n_samples, (weight * predicted).sum(axis=1) / n_samples
        around, slope = damage - mean[:, None], predicted - local[:, None]
        beta = self._by_class((weight * around * slope).sum(axis=1), (weight * slope**2).sum(axis=1))
        mean = mean + beta * (self._predicted - local)
        residual = (weight * (around - beta[:, None] * slope) ** 2).sum(axis=1)
        freedom = np.maximum(groups - 1, 0)
        relative = self._displacement * self._by_class(np.ones_like(mean), self._displacement)
        expected = self._by_class(residual, freedom.astype(np.float64)) * relative
        variance = (residual + PRIOR_WEIGHT * expected) / (freedom + PRIOR_WEIGHT)
        error = np.sqrt(variance / n_samples)
        signal = self._signal(np.square(mean) - np.square(error))
        return _Estimate(mean, error, n_samples, np.sqrt(signal * self._displacement))

    def _signal(self, excess: Values) -> Values:
        """Squared damage per squared displacement; `excess`: squared estimates less the noise in them.

        Where noise hides a class, its tensor speaks for it: to first order the ratio is the same for all positions.
        """
        tensor = _ratio(self._tensors, excess, self._displacement)
        return np.maximum(self._by_class(excess, self._displacement), TENSOR_FLOOR * np.maximum(tensor, 0.0))

    def _by_class(self, above: Values, below: Values) -> Values:
        return _ratio(self._classes, above, below)


def _ratio(groups: NDArray[np.int64], above: Values, below: Values) -> Values:
    """The ratio of the sums over each bit's group; 0 where there is nothing below."""
    top, bottom = np.bincount(groups, above), np.bincount(groups, below)
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)[groups]
