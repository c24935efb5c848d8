"""Our CPU engine beside other tools, in turn on the same network, images and bits of weights and of activations.

`python -m benchmarks.peers network.fkn data.npz [--images 500]`, in an environment of its own with
`pip install pytest-fkeras -r benchmarks/peers/requirements.txt`; data: x (n, height, width, channels) and y (n,). The
network is one of convolutions, quantizers and a dense layer at the end. Prints tables in Markdown.
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
from benchmarks.peers.mrfi_peer import Mrfi, MrfiNeurons
from benchmarks.peers.pytorchfi_peer import PyTorchFI, PyTorchFINeurons
from benchmarks.peers.seu_peer import Seu
from benchmarks.peers.twin import Peer, Twin
from fkeras.engine import Run
from fkeras.faults import FaultSet
from fkeras.memory import BitSpace

FLIPS = 960
Tool = Callable[[np.ndarray], float]
Clock = Callable[[], float]
Times = dict[str, float]
Accuracies = dict[str, list[float]]


def milliseconds(tools: dict[str, Tool], sets: list[np.ndarray], clock: Clock) -> tuple[Times, Accuracies]:
    """By tool, the median time of a set, all in turn on each, and the accuracies; the first warms up."""
    times: dict[str, list[float]] = {name: [] for name in tools}
    accuracies: Accuracies = {name: [] for name in tools}
    for bits in sets:
        for name, accuracy in tools.items():
            start = clock()
            accuracies[name].append(accuracy(bits))
            times[name].append(clock() - start)
    return {name: float(np.median(part[1:])) * 1e3 for name, part in times.items()}, accuracies


def compare(twin: Twin, run: Run, peers: list[Peer], options: argparse.Namespace, clock: Clock) -> None:
    """Print the rows of faults in one memory."""
    model, space = twin.model(), run.space
    ours = f"fkeras {fkeras.__version__}, engine {run.engine}"
    tools: dict[str, Tool] = {
        ours: lambda bits: float(run.fault_sets([FaultSet(bits)])["accuracy"].values[0]),
        f"PyTorch {torch.__version__}, a forward without faults": lambda bits: twin.accuracy(model),
    }
    injecting: dict[str, Tool] = {peer.name: lambda bits, peer=peer: peer.accuracy(bits.tolist()) for peer in peers}
    tools |= injecting
    rng = np.random.default_rng(11)
    single = list(rng.choice(len(space), options.single + 1, replace=False)[:, None])
    several = [np.sort(one_a_word(space, rng, FLIPS)) for _ in range(options.trials + 1)]
    measured = [milliseconds(tools, sets, clock) for sets in (single, several)]
    for name in tools:
        columns = [f"{times[name]:.1f}" for times, _ in measured]
        same = [f"{np.isclose(part[name], part[ours], atol=1e-9).sum()} of {len(part[ours])}" for _, part in measured]
        print(f"| {name} | {' | '.join(columns)} | {', '.join(same) if name in injecting else ''} |", flush=True)
    scattered = np.sort(rng.choice(len(space), 1024, replace=False))
    start = clock()
    run.flips(scattered)
    together = (clock() - start) / scattered.size * 1e3
    print(f"| {ours}, {scattered.size:,} scattered flips in a call | {together:.2f} | | |", flush=True)


def one_a_word(space: BitSpace, rng: np.random.Generator, n: int) -> np.ndarray:
    """Random bits, one of a word: peers set each word once."""
    bits = rng.choice(len(space), 2 * n, replace=False)
    place = space.locate(bits)
    _, first = np.unique(np.stack([place.tensor, place.element]), axis=1, return_index=True)
    return bits[np.sort(first)][:n]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--single", type=int, default=30, help="single flips")
    parser.add_argument("--trials", type=int, default=15, help=f"trials of {FLIPS} flips")
    parser.add_argument("--threads", type=int, default=1, help="1: processor time; more: wall time, on an idle machine")
    options = parser.parse_args()
    # A busy machine makes threads that wait for each other look slow.
    torch.set_num_threads(options.threads)
    numba.config.NUMBA_NUM_THREADS = options.threads
    clock, unit = (time.process_time, "of one core") if options.threads == 1 else (time.perf_counter, "of wall time")
    arrays = np.load(options.data)
    x, y = arrays["x"][: options.images], arrays["y"][: options.images]
    network = fkeras.load_model(options.network)
    twin = Twin(network, x, y)
    golden = twin.accuracy(twin.model())
    peers: dict[str, list[Peer]] = {
        "weights": [PyTorchFI(twin), Mrfi(twin)],
        "activations": [PyTorchFINeurons(twin), MrfiNeurons(twin)],
    }
    for memory, of_memory in peers.items():
        space = fkeras.bit_space(network, of=memory)
        run = fkeras.Study(network, (x, y), metric="accuracy", engine="cpu", space=space).run()
        if abs(run.golden["accuracy"].value - golden) > 1e-9:
            raise SystemExit(f"the twin's accuracy is {golden}, ours {run.golden['accuracy'].value}")
        print(f"\n{options.network.stem}, {memory}, {len(y)} images, accuracy {golden:.4f}: ms {unit}, medians\n")
        print(f"| tool | a flip alone | a trial of {FLIPS} | same accuracies as ours |")
        print("|---|---:|---:|---|")
        compare(twin, run, of_memory, options, clock)
        if memory == "weights" and options.threads == 1:
            seu = Seu(twin)
            print(f"| {seu.name} | {seu.seconds_per_flip(options.single) * 1e3:.1f} | | |")


if __name__ == "__main__":
    main()
