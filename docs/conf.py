"""How Sphinx builds the documentation: `make docs`, warnings are errors."""

from importlib.metadata import version as installed_version

project = "pytest-fkeras"
author = "The pytest-fkeras developers"
copyright = f"2026, {author}"
version = release = installed_version("pytest-fkeras")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
default_role = "code"
html_theme = "furo"
html_title = "pytest-fkeras"


def plain(app, what, name, obj, options, lines):
    """Docstrings are plain text: |delta| is a number, not a substitution."""
    lines[:] = [line.replace("|", r"\|") for line in lines]


def setup(app):
    app.connect("autodoc-process-docstring", plain)
