"""A package called qkeras that is not QKeras is one message, with the line that heals it."""

from __future__ import annotations

import base64
import hashlib
import sys

import pytest

from fkeras.errors import EnvironmentSetupError
from fkeras.frontends.qkeras.setup import require_qkeras

OURS, THEIRS = b"__version__ = '0.9.0'", b"import keras"
HEAL = r"pip install --force-reinstall --no-deps qkeras==0\.9\.0, or give .* an environment of its own"


def install(folder, name, content):
    """What pip would leave of a distribution that holds one file, qkeras/__init__.py."""
    (folder / "qkeras").mkdir(exist_ok=True, parents=True)
    (folder / "qkeras" / "__init__.py").write_bytes(content)
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    info = folder / f"{name}-0.9.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.9.0\n")
    (info / "RECORD").write_text(f"qkeras/__init__.py,sha256={digest},{len(content)}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of packages that is the only one."""
    for name in [name for name in sys.modules if name.split(".")[0] == "qkeras"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "user"), str(tmp_path / "site")])
    (tmp_path / "user").mkdir()
    return tmp_path / "site"


def refusal():
    with pytest.raises(EnvironmentSetupError) as error:
        require_qkeras()
    return str(error.value)


def test_qkeras_as_it_was_installed(site):
    install(site, "QKeras", OURS)
    require_qkeras()


@pytest.mark.parametrize("name", ["HGQ2", "qkeras-v3"])
def test_files_that_another_package_replaced(site, name):
    install(site, "QKeras", OURS)
    install(site, name, THEIRS)
    with pytest.raises(EnvironmentSetupError, match=rf"is not what was installed, but that of {name}: {HEAL}"):
        require_qkeras()
    install(site, "QKeras", OURS)  # the remedy, which leaves the other package's traces
    require_qkeras()


def test_another_package_alone(site):
    install(site, "HGQ2", THEIRS)
    message = refusal()
    assert "is that of HGQ2, not QKeras: pip install qkeras==0.9.0" in message
    assert str(site / "qkeras" / "__init__.py") in message


@pytest.mark.parametrize("file", ["qkeras.py", "qkeras/__init__.py"])
def test_a_file_of_the_user_in_front(site, file):
    install(site, "QKeras", OURS)
    mine = site.parent / "user" / file
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("")
    assert f"`import qkeras` finds {mine} before the QKeras that is installed in {site / 'qkeras'}: rename" in refusal()
    mine.unlink()
    require_qkeras() if file == "qkeras.py" else None


def test_nothing_at_all(site):
    assert refusal() == "QKeras is not installed: pip install qkeras==0.9.0"
