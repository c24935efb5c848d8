"""Which registers matter, what finding out costs, and which rankings say so: `python -m benchmarks.registers FOLDER`.

Single flips of activations of ECON-T Medium and of the CIFAR-10 network, as many of each layer and bit position, drawn
uniformly, all of them where there are no more: the mean |change| of the metric by layer, with a 95 % interval, and by
bit; rho of rankings that were computed on other samples.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fkeras
from fkeras.faults import RandomStream
from fkeras.memory import BitSpace
from fkeras.network.registers import layer_of
from fkeras.progress import silent
from fkeras.statistics.ranks import spearman


@dataclass(frozen=True)
class LayerFlips:
    """Flips of one layer's register: bits of each position (positions, n), their |changes|; all: whether they are all
    that there are; seconds: of processor time, of all of them."""

    path: str
    n_bits: int
    bits: NDArray[np.int64]
    changes: NDArray[np.float64]
    seconds: float

    @property
    def is_whole(self) -> bool:
        """Whether every bit was flipped."""
        return self.bits.size == self.n_bits

    @property
    def mean(self) -> float:
        """Over all bits, as positions are equally many."""
        return float(self.changes.mean())

    @property
    def error(self) -> float:
        """Half of the 95 % interval of the mean over bits, normal, by position; 0 where none was drawn."""
        n_positions, n = self.changes.shape
        variances = self.changes.var(axis=1, ddof=1) / n if n > 1 else np.zeros(n_positions)
        left = 1 - self.bits.size / self.n_bits
        return float(1.96 * np.sqrt(left * variances.sum()) / n_positions)


def measured(model: Any, data: tuple[Any, Any], metric: Any, space: BitSpace, most: int) -> list[LayerFlips]:
    """Some flips of each layer."""
    fkeras.oracle(model, data, metric=metric, bits=space.offsets[:-1], space=space, progress=silent)  # compiles
    layers = []
    for number, register in enumerate(space.registers):
        width, first = register.layout.widest, int(space.offsets[number])
        n = min(most, register.size)
        bits = np.stack(
            [
                first
                + RandomStream("benchmarks.registers", register.path, place).distinct(n, register.size) * width
                + place
                for place in range(width)
            ]
        )
        start = time.process_time()
        oracle = fkeras.oracle(model, data, metric=metric, bits=bits.reshape(-1), space=space, progress=silent)
        changes = np.abs(oracle.delta).reshape(bits.shape)
        layers.append(LayerFlips(register.path, register.n_bits, bits, changes, time.process_time() - start))
    return layers


def lines(layers: list[LayerFlips]) -> list[str]:
    """A line per layer."""
    result = []
    for layer in layers:
        how = "all" if layer.is_whole else f"{layer.bits.size:,} of"
        interval = "" if layer.is_whole else f" +- {layer.error:.2g}"
        by_bit = " ".join(f"{change:.2g}" for change in layer.changes.mean(axis=1))
        cost = 1e3 * layer.seconds / layer.bits.size
        flips = f"{layer.path} ({how} {layer.n_bits:,} bits)"
        result.append(f"{flips:52} {layer.mean:.4g}{interval}; by bit {by_bit}; {cost:.2g} ms of processor time a bit")
    return result


def rankings(
    model: Any, data: tuple[Any, Any], metric: Any, space: BitSpace, layers: list[LayerFlips], methods: list[str]
) -> list[str]:
    """A line per ranking: rho over all flips, and the mean of the layers' own."""
    result = []
    for method in methods:
        start = time.process_time()
        scores = fkeras.rank(model, data, method=method, metric=metric, space=space).scores
        seconds = time.process_time() - start
        own = [spearman(scores[layer.bits.reshape(-1)], layer.changes.reshape(-1)) for layer in layers]
        bits = np.concatenate([layer.bits.reshape(-1) for layer in layers])
        rho = spearman(scores[bits], np.concatenate([layer.changes.reshape(-1) for layer in layers]))
        within = ", ".join(f"{one:.3f}" for one in own)
        result.append(f"{method:13} rho {rho:.3f} over {bits.size:,} flips; by layer {within}; {seconds:.1f} s")
    return result


