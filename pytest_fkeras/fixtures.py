"""The fixtures. A project overrides fkeras_model, fkeras_data and fkeras_metrics; the others follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_fkeras.baseline import GATE, against_baseline, budget_identity, find, find_any
from pytest_fkeras.collection import budget_of
from pytest_fkeras.evaluation import MetricUnderFaults, as_faults
from pytest_fkeras.gate import AGAINST, CAMPAIGN
from pytest_fkeras.names import NAME
from pytest_fkeras.options import Options
from pytest_fkeras.places import ini_folder

if TYPE_CHECKING:
    from fkeras.campaigns.measured import Measured
    from fkeras.faults import FaultSet
    from fkeras.memory import BitSpace
    from fkeras.sensitivity import Ranking
    from fkeras.study import Study
    from pytest_fkeras.campaign import FaultCampaign

OPTIONS = pytest.StashKey[Options]()
SOURCES = ("fkeras_model", "fkeras_data", "fkeras_metrics")

_WRITE_MODEL = """fkeras does not know which model to test; write in conftest.py

    import fkeras, pytest

    @pytest.fixture(scope="session")
    def fkeras_model():
        return fkeras.load_model("model.h5")

or in the ini file: fkeras_model = model.h5"""
_WRITE_DATA = """fkeras does not know which data to evaluate; write in conftest.py

    import numpy, pytest

    @pytest.fixture(scope="session")
    def fkeras_data():
        return numpy.load("x.npy"), numpy.load("y.npy")     # inputs, targets

or in the ini file: fkeras_data = data.npz (arrays x and y)"""


@pytest.fixture(scope="session")
def fkeras_model(pytestconfig: pytest.Config) -> Any:
    """The model under test, or its path; override it in conftest.py, or name a file in the ini option fkeras_model."""
    return _named_file(pytestconfig, "fkeras_model", _WRITE_MODEL)


@pytest.fixture(scope="session")
def fkeras_data(pytestconfig: pytest.Config) -> tuple[Any, Any]:
    """Inputs and targets (x, y); override it in conftest.py, or name a npz file in the ini option fkeras_data."""
    path = _named_file(pytestconfig, "fkeras_data", _WRITE_DATA)
    from fkeras.errors import InputError
    from fkeras.npz import ANY_KIND, read_data

    try:
        return read_data(path, ANY_KIND)
    except InputError as error:
        raise pytest.UsageError(f"the ini option fkeras_data: {error}") from error


@pytest.fixture(scope="session")
def fkeras_metrics(pytestconfig: pytest.Config) -> Mapping[str, Any]:
    """Metrics by the names that limits use; accuracy, mispredictions and mean_squared_error exist anyway."""
    return {name: name for name in (pytestconfig.getini("fkeras_metrics") or "").replace(",", " ").split()}


@pytest.fixture(scope="session")
def resilience(
    request: pytest.FixtureRequest, fkeras_model: Any, fkeras_data: Any, fkeras_metrics: Mapping[str, Any]
) -> Study:
    """The model under test with its data, a `fkeras.Study`: `.rank()`, `.oracle()`, `.campaign()` ... by hand."""
    from pytest_fkeras.resilience import resilience_of

    return resilience_of(request.session, request.config.stash[OPTIONS], fkeras_model, fkeras_data, fkeras_metrics)


@pytest.fixture(scope="session")
def fault_space(resilience: Study) -> BitSpace:
    """The stored bits of the model under test."""
    return resilience.space


@pytest.fixture(scope="session")
def fkeras_ranking(resilience: Study) -> Ranking:
    """The bits of the model under test, most sensitive first."""
    return resilience.rank()


@pytest.fixture(scope="session")
def fault_injector(resilience: Study) -> Callable[[Any], AbstractContextManager[Any]]:
    """`with fault_injector(faults) as faulty:` a faulty view of the model under test.

    faults: a FaultSet, its text, or flat indices to flip. The model's weights are compared when the block ends.
    """

    def inject(faults: FaultSet | str | Any) -> AbstractContextManager[Any]:
        return _injected(resilience, faults)

    return inject


@pytest.fixture(scope="session")
def metric_under_faults(resilience: Study) -> MetricUnderFaults:
    """`metric_under_faults(faults, "emd")`: the metric with these faults in the memory; for hypothesis tests."""
    return MetricUnderFaults(resilience)


@pytest.fixture
def fkeras_campaign(
    request: pytest.FixtureRequest, fkeras_model: Any, fkeras_data: Any, fkeras_metrics: Mapping[str, Any]
) -> FaultCampaign:
    """The result of the test's fault budget."""
    from fkeras.errors import InputError, StoreError
    from pytest_fkeras.campaign import FaultCampaign
    from pytest_fkeras.resilience import resilience_of

    budget = budget_of(request.node)
    if budget is None:
        raise pytest.UsageError(
            f"fkeras_campaign is the result of a fault budget, and {request.node.name} has none; "
            f"write @{NAME}(bits=..., ...) above it"
        )
    options = request.config.stash[OPTIONS]
    under_test = resilience_of(request.session, options, fkeras_model, fkeras_data, fkeras_metrics)
    try:
        campaign = FaultCampaign(under_test, budget, options)
        campaign.prepare()
        if campaign.requirement is not None:
            request.node.stash[AGAINST] = against_baseline(request.node, campaign)
    except StoreError as error:
        raise pytest.UsageError(f"{NAME} of {request.node.name}: {error}; or do without, --fkeras-cache=off") from error
    except InputError as error:
        raise pytest.UsageError(f"{NAME} of {request.node.name}: {error}") from error
    request.node.stash[CAMPAIGN] = campaign
    return campaign


