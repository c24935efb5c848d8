"""Model files that nobody opens before somebody needs their framework: what a store knows of them answers for them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Run
from fkeras.errors import Argument, ChangedError, FkerasError, IdentityError, InputError
from fkeras.faults import FaultSet
from fkeras.frontends.loading import load_model
from fkeras.memory import BitSpace, Coverage
from fkeras.memory.space import Memory
from fkeras.metrics.metric import Metric
from fkeras.models.exporting import source_digest
from fkeras.models.kinds import ON_NETWORKS, Data, FrameworkModel, Model, Shipped, engine_parts, model_of, space_of
from fkeras.models.network import NetworkSubject, ranks, run_of, shipped_network
from fkeras.network import Network
from fkeras.network.content import content_of_space, space_of_content
from fkeras.network.feeding import flat_data, flat_targets
from fkeras.network.file import is_network_file, network_bytes, read_network, require_source_unchanged
from fkeras.network.fit import unreproducible
from fkeras.network.floats import only_in_network
from fkeras.runs.identity import code_digest
from fkeras.sensitivity.evidence import Subject
from fkeras.sensitivity.losses import Loss, Targets
from fkeras.store import Identity, Store

FRAMEWORKS = (
    *("tensorflow", "tensorflow-cpu", "tf-keras", "keras", "qkeras", "tensorflow-model-optimization"),
    *("qkeras-v3", "hgq2", "quantizers", "jax", "torch", "numpy"),
)
"""Packages on whose versions depends what a model file computes."""
MOST_SAMPLES = 100_000
"""Beyond them it is not kept on which data a network serves."""
_NETWORK, _RECORD, _SAMPLES, _SPACE = "network.fkn", "record.json", "samples.json", "space-{}.json"
_DAMAGES = (OSError, ValueError, KeyError, TypeError, FkerasError)
_BY_CLASS, _OTHERS = "by class", "others"


def model_in(
    path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    trusted: bool = False,
    store: Store | None = None,
) -> Any:
    """The model in a file, for a study: opened where there is no store that could know it."""
    files = [Path(part) for part in (path, weights) if part is not None]
    if store is None or is_network_file(path) or not all(file.is_file() for file in files):
        return loaded(path, weights, trusted=trusted)  # which says what is wrong with them
    return FiledModel(path, store, weights, trusted)


def loaded(
    path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    trusted: bool = False,
) -> Any:
    """The Keras model or the network in a file; see `fkeras.load_model`."""
    if is_network_file(path):
        if weights is not None or custom_objects or trusted:
            others = Argument("weights"), ", ", Argument("custom_objects"), " and ", Argument("trusted")
            raise InputError(f"{path} is a network file, which has its weights and no code; leave out ", *others)
        require_source_unchanged(path)
        return read_network(path)
    return load_model(path, weights, custom_objects, trusted)


@dataclass(frozen=True)
class Known:
    """What a store knows of a model file: its name, its outputs', its identity, what was said when it was loaded, and
    what it computes, None where no network says it or where it was never found to fit."""

    name: str
    output_names: tuple[str, ...]
    identity: Mapping[str, str]
    notes: tuple[str, ...]
    network: Network | None


class FiledModel(Model):
    """A model file, as it was when this was made; the framework is loaded when something needs it.

    store: where it is kept what the file computes, by the digest of its bytes, and on which samples the framework was
    found to compute the same.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        store: Store,
        weights: str | os.PathLike[str] | None = None,
        trusted: bool = False,
    ) -> None:
        self._path, self._weights, self._trusted = path, weights, trusted
        self._digest = source_digest(path, weights)
        self._store = store
        self._network_digest: str | None = None
        identity = Identity(
            "model",
            {"file": self._digest, "trusted": trusted, "versions": _versions(), "code": code_digest()},
        )
        self._documents = store.documents(identity)

    @property
    def _known(self) -> Known | None:
        """What the store knows, None where it knows nothing of what the model is now."""
        return self._stored if self._stored is not None and self.state() == self._digest else None

    @cached_property
    def _stored(self) -> Known | None:
        record, network = self._documents.path(_RECORD), self._documents.path(_NETWORK)
        if record is None:
            return None
        try:
            content = json.loads(record.read_bytes())
            known = Known(
                content["name"],
                tuple(content["output_names"]),
                dict(content["identity"]),
                tuple(content["notes"]),
                None if network is None or content["network"] is None else read_network(network),
            )
            if known.network is not None and known.network.digest != content["network"]:
                raise ValueError("its network is another one")
        except _DAMAGES as error:
            self._left_out(error)
            return None
        for note in known.notes:
            _warn(note)
        return known

    @cached_property
    def _framework(self) -> FrameworkModel:
        """The model in the file, loaded now."""
        if source_digest(self._path, self._weights) != self._digest:
            raise ChangedError(
                f"model file {self._path} has changed since it was first looked at, and now its content is needed; "
                "start again, and let nothing write to it meanwhile"
            )
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model = model_of(loaded(self._path, self._weights, trusted=self._trusted))
        assert isinstance(model, FrameworkModel)
        self._notes = tuple(str(one.message) for one in said if type(one.message).__name__ == "PruningStripped")
        if self._stored is None:
            for note in self._notes:
                _warn(note)
        self._state_when_opened = model.state()
        return model

    @property
    def name(self) -> str:
        return self._framework.name if self._known is None else self._known.name

    @property
    def opened(self) -> Any:
        return self._framework.opened

    def bit_space(self, coverage: Coverage) -> BitSpace:
        known = self._known
        if known is not None and known.network is not None and coverage.memory != "hls4ml":
            return space_of(known.network, coverage)
        name = _SPACE.format(hashlib.sha256(json.dumps(coverage.to_dict()).encode()).hexdigest()[:32])
        space = None if known is None else self._stored_space(name)
        if space is None:
            space = self._framework.bit_space(coverage)
            content = {"digest": space.content_digest, **content_of_space(space, _text_of)}
            self._keep({name: json.dumps(content).encode()})
        return space

    def network(self, memory: Memory | None) -> Network:
        """That of the file beside it, or of the Keras model."""
        known = None if self._known is None else self._known.network
        return known if known is not None and memory != "hls4ml" else self._framework.network(memory)

    def identity(self) -> Mapping[str, str]:
        """That of the Keras model."""
        return self._framework.identity() if self._known is None else self._known.identity

    def state(self) -> str | None:
        """The file's digest, until somebody changes the opened model."""
        if "_framework" in vars(self) and (now := self._framework.state()) != self._state_when_opened:
            return now
        return self._digest

    def targets(self, y: Any) -> Any:
        return self._framework.targets(y) if self._known is None else flat_targets(self._known.output_names, y)

    def subject(self, space: BitSpace, data: Data) -> Subject:
        """Itself with data: its network where that is known to serve them, else the opened file's subject, which is the
        same network where this serves."""
        network = None if self._known is None else self._known.network
        if network is not None and self._is_known_to_fit(network, data[0], {}) and ranks(network, space, data[0]):
            return NetworkSubject(network, space, data, self.start_run, self._users_loss)
        return self._framework.subject_by(self.start_run, space, data)

    def _users_loss(self, loss: Any, targets: Targets) -> Loss:
        return self._framework.users_loss(loss, targets)

    def start_run(self, data: Data, metrics: Mapping[str, Metric], space: BitSpace, engine: str) -> Run:
        """The network's run where it is known to serve these data, else that of the Keras model."""
        from fkeras.engines.cpu.run import CpuRun

        serves = engine_parts(engine)[0] in ON_NETWORKS and space.memory == "quantizer"
        serves = serves and self.state() == self._digest and not only_in_network(space)
        network = self._known.network if serves and self._known is not None else None
        if network is not None and self._is_known_to_fit(network, data[0], metrics):
            measuring = run_of(network, data, metrics, space, engine)
            # Samples that serve one by one may lie on no common grid.
            if unreproducible(measuring.plan.network, measuring.plan.grids) is None:
                return measuring
        run = self._framework.start_run(data, metrics, space, engine)
        if serves and isinstance(run, CpuRun):
            self._keep_fitting(run.plan.network, data[0], metrics)
        return run

    def shipped(self, run: Run) -> Shipped:
        return shipped_network(run) or self._framework.shipped(run)

    def injected(self, faults: FaultSet, space: BitSpace) -> AbstractContextManager[Any]:
        return self._framework.injected(faults, space)

    def _is_known_to_fit(self, network: Network, x: Any, metrics: Mapping[str, Metric]) -> bool:
        kept = self._kept_samples()
        samples = kept[_BY_CLASS] if _go_by_class(metrics) else kept[_BY_CLASS] | kept[_OTHERS]
        return samples.issuperset(_digests(flat_data(network.inputs, x)))

    def _kept_samples(self) -> dict[str, set[str]]:
        """Digests of samples on which the framework was found to compute the same: with the same classes, or not."""
        try:
            content = self._documents.read(_SAMPLES)
            kept = {} if content is None else json.loads(content)
            return {which: set(kept.get(which, ())) for which in (_BY_CLASS, _OTHERS)}
        except (OSError, ValueError, TypeError, AttributeError):
            return {_BY_CLASS: set(), _OTHERS: set()}

    def _stored_space(self, name: str) -> BitSpace | None:
        path = self._documents.path(name)
        if path is None:
            return None
        try:
            content = json.loads(path.read_bytes())
            space = space_of_content(content, _array_of)
            if space.content_digest != content["digest"]:
                raise ValueError("its words are others")
        except _DAMAGES as error:
            self._left_out(error)
            return None
        return space

    def _left_out(self, error: Exception) -> None:
        self._store.notice(f"{self._documents.folder}: left out, it is damaged ({error}); the model file is read")

    def _keep_fitting(self, network: Network, x: Any, metrics: Mapping[str, Metric]) -> None:
        """Remember what the file computes, and that the framework computes the same on these samples."""
        samples = _digests(flat_data(network.inputs, x))
        kept = self._kept_samples()
        kept[_BY_CLASS if _go_by_class(metrics) else _OTHERS].update(samples)
        if sum(map(len, kept.values())) > MOST_SAMPLES:
            return
        files = {_SAMPLES: json.dumps({which: sorted(part) for which, part in kept.items()}).encode()}
        self._keep(files, network if self._stored is None or self._stored.network is None else None)

    def _keep(self, files: Mapping[str, bytes], network: Network | None = None) -> None:
        """Write files, with the record of the model where that is not there; network: one that is new."""
        try:
            if network is not None:
                self._documents.write(_NETWORK, network_bytes(network, self._digest))
                self._network_digest = network.digest
            if self._stored is None or network is not None:
                record = {
                    "name": self._framework.name,
                    "output_names": list(self._framework.output_names),
                    "identity": dict(self._framework.identity()),
                    "notes": self._notes,
                    "network": self._network_digest,
                }
                self._documents.write(_RECORD, json.dumps(record, indent=1).encode())
            for name, content in files.items():
                self._documents.write(name, content)
        except IdentityError:
            return  # nothing of such a model is stored
        except FkerasError as error:
            self._store.notice(f"what {self._path} computes is not kept: {error}")


