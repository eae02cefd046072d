"""Small histograms, of which a page holds hundreds: a few rectangles each."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from nineline.tables.profile import NumberProfile, ValueProfile
from nineline.tables.series import datetimes
from nineline.view.axes import shortened

if TYPE_CHECKING:
    from nineline.tables.profile import ColumnProfile

_WIDTH: Final = 240
_HEIGHT: Final = 44
_LINE: Final = 14
_VALUES: Final = 6


def bars(profile: ColumnProfile) -> str:
    """Return how often a column has which values, as an ``<svg>`` element; empty where it has none."""
    if isinstance(profile, NumberProfile) and len(profile.counts):
        return _histogram(profile)
    if isinstance(profile, ValueProfile) and profile.values:
        return _frequencies(profile)
    return ""


def _histogram(profile: NumberProfile) -> str:
    most, width = float(profile.counts.max()) or 1.0, _WIDTH / len(profile.counts)
    drawn = "".join(
        f'<rect x="{number * width:.1f}" y="{_HEIGHT - height:.1f}" '
        f'width="{max(width - 0.8, 0.8):.1f}" height="{height:.1f}"/>'
        for number, count in enumerate(profile.counts.tolist())
        if (height := (_HEIGHT - 1) * count / most)
    )
    low, middle, high = (_said(profile, float(profile.quantiles[place])) for place in (0, 2, 4))
    left_out = profile.below + profile.above
    beside = f" · {left_out:,.0f} outlying rows not drawn" if left_out else ""
    return _element("histogram", _HEIGHT, drawn) + f'<span class="range">{low} … {middle} … {high}{beside}</span>'


def _said(profile: NumberProfile, value: float) -> str:
    if not profile.dates:
        return f"{value:.4g}"
    return f"{datetimes([value])[0]:%Y-%m-%d}"


def _frequencies(profile: ValueProfile) -> str:
    counts = profile.counts.tolist()[:_VALUES]
    others = profile.others + sum(profile.counts.tolist()[_VALUES:])
    lines = [*zip(profile.values, counts, strict=False)]
    if others:
        lines.append((f"{profile.different - len(counts):,} others", others))
    total = sum(count for _, count in lines) or 1.0
    most = max(count for _, count in lines) or 1.0
    drawn = ""
    for number, (name, count) in enumerate(lines):
        width = 0.38 * _WIDTH * count / most
        drawn += (
            f'<rect x="0" y="{number * _LINE + 2}" width="{max(width, 0.5):.1f}" height="{_LINE - 4}"/>'
            f'<text x="{width + 5:.1f}" y="{(number + 1) * _LINE - 3}">{escape(shortened(name, 22))} '
            f'<tspan class="share">{100 * count / total:.3g} %</tspan></text>'
        )
    return _element("frequencies", len(lines) * _LINE + 2, drawn)


def _element(title: str, height: float, drawn: str) -> str:
    return (
        f'<svg class="bars" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" role="img">'
        f"<title>{title}</title>{drawn}</svg>"
    )
