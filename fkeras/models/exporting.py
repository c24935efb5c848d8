"""Model files to network files."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from fkeras.errors import InputError, ModelError, UnsupportedError
from fkeras.frontends.description import NotDescribed
from fkeras.frontends.loading import load_model
from fkeras.memory.space import Memory
from fkeras.metrics.inputs import take
from fkeras.models.kinds import FrameworkModel, model_of
from fkeras.network import Network
from fkeras.network.feeding import flat_data
from fkeras.network.file import file_digest, is_network_file, random_samples, write_network
from fkeras.network.fit import golden_misfit

KEPT_SAMPLES = 4
"""Of the data, in the file."""
_REMEDY = "measure the model file itself"


def export(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    x: Any = None,
    weights: str | os.PathLike[str] | None = None,
    trusted: bool = False,
    memory: Memory = "quantizer",
) -> Network:
    """Write the network of a model file as an `.fkn` file, and return it.

    x: data on which it must compute what the framework computes; some random samples unless given. weights, trusted: as
    of `fkeras.load_model`; memory: as of `fkeras.bit_space`. UnsupportedError for a model that no network describes,
    with the layer and the reason; ModelError where the network computes something else.
    """
    if is_network_file(path):
        raise InputError(f"{path} is a network file already; name the model that it was made of")
    source = source_digest(path, weights)
    asked = model_of(load_model(path, weights, trusted=trusted))
    assert isinstance(asked, FrameworkModel)
    try:
        network = asked.network(memory)
    except NotDescribed as error:
        raise UnsupportedError(f"{path}: {error}; {_REMEDY}") from error
    inputs = tuple(random_samples(network)) if x is None else flat_data(network.inputs, x)
    golden = asked.golden_outputs(inputs)
    misfit = golden_misfit(network, inputs, golden)
    if misfit is not None:
        raise ModelError(
            f"{path}: a network does not compute what Keras does: output '{misfit.node}' {misfit.why}; {_REMEDY}"
        )
    write_network(network, output, source, take(inputs, slice(KEPT_SAMPLES)))
    return network


def source_digest(path: str | os.PathLike[str], weights: str | os.PathLike[str] | None = None) -> str:
    """The digest of a model file; of an architecture with weights, of both."""
    digests = [file_digest(part) for part in (path, weights) if part is not None]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
