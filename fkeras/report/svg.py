"""Figures as inline SVG for a page: themed by the page's CSS, named for screen readers, unique in their ids."""

from __future__ import annotations

import re
from html import escape
from io import StringIO
from typing import TYPE_CHECKING

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
