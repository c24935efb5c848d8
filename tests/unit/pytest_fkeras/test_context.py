"""What a report is about: CI knows best, then git, then the folder's name; and no git is no error."""

from __future__ import annotations

import subprocess

import pytest

from pytest_fkeras.context import context_of

GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "beam/line", "GITHUB_SHA": "abc", "GITHUB_REF_NAME": "7/merge"}
GITLAB = {"GITLAB_CI": "true", "CI_PROJECT_PATH": "lab/net", "CI_COMMIT_SHA": "def", "CI_COMMIT_REF_NAME": "main"}


@pytest.mark.parametrize(
    ("variables", "context"),
    [
        (GITHUB, {"project": "beam/line", "commit": "abc", "branch": "7/merge"}),
        (GITHUB | {"GITHUB_HEAD_REF": "fix"}, {"project": "beam/line", "commit": "abc", "branch": "fix"}),
        (GITLAB, {"project": "lab/net", "commit": "def", "branch": "main"}),
        (GITLAB | {"CI_COMMIT_REF_NAME": "fix"}, {"project": "lab/net", "commit": "def", "branch": "fix"}),
        ({name: value for name, value in GITHUB.items() if name != "GITHUB_ACTIONS"}, {"project": "net"}),
        (GITHUB | {"GITHUB_ACTIONS": "false"}, {"project": "net"}),
        ({"GITLAB_CI": "true", "CI_PROJECT_PATH": ""}, {"project": "net"}),
    ],
)
def test_ci_tells(tmp_path, variables, context):
    (tmp_path / "net").mkdir()
    assert context_of(tmp_path / "net", variables) == context


def test_git_tells(tmp_path):
    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@x", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    git("init", "-q", "-b", "trunk")
    assert context_of(tmp_path, {}) == {"project": tmp_path.name, "branch": "trunk"}
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-q", "-m", "one")
    commit = git("rev-parse", "HEAD").strip()
    (tmp_path / "untracked").write_text("1")
    assert context_of(tmp_path, {}) == {"project": tmp_path.name, "commit": commit, "branch": "trunk"}
    (tmp_path / "a").write_text("2")
    assert context_of(tmp_path, {})["commit"] == f"{commit}, changed since"


def test_without_git_there_is_a_name(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert context_of(tmp_path, {}) == {"project": tmp_path.name}
