"""Engines by name, and what they measure on."""

from __future__ import annotations

from typing import Any

from fkeras.engines.hls4ml.project import read_project
from fkeras.errors import Argument, InputError
from fkeras.metrics.inputs import refuse_masked

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
