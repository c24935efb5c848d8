"""The fixtures. A project overrides fkeras_model, fkeras_data and fkeras_metrics; the others follow from them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_fkeras.budget_identity import budget_identity, visible
from pytest_fkeras.collection import NAME, budget_of
from pytest_fkeras.options import stated
from pytest_fkeras.session import SESSION, state_of

if TYPE_CHECKING:
    from fkeras.campaigns.measured_campaign import MeasuredCampaign
    from fkeras.engines.hls4ml.agreement import Agreement
    from fkeras.faults import FaultSet
    from fkeras.memory import BitSpace
    from fkeras.runs.remembering import RememberingRun
    from fkeras.sensitivity import Ranking
    from fkeras.study import Study
    from pytest_fkeras.campaign import FaultCampaign

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
    return _named_file(pytestconfig, "model", _WRITE_MODEL)


@pytest.fixture(scope="session")
def fkeras_data(pytestconfig: pytest.Config) -> tuple[Any, Any]:
    """Inputs and targets (x, y); override it in conftest.py, or name a npz file in the ini option fkeras_data."""
    path = _named_file(pytestconfig, "data", _WRITE_DATA)
    from fkeras.errors import InputError
    from fkeras.npz import ANY_KIND, read_data

    try:
        return read_data(path, ANY_KIND)
    except InputError as error:
        raise pytest.UsageError(f"the ini option fkeras_data: {error}") from error


@pytest.fixture(scope="session")
def fkeras_metrics(pytestconfig: pytest.Config) -> Mapping[str, Any]:
    """Metrics by the names that limits use; accuracy, mispredictions and mean_squared_error exist anyway."""
    names = stated(pytestconfig, "metrics")
    return {} if names is None else {name: name for name in names.text.replace(",", " ").split()}


@pytest.fixture(scope="session")
def resilience(
    request: pytest.FixtureRequest, fkeras_model: Any, fkeras_data: Any, fkeras_metrics: Mapping[str, Any]
) -> Study:
    """The model under test with its data, a `fkeras.Study`: `.rank()`, `.oracle()`, `.campaign()` ... by hand."""
    from pytest_fkeras.resilience import resilience_of

    return resilience_of(request.config.stash[SESSION], fkeras_model, fkeras_data, fkeras_metrics)


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
    return partial(_injected, resilience)


class MetricUnderFaults:
    """The `metric_under_faults` fixture: `metric_under_faults(faults)`, or `metric_under_faults(faults, "emd")`.

    faults: a FaultSet, its text, or flat indices to flip. Each fault set is measured once. In a hypothesis test the
    search is led towards more damage.
    """

    def __init__(self, resilience: Study) -> None:
        self._resilience = resilience
        self._runs: dict[str, RememberingRun] = {}

    def __call__(self, faults: FaultSet | str | Any, metric: str | None = None) -> float:
        from fkeras.runs.remembering import RememberingRun

        name = self._resilience.which(metric)
        self._resilience.require_unchanged()
        if name not in self._runs:
            self._runs[name] = RememberingRun(self._resilience.run([name]))
        run = self._runs[name]
        chosen = _as_faults(faults, run.space)
        run.space.require_layout(chosen.layout_digest, "this fault set")
        value = float(run.fault_sets([chosen])[name].values[0])
        strategies = sys.modules.get("fkeras.strategies")
        if strategies is not None:
            from fkeras.report.failure import faults_text

            better_down = run.metrics[name].better == "lower"
            strategies.aim_at(value if better_down else -value, f"damage to {name}")
            strategies.say(f"{name} {value:.6g} under {faults_text(chosen, run.space)}")
        return value


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
    from pytest_fkeras.baseline import against_baseline
    from pytest_fkeras.campaign import FaultCampaign
    from pytest_fkeras.resilience import resilience_of

    budget = budget_of(request.node)
    if budget is None:
        raise pytest.UsageError(
            f"fkeras_campaign is the result of a fault budget, and {request.node.name} has none; "
            f"write @{NAME}(bits=..., ...) above it"
        )
    session, state = request.config.stash[SESSION], state_of(request.node)
    under_test = resilience_of(session, fkeras_model, fkeras_data, fkeras_metrics)
    try:
        campaign = FaultCampaign(under_test, budget, session.options)
        campaign.prepare()
        if campaign.requirement is not None and not campaign.problems:
            state.against = against_baseline(request.node, campaign)
    except StoreError as error:
        raise pytest.UsageError(f"{NAME} of {request.node.name}: {error}; or do without, --fkeras-cache=off") from error
    except InputError as error:
        raise pytest.UsageError(f"{NAME} of {request.node.name}: {error}") from error
    state.campaign = campaign
    return campaign


@pytest.fixture(scope="session")
def fkeras_hls4ml_agrees(pytestconfig: pytest.Config, resilience: Study) -> Agreement:
    """The comparison of the model with hls4ml on the data; a test that asks for it does not run where they differ.

    On the first 500 samples, or as many as the ini option fkeras_hls4ml_samples says, fault-free and under 20 flips.
    The hls4ml project is that of the ini option fkeras_hls4ml, or one made for the model.
    """
    import fkeras.hls4ml

    session = pytestconfig.stash[SESSION]
    found = fkeras.hls4ml.agreement(
        resilience.model,
        resilience.required_data[0],
        project=session.options.hls4ml_project,
        space=resilience.space,
        samples=session.hls4ml_samples,
    )
    if not found.agrees:
        pytest.fail(f"the chip does not compute what the model computes\n{found}", pytrace=False)
    return found


@pytest.fixture
def fkeras_baseline(request: pytest.FixtureRequest, fkeras_campaign: FaultCampaign) -> MeasuredCampaign | None:
    """What the test's budget measured before, from the baseline; None without one."""
    folder = request.config.stash[SESSION].gate.folder
    if folder is None:
        return None
    from fkeras.errors import InputError
    from pytest_fkeras.baseline import find, find_any

    identity = budget_identity(request.node, fkeras_campaign)
    try:
        if fkeras_campaign.requirement is None:
            return find_any(folder, identity)
        return find(folder, identity, list(fkeras_campaign.longer().by_metric))
    except InputError as error:
        raise pytest.UsageError(str(error)) from None


