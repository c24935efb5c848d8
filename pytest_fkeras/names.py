"""What the mark is called and how it is refused: loaded by every session, also by those without a budget."""

NAME = "fault_budget"
FIXTURE = "fkeras_campaign"
GUARD = "fault_budget_needs_the_plugin_fkeras"
"""The condition of a skipif mark that never skips: a name that the plugin gives pytest, and an error without it."""


class BudgetError(ValueError):
    """A fault_budget that states nothing sensible."""
