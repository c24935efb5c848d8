"""Layers of ECON-T as RTL read what the library says under hits; `benchmarks/rtl.py` has the whole networks."""

from __future__ import annotations

import pytest

import fkeras
from fkeras.rtl import rtl_check, weight_memory

HOURS = fkeras.FlipCount(40, exposure_seconds=4 * 3600)
SCRUB = {"scrub_interval_seconds": 3600}
KINDS = {
    "none": lambda bits: None,
    "tmr": fkeras.TMR,
    "secded": fkeras.SECDED,
    "parity": fkeras.Parity,
    "tmr, scrubbed": lambda bits: fkeras.TMR(bits, **SCRUB),
    "tmr, scrubbed from itself": lambda bits: fkeras.TMR(bits, **SCRUB, scrub_from="itself"),
    "secded, scrubbed from itself": lambda bits: fkeras.SECDED(bits, **SCRUB, scrub_from="itself"),
    "parity, scrubbed and reloaded": lambda bits: fkeras.Parity(bits, **SCRUB, on_detected="reload"),
}


@pytest.fixture(scope="module")
def memories(shared_data, simulator):
    def read(name, layer):
        return fkeras.bit_space(fkeras.load_model(shared_data / "models" / f"econ_t_{name}.h5"), layers=layer)

    return {"small": read("small", "encoded_vector"), "medium": read("medium", "conv2d_0")}


PAIRS = {"none": 0, "tmr": 432 * 3, "secded": 72 * 55, "parity": 72 * 21}
"""Of 72 words of 6 bits: of a triple for each bit, of 11 cells, of 7 cells."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_of_medium_reads_what_the_library_says(memories, tmp_path, kind):
    store = checked(KINDS[kind], memories["medium"], tmp_path)
    assert store.n_pairs == PAIRS[kind.partition(",")[0]]


@pytest.mark.parametrize("kind", ["secded", "tmr, scrubbed from itself"])
def test_a_layer_of_small_reads_what_the_library_says(memories, tmp_path, kind):
    store = checked(KINDS[kind], memories["small"], tmp_path)
    assert store.n_pairs == {"secded": 256 * 78}.get(kind, 256 * 8 * 3)


def checked(kind, space, folder):
    """What the simulation of the only tensor saw, after its assertions."""
    memory = weight_memory(kind(range(len(space))), space)
    memory.write(folder)
    (store,) = rtl_check(folder, faults=HOURS, trials=3).stores
    assert store.mismatches == ()
    assert store.n_single == memory.stores[0].layout.n_cells
    assert store.n_trials == 3
    return store
