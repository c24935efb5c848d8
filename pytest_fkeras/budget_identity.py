"""What tells the baselines of budgets apart: what a budget asks, and where its model, data and metrics come from.

Not what the model is called, because Keras numbers the names of models that are built in one process, and not what
is in it, because retraining changes that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fkeras.campaigns.measured_campaign import BudgetIdentity
    from pytest_fkeras.campaign import FaultCampaign

PROJECT = "."
"""The fixture of the project's root, or the ini file."""


def budget_identity(item: pytest.Item, campaign: FaultCampaign) -> BudgetIdentity:
    """What a budget asks, apart from the weights."""
    from fkeras.campaigns.measured_campaign import BudgetIdentity

    budget = campaign.budget
    return BudgetIdentity(
        model_origin(item),
        campaign.faults_text,
        _protected_text(campaign),
        str(campaign.study.coverage),
        budget.seed,
    )


def _protected_text(campaign: FaultCampaign) -> str:
    """The protection as it is stated; of bits without a name, only their number, because retraining may move them."""
    from pytest_fkeras.selection import parts_of

    stated: Any = campaign.budget.protected
    texts = () if stated is None else (_part_text(campaign, part) for part in parts_of(stated))
    return ", ".join(texts)


def _part_text(campaign: FaultCampaign, part: Any) -> str:
    from fkeras.faults.protected import covering
    from fkeras.faults.word_checks import WordCheck
    from pytest_fkeras.selection import Protected, Selection

    if isinstance(part, WordCheck):
        return repr(part)
    if isinstance(part, Selection | Protected):
        method = campaign.budget.method
        text = repr(part)
        return text if method is None else f"{text} by {getattr(method, '__name__', method)}"
    kind = type(part).__name__ if hasattr(part, "residual") else "bits"
    bits = covering(part).bits
    return f"{kind} {bits.label or f'{len(bits)} of them'}"


def model_origin(item: pytest.Item) -> str:
    """The folder or module whose fkeras_model the test sees, and the parameters that its sources depend on.

    Data and metrics are named only where they are defined closer to the test than the model is: what stands beside
    the model, or above it, is the same for every test that sees this model.
    """
    where = _place(item, "fkeras_model")
    text = where or PROJECT
    for name in ("fkeras_data", "fkeras_metrics"):
        # Both lie above the test, so the longer one is the deeper one.
        if len(_place(item, name)) > len(where):
            text += f" {name} of {_place(item, name)}"
    callspec = getattr(item, "callspec", None)
    given: dict[str, Any] = {} if callspec is None else callspec.params
    needed = {one for name in ("fkeras_model", "fkeras_data", "fkeras_metrics") for one in _closure(item, name)}
    parameters = [f"{name}={_text(name, callspec, item.config.rootpath)}" for name in sorted(needed & set(given))]
    return f"{text}[{','.join(parameters)}]" if parameters else text


def _place(item: pytest.Item, name: str) -> str:
    """The folder, module or class that defines a fixture; "" for the project's root and for the plugin."""
    where: str = getattr(visible(item, name), "baseid", None) or ""
    return "" if where == PROJECT else where


def visible(item: pytest.Item, name: str) -> Any:
    """The definition of a fixture that a test sees; None where there is none."""
    definitions = item.session._fixturemanager.getfixturedefs(name, item)
    return definitions[-1] if definitions else None


def _closure(item: pytest.Item, name: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The fixture and all that it depends on."""
    yield name
    definition = visible(item, name)
    for needed in () if definition is None or name in seen else definition.argnames:
        yield from _closure(item, needed, seen | {name})


def _text(name: str, callspec: Any, root: Path) -> str:
    """A parameter as text that is the same in every session and in every checkout, by value where that can be."""
    value = callspec.params[name]
    if value is None or isinstance(value, str | int | float | bool):
        return str(value)
    if isinstance(value, os.PathLike):
        path = Path(value)
        return Path(os.path.relpath(path, root)).as_posix() if path.is_absolute() else path.as_posix()
    return str(getattr(value, "__name__", None) or _pytest_id(name, callspec))


def _pytest_id(name: str, callspec: Any) -> str:
    """How pytest's name of the test calls a parameter, or its place where several parameters share one id."""
    ids = callspec._idlist
    if len(ids) == len(callspec.params):
        return str(dict(zip(callspec.params, ids, strict=True))[name])
    return str(callspec.indices.get(name, "?"))
