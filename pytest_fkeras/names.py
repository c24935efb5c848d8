"""What the mark is called and how it is refused: loaded by every session, also by those without a budget."""

NAME = "fault_budget"
FIXTURE = "fkeras_campaign"


class BudgetError(ValueError):
    """A fault_budget that states nothing sensible."""
