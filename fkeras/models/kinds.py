"""What a study asks of a model, whoever describes it: a Keras object, a network, or a file that nobody opened yet; and
the engines by name."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fkeras.engine import Run
from fkeras.engines.hls4ml.project import Project, read_project
from fkeras.errors import Argument, InputError, said
from fkeras.faults import FaultSet
from fkeras.frontends.autodiff import Autodiff
from fkeras.memory import BitSpace, Coverage, Uncovered
from fkeras.memory.register import REGISTERS
from fkeras.memory.space import Memory
from fkeras.metrics.inputs import refuse_masked
from fkeras.metrics.metric import Metric
from fkeras.network import Network
from fkeras.network.floats import with_float_words
from fkeras.network.registers import register_space
from fkeras.network.tables import table_space
from fkeras.sensitivity.evidence import Subject
from fkeras.sensitivity.losses import Loss, Targets

if TYPE_CHECKING:
    from fkeras.engines.hls4ml.convert import Conversion

ENGINES = ("auto", "cpu", "gpu", "framework", "hls4ml")
ON_NETWORKS = ("auto", "cpu", "gpu")
"""Those that measure a network, with the same numbers."""
SPELLINGS = {"fast": "cpu", "reference": "framework"}
"""What engines were called before."""
IDENTITIES = {**dict.fromkeys(ON_NETWORKS, "fast"), "framework": "reference"}
"""What stores call them: what was measured under the first names is still theirs."""


def engine_parts(engine: str) -> tuple[str, str | None]:
    """An engine's name, and the hls4ml project behind its colon. InputError for an engine that does not exist."""
    stated, colon, project = str(engine).partition(":")
    name = SPELLINGS.get(stated, stated)
    if name not in ENGINES or (colon and name != "hls4ml"):
        raise InputError(
            Argument("engine", engine),
            f"; allowed are {', '.join(ENGINES)}, and hls4ml:PATH with the configuration (YAML) or directory of an "
            "hls4ml project",
        )
    return name, project if colon else None


def engine_identity(engine: str) -> str:
    """What decides an engine's numbers: its name, for hls4ml also its version and the project's content."""
    name, project = engine_parts(engine)
    if name != "hls4ml":
        return IDENTITIES[name]
    from fkeras.engines.hls4ml.setup import hls4ml

    version = f"hls4ml {hls4ml().__version__}"
    return version if project is None else f"{version} {read_project(project).digest}"


def as_pair(data: Any) -> tuple[Any, Any]:
    """Inputs and targets. InputError for anything but a pair."""
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise InputError("data is a pair (x, y): the inputs and the targets")
    refuse_masked(data[0], "x")
    refuse_masked(data[1], "y")
    return data[0], data[1]


Data = tuple[Any, Any]
StartRun = Callable[[Data, Mapping[str, Metric], BitSpace, str], Run]
"""Starts a run of a model, of whatever is known without saying it."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """What goes to workers in place of a model: start(content, data, metrics, space, engine) makes the run there."""

    start: Callable[..., Run]
    content: Any


class Model(ABC):
    """A model."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called."""

    @property
    @abstractmethod
    def opened(self) -> Any:
        """The object that users work with: a Keras model, or a network."""

    @abstractmethod
    def bit_space(self, coverage: Coverage) -> BitSpace:
        """The stored bits that are covered."""

    @abstractmethod
    def network(self, memory: Memory | None) -> Network:
        """What it stores, in the words of a memory, and computes. UnsupportedError where no network says it."""

    def hls4ml_conversion(self, space: BitSpace, project: Project | None) -> Conversion:
        """hls4ml's graph of it, which is not written. InputError for what hls4ml converts no more."""
        raise InputError(f"'{self.name}' is a network, and hls4ml converts Keras models: give the file of the model")

    @abstractmethod
    def identity(self) -> Mapping[str, str]:
        """All that its outputs depend on. IdentityError where that is not known."""

    @abstractmethod
    def state(self) -> str | None:
        """A text that tells it from itself once somebody has changed it, None where that is not known."""

    @abstractmethod
    def targets(self, y: Any) -> Any:
        """Targets in the order of its outputs."""

    @abstractmethod
    def subject(self, space: BitSpace, data: Data) -> Subject:
        """Itself with data, as rankings see it."""

    @abstractmethod
    def start_run(self, data: Data, metrics: Mapping[str, Metric], space: BitSpace, engine: str) -> Run:
        """An engine bound to all of these; the golden outputs are computed here."""

    @abstractmethod
    def shipped(self, run: Run) -> Shipped:
        """What workers need to start `run`, which start_run made."""

    @abstractmethod
    def injected(self, faults: FaultSet, space: BitSpace) -> AbstractContextManager[Any]:
        """A read-only view of the Keras model that computes with faults. UnsupportedError where there is none."""


