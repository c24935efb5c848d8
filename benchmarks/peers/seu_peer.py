"""seu-injection-framework: flips one bit position of float32 weights, drawn at a rate, one weight after the other."""

from __future__ import annotations

import contextlib
import io
import time
from importlib.metadata import version

import numpy as np
from seu_injection import StochasticSEUInjector

from benchmarks.peers.twin import Twin

RATE = 0.0004


class Seu:
    """Single flips of float32 bits; it has no int8 words and no several faults at once, so no trial."""

    def __init__(self, twin: Twin) -> None:
        self.name = f"seu-injection-framework {version('seu-injection-framework')}, float32 bits"
        model = twin.model()
        self._weights = [name for name, _ in model.named_parameters() if name.endswith("weight")]
        with _quietly():
            self._tool = StochasticSEUInjector(
                model, lambda model, x, y, device=None: twin.accuracy(model), device="cpu", x=twin.x, y=twin.y, seed=5
            )

    def seconds_per_flip(self, n: int) -> float:
        """Of at least n flips."""
        rng, flips, seconds = np.random.default_rng(3), 0, 0.0
        while flips < n:
            for name in self._weights:
                start = time.process_time()
                with _quietly():
                    result = self._tool.run_injector(int(rng.integers(32)), name, p=RATE)
                seconds, flips = seconds + time.process_time() - start, flips + len(result["criterion_score"])
        return seconds / flips


@contextlib.contextmanager
def _quietly():  # type: ignore[no-untyped-def]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
