"""Which models a network describes, and which of those the CPU engine may serve; what is left to the framework, why.

`python -m benchmarks.model_coverage [MODEL ...] [--tests PATH ...]` judges model files (the example project's, unless
others are named), and every model whose words the tests of files or folders read. Data are random numbers on a grid of
1/32.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tabulate import tabulate

import fkeras
from fkeras.frontends.description import NotDescribed
from fkeras.frontends.qkeras import reading
from fkeras.frontends.qkeras.forward import Forward, golden_values
from fkeras.frontends.qkeras.framework import all_outputs
from fkeras.frontends.qkeras.network import network_of
from fkeras.memory import BitSpace
from fkeras.network.fit import golden_misfit, rounding_misfit

EXAMPLE = Path(__file__).parents[1] / "example_project"
N_SAMPLES = 8


@dataclass(frozen=True, slots=True)
class Row:
    """A model: how many layers and stored kernels it has, and why the framework serves it, "" where it need not."""

    name: str
    layers: int
    kernels: int
    why: str


def judged(name: str, model: Any, space: BitSpace) -> Row:
    """What becomes of a model."""
    layers = sum(1 for _ in model._flatten_layers(include_self=False, recursive=True))
    return Row(name, layers, len(space.tensors), _why(model, space))


def _why(model: Any, space: BitSpace) -> str:
    try:
        network = network_of(model)
    except NotDescribed as refusal:
        return f"not described: {refusal.why}"
    inputs = [_numbers(tensor) for tensor in model.inputs]
    golden = all_outputs(Forward(model, space), inputs, golden_values(space))
    outputs = golden if isinstance(golden, tuple) else (golden,)
    found = rounding_misfit(network, inputs) or golden_misfit(network, inputs, outputs)
    return "" if found is None else f"does not fit: {found.why}"


def _numbers(tensor: Any) -> NDArray[Any]:
    x = np.random.default_rng(0).normal(0, 1, (N_SAMPLES, *tensor.shape[1:]))
    numbers = np.abs(np.rint(x)) if tensor.dtype.is_integer else np.rint(x * 32) / 32
    return np.asarray(numbers, tensor.dtype.as_numpy_dtype)


class Witness:
    """A pytest plugin that judges every model whose words are read."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._seen: dict[tuple[int, str], Any] = {}  # models are kept, so that no other one gets the id of one

    @pytest.hookimpl(hookwrapper=True)
    def pytest_sessionstart(self) -> Iterable[None]:
        reading.bit_space = self._watching(reading.bit_space)  # before other modules take it from there
        yield

    def _watching(self, read: Callable[..., BitSpace]) -> Callable[..., BitSpace]:
        def bit_space(model: Any, *arguments: Any, **options: Any) -> BitSpace:
            space = read(model, *arguments, **options)
            key = id(model), space.content_digest
            if key not in self._seen:
                self._seen[key] = model
                test = os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0]
                self.rows.append(judged(test, model, space))
            return space

        return bit_space


def summary(rows: list[Row]) -> str:
    """How many models, layers and kernels need the framework, by reason."""
    reasons = sorted({row.why for row in rows}, key=lambda why: (bool(why), -sum(row.why == why for row in rows)))
    table = []
    for why in reasons:
        here = [row for row in rows if row.why == why]
        table.append([why or "fits", len(here), sum(row.layers for row in here), sum(row.kernels for row in here)])
    table.append(["all", len(rows), sum(row.layers for row in rows), sum(row.kernels for row in rows)])
    return tabulate(table, ["", "models", "layers", "kernels"], tablefmt="github")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--tests", nargs="+", default=[], help="folders of tests, or files")
    options = parser.parse_args()
    files = options.models or ([] if options.tests else sorted(EXAMPLE.rglob("*.h5")))
    rows = []
    for path in files:
        model = fkeras.load_model(path)
        rows.append(judged(path.stem, model, fkeras.bit_space(model)))
    if rows:
        cells = [[row.name, row.layers, row.kernels, row.why or "fits"] for row in rows]
        print(tabulate(cells, ["model", "layers", "kernels", ""], tablefmt="github"))
    if options.tests:
        witness = Witness()
        pytest.main(["-q", "-p", "no:cacheprovider", "-W", "ignore", *options.tests], plugins=[witness])
        print(summary(witness.rows))


if __name__ == "__main__":
    main()
