"""Data sets in npz files: one input or several, by number or by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.npz import read_data, read_inputs

A, B, C = np.arange(6.0).reshape(3, 2), np.arange(3), np.ones((3, 1))


def file_of(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


def test_one_input_and_one_target(tmp_path: Path) -> None:
    x, y = read_data(file_of(tmp_path, x=A, y=B, x_mean=C, note=C))
    assert np.array_equal(x, A)
    assert np.array_equal(y, B)


def test_numbered_inputs_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    arrays = {f"x{number}": np.full(3, number) for number in (10, 2, 0, 1, 3, 4, 5, 6, 7, 8, 9)}
    x, y = read_data(file_of(tmp_path, **arrays, y1=B, y0=C))
    assert isinstance(x, tuple)
    assert [int(part[0]) for part in x] == list(range(11))
    assert isinstance(y, tuple)
    assert np.array_equal(y[0], C)
    assert np.array_equal(y[1], B)
    assert len(read_inputs(tmp_path / "data.npz")) == 11


def test_named_inputs_come_by_name(tmp_path: Path) -> None:
    x, y = read_data(file_of(tmp_path, **{"x_left/a": A, "x_right": C, "y_class": B}))
    assert isinstance(x, dict)
    assert list(x) == ["left/a", "right"]
    assert np.array_equal(x["left/a"], A)
    assert isinstance(y, dict)
    assert np.array_equal(y["class"], B)


def test_a_single_numbered_array_is_one_array(tmp_path: Path) -> None:
    x, y = read_data(file_of(tmp_path, x0=A, y0=B))
    assert np.array_equal(x, A)
    assert np.array_equal(y, B)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": A, "x0": A, "y": B}, "holds x, x0, y; which of them are x.*one array x, or x0, x1, .*x_NAME"),
        ({"x0": A, "x_a": A, "y": B}, "holds x0, x_a, y; which of them are x"),
        ({"x": A, "y0": B, "y_a": B}, "holds x, y0, y_a; which of them are y"),
        ({"x0": A, "x2": A, "y": B}, "has no array 'x1'; it holds x0, x2, y, needed are x and y .x0, x1, "),
        ({"x1": A, "x2": A, "y": B}, "has no array 'x0'; it holds x1, x2, y"),
        ({"x01": A, "y": B}, "has no array 'x0'; it holds x01, y"),
        ({"a": A, "y": B}, "has no array 'x'; it holds a, y, needed are x and y .x0, x1, .*: write it with numpy"),
        ({"x0": A, "x1": A[:2], "y": B}, "x0 has 3 samples, x1 has 2; there must be"),
        ({"x0": A, "x1": A, "y_a": B[:1]}, "x0 has 3 samples, y_a has 1; there must be one target per input"),
        ({"x_a": A[:0], "y": B}, r"array 'x_a' has shape \(0, 2\); at least one sample"),
        ({"x_a": A.astype(str), "y": B}, "array 'x_a' holds <U.*real numbers"),
    ],
)
def test_what_is_meant_is_never_guessed(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_data(file_of(tmp_path, **arrays))
