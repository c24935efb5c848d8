"""The environments that users have, and the tests that must pass in each: `make matrix`.

One of them: `nox --session hls4ml`, with pytest's own arguments behind `--`.
"""

from __future__ import annotations

from importlib.metadata import version

import nox

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "venv"

TOOLS = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "test")
FRONT_END = (
    "tests/tf",
    "--ignore=tests/tf/test_fuzzed_models.py",  # damaged files are Python's and HDF5's business
    "tests/truth/test_derivatives_against_finite_differences.py",
    "tests/truth/test_measured_ground_truth.py",
)
"""What a release of TensorFlow, of its Keras or of numpy could break."""


def prepare(session: nox.Session, *requirements: str, **releases: str) -> None:
    """Install requirements as a user does, with the tests' tools, and make sure that pip chose these releases."""
    session.install("--upgrade", "pip>=25.1")
    session.install(*requirements, *TOOLS)
    for name, release in releases.items():
        program = f"from importlib.metadata import version; print(version({name!r}))"
        chosen = str(session.run_install("python", "-c", program, silent=True)).strip()
        session.log(f"{name} {chosen}")
        if not f"{chosen}.".startswith(f"{release}."):
            session.error(f"pip chose {name} {chosen}; this environment is about {release}")


def check(session: nox.Session, *tests: str) -> None:
    """Run tests on two processes."""
    session.run("pytest", "-n", "2", "--dist", "worksteal", *tests, *session.posargs)


@nox.session
def qkeras(session: nox.Session) -> None:
    """The extra alone, and the GPU engine against the framework, on JAX's CPU backend.

    On the releases of `make test`, which runs the rest of the front end's tests.
    """
    here = [f"{name}=={version(name)}" for name in ("tensorflow", "tf-keras", "keras", "numpy")]
    prepare(session, ".[qkeras,gpu,xdist]", *here, qkeras="0.9.0", numpy="2")
    session.env["JAX_PLATFORMS"] = "cpu"
    check(session, *("tests/tf/test_engines_agree.py", "tests/tf/test_setup.py", "tests/tf/test_files_of_users.py"))


@nox.session
def hls4ml(session: nox.Session) -> None:
    """hls4ml's own environment for QKeras: TensorFlow 2.14, whose Keras is Keras 2, and numpy 1.26."""
    releases = {"hls4ml": "1.3", "tensorflow": "2.14", "keras": "2.14", "numpy": "1.26"}
    prepare(session, "hls4ml[qkeras]", ".[dask,plot,xdist]", **releases)
    check(session, *FRONT_END, "tests/hls4ml/test_agreement.py")
    session.run("pytest", "-c", "example_project/pyproject.toml", "example_project", "-p", "no:cacheprovider")


@nox.session
def light(session: nox.Session) -> None:
    """No framework at all: what is left works, and all of it on a network file, here, on workers, on Dask, in shards
    (`tests/architecture/test_without_a_framework.py`)."""
    prepare(session, ".[dask,plot,xdist]", numpy="2")
    simulations = "--ignore=tests/unit/campaigns/test_comparison_by_simulation.py"  # of numbers alone
    check(session, "tests/architecture", "tests/properties", "tests/unit", simulations)


@nox.session
def gpu(session: nox.Session) -> None:
    """The GPU engine, on JAX's CPU backend."""
    prepare(session, ".[gpu,xdist]", numpy="2")
    session.env["JAX_PLATFORMS"] = "cpu"
    check(session, "tests/unit/engines/gpu")


@nox.session
def keras3(session: nox.Session) -> None:
    """QKeras on Keras 3."""
    prepare(session, ".[keras3,xdist]", keras="3")
    check(session, "-rs", "tests/keras3/test_qkeras3.py")


@nox.session
def hgq2(session: nox.Session) -> None:
    """HGQ2, and hls4ml beside it."""
    prepare(session, ".[hgq2,xdist]", "hls4ml>=1.3,<1.4", "jax", HGQ2="0.2", hls4ml="1.3", keras="3")
    check(session, "-rs", "tests/keras3")
    example = "example_project/tests/digits_hgq"
    session.run("pytest", "-c", "example_project/pyproject.toml", example, "-p", "no:cacheprovider")
    session.env["KERAS_BACKEND"] = "jax"
    check(session, "-rs", "tests/keras3/test_framework.py")
