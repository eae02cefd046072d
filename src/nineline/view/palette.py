"""The colours of the pictures, on white paper and on a dark page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nineline._typing import Array

LINES: Final = ("solid", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
"""Kinds of lines, so that curves can be told apart without colour."""


@dataclass(frozen=True)
class Palette:
    """Colours by what they are for, as hexadecimal text.

    Attributes
    ----------
    ink : str
        Text, and outlines.
    grey : str
        What is said beside.
    faint : str
        Grids.
    paper : str
        What covers what lies under it: the inside of a node, the rim of a point.
    shade : str
        An area that is a little apart from the paper.
    blue, orange : str
        Above and below zero; training and validation.
    more : tuple of str
        For further curves.
    """

    ink: str
    grey: str
    faint: str
    paper: str
    shade: str
    blue: str
    orange: str
    more: tuple[str, ...]

    @property
    def curves(self) -> tuple[str, ...]:
        """Colours for curves side by side; with other kinds of lines, from the second round on."""
        return (self.blue, self.orange, self.ink, *self.more)

    @property
    def classes(self) -> tuple[str, ...]:
        """Colours for classes, and the regions where they are answered."""
        return (self.blue, self.orange, *self.more, self.ink)


# Okabe and Ito's colours (2008, Color universal design), apart for every kind of colour blindness: the dark ones on
# white paper, light ones on a dark page. Paper is not quite white, and ink not quite black, so that `svg` finds them.
LIGHT: Final = Palette(
    ink="#222222",
    grey="#666666",
    faint="#dddddd",
    paper="#fefefe",
    shade="#eeeeee",
    blue="#0072B2",
    orange="#D55E00",
    more=("#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#999999"),
)
DARK: Final = Palette(
    ink="#e6e6e6",
    grey="#a6a6a6",
    faint="#474747",
    paper="#1c1c1c",
    shade="#333333",
    blue="#56B4E9",
    orange="#F08A3C",
    more=("#2FC79C", "#E09AC4", "#F0E442", "#7FA8FF", "#8c8c8c"),
)

LARGEST: Final = 1e250
"""What is beyond is drawn as this: a scale from minus as much to this, with margins, is still made of float64."""
_ANSWERS: Final = ("#FFE4BF", "#F3B77A", "#B9AFA6", "#6F9CC0", "#0072B2", "#053A66")
_SIGNED: Final = ("#8A3A00", "#D55E00", "#F5B98E", "#F7F7F5", "#9CC9E4", "#0072B2", "#00436B")


def palette_of(axes: Axes) -> Palette:
    """Return the colours that can be seen in some axes: on their face, or on what lies behind it."""
    return _palette_on([axes.get_facecolor()] if axes.patch.get_visible() else []) or palette_beside(axes)


def palette_beside(axes: Axes) -> Palette:
    """Return the colours that can be seen beside some axes: on their figure, or on the page."""
    from matplotlib import rcParams
    from matplotlib.colors import to_rgba

    figures = [axes.figure, axes.figure.figure]  # a figure in a figure, and the outermost
    found = _palette_on([figure.get_facecolor() for figure in figures if figure is not None])
    return found or (LIGHT if _lightness(to_rgba(rcParams["text.color"])) < 0.5 else DARK)


def _palette_on(faces: list[Any]) -> Palette | None:
    """Return the colours that can be seen on the first of some faces that is not transparent."""
    from matplotlib.colors import to_rgba

    for face in faces:
        *colour, opacity = to_rgba(face)
        if opacity > 0.5:
            return LIGHT if _lightness(colour) > 0.4 else DARK
    return None


def _lightness(colour: Any) -> float:
    red, green, blue, *_ = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue


def answers_scale(values: Array) -> dict[str, Any]:
    """Return a scale from pale orange (low) to dark blue (high), ever darker, so that it can be read in grey."""
    from matplotlib.colors import LinearSegmentedColormap

    largest = largest_of(values)
    low, high = (0.0, 1.0) if largest <= 1 else (0.0, largest)
    if (values < 0).any():
        low = -high
    colours = LinearSegmentedColormap.from_list("nineline answers", _ANSWERS)
    return {"cmap": colours, "vmin": low, "vmax": high, "interpolation": "nearest"}


def signed_scale(values: Array) -> dict[str, Any]:
    """Return a scale from orange (below 0) over nearly white (0) to blue (above 0), the same as far to both sides."""
    from matplotlib.colors import LinearSegmentedColormap

    largest = largest_of(values)
    colours = LinearSegmentedColormap.from_list("nineline signed", _SIGNED)
    return {"cmap": colours, "vmin": -largest, "vmax": largest, "interpolation": "nearest"}


def depth_scale() -> Any:
    """Return a scale from dark blue (low) to pale orange (high): of a landscape, the deeper the darker."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("nineline depth", _ANSWERS[::-1])


def shares_scale() -> dict[str, Any]:
    """Return a scale of shares, from nearly white (0) to dark blue (1)."""
    from matplotlib.colors import LinearSegmentedColormap

    return {"cmap": LinearSegmentedColormap.from_list("nineline shares", _SIGNED[3:]), "vmin": 0.0, "vmax": 1.0}


def largest_of(values: Array) -> float:
    """Return the largest absolute value of those that are finite and not beyond what can be drawn; 1 without any."""
    finite = np.abs(values[np.isfinite(values)])
    return min(float(finite.max(initial=0)), LARGEST) or 1.0


def ink_on(image: Any, values: Array) -> Any:
    """Return for each number of an image whether white ink is read better on its colour, of the same shape."""
    colours = image.cmap(image.norm(values))
    return 0.299 * colours[..., 0] + 0.587 * colours[..., 1] + 0.114 * colours[..., 2] < 0.55
