"""A toy shower simulator: the charges of one wafer's 48 trigger cells, event after event.

What it imitates, and how:

* A wafer sees few particles: one, and a Poisson number of further ones, each the start of a shower.
* Energies are steep: log-normal around one ADC count, with a tail of showers of thousands. One wafer in fifty is
  *busy*: inside a jet, many showers at once.
* A shower is wider than a cell only in its tail: the expected charge of a cell falls with its distance ``r`` from the
  shower's axis as a narrow core and a wide halo, ``(1 - h) exp(-(r / r_core)^2) + h exp(-r / r_halo)``, with both radii
  varying from shower to shower (a wafer in front of the shower's maximum sees a narrow one).
* The charge of a cell is a Poisson number (sampling fluctuations), and the front end drops what lies below a threshold.

The result is sparse (about two cells hit, more than half of the wafers with one) with a tail of busy wafers, as in the
real detector. It is a stand-in to train and test with, not physics: no magnetic field, no layers, no pile-up in time.
"""

from __future__ import annotations

import numpy as np

from econ_t import geometry

THRESHOLD_COUNTS = 2
WAFER_RADIUS = 8.0

MEAN_FURTHER_SHOWERS = 0.25
BUSY_SHARE = 0.02
MEAN_BUSY_SHOWERS = 12.0
LOG_ENERGY_MEAN, LOG_ENERGY_SPREAD = 0.2, 2.6
MAX_COUNTS = 10_000.0


def simulate(n_wafers: int, seed: int) -> np.ndarray:
    """Charges (n_wafers, 48), int64 ADC counts; every wafer has at least one cell hit. The seed fixes the result."""
    rng = np.random.default_rng(seed)
    kept: list[np.ndarray] = []
    n_kept = 0
    while n_kept < n_wafers:
        charges = _simulate_batch(n_wafers, rng)
        charges = charges[charges.sum(axis=1) > 0]
        kept.append(charges)
        n_kept += len(charges)
    return np.concatenate(kept)[:n_wafers]


def _simulate_batch(n_wafers: int, rng: np.random.Generator) -> np.ndarray:
    is_busy = rng.random(n_wafers) < BUSY_SHARE
    n_showers = 1 + rng.poisson(np.where(is_busy, MEAN_BUSY_SHOWERS, MEAN_FURTHER_SHOWERS))
    wafer_of_shower = np.repeat(np.arange(n_wafers), n_showers)
    expected = np.zeros((n_wafers, geometry.N_CELLS))
    np.add.at(expected, wafer_of_shower, _showers(len(wafer_of_shower), rng))
    charges = rng.poisson(expected)
    charges[charges < THRESHOLD_COUNTS] = 0
    return charges


def _showers(n_showers: int, rng: np.random.Generator) -> np.ndarray:
    """Expected charge (n_showers, 48) of single showers."""
    axes = WAFER_RADIUS * np.sqrt(rng.random(n_showers)) * np.exp(2j * np.pi * rng.random(n_showers))
    cells = geometry.cell_coordinates() @ np.array([1, 1j])
    r = np.abs(cells - axes[:, np.newaxis])

    energy = np.minimum(rng.lognormal(LOG_ENERGY_MEAN, LOG_ENERGY_SPREAD, n_showers), MAX_COUNTS)
    core = rng.uniform(0.4, 0.75, n_showers)[:, np.newaxis]
    halo = rng.uniform(0.5, 1.6, n_showers)[:, np.newaxis]
    share_in_halo = rng.beta(1, 12, n_showers)[:, np.newaxis]
    profile = (1 - share_in_halo) * np.exp(-((r / core) ** 2)) + share_in_halo * np.exp(-r / halo)
    return energy[:, np.newaxis] * profile
