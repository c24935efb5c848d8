"""What may be reused from run to run: results of a model under test that has an identity."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fkeras.memory import BitSpace
    from fkeras.runs.identity import Keeper
    from fkeras.store import Store

_COMPUTING = ("pytest_fkeras_start_run", "pytest_fkeras_rank", "pytest_fkeras_bit_space")


class Reuse:
    """Where the results of one model on one data set are kept.

    keeper: by memory and engine; None without a store, and for a model without an identity, which the store notices.
    require_unchanged: asked before anything is stored.
    """

    def __init__(
        self, model: Any, data: Any, hooks: Any, store: Store | None, require_unchanged: Callable[[], None]
    ) -> None:
        self._model, self._data, self._hooks, self.store = model, data, hooks, store
        self._require_unchanged = require_unchanged
        self._subject: tuple[Mapping[str, str], str] | None = None
        self._keepers: dict[Hashable, Keeper | None] = {}

    def keeper(self, space: BitSpace, engine: str) -> Keeper | None:
        """Where results on this memory, measured with this engine, are kept."""
        key = (space.content_digest, engine)
        if key not in self._keepers:
            self._keepers[key] = self._made(space, engine)
        return self._keepers[key]

    def _made(self, space: BitSpace, engine: str) -> Keeper | None:
        if self.store is None:
            return None
        from fkeras.engines import engine_identity
        from fkeras.errors import IdentityError
        from fkeras.runs.identity import Keeper, Subject
        from fkeras.store import digest_of

        try:
            if self._subject is None:
                self._subject = _identity(self._model, self._hooks), digest_of(self._data)
        except IdentityError as error:
            self.store.notice(f"not stored: {error}")
            return None
        model, data = self._subject
        return Keeper(self.store, Subject(model, space, data, engine_identity(engine)), self._require_unchanged)


def _identity(model: Any, hooks: Any) -> Mapping[str, str]:
    from fkeras.errors import IdentityError

    found = hooks.pytest_fkeras_model_identity(model=model)
    name = getattr(model, "name", type(model).__name__)
    if isinstance(found, str):
        return {"declared": f"{name}: {found}"}
    own = [hook for hook in _COMPUTING if any(map(_is_foreign, getattr(hooks, hook).get_hookimpls()))]
    if found is None or own:
        because = f" ({own[0]} is implemented here)" if own else ""
        raise IdentityError(f"model '{name}' has no identity{because}; implement pytest_fkeras_model_identity")
    identity: Mapping[str, str] = found
    return identity


def _is_foreign(implementation: Any) -> bool:
    function: Callable[..., Any] = implementation.function
    return function.__module__ != "pytest_fkeras.plugin"
