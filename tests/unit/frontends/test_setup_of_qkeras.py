"""A package called qkeras that is not QKeras is one message, with the line that heals it."""

from __future__ import annotations

import base64
import hashlib
import shutil
import sys

import pytest

from fkeras.errors import EnvironmentSetupError, MissingExtraError
from fkeras.frontends.qkeras.setup import require_qkeras

OURS, THEIRS = b"__version__ = '0.9.0'", b"import keras"
EVERYTHING = "pip install 'pytest-fkeras[qkeras]'"
QKERAS = "pip install qkeras==0.9.0 tf-keras~=2.18.0 pyparsing"
AGAIN = "pip install --force-reinstall --no-deps qkeras==0.9.0"


def install(folder, name, content, version="0.9.0", files=("qkeras/__init__.py",)):
    """What pip would leave of a distribution that holds a few files."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    for file in files:
        (folder / file).parent.mkdir(exist_ok=True, parents=True)
        (folder / file).write_bytes(content)
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{file},sha256={digest},{len(content)}\n" for file in files))


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of packages that is the only one, with a TensorFlow in it."""
    for name in [name for name in sys.modules if name.split(".")[0] == "qkeras" or name == "tensorflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "user"), str(tmp_path / "site")])
    (tmp_path / "user").mkdir()
    install(tmp_path / "site", "tensorflow_cpu", b"", "2.18.1", ["tensorflow/__init__.py"])
    return tmp_path / "site"


def refusal(kind=EnvironmentSetupError):
    with pytest.raises(kind) as error:
        require_qkeras()
    return str(error.value)


def test_qkeras_as_it_was_installed(site):
    install(site, "QKeras", OURS)
    require_qkeras()


@pytest.mark.parametrize("name", ["HGQ2", "qkeras-v3"])
def test_files_that_another_package_replaced(site, name):
    install(site, "QKeras", OURS)
    install(site, name, THEIRS)
    line = f"pip uninstall --yes {name} && {QKERAS} && {AGAIN}; or give {name} an environment of its own"
    assert refusal().endswith(f"/__init__.py is not what was installed, but that of {name}: {line}")
    install(site, "QKeras", OURS)
    require_qkeras()


def test_a_folder_of_another_package_that_hides_a_module(site):
    """HGQ2 first and QKeras after it: all files are QKeras', and `qkeras.qlayers` is HGQ2's."""
    install(site, "HGQ2", THEIRS, files=["qkeras/qlayers/__init__.py"])
    install(site, "QKeras", OURS, files=["qkeras/__init__.py", "qkeras/qlayers.py"])
    assert (
        f"qkeras/qlayers is not what was installed, but that of HGQ2: pip uninstall --yes HGQ2 && {QKERAS}" in refusal()
    )


def test_a_changed_file(site):
    install(site, "QKeras", OURS)
    (site / "qkeras" / "__init__.py").write_text("")
    line = f"but a changed or a private one: {QKERAS} && {AGAIN}"
    assert refusal().endswith(f"qkeras/__init__.py is not what was installed, {line}")


def test_another_version(site):
    install(site, "QKeras", OURS, version="0.8.0")
    assert refusal() == f"QKeras 0.8.0 is installed, and the words of 0.9.0 are known: {QKERAS}"


def test_another_package_alone(site):
    install(site, "HGQ2", THEIRS)
    message = refusal()
    assert f"is that of HGQ2, not QKeras: pip uninstall --yes HGQ2 && {QKERAS}; or give HGQ2 an" in message
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
    assert refusal(MissingExtraError) == f"QKeras is not installed: {QKERAS}"
    shutil.rmtree(site / "tensorflow")
    assert (
        refusal(MissingExtraError)
        == f"models need TensorFlow and QKeras, and TensorFlow is not installed: {EVERYTHING}"
    )
