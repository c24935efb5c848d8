"""Arguments that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from math import isfinite
from typing import Any

MOST = 10**18
"""Whole numbers beyond this are typing mistakes."""
BIT_INDICES = """\
A flat bit index counts from 0 through the tensors as `fkeras inspect` lists them, through the words of each as Keras
flattens it, and through a word from its most significant bit. An address, layer/kernel[3,5]:0, names the same bit.
"""
"""Below the help of commands that write bits."""


def whole(least: int, most: int = MOST) -> Callable[[str], int]:
    """Reads a whole number."""

    def read(text: str) -> int:
        digits, upper = text.removeprefix("-").replace("_", ""), " up" if most == MOST else f" to {most:,}"
        if digits.isascii() and digits.isdigit():
            number = int(text.replace("_", "")) if len(digits) < 100 else MOST + 1
            if least <= number <= most:
                return number
            upper = f" to {most:,}" if number > most else upper
        raise argparse.ArgumentTypeError(f"{_short(text)}; allowed are whole numbers from {least:,}{upper}")

    return read


def real(least: float, most: float = float("inf")) -> Callable[[str], float]:
    """Reads a finite number."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if isfinite(number) and least <= number <= most:
            return number
        upper = f" to {most:g}" if isfinite(most) else " up"
        raise argparse.ArgumentTypeError(f"{_short(text)}; allowed are finite numbers from {least:g}{upper}")

    return read


def share(text: str, most: float = 1.0) -> float:
    """Reads 0.32 or 32%."""
    try:
        return real(0, 100 * most)(text[:-1]) / 100 if text.endswith("%") else real(0, most)(text)
    except argparse.ArgumentTypeError:
        upper = f"0 to {most:g}" if isfinite(most) else "0 up"
        raise argparse.ArgumentTypeError(
            f"{_short(text)}; allowed are shares from {upper}, as in 0.32 or 32%"
        ) from None


def limit(text: str) -> tuple[str, float]:
    """Reads a limit such as max_emd=1.25."""
    keyword, equals, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not equals or not keyword.isidentifier() or not isfinite(number):
        raise argparse.ArgumentTypeError(
            f"{_short(text)}; a limit is written max_NAME=, min_NAME=, max_NAME_increase= or max_NAME_drop= and a "
            "number, as in max_emd=1.25 (max_golden_NAME= or min_golden_NAME= for the fault-free value)"
        )
    return keyword, number


def fixed_point(text: str) -> Any:
    """Reads 8,0 or u8,0."""
    from fkeras.memory import FixedPoint

    width, _, integer = text.removeprefix("u").partition(",")
    try:
        return FixedPoint(whole(1, 32)(width), whole(-64, 64)(integer), not text.startswith("u"))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{_short(text)}; write the bits of a word (1 to 32) and those before the point, as in 8,0, or u8,0 "
            "without a sign"
        ) from None


def bits(text: str) -> tuple[int, int]:
    """Reads a range of flat bit indices START:STOP."""
    start, colon, stop = text.partition(":")
    try:
        first, last = whole(0)(start), whole(0)(stop)
    except argparse.ArgumentTypeError:
        first, last = 1, 0
    if not colon or first >= last:
        raise argparse.ArgumentTypeError(
            f"{_short(text)}; a range of bits is written START:STOP with START below STOP, as in 0:1000"
        )
    return first, last


def add_model(parser: argparse.ArgumentParser, several: bool = False, chosen: bool = True) -> argparse._ArgumentGroup:
    """The model (a list with `several`), and, `chosen`, which of its weights are in the memory."""
    group = parser.add_argument_group("model and memory" if chosen else "model")
    group.add_argument(
        "model",
        metavar="MODEL",
        nargs="+" if several else None,
        help="a .h5 or .keras file of QKeras layers, or .json with --weights, or a .fkn file (fkeras export)",
    )
    group.add_argument("--weights", metavar="FILE", help="weights (.h5) of a MODEL that is an architecture (.json)")
    if chosen:
        group.add_argument(
            "--layers",
            action="append",
            metavar="GLOB",
            help="only layers that match, as in 'conv*'; '!name' leaves one out; may be repeated (default: all)",
        )
        group.add_argument("--biases", action="store_true", help="quantized biases are in the memory too")
        add_memory(group)
        group.add_argument(
            "--of",
            action="append",
            metavar="NAME",
            help="what the memory is of: weights, biases, tables, activations, inputs, outputs or accumulators; may be "
            "repeated (default: what --faults-in names, else weights)",
        )
        group.add_argument(
            "--input-format",
            type=fixed_point,
            metavar="WIDTH,INTEGER",
            help="in which words inputs come that no quantizer reads: bits of each, and how many stand before the "
            "point beside the sign's, as in 8,0; u8,0 has no sign",
        )
        group.add_argument(
            "--words",
            metavar="FLOAT",
            help="kernels (and biases) without a quantizer are in the memory too, as float32, float16 or bfloat16",
        )
    group.add_argument(
        "--trust",
        action="store_true",
        help="run code that the model file brings along (Lambda layers and the like); never for files from elsewhere",
    )
    return group


