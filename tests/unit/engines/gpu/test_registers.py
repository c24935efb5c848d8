"""The law of registers on the device: it reads what the words of any codec mean, whatever bits of them are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.faults import FaultSet, SampleFlips
from fkeras.memory import Binary, BitSpace, FixedPoint, MixedFixedPoint, PowerOfTwo, Register, Ternary

pytestmark = pytest.mark.usefixtures("jax")
SHAPE, N = (4, 3), 7
MIXED = MixedFixedPoint(np.arange(12) % 5, np.arange(12) % 3, np.arange(12) % 2)


@pytest.mark.parametrize(
    ("codec", "scale"),
    [
        *((FixedPoint(6, 2), 1.0), (FixedPoint(5, 1, signed=False), 0.25), (FixedPoint(5, 1), 0.3), (MIXED, 1.0)),
        *((Ternary(), 0.4), (Binary(), 1.0), (PowerOfTwo(4, 0), 1.0), (PowerOfTwo(4), 1.0)),
    ],
    ids=str,
)
def test_a_register_of_any_codec_reads_as_its_patch(codec, scale: float) -> None:
    import jax

    from fkeras.engines.gpu.registers import masks_of, reads_of, why_not

    register = Register("layer/activation", SHAPE, codec, "activations", "layer/activation", scale)
    space, rng = BitSpace((), (), registers=(register,)), np.random.default_rng(0)
    elements, n = np.arange(12), len(space)
    words = [rng.integers(0, 1 << codec.width, 12).astype(np.uint32) for _ in range(N)]
    x = np.stack([(register.decode(part, elements) * scale).reshape(SHAPE) for part in words]).astype(np.float32)
    sets = []
    for _ in range(5):
        bits, once = rng.permutation(n), rng.choice(N * n, 6, replace=False)
        sets.append(FaultSet(bits[:4], bits[4:6], bits[6:8], in_samples=SampleFlips(once // n, once % n)))
    read = jax.jit(reads_of(register))
    assert not why_not(register)
    for rows in (slice(0, N), slice(2, 5)):
        masks = masks_of(space, [register], sets, rows)[register.path]
        for number, faults in enumerate(sets):
            (patch,) = faults.register_patches(space)
            expected = patch.read(x[rows], x[rows], np.arange(rows.start, rows.stop))
            ours = read(x[rows], x[rows], {name: part[number] for name, part in masks.items()})
            np.testing.assert_array_equal(np.asarray(ours), expected)
            assert (expected != x[rows]).any()
