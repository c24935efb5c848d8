"""Layers whose stored words are not known: each with its reason, all of them in one error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fkeras.errors import Argument, UnsupportedError, said


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a layer's words are not known.

    layer_path: the layer; reason: goes on after "layer 'PATH'"; remedy: what to do about it but to exclude the layer;
    tensor: named instead of the layer where it is given.
    """

    layer_path: str
    reason: str
    remedy: str = ""
    tensor: str = ""

    @property
    def subject(self) -> str:
        """What the reason speaks of."""
        return f"tensor '{self.tensor}'" if self.tensor else f"layer '{self.layer_path}'"


class Refused(UnsupportedError):
    """Refusals as an error. The message names every layer, and the choice that leaves them all out."""

    def __init__(self, *refusals: Refusal) -> None:
        super().__init__(*refusals)
        self.refusals = refusals

    def said(self, spell: Callable[[Argument], str] = str) -> str:
        subjects: dict[tuple[str, str], list[str]] = {}
        for refusal in self.refusals:
            subjects.setdefault((refusal.reason, refusal.remedy), []).append(refusal.subject)
        paths = list(dict.fromkeys(refusal.layer_path for refusal in self.refusals))
        if len(subjects) == len(paths) == 1:
            (((reason, remedy), (subject, *_)),) = subjects.items()
            exclude = f"{subject}{reason}; {f'{remedy}, or ' if remedy else ''}exclude it with "
            return said((exclude, Argument("layers", f"!{paths[0]}")), spell)
        reasons = []
        for (reason, remedy), (first, *others) in subjects.items():
            same = f" (and so {', '.join(others)})" if others else ""
            reasons.append(f"{first}{reason}{same}{f'; {remedy}' if remedy else ''}")
        choice = f"!{paths[0]}" if len(paths) == 1 else [f"!{path}" for path in paths]
        return said((f"{'; '.join(reasons)}; or exclude all of these with ", Argument("layers", choice)), spell)
