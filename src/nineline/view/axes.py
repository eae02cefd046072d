"""Axes: where pictures are drawn, and how they are all dressed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import numpy as np

from nineline.view.palette import LIGHT, ink_on, palette_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.image import AxesImage

    from nineline._typing import Array
    from nineline.view.palette import Palette


_BARS: Final[WeakKeyDictionary[Axes, tuple[Any, Any, Any]]] = WeakKeyDictionary()
"""The scale beside some axes, and where these were before it took room from them."""


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure of `width` × `height` inches.

    Raises
    ------
    ImportError
        Matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError('pictures need matplotlib; install it with: pip install "nineline[plot]"') from error
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def clear_insets(axes: Axes) -> None:
    """Take away what an earlier picture has put into and beside the axes, so that they can be drawn into again."""
    for inset in list(axes.child_axes):
        inset.remove()
    bar, spec, place = _BARS.pop(axes, (None, None, None))
    if bar is not None and bar in axes.figure.axes:
        axes.figure.delaxes(bar)
        if spec is not None:
            axes.set_subplotspec(spec)
        else:
            axes.set_position(place)


def grid(axes: Axes, colours: Palette) -> None:
    """Put a light grid behind what is drawn, and take the frame away above and to the right."""
    axes.grid(visible=True, which="major", color=colours.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def count_along_x(axes: Axes) -> None:
    """Let the x axis count: whole numbers, and commas between thousands."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def logarithmic_where_wide(axes: Axes, values: Sequence[float] | npt.NDArray[Any], what: str) -> None:
    """Name the y axis, and make its scale logarithmic where the values, all finite, span more than a factor of ten."""
    low, high = min(values, default=1.0), max(values, default=1.0)
    wide = low > 0 and high > 10 * low
    axes.set_yscale("log" if wide else "linear")
    axes.set_ylabel(f"{what} (logarithmic scale)" if wide else what)


def small_multiples(axes: Axes, count: int, across: int, *, gap: float = 0.08, head: float = 0.4) -> list[Axes]:
    """Return so many small axes inside `axes`, in rows of `across`, which itself shows nothing any more but its labels.

    `gap` is the share of a place that is left empty to the right, `head` the inches above, for a title or a label.
    """
    clear_insets(axes)
    down = math.ceil(count / across)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.patch.set_visible(False)
    row_inches = axes.get_window_extent().height / axes.figure.dpi / down
    empty = min(head / row_inches, 0.6)
    size = (1 - gap) / across, (1 - empty) / down
    places = [divmod(number, across) for number in range(count)]
    return [axes.inset_axes(((column + gap / 2) / across, 1 - (row + 1) / down, *size)) for row, column in places]


def write_matrix(axes: Axes, values: Array, scale: dict[str, Any], *, numbers: bool = True) -> AxesImage:
    """Draw a matrix, (rows, columns), as colours on a scale, with its numbers in them."""
    colours = palette_of(axes)
    image = axes.imshow(values, aspect="auto", **scale)
    if numbers:
        white = ink_on(image, values)
        for row, column in np.argwhere(np.isfinite(values)).tolist():
            ink = "white" if white[row, column] else LIGHT.ink
            axes.text(
                column, row, short_number(float(values[row, column])), ha="center", va="center", color=ink, fontsize=9
            )
        rows, columns = values.shape
        axes.hlines(np.arange(1, rows) - 0.5, -0.5, columns - 0.5, color=colours.paper, linewidth=1.5)
        axes.vlines(np.arange(1, columns) - 0.5, -0.5, rows - 0.5, color=colours.paper, linewidth=1.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def colour_bar(axes: Axes, image: ScalarMappable, label: str, ticks: Sequence[float] | None = None) -> None:
    """Say beside the axes what the colours of an image mean."""
    options: dict[str, Any] = {} if ticks is None else {"ticks": ticks, "format": "%.3g"}
    before = axes.get_subplotspec(), axes.get_position(original=True)
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02, aspect=30, **options)
    _BARS[axes] = (bar.ax, *before)
    if ticks is not None:
        bar.minorticks_off()
    bar.set_label(label)
    bar.outline.set_visible(False)


def some_of(numbers: npt.NDArray[Any], most: int) -> npt.NDArray[Any]:
    """Return numbers, or of too many some, evenly spaced from the first to the last."""
    return numbers[np.unique(np.linspace(0, len(numbers) - 1, most).round().astype(int))]


def short_number(value: float) -> str:
    """Return a number in about four characters: ``1``, ``0.07``, ``-3.20``."""
    if not math.isfinite(value):
        return str(value)
    if value == round(value) or abs(value) >= 99.5:
        return f"{value + 0.0:.3g}"  # no "-0"
    return f"{value:.2f}".replace("-0.00", "0.00")


def plain(text: str) -> str:
    """Return a text that comes from data as matplotlib draws it letter by letter, without reading formulas into it."""
    return text.replace("$", r"\$")


def shortened(text: str, characters: int) -> str:
    """Return a text on one line, cut behind so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"
