"""The plugin's hooks; what they do stands in the modules beside it.

Loading it must cost nothing to a session that does not use it: standard library and pytest only.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from typing import Any

import pytest

from pytest_fkeras import fixtures, gate, hooks
from pytest_fkeras.baseline_files import BaselineFiles
from pytest_fkeras.collection import FIXTURE, GUARD, NAME, BudgetError, budget_of, request_campaign
from pytest_fkeras.fixture_values import hand_out
from pytest_fkeras.options import INI_KEYS, add_options
from pytest_fkeras.session import SESSION, FkerasSession, share_threads
from pytest_fkeras.strategies import call_with_fixtures_made, lift_deadline, offer_ranking, register_profile
from pytest_fkeras.summary import Summary, tell_names


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hooks)
    pluginmanager.register(fixtures, "fkeras_fixtures")


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, Any, Any]:
    # A conftest that imports TensorFlow decides which Keras the process gets, so this must come before it, and a
    # project that says nothing about fkeras must not be touched.
    if any(early_config.getini(key) is not None for key in INI_KEYS):
        import fkeras  # noqa: F401

        share_threads()
    register_profile(early_config)
    try:
        return (yield)
    except Exception as error:
        without_internals(getattr(error, "cause", None))
        raise


def without_internals(refusal: BaseException | None) -> None:
    """Cut the traceback of what fkeras refuses where it enters fkeras: the message says all, the line says where."""
    frame = None if refusal is None or type(refusal).__module__ != "fkeras.errors" else refusal.__traceback__
    while frame is not None and frame.tb_next is not None:
        if frame.tb_next.tb_frame.f_globals.get("__name__", "").partition(".")[0] == "fkeras":
            frame.tb_next = None
        frame = frame.tb_next


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{NAME}(*, bits, protected, max_METRIC, ...): the share of fault draws that "
        "break a limit is the test's assertion; write it as pytest_fkeras.fault_budget",
    )
    session = config.stash[SESSION] = FkerasSession(config)
    if not session.is_worker:
        config.pluginmanager.register(Summary(session), "fkeras_summary")
        config.pluginmanager.register(BaselineFiles(session.gate), "fkeras_baseline_files")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.config.stash[SESSION].tell(node)


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, obj: object) -> Generator[None, Any, Any]:
    request_campaign(collector, obj)
    made = yield
    try:
        for item in made if isinstance(made, list) else [made]:
            if isinstance(item, pytest.Item):
                budget_of(item)
    except BudgetError as error:
        raise collector.CollectError(str(error)) from None
    return made


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, Any]:
    report = yield
    gate.finish_collect_report(collector, report)
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    tell_names(session)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    fixtures.forget_overridden(item)
    lift_deadline(item)
    # Marks that a hook added after collection have not been seen before.
    if budget_of(item) is not None and isinstance(item, pytest.Function) and FIXTURE not in item.fixturenames:
        # A list of its own: the others of a parametrized test share one, and may have no budget.
        item.fixturenames = [*item.fixturenames, FIXTURE]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    gate.refuse_broken_set_up(item)
    with offer_ranking(item):
        try:
            result = yield
        except BaseException as error:
            gate.judge(item, error)
            raise
    gate.judge(item)
    return result


def pytest_markeval_namespace(config: pytest.Config) -> dict[str, bool]:
    return {GUARD: False}


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    return hand_out(fixturedef, request.config.stash[SESSION], (yield))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    return (yield from call_with_fixtures_made(pyfuncitem))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    gate.finish_report(item, call, report)
    return report


@pytest.hookimpl(trylast=True)
def pytest_fkeras_bit_space(model: Any, coverage: Any) -> Any:
    from fkeras.models import MODELS

    return MODELS.bit_space(model, coverage)


@pytest.hookimpl(trylast=True)
def pytest_fkeras_model_identity(model: Any) -> Any:
    from fkeras.models.kinds import is_known, model_of

    if is_known(model):
        return model_of(model).identity()
    # Elsewhere no model can be one of Keras', and TensorFlow need not be loaded to find that out.
    if "tensorflow" not in sys.modules:
        return None
    from fkeras.frontends.qkeras.identity import is_model, model_identity

    return model_identity(model) if is_model(model) else None


@pytest.hookimpl(trylast=True)
def pytest_fkeras_rank(model: Any, data: tuple[Any, Any], method: Any, metric: Any, seed: int, space: Any) -> Any:
    from fkeras.api import rank

    return rank(model, data, method=method, metric=metric, seed=seed, space=space)


@pytest.hookimpl(trylast=True)
def pytest_fkeras_start_run(
    model: Any, data: tuple[Any, Any], metrics: Mapping[str, Any], space: Any, engine: str
) -> Any:
    from fkeras.models import start_run

    return start_run(model, data, metrics, space, engine)
