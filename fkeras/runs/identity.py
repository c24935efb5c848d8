"""Where a measurement is kept: the identity of everything that its numbers depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fkeras.engine import Run
from fkeras.errors import IdentityError
from fkeras.faults import FaultSet
from fkeras.faults.fault_models import Keyed
from fkeras.memory import BitSet, BitSpace
from fkeras.metrics.metric import Metric, declared_identity
from fkeras.runs.known import computed_by
from fkeras.store import UNKEPT, Documents, Entry, Identity, Store, Terms, digest_of

DECLARED = "fkeras_identity"
"""The attribute by which a function or class of a user states its identity."""
DECLARED_MODEL, OWN_CODE = "declared", "own_code"
"""Keys of a model's identity: what a project says of it, and what users say of their code in it."""
_CODE = (
    "engines",
    "frontends",
    "network",
    "arithmetic",
    "models",
    "faults",
    "memory",
    "metrics",
    "sensitivity",
    "engine.py",
    "scoring.py",
)


class Drawing(Protocol):
    """How the faults of a campaign come about."""

    @property
    def fault_model(self) -> Any:
        """What is drawn."""

    @property
    def protection(self) -> Any:
        """What is mended."""

    @property
    def seed(self) -> int:
        """Of the draws."""

    def residual(self, trial: int) -> FaultSet:
        """The faults of a trial that get through."""


class Subject:
    """What is measured: a model, the words of its memory, data, and the engine that measures.

    model: its identity, of all weights and of the architecture; data: the digest of (x, y).
    """

    def __init__(self, model: Mapping[str, str], space: BitSpace, data: str, engine: str) -> None:
        self._model, self._space, self._data, self._engine = model, space, data, engine

    def oracle(self, metric: Metric, group: str | None = None) -> Identity:
        """Of single flips; group: "1 of 5" where the samples were split into groups."""
        return Identity("oracle", {**self.measured, "metric": metric_identity(metric), "sample_group": group})

    def campaign(self, metric: Metric, drawing: Drawing) -> Identity:
        """Of the trials of a campaign, however many."""
        return Identity(
            "campaign",
            {
                **self.measured,
                "metric": metric_identity(metric),
                "fault_model": _fault_model(drawing.fault_model),
                "protection": described(drawing.protection),
                "seed": int(drawing.seed),
                # Tells users' fault models and protections apart whose descriptions are the same.
                "faults_of_trial_0": drawing.residual(0).digest,
            },
        )

    def fault_sets(self, metric: Metric) -> Identity:
        """Of fault sets by what is in them, whatever they were drawn for."""
        return Identity("fault_sets", {**self.measured, "metric": metric_identity(metric)})

    def ranking(self, method: Any, metric: Metric | None, loss: Any, seed: int) -> Identity:
        """Of a ranking."""
        named = method if method is None or isinstance(method, str) else declared(method, "the ranking method")
        return Identity(
            "ranking",
            {
                **self.measured,
                "method": named,
                "metric": None if metric is None else metric_identity(metric),
                "loss": loss if loss is None or isinstance(loss, str) else declared(loss, "the loss"),
                "seed": int(seed),
            },
        )

    def golden(self, metrics: Mapping[str, Metric]) -> Identity:
        """Of what the fault-free network gives. IdentityError also where the model's identity is the user's word."""
        if self._model.get(DECLARED_MODEL) or self._model.get(OWN_CODE):
            raise IdentityError("the model's identity is what its user says")
        named = {name: metric_identity(metric) for name, metric in metrics.items()}
        return Identity("golden", {**self.measured, "metrics": named, "computed_by": computed_by()})

    def sensitive_bits(self) -> Identity:
        """Of the paper's sensitive bits."""
        return Identity("sensitive_bits", self.measured)

    @cached_property
    def measured(self) -> dict[str, Any]:
        """What all results have in common."""
        return {
            "fkeras": {"version": import_module("fkeras").__version__, "code": code_digest()},
            "model": dict(self._model),
            "layout": self._space.layout_digest,
            "content": self._space.content_digest,
            "data": self._data,
            "engine": self._engine,
        }


_SCORES = {"value": "f", "undefined": "i"}
_COLUMNS = {
    "oracle": {"bit": "i", **_SCORES, "harmed": "i"},
    "campaign": {"trial": "i", "hits": "i", "cancelled": "i", "residual": "i", "faults": "U", **_SCORES},
    "fault_sets": {"faults": "U", **_SCORES, "harmed": "i"},
    "ranking": {"rank": "i", "bit": "i", "score": "f", "method": "U"},
    "sensitive_bits": {"bit": "i", "sensitive": "b"},
}
"""The columns of each kind of result, by the kinds of numpy's types; the key comes first."""