def _go_by_class(metrics: Mapping[str, Metric]) -> bool:
    from fkeras.engines.cpu.classes import BY_CLASS

    return any(metric.identity.endswith(BY_CLASS) for metric in metrics.values())


def _digests(inputs: Sequence[NDArray[Any]]) -> list[str]:
    """A digest of each sample."""
    rows = [np.ascontiguousarray(part).reshape(len(part), -1) for part in inputs]
    return [
        hashlib.blake2b(b"".join(row.tobytes() for row in sample), digest_size=12).hexdigest()
        for sample in zip(*rows, strict=True)
    ]


def _text_of(array: NDArray[Any]) -> dict[str, str]:
    ordered = array.astype(array.dtype.newbyteorder("<"))
    return {"type": ordered.dtype.str, "base64": base64.b64encode(ordered.tobytes()).decode()}


def _array_of(text: Mapping[str, str], shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.frombuffer(base64.b64decode(text["base64"], validate=True), text["type"]).reshape(shape)
    return array.astype(array.dtype.newbyteorder("="))


def _warn(note: str) -> None:
    from fkeras.frontends.qkeras.loading import PruningStripped

    warnings.warn(note, PruningStripped, stacklevel=4)


def _versions() -> dict[str, str]:
    versions = {}
    for name in FRAMEWORKS:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions
