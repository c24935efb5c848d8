"""What a network must be without faults, in the words of who asks."""

from __future__ import annotations

from fkeras.campaigns.fault_free import FaultFree, GoldenRequirement
from fkeras.metrics.chance import Chance


def test_chance_is_allowed_in_the_words_of_who_asks():
    known = FaultFree({"accuracy": 0.5}, {"accuracy": Chance(0.5, is_beaten=False)})
    (python,), (shell,) = (one.problems(known) for one in (GoldenRequirement(), GoldenRequirement(how_to_allow="--x")))
    assert (python.rpartition("or ")[2], shell.rpartition("or ")[2]) == ("allow it: allow_chance=True", "allow it: --x")
