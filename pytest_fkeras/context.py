"""What a report is about: the project, its commit and its branch, as CI or git tell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_PLATFORMS: dict[str, dict[str, tuple[str, ...]]] = {
    "GITHUB_ACTIONS": {
        "project": ("GITHUB_REPOSITORY",),
        "commit": ("GITHUB_SHA",),
        "branch": ("GITHUB_HEAD_REF", "GITHUB_REF_NAME"),
    },
    "GITLAB_CI": {
        "project": ("CI_PROJECT_PATH",),
        "commit": ("CI_COMMIT_SHA",),
        "branch": ("CI_COMMIT_REF_NAME",),
    },
}
"""The variable that a platform sets to true -> the variables that tell, the first that is set counts."""
_PATIENCE_SECONDS = 5


def context_of(root: Path, variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`project`, `commit` and `branch`, those that are known; a commit whose files were changed since says so."""
    platform = next((names for flag, names in _PLATFORMS.items() if variables.get(flag) == "true"), {})
    told = {what: next(filter(None, map(variables.get, names)), "") for what, names in platform.items()}
    facts = {
        "project": told.get("project") or root.name,
        "commit": told.get("commit") or _commit(root),
        "branch": told.get("branch") or _git(root, "branch", "--show-current"),
    }
    return {what: fact for what, fact in facts.items() if fact}


def _commit(root: Path) -> str:
    commit = _git(root, "rev-parse", "HEAD")
    is_changed = commit and _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}, changed since" if is_changed else commit


def _git(root: Path, *words: str) -> str:
    """What git says in a folder; "" where there is no git, or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace").strip()