@pytest.fixture
def fkeras_baseline(request: pytest.FixtureRequest, fkeras_campaign: FaultCampaign) -> Measured | None:
    """What the test's budget measured before, from the baseline; None without one."""
    folder = request.config.stash[GATE].folder
    if folder is None:
        return None
    from fkeras.errors import InputError

    identity = budget_identity(request.node, fkeras_campaign)
    try:
        if fkeras_campaign.requirement is None:
            return find_any(folder, identity)
        return find(folder, identity, list(fkeras_campaign.longer().by_metric))
    except InputError as error:
        raise pytest.UsageError(str(error)) from None


def _named_file(config: pytest.Config, option: str, otherwise: str) -> Path:
    name = config.getini(option)
    if not name:
        raise pytest.UsageError(otherwise)
    path: Path = ini_folder(config) / name
    if not path.exists():
        raise pytest.UsageError(f"the ini option {option} names {path}, which does not exist")
    return path


@contextmanager
def _injected(resilience: Study, faults: Any) -> Iterator[Any]:
    if not callable(getattr(resilience.model, "get_weights", None)):
        raise pytest.UsageError(
            f"fault_injector writes faults into the weights of a Keras model, and fkeras_model gave a "
            f"{type(resilience.model).__name__}, which has no get_weights(); use metric_under_faults(faults, metric), "
            "which measures by the project's own hooks"
        )
    resilience.require_unchanged()
    faults = as_faults(faults, resilience.space)
    before = _weights_digest(resilience.model)
    try:
        with resilience.injected(faults) as faulty:
            yield faulty
    finally:
        if _weights_digest(resilience.model) != before:
            pytest.fail(
                "the weights of the model under test changed inside fault_injector: a faulty view is "
                "read-only, so something else wrote them (fit, set_weights, assign); use a copy of the model",
                pytrace=False,
            )


def _weights_digest(model: Any) -> str:
    import hashlib

    digest = hashlib.sha256()
    for array in model.get_weights():
        digest.update(f"{array.shape}{array.dtype}".encode() + array.tobytes())
    return digest.hexdigest()
