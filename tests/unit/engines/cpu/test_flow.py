"""The law of the flow: adding what changed gives what computing everything again gives, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.engines.cpu.flow import LAYER, Golden, Program, flow


class Network:
    """A random chain of convolutions with quantizers, the last one perhaps without; perhaps flattened on the way."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        shape = (int(rng.integers(1, 7)), int(rng.integers(1, 7)), int(rng.integers(1, 5)))
        self.given, self.kernels, self.offset_rows, layers = shape, [], [], []
        for number in range(n_layers := int(rng.integers(1, 5))):
            if rng.random() < 0.3:
                shape = (1, 1, int(np.prod(shape)))
            layer = np.zeros((), LAYER)
            rows, columns = int(rng.integers(1, 4)), int(rng.integers(1, 4))
            stride = rng.integers(1, 4, 2)
            before = rng.integers(0, rows), rng.integers(0, columns)
            height, width = (
                max(1, (size + pad + int(rng.integers(0, 2)) - window) // step + 1)
                for size, pad, window, step in zip(shape, before, (rows, columns), stride, strict=False)
            )
            channels = int(rng.choice([1, 2, 3, 8, 10, 33]))
            layer["height_in"], layer["width_in"], layer["channels_in"] = shape
            layer["height"], layer["width"], layer["channels"] = height, width, channels
            layer["rows"], layer["columns"] = rows, columns
            layer["stride_y"], layer["stride_x"] = stride
            layer["before_y"], layer["before_x"] = before
            layer["rounds"] = number + 1 < n_layers or rng.random() < 0.5
            layer["scale"], layer["low"], layer["high"] = (0.25, -3, 7) if layer["rounds"] else (0.5, -np.inf, np.inf)
            self.kernels.append(rng.integers(-4, 5, (rows, columns, shape[2], channels)).astype(np.float32))
            offset = rng.normal(0, 2, channels).astype(np.float32)
            self.offset_rows.append(np.tile(offset, width))
            layer["weights"] = sum(kernel.size for kernel in self.kernels[:-1])
            layer["offsets"] = sum(row.size for row in self.offset_rows[:-1])
            layer["values"] = sum(int(one["height"] * one["width"] * one["channels"]) for one in layers)
            layers.append(layer)
            shape = (height, width, channels)
        self.layers = np.array(layers)

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums and levels of all layers, flat."""
        sums, levels = [], []
        for layer, kernel, offsets in zip(self.layers, self.kernels, self.offset_rows, strict=True):
            image = image.reshape(layer["height_in"], layer["width_in"], layer["channels_in"])
            found = np.zeros((layer["height"], layer["width"], layer["channels"]), np.float32)
            for y, x in np.ndindex(*found.shape[:2]):
                for i, j in np.ndindex(*kernel.shape[:2]):
                    row = y * layer["stride_y"] - layer["before_y"] + i
                    column = x * layer["stride_x"] - layer["before_x"] + j
                    if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                        found[y, x] += image[row, column] @ kernel[i, j]
            sums.append(found.reshape(-1))
            image = found * layer["scale"] + offsets.reshape(1, *found.shape[1:])
            image = np.clip(np.rint(image) if layer["rounds"] else image, layer["low"], layer["high"])
            levels.append(image.reshape(-1))
        return np.concatenate(sums), np.concatenate(levels)


@pytest.mark.parametrize("seed", range(60))
def test_flow_equals_computing_everything_again(seed: int) -> None:
    network = Network(seed)
    rng = network.rng
    n, k, channel = 3, 12, int(rng.integers(network.given[2]))
    images = rng.integers(0, 8, (n, *network.given)).astype(np.float32)
    golden = [network.run(image) for image in images]
    samples = rng.integers(0, n, k).astype(np.int32)
    states = images[samples]
    share = rng.choice([0.0, 0.1, 1.0], k)[:, None, None]
    states[..., channel] += np.where(rng.random(states.shape[:3]) < share, rng.integers(-3, 4, states.shape[:3]), 0)
    truth = [network.run(state)[1] for state in states]
    begin = int(network.layers[-1]["values"])
    ends = np.full((k, truth[0].size - begin), np.nan, np.float32)
    values = np.ascontiguousarray(states[..., channel].reshape(k, -1))
    was = np.ascontiguousarray(images[..., channel].reshape(n, -1))
    changed = (values != was[samples]).any(axis=1)
    program = Program(
        network.layers,
        np.concatenate([kernel.reshape(-1) for kernel in network.kernels]),
        np.concatenate(network.offset_rows),
        np.float32(0.5),
    )
    without = Golden(was, np.stack([sums for sums, _ in golden]), np.stack([levels for _, levels in golden]))
    flow(values, samples, changed, channel, without, program, ends, 3)
    for state, sample in enumerate(samples):
        end, before = truth[state][begin:], golden[sample][1][begin:]
        assert changed[state] == (end != before).any()
        if changed[state]:
            np.testing.assert_array_equal(ends[state], end * np.float32(0.5))
            assert not np.signbit(ends[state][ends[state] == 0]).any(), "a network has 0.0 where rounding gives -0.0"
