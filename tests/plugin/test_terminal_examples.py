"""docs/reports.md shows the terminal as it is: every block is what a session prints at that width, to the letter."""

from __future__ import annotations

import pytest

from tests.docs.pages import blocks
from tests.plugin.test_report import section

IDENTITY = """

def pytest_fkeras_model_identity(model):
    return str(model.kernel.tolist())
"""
SESSIONS = {
    "passing": """
        @fault_budget(bits=3, protected=ranking("msb")[:8], max_mse=0.5)
        def test_survives_three_flips_with_its_signs_protected():
            pass

        @fault_budget(bits=1, max_mse=1.5)
        def test_survives_one_flip():
            pass
    """,
    "failing": """
        @fault_budget(bits=6, protected=ranking("msb")[:4], max_mse=0.3)
        def test_survives_six_flips():
            pass
    """,
    "undecided": """
        @fault_budget(bits=3, max_mse=0.8, max_trials=60)
        def test_survives_three_flips():
            pass
    """,
    "gated": """
        @fault_budget(bits=3, protected=ranking("msb")[:8], max_mse=1)
        def test_survives_three_flips():
            pass
    """,
}
SHOWN = [
    (name, int(width), block.text)
    for block in blocks("reports.md")
    for kind, name, *widths in [[*block.kind.split(), "", ""][: max(2, len(block.kind.split()))]]
    if name in SESSIONS
    for width in widths
]


def test_every_session_is_shown_at_every_width():
    assert sorted((name, width) for name, width, _ in SHOWN) == sorted(
        (name, width) for name in SESSIONS for width in (80, 100, 120)
    )


@pytest.mark.parametrize(("name", "width", "text"), SHOWN, ids=[f"{name}-{width}" for name, width, _ in SHOWN])
def test_it_looks_like_that(project, write_test, monkeypatch, name, width, text):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.delenv("CI", raising=False)
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text() + IDENTITY)
    project.makeini("[pytest]\nfkeras_seed = 1\n")
    write_test(SESSIONS[name])
    gate = []
    if name == "gated":
        gate = ["--fkeras-baseline=baselines"]
        project.runpytest_inprocess(*gate, "--fkeras-baseline-update").assert_outcomes(passed=1)
        # The targets stay what the first network gives.
        conftest.write_text(conftest.read_text().replace("    return Linear()\n", "    return Linear(kernel=WORSE)\n"))
        conftest.write_text(conftest.read_text() + "\nWORSE = (0.375, *Linear().kernel[1:])\n")
        gate += ["--fkeras-compare-fail=mse:0.01"]
    result = project.runpytest_inprocess("-p", "no:cacheprovider", *gate)
    assert "\n".join(section(result)) + "\n" == text