def forget_overridden(item: pytest.Item) -> None:
    """Finish the derived session fixtures if `item` sees other sources than the test before it.

    pytest keeps the value of a session fixture even where one that it depends on is overridden (by another folder's
    conftest.py, say). The expensive parts are kept by the identity of the fixtures' values, and found again.
    """
    sources = tuple(visible(item, name) for name in SOURCES)
    derived = visible(item, "resilience")
    if derived is None or not hasattr(item, "_request"):
        return
    session = item.config.stash[SESSION]
    if session.sources is not None and session.sources != sources:
        derived.finish(item._request)
    session.sources = sources


def _named_file(config: pytest.Config, option: str, otherwise: str) -> Path:
    file = stated(config, option)
    if file is None:
        raise pytest.UsageError(otherwise)
    return file.existing_path


@contextmanager
def _injected(resilience: Study, faults: Any) -> Iterator[Any]:
    if not callable(getattr(resilience.model, "get_weights", None)):
        raise pytest.UsageError(
            f"fault_injector writes faults into the weights of a Keras model, and fkeras_model gave a "
            f"{type(resilience.model).__name__}, which has no get_weights(); use metric_under_faults(faults, metric), "
            "which measures by the project's own hooks"
        )
    resilience.require_unchanged()
    faults = _as_faults(faults, resilience.space)
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


def _as_faults(faults: FaultSet | str | Any, space: BitSpace) -> FaultSet:
    """A FaultSet from one, from its text, or from flat indices to flip."""
    import numpy as np

    from fkeras.faults import FaultSet

    if isinstance(faults, str):
        return FaultSet.parse(faults, space)
    return faults if isinstance(faults, FaultSet) else FaultSet(np.asarray(faults))