def add_memory(parser: argparse._ActionsContainer) -> None:
    """Whose words are stored."""
    parser.add_argument(
        "--memory",
        metavar="NAME",
        help="whose words: quantizer, each as wide as its quantizer makes it, or hls4ml, as hls4ml stores the same "
        "values (default: those of a .fkn file, else quantizer)",
    )


def add_seed(parser: argparse._ActionsContainer) -> None:
    """Of what is drawn."""
    parser.add_argument("--seed", type=whole(-MOST), default=0, metavar="N", help="of the draws (0)")


def add_data(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """The data and the metric."""
    group = parser.add_argument_group("data and metric")
    group.add_argument(
        "--data",
        required=required,
        metavar="FILE",
        help=".npz with arrays x (inputs) and y (targets: class numbers or one-hot rows, or what the outputs should "
        "be; for emd also (samples, cells)), of one length, as numpy.savez writes it; several inputs are x0, x1, ... "
        "in the model's order, or x_NAME by its input names, several targets y0, y1, ... or y_NAME",
    )
    group.add_argument("--samples", type=whole(1), metavar="N", help="only the first N samples (default: all)")
    group.add_argument(
        "--metric",
        required=required,
        metavar="NAME",
        help="accuracy or mispredictions (shares of the samples; a single output column is the probability of class 1, "
        "which wins above 0.5), mean_squared_error, or emd (needs --geometry); the "
        "mean over the samples counts",
    )
    group.add_argument(
        "--geometry",
        metavar="FILE",
        help="for emd: .npz with coordinates (cells, 2 or 3) and, where outputs are laid out otherwise, cell_of_output "
        "(cells,): which element of a flattened output is which cell; the emd is in the unit of the coordinates",
    )


def add_machine(parser: argparse.ArgumentParser) -> None:
    """How the work is done."""
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--engine",
        default="auto",
        metavar="NAME",
        help="auto (gpu where there is one, or cpu, where they are exact), cpu, gpu or framework, which give the same "
        "numbers; hls4ml or hls4ml:PROJECT, the chip's arithmetic (default: auto)",
    )
    group.add_argument("--threads", type=whole(1, 4096), metavar="N", help="processor cores to use (default: all)")


def add_farm(parser: argparse.ArgumentParser) -> None:
    """Work that outlives a process and one machine."""
    group = parser.add_argument_group("long work and many machines")
    add_store(group)
    group.add_argument(
        "--shard",
        metavar="I/N",
        help="measure the I-th of N shares only, into --store; `fkeras merge` puts the shares together, and the same "
        "line without --shard then reads the whole",
    )
    add_executor(group)


def add_search(parser: argparse.ArgumentParser) -> None:
    """The same for searches, which measure next what they have seen last: they have no shares."""
    group = parser.add_argument_group("long work and many machines")
    add_store(group)
    add_executor(group)


def add_executor(parser: argparse._ActionsContainer) -> None:
    """Who does the work."""
    parser.add_argument(
        "--executor",
        metavar="NAME",
        help="who does the work: processes:N on this machine, or dask:ADDRESS (a scheduler's address, or its .json "
        "file); the numbers are those of one process",
    )


def add_store(parser: argparse._ActionsContainer) -> None:
    """Where results are kept."""
    parser.add_argument(
        "--store", metavar="DIR", help="keep what is measured in this folder; what is there is not measured again"
    )


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """Where the result goes."""
    parser.add_argument("--json", metavar="OUT", help=f"write {what} to this file")
    add_force(parser)


def add_force(parser: argparse.ArgumentParser) -> None:
    """Whether anything may be replaced."""
    parser.add_argument(
        "--force",
        action="store_true",
        help="write in the place of files too that fkeras did not write (never unless told)",
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
