"""Our CPU engine beside other tools, in turn on the same network, images and bits.

`python -m benchmarks.peers network.fkn data.npz [--images 500]`, in an environment of its own with
`pip install pytest-fkeras -r benchmarks/peers/requirements.txt`; data: x (n, height, width, channels) and y (n,). The
network is one of convolutions, quantizers and a dense layer at the end. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import torch

import fkeras
from benchmarks.peers.mrfi_peer import Mrfi
from benchmarks.peers.pytorchfi_peer import PyTorchFI
from benchmarks.peers.seu_peer import Seu
from benchmarks.peers.twin import Twin
from fkeras.faults import FaultSet

FLIPS = 960
Tool = Callable[[np.ndarray], float]


def milliseconds(tools: dict[str, Tool], sets: list[np.ndarray]) -> tuple[dict[str, float], dict[str, list[float]]]:
    """By tool, the median processor time of a set, all in turn on each, and the accuracies; the first warms up."""
    times: dict[str, list[float]] = {name: [] for name in tools}
    found: dict[str, list[float]] = {name: [] for name in tools}
    for bits in sets:
        for name, accuracy in tools.items():
            start = time.process_time()
            found[name].append(accuracy(bits))
            times[name].append(time.process_time() - start)
    return {name: float(np.median(part[1:])) * 1e3 for name, part in times.items()}, found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--single", type=int, default=30, help="single flips")
    parser.add_argument("--trials", type=int, default=15, help=f"trials of {FLIPS} flips")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # a busy machine makes threads that wait for each other look slow
    numba.config.NUMBA_NUM_THREADS = 1
    arrays = np.load(arguments.data)
    x, y = arrays["x"][: arguments.images], arrays["y"][: arguments.images]
    network = fkeras.load_model(arguments.network)
    twin = Twin(network, x, y)
    run = fkeras.Study(network, (x, y), metric="accuracy", engine="cpu").run()
    model, seu = twin.model(), Seu(twin)
    golden = run.golden["accuracy"].value
    if abs(twin.accuracy(model) - golden) > 1e-9:
        raise SystemExit(f"the twin's accuracy is {twin.accuracy(model)}, ours {golden}")
    ours = f"fkeras {fkeras.__version__}, engine {run.engine}"
    tools: dict[str, Tool] = {
        ours: lambda bits: float(run.fault_sets([FaultSet(bits)])["accuracy"].values[0]),
        f"PyTorch {torch.__version__}, a forward without faults": lambda bits: twin.accuracy(model),
    }
    injecting: dict[str, Tool] = {}
    for peer in (PyTorchFI(twin), Mrfi(twin)):
        injecting[peer.name] = lambda bits, peer=peer: peer.accuracy(twin.words(bits.tolist()))
    tools |= injecting
    rng = np.random.default_rng(11)
    n_bits = len(twin.space)
    single, of_single = milliseconds(tools, list(rng.choice(n_bits, arguments.single + 1, replace=False)[:, None]))
    several = [np.sort(_one_a_word(twin, rng.permutation(n_bits)[: 2 * FLIPS])) for _ in range(arguments.trials + 1)]
    trial, of_trial = milliseconds(tools, several)
    found = of_single, of_trial
    scattered = np.sort(rng.choice(n_bits, 1024, replace=False))
    start = time.process_time()
    run.flips(scattered)
    together = (time.process_time() - start) / scattered.size * 1e3
    print(f"{arguments.network.stem}, {len(y)} images, accuracy {golden:.4f}: ms of one core, medians\n")
    print(f"| tool | a flip alone | a trial of {FLIPS} | same accuracies as ours |")
    print("|---|---:|---:|---|")
    for name in tools:
        same = [f"{np.isclose(part[name], part[ours], atol=1e-9).sum()} of {len(part[ours])}" for part in found]
        checked = ", ".join(same) if name in injecting else ""
        print(f"| {name} | {single[name]:.1f} | {trial[name]:.1f} | {checked} |")
    print(f"| {ours}, {scattered.size:,} scattered flips in a call | {together:.2f} | | |")
    print(f"| {seu.name} | {seu.seconds_per_flip(arguments.single) * 1e3:.1f} | | |")


def _one_a_word(twin: Twin, bits: np.ndarray) -> np.ndarray:
    """Some of the bits, one of a word: peers set each word once."""
    place = twin.space.locate(bits)
    _, first = np.unique(np.stack([place.tensor, place.element]), axis=1, return_index=True)
    return bits[np.sort(first)][:FLIPS]


if __name__ == "__main__":
    main()
