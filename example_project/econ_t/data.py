"""Wafers for training and validation: simulated ones, or real HGCAL files when the user names them.

``ECON_T_CSV=wafers.csv`` or ``ECON_T_CSV=ttbar.csv.gz:jets.csv.gz`` (paths joined as in ``PATH``) names CSV files,
gzipped or not, with the columns ``CALQ_0`` to ``CALQ_47``: the calibrated charges of one wafer in one event per row.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from econ_t import geometry, simulator

CSV_VARIABLE = "ECON_T_CSV"
COLUMNS = [f"CALQ_{cell}" for cell in range(geometry.N_CELLS)]

N_TRAINING, TRAINING_SEED = 40_000, 1
N_VALIDATION, VALIDATION_SEED = 1_000, 2

# One row in five of a real file is kept for validation.
VALIDATION_STRIDE = 5


class WaferFileError(ValueError):
    """A named file does not hold the charges of wafers."""


def training_set() -> np.ndarray:
    """Charges (n, 48) to train on."""
    if paths := named_files():
        charges = read_wafers(paths)
        return charges[np.arange(len(charges)) % VALIDATION_STRIDE != 0]
    return simulator.simulate(N_TRAINING, TRAINING_SEED)


def validation_set() -> tuple[np.ndarray, np.ndarray]:
    """The network's input (n, 8, 8, 1) and the charges it stands for (n, 48), for at most 1,000 wafers."""
    if paths := named_files():
        charges = read_wafers(paths)[::VALIDATION_STRIDE][:N_VALIDATION]
    else:
        charges = simulator.simulate(N_VALIDATION, VALIDATION_SEED)
    return geometry.images(charges), charges


def named_files() -> list[Path]:
    """The CSV files that the user named, none if the simulator is to be used."""
    return [Path(name) for name in os.environ.get(CSV_VARIABLE, "").split(os.pathsep) if name]


def read_wafers(paths: Sequence[Path]) -> np.ndarray:
    """Charges (n, 48), float64, of all wafers with at least one cell hit, in the order of files and rows."""
    charges = np.concatenate([_read_file(path) for path in paths])
    hit = charges[charges.sum(axis=1) > 0]
    if not len(hit):
        raise WaferFileError(f"no wafer with a charge in {', '.join(map(str, paths))}: name a file with data")
    return hit


def _read_file(path: Path) -> np.ndarray:
    if not path.is_file():
        raise WaferFileError(f"{path} is not a file; {CSV_VARIABLE} takes CSV files joined by '{os.pathsep}'")
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        header, *rows = file.read().splitlines() or [""]
    names = [name.strip() for name in header.split(",")]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise WaferFileError(
            f"{path} lacks {len(missing)} of {len(COLUMNS)} columns, the first is {missing[0]!r}; "
            f"its header starts with {names[:3]}. The columns {COLUMNS[0]} ... {COLUMNS[-1]} are needed"
        )
    if not rows:
        raise WaferFileError(f"{path} has a header and no rows; name a file with data")
    try:
        charges = np.loadtxt(rows, delimiter=",", usecols=[names.index(name) for name in COLUMNS], ndmin=2)
    except ValueError as error:
        raise WaferFileError(f"{path}: {error} (rows after the header); every cell needs a number") from None
    if not np.isfinite(charges).all() or (charges < 0).any():
        raise WaferFileError(f"{path} holds a negative or non-finite charge; charges are counts, 0 or more")
    return charges
