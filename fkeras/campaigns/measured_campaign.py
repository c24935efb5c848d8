"""What a budget's campaign measured, as a small file that a later campaign is compared with.

A file says in plain JSON which budget was measured and what came out on average. The values of the single trials
stand in it compressed, because trials that drew the same faults are compared one by one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fkeras.campaigns.budget import CampaignResult
from fkeras.errors import InputError
from fkeras.metrics.metric import Direction
from fkeras.plain import plain, restored
from fkeras.statistics.means import asymptotic_mean

SCHEMA = "fkeras-measured/1"
MOST_BYTES = 32_000
"""No file is larger; of a campaign that does not fit, the trials at the end are left out."""

_MOST_TRIALS = 10_000_000
_DATA_TOLERANCE = 1e-6
_AT_ONCE = 1_000_000
"""Values that a projection takes at once, to save memory."""

Values = NDArray[np.float64]
DataPart = tuple[str, float, float, float]
"""One array of the data: shape and type, mean, standard deviation, projection."""


@dataclass(frozen=True, slots=True)
class BudgetIdentity:
    """Which budget was measured, apart from the weights: two campaigns of one identity ask the same question.

    model: where the model comes from, not what it is called, because retraining may rename it; faults: the key of
    the fault model; protected: the protected bits as the budget states them, "" for none; memory: which layers, and
    whether biases; seed: None unless the budget states its own.
    """

    model: str
    faults: str
    protected: str = ""
    memory: str = "*"
    seed: int | None = None

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits."""
        text = json.dumps([self.model, self.faults, self.protected, self.memory, self.seed])
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def file_name(self, metrics: Sequence[str]) -> str:
        """The name of the file that holds this budget's metrics: for people, and made unique by the digest."""
        count = re.fullmatch(r"FlipCount\(n_faults=(\d+)\)", self.faults)
        parts = [self.model, f"{count[1]} flips" if count else self.faults, self.protected]
        return f"{_slug(' '.join(parts))[:60]}-{self.digest}.{_slug(' '.join(sorted(metrics)))[:40]}.json"


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredMetric:
    """One metric of a campaign.

    mean: over all its trials; values: (kept,) float64, those of the first trials; identity: the digest of all that
    they depend on, as the store keys them, "" where nobody knows it.
    """

    better: Direction
    bounds: tuple[float, float] | None
    golden: float
    mean: float
    undefined: int
    values: Values
    identity: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredCampaign:
    """A campaign's results, trial by trial, with all that decides what they may be compared with.

    trials: how many were measured; `kept` of them, the first ones, are here one by one. faults: (kept,) uint8, the
    first byte of the digest of each trial's faults, before protection; it tells whether two campaigns drew the same
    faults, of which equal seeds and layouts are no proof; 0 where nothing is drawn by chance. data: see `summary_of`.
    is_exact: nothing was left to chance, so what the trials say is exact.
    """

    identity: BudgetIdentity
    seed: int
    layout_digest: str
    content_digest: str
    n_samples: int
    data: tuple[DataPart, ...]
    trials: int
    is_exact: bool
    faults: NDArray[np.uint8]
    metrics: Mapping[str, MeasuredMetric]

    @property
    def kept(self) -> int:
        """How many trials are here one by one."""
        return int(self.faults.size)

    @property
    def file_name(self) -> str:
        """The name of the file that this belongs into."""
        return self.identity.file_name(list(self.metrics))

    def __repr__(self) -> str:
        means = ", ".join(f"{name} mean {metric.mean:.6g}" for name, metric in self.metrics.items())
        return f"<MeasuredCampaign of {self.trials:,} trials: {means}>"

    @classmethod
    def of(
        cls,
        result: CampaignResult,
        identity: BudgetIdentity,
        data: Sequence[DataPart] = (),
        identities: Mapping[str, str] = MappingProxyType({}),
    ) -> MeasuredCampaign:
        """What a campaign measured.

        data: `summary_of` the inputs and targets; () where they are not known. identities: of the metrics, those known.
        """
        setting, n = result.setting, len(result)
        faults = np.zeros(n, np.uint8)
        if not result.is_exact:
            faults[:] = [int(setting.draw(trial).faults.digest[:2], 16) for trial in range(n)]
        return cls(
            identity,
            int(setting.seed),
            setting.space.layout_digest,
            setting.space.content_digest,
            int(setting.n_samples),
            tuple(data),
            len(result),
            result.is_exact,
            _read_only(faults),
            {
                name: MeasuredMetric(
                    one.better,
                    one.bounds,
                    float(one.golden.value),
                    asymptotic_mean(one.values).best,
                    int(one.undefined.sum()),
                    _read_only(one.values.astype(np.float64)),
                    identities.get(name, ""),
                )
                for name, one in result.by_metric.items()
            },
        )

    def first(self, n: int) -> MeasuredCampaign:
        """The same with at most the first n trials kept one by one; means are those of all trials."""
        metrics = {name: replace(metric, values=_read_only(metric.values[:n])) for name, metric in self.metrics.items()}
        return replace(self, faults=_read_only(self.faults[:n]), metrics=metrics)

    def to_plain(self, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
        """What JSON can hold, at most `most_bytes` of it as `to_json` writes it; `from_plain` reads it.

        Values are kept exactly (float64). Where all trials do not fit, those at the end are dropped, and `dropped`
        says how many; the means are those of all trials. InputError where not even a file without trials fits.
        """
        n, content = self.kept, _plain(self)
        while (size := len(_text(content))) > most_bytes:
            if n == 0:
                raise InputError(f"a budget of {len(self.metrics)} metrics does not fit into {most_bytes:,} bytes")
            n = min(n - 1, int(0.98 * n * most_bytes / size)) if n > 50 else n - 1
            content = _plain(self.first(n))
        return content

    def to_json(self, most_bytes: int = MOST_BYTES) -> str:
        """The text of the file; see `to_plain`."""
        return _text(self.to_plain(most_bytes))

    @classmethod
    def from_json(cls, text: str, name: str = "the baseline") -> MeasuredCampaign:
        """What `to_json` wrote. InputError, naming `name`, for a text that is damaged, edited or something else."""
        try:
            content = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            conflict = "; a merge left conflict markers" if "<<<<<<<" in text else ""
            raise InputError(f"{name} is no JSON ({error}){conflict}; {_REMEDY}") from None
        return cls.from_plain(content, name)

    @classmethod
    def from_plain(cls, content: Any, name: str = "the baseline") -> MeasuredCampaign:
        """What `to_plain` gave; InputError as `from_json`."""
        schema = content.get("schema") if isinstance(content, dict) else None
        if schema != SCHEMA:
            what = f"has schema {schema!r}" if isinstance(schema, str) else "states no schema"
            raise InputError(f"{name} {what}; this version reads {SCHEMA!r}; {_REMEDY}")
        if content.get("checksum") != _checksum(content):
            raise InputError(f"{name} is damaged, or was edited by hand: its checksum is wrong; {_REMEDY}")
        try:
            return _restored(content)
        except (KeyError, TypeError, ValueError, AttributeError, zlib.error, binascii.Error) as error:
            raise InputError(f"{name} is no {SCHEMA} ({type(error).__name__}: {error}); {_REMEDY}") from None


_REMEDY = "write it again with pytest --fkeras-baseline=DIR --fkeras-baseline-update"


def summary_of(data: Any) -> tuple[DataPart, ...]:
    """What tells every array in `data` from others, in any nesting of tuples, lists and dicts.

    Shape and type, mean, standard deviation, and a projection on a fixed random direction, which sees an order that
    changed, as of labels. Unlike a digest these stay the same where another machine computes the last digits of the
    data differently; they are 0 for what is no numbers.
    """
    if isinstance(data, Mapping):
        return tuple(part for key in sorted(data) for part in summary_of(data[key]))
    if isinstance(data, tuple) or (isinstance(data, list) and data and np.ndim(data[0]) > 0):
        return tuple(part for one in data for part in summary_of(one))
    array = np.asarray(data)
    text = f"{'x'.join(map(str, array.shape)) or 'one'} {array.dtype}"
    if array.dtype.kind not in "buif" or array.size == 0:
        return ((text, 0.0, 0.0, 0.0),)
    is_finite = np.isfinite(array)
    finite = array if is_finite.all() else array[is_finite]
    if not finite.size:
        return ((text, 0.0, 0.0, 0.0),)
    mean, deviation = float(finite.mean(dtype=np.float64)), float(finite.std(dtype=np.float64))
    return ((text, mean, deviation, _projection(np.where(is_finite, array, 0).ravel())),)


def _projection(values: NDArray[Any]) -> float:
    """The sum of the values, each times its place's number in [-0.5, 0.5), over the root of how many there are.

    The raw output of Philox is the same on every machine and in every version of numpy.
    """
    numbers, total = np.random.Philox(key=0), 0.0
    for start in range(0, values.size, _AT_ONCE):
        part = values[start : start + _AT_ONCE].astype(np.float64)
        total += float(np.dot(part, numbers.random_raw(part.size) / 2.0**64 - 0.5))
    return total / math.sqrt(values.size)


def same_data(a: Sequence[DataPart], b: Sequence[DataPart]) -> bool:
    """Whether two summaries may be of the same data, to a millionth; () is unknown and agrees with any."""
    if not a or not b:
        return True
    return len(a) == len(b) and all(_same_part(one, other) for one, other in zip(a, b, strict=True))


def _same_part(one: DataPart, other: DataPart) -> bool:
    numbers, others = one[1:], other[1:]
    most = _DATA_TOLERANCE * max(map(abs, (*numbers, *others)))
    return one[0] == other[0] and all(abs(x - y) <= most for x, y in zip(numbers, others, strict=True))


def _plain(measured: MeasuredCampaign) -> dict[str, Any]:
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "budget": measured.identity,
        "metrics": {name: _without_values(metric) for name, metric in measured.metrics.items()},
        "trials": measured.trials,
        "is_exact": measured.is_exact,
        "kept": measured.kept,
        "dropped": measured.trials - measured.kept,
        "seed": measured.seed,
        "layout": measured.layout_digest,
        "content": measured.content_digest,
        "n_samples": measured.n_samples,
        "data": measured.data,
        "values": _packed(measured),
    }
    content = plain(content)
    return {**content, "checksum": _checksum(content)}