class FrameworkModel(Model):
    """A model that a framework computes."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def opened(self) -> Any:
        return self._model

    @property
    def name(self) -> str:
        return str(getattr(self._model, "name", type(self._model).__name__))

    def bit_space(self, coverage: Coverage) -> BitSpace:
        memory = coverage.memory or "quantizer"
        if coverage.words is not None:
            return space_of(self.network(memory), coverage)
        return self.words(memory, coverage.layers, coverage.biases)

    @abstractmethod
    def words(self, memory: Memory, layers: str | Sequence[str], biases: bool) -> BitSpace:
        """The words that quantizers make, of the chosen layers, as a memory stores them."""

    @property
    @abstractmethod
    def output_names(self) -> Sequence[str]:
        """What data call its outputs, in order."""

    @abstractmethod
    def golden_outputs(self, inputs: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """What the framework computes without a fault; arrays in the order of the network's inputs."""

    def subject(self, space: BitSpace, data: Data) -> Subject:
        """Itself with data: its network, where this computes the same, else differentiated by the framework."""
        return self.subject_by(self.start_run, space, data)

    def subject_by(self, start_run: StartRun, space: BitSpace, data: Data) -> Subject:
        """The same, whose runs somebody else starts."""
        from fkeras.frontends.description import NotDescribed
        from fkeras.models.network import NetworkSubject, ranks

        try:
            network = self.network(space.memory)
        except NotDescribed:
            network = None
        if network is not None and ranks(network, space, data[0], self.golden_outputs):
            return NetworkSubject(network, space, data, start_run, self.users_loss)
        return self.framework_subject(space, data, start_run)

    @abstractmethod
    def framework_subject(self, space: BitSpace, data: Data, start_run: StartRun) -> Subject:
        """Itself with data, differentiated by the framework."""

    @property
    @abstractmethod
    def framework(self) -> tuple[Any, Autodiff]:
        """Its Keras, the module, and what computes slopes there."""

    def users_loss(self, loss: Any, targets: Targets) -> Loss:
        """What a user gave as loss=, differentiated by the framework."""
        from fkeras.frontends.losses import users_loss

        return users_loss(loss, targets, *self.framework)


def is_known(model: Any) -> bool:
    """Whether this is a model of fkeras' own, which nobody else knows better."""
    return isinstance(model, Model | Network) or is_of_keras_3(model)


def model_of(model: Any) -> Model:
    """What a user gave as a model, as one that can be asked."""
    if isinstance(model, Network):
        from fkeras.models.network import NetworkModel

        return NetworkModel(model)
    if isinstance(model, Model):
        return model
    if is_of_keras_3(model):
        from fkeras.models.keras3 import Keras3Model

        return Keras3Model(model)
    from fkeras.models.keras import KerasModel

    return KerasModel(model)


def covered(model: Model, coverage: Coverage) -> BitSpace:
    """The bits of all memories of a model that are covered."""
    memories = coverage.memories
    parts: list[BitSpace] = []
    if {"weights", "biases"}.intersection(memories):
        stored = model.bit_space(replace(coverage, biases=coverage.biases or "biases" in memories))
        parts.append(stored if "weights" in memories else _biases_of(stored))
    network = model.network(coverage.memory) if len(memories) > len(parts) or not parts else None
    for name in memories:
        if name == "tables":
            assert network is not None
            parts.append(table_space(network, coverage.layers))
        elif name in REGISTERS:
            assert network is not None
            registers = register_space(network, name, coverage.layers, coverage.input_format)
            is_stated = name == "accumulators" and coverage.project is not None
            parts.append(_in_words_of(model, coverage, registers) if is_stated else registers)
    return reduce(add, parts)


def _in_words_of(model: Model, coverage: Coverage, accumulators: BitSpace) -> BitSpace:
    """Accumulators in the words of an hls4ml project."""
    from fkeras.engines.hls4ml.accumulators import in_words_of

    stored = model.bit_space(Coverage())
    return in_words_of(model.hls4ml_conversion(stored, read_project(str(coverage.project))), accumulators)


def _biases_of(space: BitSpace) -> BitSpace:
    """The biases alone."""
    biases, _ = space.part("biases")
    why = ("not chosen by ", Argument("of"))
    kernels = (tensor for tensor in space.tensors if tensor not in biases.tensors)
    left = (Uncovered(t.path, t.size, said(why), why, t.path.rpartition("/")[0]) for t in kernels)
    return BitSpace(biases.tensors, (*space.uncovered, *left), space.memory)


def require_words(network: Network, memory: Memory | None) -> None:
    """InputError where a network stores other words than those of a memory."""
    if memory not in (None, network.memory.memory):
        raise InputError(
            f"network '{network.name}' stores the words of ", Argument("memory", network.memory.memory),
            f"; export the model again with --memory {memory}",
        )  # fmt: skip


def space_of(network: Network, coverage: Coverage) -> BitSpace:
    """The words of a network that are covered. InputError where it stores others."""
    require_words(network, coverage.memory)
    if coverage.words is not None:
        network = with_float_words(network, coverage.words)
    return network.memory.space(coverage.layers, coverage.biases)


def is_of_keras_3(model: Any) -> bool:
    """Whether an object is of Keras 3, which is not imported to tell."""
    homes = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    keras = sys.modules.get("keras")
    return "keras" in homes and str(getattr(keras, "__version__", "")).startswith("3.")
