"""Axes: where pictures are drawn, and how they are all dressed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import numpy as np

from nineline import _checks
from nineline._extras import need
from nineline.rows import evenly_spaced
from nineline.view.palette import LARGEST, LIGHT, ink_on, palette_beside, palette_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.image import AxesImage

    from nineline._typing import Array
    from nineline.view.palette import Palette


_GROWN: Final = 1e6
_SHRUNK: Final = 1e-60
_BARS: Final[WeakKeyDictionary[Axes, tuple[Any, Any, Any]]] = WeakKeyDictionary()
"""The scale beside some axes, and where these were before it took room from them."""


def require_matplotlib() -> None:
    """Raise ImportError, with the way out, where matplotlib is not installed."""
    need("matplotlib", "plot", "a picture")


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure of `width` × `height` inches.

    Raises
    ------
    ImportError
        Matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib import pyplot as plt

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


def start_over(axes: Axes) -> None:
    """Take away all that is drawn in the axes, and what belongs to it beside them; what they are stays as it was."""
    clear_insets(axes)
    legend = axes.get_legend()
    drawn = [*axes.images, *axes.collections, *axes.lines, *axes.patches, *axes.texts]
    for artist in drawn if legend is None else [*drawn, legend]:
        artist.remove()


def in_ink(axes: Axes) -> None:
    """Write all that stands beside the axes in ink that can be read there, whatever the settings say."""
    colours = palette_beside(axes)
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        text.set_color(colours.ink)
    axes.tick_params(which="both", color=colours.grey, labelcolor=colours.ink)
    axes.spines[:].set_edgecolor(colours.grey)


def grid(axes: Axes, colours: Palette) -> None:
    """Put a light grid behind what is drawn, take the frame away above and to the right, and write in ink beside it."""
    axes.grid(visible=True, which="major", color=colours.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_visible(True)
    in_ink(axes)


def count_along_x(axes: Axes) -> None:
    """Let the x axis count: whole numbers, and commas between thousands."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def logarithmic_where_wide(
    axes: Axes, values: Sequence[float] | npt.NDArray[Any], what: str, start: float | None = None
) -> str:
    """Name the y axis, and make its scale logarithmic where the values, all finite, span more than a factor of ten.

    What has grown to over a million times of what it was at the `start` is cut off, so that the rest can be seen.
    Returns the words that say so.
    """
    low, high = float(min(values, default=1.0)), float(max(values, default=1.0))
    said = ""
    if start is not None and start > 0 and high > _GROWN * start:
        said = f"{what} up to {high:.2g}, cut off"
        high = _GROWN * start
    wide = low > 0 and high > 10 * low
    if wide and start is not None:
        low = max(low, start * _SHRUNK)
    axes.set_yscale("log" if wide else "linear")
    if wide:
        plain_powers(axes, high / low)
    if said or high > LARGEST / 10:
        least = low if wide else max(low, -LARGEST)
        axes.set_ylim(least, min(high, LARGEST))
    axes.set_ylabel(f"{what} (logarithmic scale)" if wide else what)
    return said


def plain_powers(axes: Axes, ratio: float) -> None:
    """Label a logarithmic y axis with plain numbers, which are read where formulas are not; 2 and 5 in short ones."""
    from matplotlib.ticker import FuncFormatter

    def between(value: float, _: object) -> str:
        leading = round(value / 10 ** math.floor(math.log10(value)))
        return f"{value:g}" if ratio < 100 and leading in (2, 5) else ""

    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(between))


def small_multiples(axes: Axes, count: int, across: int, *, gap: float = 0.08, head: float = 0.4) -> list[Axes]:
    """Return so many small axes inside `axes`, in rows of `across`, which itself shows nothing but its labels.

    `gap` is the share of a place that is left empty to the right, `head` the inches above, for a title or a label.
    """
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


def inches(axes: Axes) -> float:
    """Return how many inches wide axes are, about."""
    return float(axes.get_window_extent().width / axes.figure.dpi)


def write_matrix(axes: Axes, values: Array, scale: dict[str, Any], *, numbers: bool = True) -> AxesImage:
    """Draw a matrix, (rows, columns), as colours on a scale, with its numbers in them."""
    colours = palette_of(axes)
    image = axes.imshow(finite_of(values), aspect="auto", **scale)
    if numbers:
        white = ink_on(image, finite_of(values))
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
    colours = palette_beside(axes)
    bar.set_label(label, color=colours.ink)
    bar.ax.tick_params(colors=colours.ink)
    bar.outline.set_visible(False)


def some_of(numbers: npt.NDArray[Any], most: int) -> npt.NDArray[Any]:
    """Return numbers, or of too many some, evenly spaced from the first to the last."""
    return numbers[evenly_spaced(len(numbers), most)]


def finite_of(values: Array) -> Any:
    """Return the same in float64, with what is not finite masked, so that no picture is made of it."""
    numbers = np.ma.masked_invalid(np.asarray(values, np.float64))
    return np.ma.clip(numbers, -LARGEST, LARGEST)


def not_finite(values: npt.ArrayLike) -> str:
    """Return the words that say how many numbers are left out since they are not finite; "" where all are drawn."""
    count = int((~np.isfinite(np.asarray(values))).sum())
    return f" ({count:,} not finite)" if count else ""


def short_number(value: float) -> str:
    """Return a number in about four characters: ``1``, ``0.07``, ``-3.20``."""
    if not math.isfinite(value):
        return str(value)
    if value == round(value) or abs(value) >= 99.5:
        return f"{value + 0.0:.3g}"  # no "-0"
    return f"{value:.2f}".replace("-0.00", "0.00")


def plain(text: str) -> str:
    """Return a text that comes from data as matplotlib draws it letter by letter, without reading formulas into it.

    One that begins with a low line would be no label, so a space comes before it.
    """
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def shortened(text: str, characters: int) -> str:
    """Return a text on one line, cut behind so many characters, without what only a terminal obeys."""
    line = _checks.printable(" ".join(text.split()), 10 * characters)
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"


def labels_of(texts: Sequence[str], characters: int) -> list[str]:
    """Return texts from data as labels of so many characters about, no two of them the same."""
    found: list[str] = []
    for text in texts:
        label = plain(shortened(text, characters))
        same = sum(each == label or each.startswith(f"{label} (") for each in found)
        found.append(f"{label} ({same + 1})" if same else label)
    return found
