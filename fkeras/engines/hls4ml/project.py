"""A user's hls4ml configuration: a dict, a YAML file, or a project directory with its reports."""

from __future__ import annotations

import copy
import glob
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fkeras.errors import InputError

YAML_NAME = "hls4ml_config.yml"
EMULATED = ("Vivado", "Vitis", "VivadoAccelerator", "VitisAccelerator", "VitisUnified")
"""Backends whose C++ uses the fixed-point types that the emulation reads and writes."""
READ = (*EMULATED, "Libero", "Catapult")
"""Backends whose words, order and storage are read: these have C++ types of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class Project:
    """What a user tells hls4ml. config: the whole configuration; directory: of the project, where there is one."""

    name: str
    config: Mapping[str, Any]
    directory: Path | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of what decides words and arithmetic."""
        content = {key: self.config.get(key) for key in ("Backend", "IOType", "HLSConfig")}
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()

    def reports(self) -> Mapping[str, Any]:
        """hls4ml's own reading of the synthesis reports; empty where the project was not synthesized."""
        if self.directory is not None and self.config.get("Backend") == "Catapult":
            return _catapult_reports(self.directory, self.config)
        is_libero = self.config.get("Backend") == "Libero"
        reports = "hls_output/reports/summary.results.rpt" if is_libero else "*_prj/solution*/syn/report"
        if self.directory is None or not any(self.directory.glob(reports)):
            return {}
        from fkeras.engines.hls4ml.setup import hls4ml, quiet

        with quiet():
            report = hls4ml().report
            parse = report.parse_libero_report if is_libero else report.parse_vivado_report
            return dict(parse(str(self.directory)) or {})


def _catapult_reports(directory: Path, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Cycles and area in Catapult's newest report; hls4ml 1.3 cannot read back the YAML that it writes for it."""
    name = config.get("ProjectName", "myproject")
    solutions = glob.escape(str(config.get("ProjectDir") or f"{name}_prj")), glob.escape(str(name))
    paths = directory.glob("{}*/{}.v*/rtl.rpt".format(*solutions))
    newest = max(paths, key=lambda path: [_numbers(part) for part in path.parts[-3:-1]], default=None)
    if newest is None:
        return {}
    text = newest.read_text(errors="replace")
    cycles = re.search(r"^ *Design Total: +\d+ +(\d+) +(\d+)", text, re.MULTILINE)
    area = re.search(r"^ *Total Area Score:(?: +[\d.]+){2} +([\d.]+)", text, re.MULTILINE)
    if cycles is None or area is None:
        raise InputError(
            f"{newest}: has no line 'Design Total:' with cycles and 'Total Area Score:' with areas, as Catapult writes "
            "it: cut short, or of another version; take it away to go on without"
        )
    numbers = {"Latency": cycles[1], "Throughput": cycles[2], "Total Area Score": area[1]}
    return {str(newest.relative_to(directory)): numbers}


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", name)]


def read_project(source: str | os.PathLike[str] | Mapping[str, Any]) -> Project:
    """The configuration in a project directory or YAML file of hls4ml, or given as a dict.

    InputError for what is no such thing, and for a backend whose emulation is not supported.
    """
    if isinstance(source, Mapping):
        return _checked(Project("given configuration", copy.deepcopy(dict(source))))
    path = Path(source)
    file = path / YAML_NAME if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            f"{file} does not exist (looked in {Path.cwd()}); name the YAML file of an hls4ml configuration, or the "
            f"directory of a project that hls4ml wrote, which holds {YAML_NAME}"
        )
    return _checked(Project(str(source), _read_yaml(file), file.parent))


def require_emulated(project: Project) -> None:
    """InputError for a project that can be read, but not run."""
    backend = project.config["Backend"]
    if backend not in EMULATED:
        raise InputError(
            f"{project.name}: backend {backend}; fkeras runs the emulation of {', '.join(EMULATED)} only: set Backend "
            "to one of them (the arithmetic of a configuration is the same); words, order and storage are read as they "
            "are"
        )


def _one_of(names: tuple[str, ...], name: str) -> str | None:
    return next((known for known in names if known.lower() == name.lower()), None)


def _checked(project: Project) -> Project:
    config = dict(project.config)
    if "HLSConfig" not in config and "Model" in config:
        config = {"HLSConfig": config}
    hls = config.get("HLSConfig")
    if not isinstance(hls, Mapping) or not isinstance(hls.get("Model"), Mapping):
        raise InputError(
            f"{project.name}: is no hls4ml configuration; it has the keys {', '.join(map(str, config)) or 'none'}, and "
            "needs HLSConfig with Model, as hls4ml writes it"
        )
    if "Precision" not in hls["Model"]:
        raise InputError(
            f"{project.name}: HLSConfig/Model states no Precision; hls4ml needs one, such as 'fixed<16,6>'"
        )
    backend = _one_of(READ, str(config.setdefault("Backend", "Vivado")))
    if backend is None:
        raise InputError(
            f"{project.name}: backend {config['Backend']}; fkeras reads projects of {', '.join(READ)}: set Backend to "
            "one of them for the check (the arithmetic of a configuration is the same)"
        )
    emulated = "Vivado" if "Vivado" in backend else "Vitis"
    config["Backend"] = emulated if backend in EMULATED else backend
    return Project(project.name, config, project.directory)


def _read_yaml(file: Path) -> dict[str, Any]:
    """The YAML without the model that hls4ml stores in it, which is never unpacked."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Reads plain data; anything else becomes None."""

    Loader.add_multi_constructor("", lambda loader, suffix, node: None)
    try:
        content = yaml.load(file.read_text(), Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{file}: cannot be read as YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(content, dict):
        raise InputError(f"{file}: is no hls4ml configuration; it holds {type(content).__name__}, not keys")
    return {key: value for key, value in content.items() if key != "KerasModel"}
