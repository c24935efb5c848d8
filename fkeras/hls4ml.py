"""hls4ml: does the chip compute what the model computes, what does it store, and where does it keep each bit?

The engine itself is `engine="hls4ml"` wherever an engine is chosen; `engine="hls4ml:PATH"` reads the user's hls4ml
configuration (YAML) or project directory. Everything here needs the extra `pytest-fkeras[hls4ml]`; what computes also
needs g++. project: a path or an hls4ml configuration as a dict, None for one that `config` makes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from fkeras.engines.hls4ml.agreement import Agreement, compared, qkeras_side
from fkeras.engines.hls4ml.convert import Conversion, default_config
from fkeras.engines.hls4ml.keras3 import default_config as config_of_keras_3
from fkeras.engines.hls4ml.keras3 import keras3_side
from fkeras.engines.hls4ml.project import Project, read_project
from fkeras.engines.hls4ml.storage import Storage, missing, ports_of, storage_of
from fkeras.engines.hls4ml.table import ResourceTable, resource_table
from fkeras.engines.hls4ml.words import Hls4mlOrder, hls4ml_order
from fkeras.errors import whole
from fkeras.faults import FaultModel
from fkeras.frontends.keras3.forward import inputs_of
from fkeras.frontends.qkeras.chip import Around, chip_part
from fkeras.frontends.qkeras.tracing import flat_data
from fkeras.memory import BitSet, BitSpace, Coverage
from fkeras.models import MODELS
from fkeras.models.kinds import is_of_keras_3, model_of
from fkeras.network.feeding import flat_data as arrays_of
from fkeras.protection import Mask
from fkeras.protection.exports import write_csv, write_headers
from fkeras.rtl.generate import Port

ProjectLike = str | os.PathLike[str] | Mapping[str, Any] | None


def config(model: Any, x: Any, space: BitSpace | None = None) -> dict[str, Any]:
    """A configuration for hls4ml under which the chip computes what the model computes, where fixed point can.

    x: data; they decide the input's type where the model does not begin with a quantizer. The result is what hls4ml
    writes into hls4ml_config.yml: keys Backend, IOType and HLSConfig (what `convert_from_keras_model` calls
    hls_config). UnsupportedError for weights that nothing quantizes.
    """
    words = _space(model, space)
    if is_of_keras_3(model):
        return config_of_keras_3()
    part = chip_part(model, words)
    return default_config(part, Around(part, [False] * len(part.model.outputs)).before(flat_data(model, x)))


def agreement(
    model: Any,
    x: Any,
    *,
    project: ProjectLike = None,
    space: BitSpace | None = None,
    faults: int | FaultModel = 1,
    trials: int = 20,
    seed: int = 0,
    samples: int | None = None,
) -> Agreement:
    """Compare a model with hls4ml's emulation on x, fault-free and under `trials` draws of `faults`.

    samples: only the first so many; all unless given. Networks in streams take a tenth of a second for each, and draw.
    The result says whether every output is the same (`.agrees`), the first layer where they part (`.first`) and the
    likely cause (`.cause`); its text is a report.
    """
    words = _space(model, space)
    is_of_3 = is_of_keras_3(model)
    side_of = keras3_side if is_of_3 else qkeras_side
    inputs = arrays_of(inputs_of(model), x) if is_of_3 else flat_data(model, x)
    some = x if samples is None else [array[: whole("samples", samples, 1)] for array in inputs]
    stated = _project(project)
    return compared(side_of(model, some, words, stated), stated, faults, trials, seed)


def order(model: Any, *, project: ProjectLike = None, space: BitSpace | None = None) -> Hls4mlOrder:
    """Both names of every bit: `order["conv/kernel[0,2,1]:0"].hls4ml` is `w3[17]:0`, and `order["w3[17]:0"].keras` the
    way back.

    UnsupportedError names a tensor whose words hls4ml does not hold.
    """
    words = _space(model, space)
    words.require_stored("hls4ml's order of words")
    return _converted(model, project, words)[1]


def storage(model: Any, project: ProjectLike, space: BitSpace | None = None) -> tuple[Storage, ...]:
    """Whether the project stores the words of each tensor in a memory at all, and why not."""
    return storage_of(*_converted(model, project, space))


def not_stored(model: Any, project: ProjectLike, space: BitSpace | None = None) -> str:
    """One sentence on the words that the project does not store in any memory, "" where it stores all of them."""
    return missing(storage(model, project, space))


def ports(model: Any, *, project: ProjectLike, space: BitSpace | None = None) -> dict[str, Port]:
    """How the project reads each tensor from outside, for `fkeras.Mask.write_rtl`: rows of words in its order.

    InputError names a tensor that the project does not read from outside, and why.
    """
    words = _space(model, space)
    words.require_stored("a port of hls4ml")
    return ports_of(*_converted(model, project, words))


def resources(
    model: Any,
    *,
    project: ProjectLike = None,
    protected: BitSet | ArrayLike | None = None,
    space: BitSpace | None = None,
) -> ResourceTable:
    """Words, bits, protected bits and what TMR adds, tensor by tensor, beside hls4ml's own numbers."""
    conversion, order = _converted(model, project, space)
    named_project = _project(project)
    covered = None if protected is None else BitSet.of(protected)
    return resource_table(conversion, order, covered, {} if named_project is None else named_project.reports())


def reordered(mask: Mask, model: Any, *, project: ProjectLike = None, space: BitSpace | None = None) -> Mask:
    """A mask of protected bits with hls4ml's arrays as its tensors; it writes files as every mask does."""
    return order(model, project=project, space=space).reordered(mask)


def write_masks(mask: Mask, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a mask into a folder, made if need be: protection.json, protection.csv and C headers; their paths."""
    target = Path(folder)
    headers = write_headers(mask, target)
    mask.write(target / "protection.json")
    write_csv(mask, target / "protection.csv")
    return [target / "protection.json", target / "protection.csv", *headers]


def _space(model: Any, space: BitSpace | None) -> BitSpace:
    return MODELS.bit_space(model, Coverage()) if space is None else space


def _project(project: ProjectLike) -> Project | None:
    return None if project is None else read_project(project)


def _converted(model: Any, project: ProjectLike, space: BitSpace | None) -> tuple[Conversion, Hls4mlOrder]:
    words = _space(model, space)
    conversion = model_of(model).hls4ml_conversion(words, _project(project))
    return conversion, hls4ml_order(conversion, words)