def figure_of(networks: dict[str, tuple[str, list[LayerFlips]]]) -> Any:
    """A panel per network: the mean |change| by layer, and its most significant bit's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(networks), 2.8), layout="constrained")
    panels = figure.subplots(1, len(networks), squeeze=False)[0]
    for axes, (name, (metric, layers)) in zip(panels, networks.items(), strict=True):
        place = np.arange(len(layers))
        means, errors = [layer.mean for layer in layers], [layer.error for layer in layers]
        axes.errorbar(place, means, errors, fmt="o", color="tab:blue", label="mean over its bits")
        axes.plot(place, [layer.changes[0].mean() for layer in layers], "^", color="tab:orange", label="its top bits")
        axes.set_xticks(place, [layer_of(layer.path).rpartition("/")[2] for layer in layers], rotation=20, fontsize=7)
        axes.set(yscale="log", ylabel=f"|change of {metric}|", xlim=(-0.5, len(layers) - 0.5))
        axes.set_title(f"{name}: one flip of an activation", fontsize=9)
        axes.grid(axis="y", alpha=0.3)
        axes.legend(fontsize=7)
    return figure


def main() -> None:
    """Both networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder with models and data")
    parser.add_argument("--samples", type=int, default=500, help="of each data set, and as many others to rank (500)")
    parser.add_argument("--bits", type=int, default=40, help="of each layer and bit position (40)")
    parser.add_argument("--outside", choices=["clamp", "zero"], help="of a range check that registers are read through")
    parser.add_argument("--figure", type=Path, help="draw the layers into this file")
    options = parser.parse_args()
    folder, n = options.data, options.samples
    cells, charges = np.load(folder / "hgcal/geometry.npz"), np.load(folder / "econ_t_val.npz")["calq"][: 2 * n]
    shares = (charges / charges.sum(axis=1, keepdims=True))[:, cells["arrange"]] * cells["mask"]
    wafers = shares.reshape(-1, 8, 8, 1).astype(np.float32), charges
    emd = fkeras.metrics.emd(cells["coordinates"], cells=cells["cell_of_output"])
    images = np.load(folder / "cifar10_test_2000.npz")
    pictures = (images["X"][: 2 * n] / 256).astype(np.float32), images["Y"][: 2 * n].reshape(-1)
    usual = ["displacement", "loss_change", "gradient", "msb"]
    networks: dict[str, tuple[str, list[LayerFlips]]] = {}
    for name, file, (x, y), metric, most, methods in (
        ("ECON-T Medium", "econ_t_medium.h5", wafers, emd, 10**9, ["adaptive", *usual]),
        ("CIFAR-10 network", "rn07_cifar10.h5", pictures, "accuracy", options.bits, usual),
    ):
        model = fkeras.load_model(folder / "models" / file)
        space = fkeras.bit_space(model, of="activations")
        judge, others = (x[:n], y[:n]), (x[n:], y[n:])
        if options.outside is not None:
            how: dict[str, Any] = {"metric": metric, "faults": 1, "trials": 1, "space": space, "progress": silent}
            space = fkeras.campaign(model, judge, protected=fkeras.RangeCheck(options.outside), **how).setting.space
        layers = measured(model, judge, metric, space, most)
        metric_name = metric if isinstance(metric, str) else metric.name
        networks[name] = metric_name, layers
        print(
            f"\n{name}: mean |change| of {metric_name} over {len(judge[1]):,} samples under one flip",
            *lines(layers),
            sep="\n",
        )
        if options.outside is None:
            print(*rankings(model, others, metric, space, layers, methods), sep="\n", flush=True)
    if options.figure is not None:
        figure_of(networks).savefig(options.figure, metadata={"Date": None})


if __name__ == "__main__":
    main()