def _without_values(metric: MeasuredMetric) -> dict[str, Any]:
    return {name: value for name, value in plain(metric).items() if name != "values"}


def _packed(measured: MeasuredCampaign) -> str:
    """The first bytes of the fault digests, then each metric's values, byte by byte: equal exponents lie together."""
    columns = [measured.faults.tobytes()]
    for one in measured.metrics.values():
        columns.append(one.values.astype("<f8").view(np.uint8).reshape(-1, 8).T.tobytes())
    return base64.b64encode(zlib.compress(b"".join(columns), 9)).decode()


def _restored(content: dict[str, Any]) -> MeasuredCampaign:
    counts = [restored(int, content[name]) for name in ("kept", "trials", "n_samples")]
    counts += [restored(int, metric["undefined"]) for metric in content["metrics"].values()]
    if min(counts) < 0:
        raise ValueError(f"{min(counts)} is no count")
    kept, trials, n_samples = counts[:3]
    if not (kept <= trials <= _MOST_TRIALS and content["metrics"]):
        raise ValueError(f"{kept} of {trials} trials of {len(content['metrics'])} metrics")
    size = kept * (1 + 8 * len(content["metrics"]))
    unpacked = zlib.decompressobj()
    packed = unpacked.decompress(base64.b64decode(content["values"], validate=True), size + 1)
    if len(packed) != size or not unpacked.eof:
        raise ValueError(f"{len(packed):,} bytes of values where {size:,} belong")
    metrics = {}
    for number, (name, metric) in enumerate(content["metrics"].items()):
        start = kept * (1 + 8 * number)
        columns = np.frombuffer(packed[start : start + 8 * kept], np.uint8).reshape(8, kept).T
        values = np.ascontiguousarray(columns).view("<f8").reshape(kept).astype(np.float64)
        if np.isnan(values).any():
            raise ValueError(f"{name}: NaN among the values")
        metrics[name] = restored(MeasuredMetric, {**metric, "values": _read_only(values)})
    return MeasuredCampaign(
        restored(BudgetIdentity, content["budget"]),
        restored(int, content["seed"]),
        restored(str, content["layout"]),
        restored(str, content["content"]),
        n_samples,
        restored(tuple[DataPart, ...], content["data"]),
        trials,
        restored(bool, content["is_exact"]),
        _read_only(np.frombuffer(packed[:kept], np.uint8)),
        metrics,
    )


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _checksum(content: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
