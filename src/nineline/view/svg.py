"""Pictures as SVG, to stand in a page: text stays text, colours follow the page's, and nothing is loaded or run."""

from __future__ import annotations

import html
import io
import re
import zlib
from typing import TYPE_CHECKING, Any, Final

from nineline.view.axes import require_matplotlib
from nineline.view.palette import DARK, LIGHT

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

_PIXELS: Final = 1.3  # a point, so that text is as large as a page's
_NAMES: Final = ("ink", "grey", "faint", "paper", "shade", "blue", "orange")

_IN_LIGHT, _IN_DARK = (
    "".join(f"--nineline-{name}:{getattr(palette, name)};" for name in _NAMES) for palette in (LIGHT, DARK)
)

STYLE: Final = (
    ".nineline-picture{display:block;max-width:100%;height:auto;overflow:visible}"
    f":root{{{_IN_LIGHT}}}@media (prefers-color-scheme:dark){{:root{{{_IN_DARK}}}}}"
)
"""What a page says once about the pictures in it, in light and in dark."""


def to_svg(draw: Callable[[Axes], Any], width: float, height: float, title: str) -> str:
    """Return a picture as an ``<svg>`` element.

    Its colours are those of `STYLE`, and those on white paper where a page says nothing.

    Parameters
    ----------
    draw : function of axes
        Draws into the axes that it is given.
    width, height : float
        Inches.
    title : str
        What is to be seen, for whoever does not see it.

    Raises
    ------
    ImportError
        Matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    inked = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    settings: Any = {
        **dict.fromkeys(inked, LIGHT.ink),
        "axes.edgecolor": LIGHT.grey,
        "axes.facecolor": "white",
        "figure.facecolor": "white",
        "font.family": "sans-serif",
        "font.size": 10,
        "svg.fonttype": "none",
        "svg.hashsalt": "nineline",
    }
    with rc_context(settings):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.subplots())
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return _themed(_own_names(_element(buffer.getvalue(), title)))


def _element(document: str, title: str) -> str:
    """Return the ``<svg>`` element of a document, without what nobody reads, and with a title."""
    element = document[document.index("<svg") :].strip()
    element = re.sub(r"<metadata>.*?</metadata>\s*", "", element, flags=re.DOTALL)
    element = re.sub(r"<!--.*?-->\s*", "", element, flags=re.DOTALL)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', element)
    assert box is not None
    width, height = (f"{_PIXELS * float(side):.0f}" for side in box.groups())
    opening = (
        f'<svg class="nineline-picture" viewBox="{box[0][9:-1]}" width="{width}" height="{height}" role="img" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f"<title>{html.escape(title)}</title>"
    )
    return re.sub(r"\n\s*", "\n", opening + element[element.index(">") + 1 :])


def _own_names(element: str) -> str:
    """Return an element whose names are its own among others on a page; those that nothing refers to are gone."""
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', element))
    own = f"{zlib.crc32(element.encode()):08x}"
    element = re.sub(r' id="([^"]*)"', lambda found: f' id="{found[1]}-{own}"' if found[1] in used else "", element)
    return re.sub(r'(url\(#|href="#)([^)"]+)', rf"\g<1>\g<2>-{own}", element)


def _themed(element: str) -> str:
    """Return an element with the names of colours in their place."""
    for name in _NAMES:
        colour = getattr(LIGHT, name)
        element = re.sub(rf"(fill|stroke): {colour.lower()}", rf"\1: var(--nineline-{name}, {colour})", element)
    return element
