"""The four networks, their data, and which bits and samples are measured."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fkeras
from fkeras.faults import RandomStream
from fkeras.memory import BitSpace, WordTensor
from fkeras.sensitivity.methods import METHODS

ECON_T = {"small": "ECON-T Small", "medium": "ECON-T Medium", "large": "ECON-T Large"}
CIFAR = "CIFAR-10 CNN"
SLOW_FOR_CIFAR = ("adaptive", "adaptive_tenth")
"""Exact flips of 459,520 bits on a hundred images take most of an hour."""
Data = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    wafers: int
    wafers_large: int
    ranking_wafers: int
    images: int
    ranking_images: int
    cifar_share: float
    trials: int
    trial_wafers: int
    all_methods: bool


@dataclass(frozen=True)
class Case:
    """One network: judged by `data` on `bits`, ranked with the samples of `ranking_data`, which the judge never sees.

    default: our ranking; golden_error and golden_metric: for the design space, on all samples at hand.
    """

    title: str
    model: Any
    space: BitSpace
    data: Data
    ranking_data: Data
    metric: Any
    metric_key: str
    bits: NDArray[np.int64]
    groups: int
    methods: tuple[str, ...]
    default: str
    golden_error: float
    golden_metric: str

    @property
    def sampled(self) -> bool:
        """Whether only some words were measured."""
        return self.bits.size < len(self.space)

    @property
    def judged_space(self) -> BitSpace:
        """The measured words as a memory of their own, in the order of `bits`."""
        if not self.sampled:
            return self.space
        place = self.space.locate(self.bits[self.space.bit_positions[self.bits] == 0])
        tensors = []
        for number, tensor in enumerate(self.space.tensors):
            chosen = place.element[place.tensor == number]
            words, scale, golden = (part[chosen] for part in (tensor.words, tensor.scale, tensor.golden))
            tensors.append(WordTensor(tensor.path, (chosen.size,), tensor.codec, words, scale, golden))
        return BitSpace(tuple(tensors))


def econ_t(data: Path, size: str, sizes: Sizes) -> Case:
    """One of the autoencoders: first wafers judge, later ones rank."""
    geometry = np.load(data / "hgcal/geometry.npz")
    calq = np.load(data / "econ_t_val.npz")["calq"].astype("float32")
    shares = calq / calq.sum(axis=1, keepdims=True)
    images = (shares[:, geometry["arrange"]] * geometry["mask"]).reshape(-1, 8, 8, 1)
    model = fkeras.load_model(data / f"models/econ_t_{size}.h5")
    space = fkeras.bit_space(model)
    judges = sizes.wafers_large if size == "large" else sizes.wafers
    rank = slice(judges, judges + sizes.ranking_wafers)
    return Case(
        ECON_T[size],
        model,
        space,
        (images[:judges], calq[:judges]),
        (images[rank], calq[rank]),
        fkeras.metrics.emd(geometry["coordinates"], cells=geometry["cell_of_output"]),
        f"emd {digest(geometry['coordinates'], geometry['cell_of_output'])}",
        np.arange(len(space)),
        16,
        tuple(METHODS),
        "adaptive",
        np.nan,
        "EMD",
    )


def cifar10(data: Path, sizes: Sizes) -> Case:
    """The image classifier: judged by correctly classified images, as in the paper; ranked with other images."""
    stored = np.load(data / "cifar10_test_2000.npz")
    x, y = stored["X"].astype("float32") / 256, stored["Y"].ravel().astype(np.int64)
    model = fkeras.load_model(data / "models/rn07_cifar10.h5")
    space = fkeras.bit_space(model)
    right = model.predict(x, verbose=0).argmax(axis=1) == y
    half = len(x) // 2
    judges = np.flatnonzero(right[:half])[: sizes.images]
    rank = slice(half, half + sizes.ranking_images)
    return Case(
        CIFAR,
        model,
        space,
        (x[judges], y[judges]),
        (x[rank], y[rank]),
        "mispredictions",
        "mispredictions",
        sampled_words(space, sizes.cifar_share),
        4,
        tuple(name for name in METHODS if sizes.all_methods or name not in SLOW_FOR_CIFAR),
        "displacement",
        float(1 - right.mean()),
        "error rate",
    )


def sampled_words(space: BitSpace, share: float) -> NDArray[np.int64]:
    """All bits of randomly drawn words, the same share of every tensor (at least one word): hence a sample stratified
    by tensor and by bit position, which needs no weights, and whole words, which BinFI needs."""
    if share >= 1:
        return np.arange(len(space))
    chosen = []
    for number, tensor in enumerate(space.tensors):
        stream = RandomStream("fkeras-paper/1", space.layout_digest, number)
        words = np.sort(stream.distinct(max(1, round(share * tensor.size)), tensor.size))
        width = tensor.codec.width
        chosen.append((space.offsets[number] + words[:, None] * width + np.arange(width)).ravel())
    return np.concatenate(chosen)


def digest(*arrays: NDArray[Any]) -> str:
    """SHA-256 of arrays, in short."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]
