"""Figures as inline SVG for a page: themed by the page's CSS, named for screen readers, unique in their ids; as files
in the colours that the page has by day."""

from __future__ import annotations

import re
from html import escape
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fkeras.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that a figure is drawn with, and the CSS variables that they become on the page.
INK, MUTED, GRID, SERIES, LIMIT, GOOD, DOUBT = (f"#0102{number:02x}" for number in range(3, 10))
LARGEST = 1.25
"""How much larger than drawn a figure is shown at most."""
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    SERIES: "--accent",
    LIMIT: "--fail",
    GOOD: "--pass",
    DOUBT: "--doubt",
}


def inline_svg(figure: Figure, key: str, title: str, description: str) -> str:
    """The figure as an <svg> element. key: unique on the page; title, description: what a screen reader says."""
    import matplotlib

    text = StringIO()
    # Text stays text, and the same figure is the same file.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": key}):
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=metadata)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{key}-", svg)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1; font-family: inherit", svg)
    svg = re.sub(r"font-family: '[^;\"]*", "font-family: inherit", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    head = re.match(r"<svg [^>]*>", svg)
    assert head is not None
    box = re.search(r'viewBox="[^"]*"', head[0])
    assert box is not None
    width = float(box[0].split()[2])
    size = f"max-width: {LARGEST * width:.0f}pt"
    named = (
        f'<svg {box[0]} role="img" aria-labelledby="{key}-title {key}-text" style="{size}" '
        f'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f'<title id="{key}-title">{escape(title)}</title><desc id="{key}-text">{escape(description)}</desc>'
    )
    return named + svg[head.end() :].strip()


_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": "pytest-fkeras"},
    ".svg": {"Creator": "pytest-fkeras", "Date": None},
}
"""What figures say of themselves, by the ending of the file."""


def require_figure_file(path: str) -> None:
    """InputError for a file that no figure can be written to by its name, MissingExtraError without matplotlib."""
    try:
        import matplotlib  # noqa: F401  only whether it is there
    except ImportError as error:
        raise MissingExtraError(NO_MATPLOTLIB) from error
    if Path(path).suffix not in _METADATA:
        raise InputError(f"a figure becomes a file that ends in {' or '.join(_METADATA)}; got {path}")


NO_MATPLOTLIB = "figures need matplotlib; install it with: pip install 'pytest-fkeras[plot]'"


def write_figure(figure: Figure, path: str) -> None:
    """The figure as a file, on white; the same figure is the same file."""
    import matplotlib
    from matplotlib.colors import to_hex, to_rgba_array

    css = (files("fkeras.report") / "templates" / "page.css").read_text()
    colours = {placed: re.findall(rf"{name}: (#[0-9a-f]+)", css)[0] for placed, name in _VARIABLES.items()}
    figure.canvas.draw()  # makes the ticks
    for artist in figure.findobj():
        for what in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            stated = getattr(artist, f"get_{what}", lambda: "none")()
            placed = to_hex(rgba[0]) if len(rgba := to_rgba_array(stated)) else ""
            if placed in colours and len(rgba) == 1:
                artist.set(**{what: colours[placed]})
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "fkeras"}):
        figure.savefig(path, dpi=150, metadata=_METADATA[Path(path).suffix])
