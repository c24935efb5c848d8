"""Trained HGQ2 models: words, values and flips as measured without fkeras, in both memories."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from fkeras.faults import FaultSet
from fkeras.memory import BitSpace, FixedPoint, MixedFixedPoint, WordTensor


@pytest.fixture(params=["hgq_mlp", "hgq_cnn", "hgq_bn"])
def truth(request: pytest.FixtureRequest, shared_data: Path):
    path = shared_data / "keras3" / f"{request.param}.npz"
    if not path.is_file() and not os.environ.get("FKERAS_REQUIRE_SHARED_DATA"):
        pytest.skip(f"{path.name} is absent")
    return np.load(path)


def memory(truth, codec_of) -> BitSpace:
    tensors = []
    for number, name in enumerate(truth["layers"]):
        values = truth[f"L{number}_value"]
        codec, golden = codec_of(number), values.reshape(-1)
        path = f"{name}/kernel"
        tensors.append(WordTensor(path, values.shape, codec, codec.encode(golden), np.ones_like(golden), golden))
    return BitSpace(tuple(tensors))


def own_widths(truth) -> BitSpace:
    def codec_of(number):
        width, integer, signed = (truth[f"L{number}_{name}"] for name in ("width", "i", "k"))
        return MixedFixedPoint(width, integer, signed)

    return memory(truth, codec_of)


def one_width(truth) -> BitSpace:
    def codec_of(number):
        width, integer, signed = (int(truth[f"L{number}_uni_{name}"]) for name in ("W", "I", "signed"))
        return FixedPoint(width, integer - signed, bool(signed))

    return memory(truth, codec_of)


VIEWS = pytest.mark.parametrize(("space_of", "uni"), [(own_widths, ""), (one_width, "uni_")], ids=["own", "uniform"])


@VIEWS
def test_words_are_those_of_the_quantizer(truth, space_of, uni):
    space = space_of(truth)
    assert len(space) == truth[f"{uni}total_bits"]
    for number, tensor in enumerate(space.tensors):
        codes = truth[f"L{number}_{uni}code"].reshape(-1).astype(np.int64)
        assert (tensor.words == codes % (1 << tensor.layout.widths)).all()
        assert (tensor.values_of(tensor.words, np.arange(tensor.size)) == tensor.golden).all()
        assert tensor.layout.n_empty == (0 if uni else (truth[f"L{number}_width"] == 0).sum())


@VIEWS
def test_flips_have_the_values_that_were_measured(truth, space_of, uni):
    space, bits = space_of(truth), truth[f"{uni}flip_bit"]
    place = space.locate(bits)
    assert (place.tensor == truth[f"{uni}flip_layer"]).all()
    assert (place.element == truth[f"{uni}flip_element"]).all()
    assert (place.bit == truth[f"{uni}flip_pos"]).all()
    patches = [next(FaultSet([bit]).patches(space)) for bit in bits.tolist()]
    assert [float(patch.values[0]) for patch in patches] == truth[f"{uni}flip_value"].tolist()