class Keeper:
    """The results of one subject in a store, by what was measured. What has no identity is left out, and noticed.

    Stored rows count only where the fault-free network gave what the run at hand says that it gives now.
    store: None keeps nothing. require_unchanged: raises when the subject is no longer what it was; asked before
    anything is stored.
    """

    def __init__(
        self, store: Store | None, subject: Subject | None, require_unchanged: Callable[[], None] = lambda: None
    ) -> None:
        self._store, self._subject, self._require_unchanged = store, subject, require_unchanged

    def oracle(self, run: Run, group: str | None = None) -> dict[str, Entry]:
        """Single flips by metric."""
        return self._each(run, lambda subject, metric: subject.oracle(metric, group))

    def campaign(self, run: Run, drawing: Drawing) -> dict[str, Entry]:
        """The trials of a campaign by metric."""
        return self._each(run, lambda subject, metric: subject.campaign(metric, drawing))

    def fault_sets(self, run: Run) -> dict[str, Entry]:
        """Fault sets by metric."""
        return self._each(run, lambda subject, metric: subject.fault_sets(metric))

    def ranking(self, method: Any, metric: Metric | None, loss: Any, seed: int) -> Entry:
        """A ranking."""
        return self._entry(lambda subject: subject.ranking(method, metric, loss, seed))

    def golden(self, metrics: Mapping[str, Metric]) -> Documents | None:
        """What the fault-free network gives; None where nothing is kept of it."""
        if self._store is None or self._subject is None:
            return None
        try:
            return self._store.documents(self._subject.golden(metrics))
        except IdentityError:
            return None  # the results say so

    def sensitive_bits(self, golden: float) -> Entry:
        """The sensitive bits; golden: the share of samples that are wrong without faults."""
        return self._entry(Subject.sensitive_bits, golden=golden)

    def notice(self, text: str) -> None:
        """Say what is wrong with what is kept."""
        if self._store is not None:
            self._store.notice(text)

    def _each(self, run: Run, identity: Callable[[Subject, Metric], Identity]) -> dict[str, Entry]:
        def entry(name: str, metric: Metric) -> Entry:
            low, high = metric.bounds or (-np.inf, np.inf)
            measured = {"golden": run.golden[name].value, "lowest": low, "highest": high, "worst": metric.worst}
            return self._entry(lambda subject: identity(subject, metric), **measured)

        entries = {name: entry(name, metric) for name, metric in run.metrics.items()}
        return {name: entry for name, entry in entries.items() if entry is not UNKEPT}

    def _entry(self, identity: Callable[[Subject], Identity], **measured: float) -> Entry:
        if self._store is None or self._subject is None:
            return UNKEPT
        try:
            key = identity(self._subject)
        except IdentityError as error:
            self._store.notice(f"not stored: {error}")
            return UNKEPT
        return self._store.entry(key, Terms(_COLUMNS[key.kind], **measured, before_writing=self._require_unchanged))


def metric_identity(metric: Metric) -> dict[str, Any]:
    """What a metric computes. IdentityError for a function that nobody gave an identity."""
    identity = declared_identity(metric)
    if identity is None:
        raise IdentityError(
            f"metric '{metric.name}' is a function without an identity; pass identity='1' to sample_metric or "
            "dataset_metric, and another text whenever it computes something else"
        )
    bounds = None if metric.bounds is None else [repr(float(bound)) for bound in metric.bounds]
    return {"identity": identity, "better": metric.better, "bounds": bounds}


def declared(thing: Any, what: str) -> str:
    """The identity that a user's function or class states. IdentityError when it states none."""
    text = getattr(thing, DECLARED, None)
    name = getattr(thing, "__qualname__", None) or type(thing).__qualname__
    if not isinstance(text, str):
        raise IdentityError(
            f"{what} {name} is code without an identity; set {name}.{DECLARED} = '1', and another text whenever it "
            "computes something else"
        )
    return f"{name}: {text}"


def _fault_model(model: Any) -> Any:
    """The key that a user gave a model; of all others, plain values."""
    has_key = isinstance(getattr(model, "key", None), str) and not isinstance(model, Keyed)
    return model.key if has_key else described(model)


def described(value: Any) -> Any:
    """Plain values that tell a protection (a dataclass with bits) from others."""
    value = getattr(value, "stated", value)
    if isinstance(value, BitSpace):
        return value.content_digest
    if isinstance(scores := getattr(value, "scores", None), np.ndarray):
        return {"scores": digest_of(scores)}  # of a ranking, wherever it came from
    if isinstance(value, Mapping):
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
    if isinstance(value, BitSet):
        return {"n_bits": len(value), "bits": digest_of(value.bits)}
    if is_dataclass(value) and not isinstance(value, type):
        return {
            "class": type(value).__qualname__,
            **{field.name: described(getattr(value, field.name)) for field in fields(value)},
        }
    if isinstance(value, np.ndarray):
        return digest_of(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, tuple | list):
        return [described(part) for part in value]
    return repr(value) if isinstance(value, float) else _plain_repr(value)


def _plain_repr(value: Any) -> str:
    text = repr(value)
    if " at 0x" in text:
        raise IdentityError(
            f"{text}: its repr holds a memory address, which differs from run to run; give the class a __repr__ that "
            "names its parameters (a dataclass has one)"
        )
    return text


@cache
def code_digest(names: tuple[str, ...] = _CODE) -> str:
    """SHA-256 of the source files that numbers come from: a changed engine does not pass for the one before."""
    digest = hashlib.sha256()
    home = Path(__file__).parents[1]
    for name in names:
        for path in sorted((home / name).rglob("*.py")) if (home / name).is_dir() else [home / name]:
            digest.update(f"{path.relative_to(home).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()
