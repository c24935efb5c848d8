"""The report of a whole run: what stands in the JSON file, and what every other form is made from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from fkeras.campaigns.verdict import Outcome
from fkeras.errors import InputError
from fkeras.files import require_regular_file, write_text
from fkeras.plain import plain
from fkeras.report.record import BudgetRecord

SCHEMA = "fkeras-report/1"
_MOST_DIGITS = 20
"""Of a whole number: seeds have 64 bits."""
_PACKAGES = ("pytest-fkeras", "pytest", "tensorflow", "tf-keras", "qkeras", "numpy")


@dataclass(frozen=True, slots=True)
class Report:
    """A run's budgets.

    tests: one record per budget, those that never ran included; exit_code: pytest's own, of the whole run; created:
    ISO 8601 with the zone; seed: the session's (a budget may state another); versions: by package, and python; context:
    what was tested, as far as known: project, commit, branch.
    """

    tests: tuple[BudgetRecord, ...]
    exit_code: int
    created: str
    seed: int
    versions: dict[str, str] = field(default_factory=dict)
    context: dict[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many tests have each verdict, the worst first; every verdict is a key."""
        return {outcome: sum(record.verdict == outcome for record in self.tests) for outcome in Outcome}

    def to_json(self) -> str:
        """The report as strict JSON of schema "fkeras-report/1"."""
        tests, maps = plain(self.tests), []
        for test in tests:
            if test["bit_map"] is not None:
                if test["bit_map"] not in maps:
                    maps.append(test["bit_map"])
                test["bit_map"] = maps.index(test["bit_map"])
        # In the schema's order, which is older than the one from the worst to the best.
        names = schema()["properties"]["summary"]["properties"]["verdicts"]["properties"]
        counts = {name: self.counts[Outcome(name)] for name in names}
        values = {
            "schema": SCHEMA,
            "created": self.created,
            "seed": self.seed,
            "versions": self.versions,
            "context": self.context,
            "summary": {"exit_code": self.exit_code, "tests": len(self.tests), "verdicts": counts},
            "tests": tests,
            "bit_maps": maps,
        }
        return json.dumps(values, indent=1, allow_nan=False) + "\n"

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write PATH, complete or not at all."""
        write_text(path, self.to_json())


def new_report(
    tests: Sequence[BudgetRecord], exit_code: int, seed: int, context: Mapping[str, str] = MappingProxyType({})
) -> Report:
    """A report made now, on this machine."""
    import platform
    from datetime import UTC, datetime

    versions = {"python": platform.python_version(), **{name: package_version(name) for name in _PACKAGES}}
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Report(tuple(tests), int(exit_code), created, seed, versions, dict(context))


def package_version(name: str) -> str:
    """The installed version, without importing the package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def read_report(path: str | os.PathLike[str]) -> Report:
    """The report in a JSON file. InputError for a missing file, and for one that is no report, saying where."""
    source = Path(path)
    try:
        require_regular_file(source, "report")
        text = source.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{source} cannot be read ({error}); a report is written by pytest --fkeras-json") from None
    try:
        values = json.loads(text, parse_constant=_no_constant, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} is no JSON ({error}); a report is written by pytest --fkeras-json") from None
    check(values, str(source))
    for number, one in enumerate(values.get("bit_maps", ())):
        pairs = [(len(tensor["mean"]), len(tensor["largest"])) for tensor in one["tensors"]]
        if any(a != b for a, b in pairs) or len({len(row) for row in one["picture"]}) > 1:
            raise InputError(
                f"{source}: bit map {number} has rows of several lengths; write it again with --fkeras-json"
            )
    maps = dict(enumerate(values.get("bit_maps", ())))
    for test in values["tests"]:
        test["bit_map"] = maps.get(test.get("bit_map"))
    try:
        tests = tuple(BudgetRecord.from_plain(test) for test in values["tests"])
    except (InputError, TypeError, ValueError) as error:
        raise InputError(f"{source}: {error}; write it again with --fkeras-json") from None
    names = ("created", "seed", "versions")
    about = {name: values[name] for name in names}
    return Report(tests, values["summary"]["exit_code"], **about, context=values.get("context", {}))


def check(values: Any, name: str) -> None:
    """InputError unless `values` follow the JSON Schema; `name` says whose they are."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    found = values.get("schema") if isinstance(values, dict) else None
    if found != SCHEMA:
        what = f"has schema {found!r}" if isinstance(found, str) else "states no schema"
        raise InputError(f"{name} {what}; this version reads {SCHEMA!r}, as written by pytest --fkeras-json")
    error = best_match(Draft202012Validator(schema()).iter_errors(values))
    if error is not None:
        message = error.message if len(error.message) < 200 else f"{error.message[:200]}..."
        raise InputError(f"{name} is no {SCHEMA}: {error.json_path}: {message}; write it again with --fkeras-json")


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of reports."""
    text = files("fkeras.report").joinpath("schema", "fkeras-report-1.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"{digits[:_MOST_DIGITS]}... is no count")
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
