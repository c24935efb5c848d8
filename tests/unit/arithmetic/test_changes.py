"""The law of changes: a wrong word's end is what the whole pass makes of the kernel with that word."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from fkeras.arithmetic.changes import AT_ONCE, Changes
from fkeras.arithmetic.forward import Forward
from fkeras.arithmetic.layers import MaxPool
from fkeras.errors import InputError
from tests.unit.arithmetic.test_forward import BYTE, random_levels, weighted


def check(shape, low, high, *layers, number=0, n_words=70, n=5):
    """Every word's end, and which are as without a fault."""
    forward = Forward(shape, low, high, layers)
    levels = random_levels(shape, low, high, n)
    stored, kernel = forward.stored(levels), layers[number].kernel
    rng = np.random.default_rng(1)
    elements = rng.choice(kernel.size, n_words)
    words = rng.integers(*layers[number].words, n_words)
    same_as, ends = Changes(forward, number)(forward.arenas(stored), elements, words - kernel.reshape(-1)[elements])
    golden, changed = forward.levels(stored), 0
    for word in range(n_words):
        faulty = forward.levels(stored, forward.faulty({number: (elements[[word]], words[[word]])}))
        for sample in range(n):
            as_golden = np.array_equal(faulty[sample], golden[sample])
            assert (same_as[sample, word] < 0) == as_golden
            if not as_golden:
                assert same_as[sample, same_as[sample, word]] == same_as[sample, word]
                np.testing.assert_array_equal(ends[sample, same_as[sample, word]], faulty[sample])
                changed += 1
    assert changed > 0
    return same_as


LAST = {"rounds": False, "low": -np.inf, "high": np.inf}


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0, 255, BYTE), (-100, 27, BYTE), (-9, 9, BYTE), (0, 300, (-(2**13), 2**13)), (0, 700, BYTE)],
)
def test_layers_of_any_levels_and_words(low, high, words, number) -> None:
    how = {"words": words, "low": low, "high": high, "spread": 60}
    check(
        (9, 8, 3),
        low,
        high,
        weighted((3, 2, 3, 5), strides=(2, 1), pads=((1, 1), (0, 1)), **how),
        weighted((2, 3, 5, 33), strides=(1, 2), dilation=(2, 1), pads=((0, 0), (1, 1)), **how),
        weighted((3, 4, 33, 10), **(how | LAST)),
        number=number,
    )


@pytest.mark.parametrize("number", [0, 2])
def test_grouped_and_depthwise_layers(number) -> None:
    check(
        (6, 6, 4),
        -9,
        9,
        weighted((2, 2, 2, 6), low=-20, high=9),
        weighted((3, 3, 1, 12), low=-100, high=100, pads=((1, 1), (1, 1))),
        weighted((2, 1, 4, 9), high=300),
        weighted((4, 5, 9, 3), **LAST),
        number=number,
    )


def test_pools_between_sums() -> None:
    check(
        (9, 9, 2),
        0,
        15,
        weighted((2, 2, 2, 3), low=-16, high=15),
        MaxPool((2, 2), (2, 2), ((0, 1), (1, 0))),
        MaxPool((2, 2), (1, 1)),
        weighted((2, 2, 3, 4), low=-3, high=3),
        MaxPool((2, 1), (2, 1)),
        weighted((1, 2, 4, 5), low=-9, high=200),
        number=0,
    )


def test_words_that_lead_to_one_level_share_its_end() -> None:
    first = weighted((1, 1, 20, 4), low=0, high=15)
    same_as = check((1, 1, 20), 0, 15, first, weighted((1, 1, 4, 3), **LAST), n_words=200)
    shared = (same_as >= 0) & (same_as != np.arange(200))
    assert shared.sum() > 50


def test_the_last_layer_changes_one_channel_of_the_end() -> None:
    check((4, 4, 3), -9, 9, weighted((3, 3, 3, 7), low=-9, high=9), number=0)
    check((1, 1, 30), -9, 9, weighted((1, 1, 30, 7), **LAST), number=0)


def test_more_words_than_a_core_takes_at_once() -> None:
    check((1, 1, 9), -9, 9, weighted((1, 1, 9, 4)), weighted((1, 1, 4, 3), **LAST), n_words=AT_ONCE + 9, n=2)


def test_levels_of_more_than_sixteen_bits() -> None:
    words, wide = (-7, 7), {"low": -40000, "high": 40000, "scale": 0.25}
    first = weighted((2, 2, 1, 3), words, **wide)
    check((4, 4, 1), -40000, 40000, first, weighted((2, 2, 3, 2), words, **wide))


def test_what_cannot_be_followed_says_so() -> None:
    forward = Forward((1, 1, 4), 0, 2**15 - 1, (weighted((1, 1, 4, 2), (-500, 500), spread=1, low=0, high=1),))
    with pytest.raises(InputError, match=r"the sums of layer 0 may reach 2\*\*24 with a wrong word"):
        Changes(forward, 0)
    pool = MaxPool((1, 1), (1, 1))
    with pytest.raises(InputError, match="layer 1 is a MaxPool, which has no words"):
        Changes(Forward((1, 1, 4), 0, 9, (weighted((1, 1, 4, 2)), pool, weighted((1, 1, 2, 2)))), 1)
    with pytest.raises(InputError, match="only layers in a row are followed"):
        Changes(Forward((1, 1, 4), 0, 9, (weighted((1, 1, 4, 2)), weighted((1, 1, 2, 2))), ((0,), (1,))), 0)


def test_threads_are_those_of_the_variable_and_numba_launches_none_of_its_own(tmp_path, monkeypatch):
    """Its own would make a later compilation fail where NUMBA_NUM_THREADS was set meanwhile."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, numpy as np, numba\n"
        "from numba.np.ufunc import parallel\n"
        "from fkeras.arithmetic.passes import n_threads, share_out\n"
        "share_out(lambda *_: None, cost=1e12)\n"
        "os.environ['NUMBA_NUM_THREADS'] = '1'\n"
        "print(numba.njit(lambda x: x + 1)(1), n_threads(), parallel._is_initialized)\n"
    )
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    done = subprocess.run([sys.executable, program], capture_output=True, text=True)
    assert done.stdout.split() == ["2", "1", "False"], done.stderr
