"""The last hand on the colours of a line: more contrast, sixteen colours, none at all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from rich.color import Color as RichColor
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.color import BLACK, WHITE, Color
from textual.filter import LineFilter

LEAST_CONTRAST = 7.0  # WCAG, level AAA
DIM_BELOW = 0.6  # of white: darker text is dim where there are no colours
_WHITE, _BLACK, _GREY = 7, 0, 8


def luminance(color: Color) -> float:
    """Relative luminance as WCAG has it, 0 to 1."""
    parts = [part / 255 for part in color.rgb]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    """From 1 (the same) to 21 (black and white)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@lru_cache(4096)
def _contrasted(style: Style, behind: Color) -> Style:
    if style.color is None or style.color.is_default:
        return style
    back = Color.from_rich_color(style.bgcolor) if style.bgcolor and not style.bgcolor.is_default else behind
    front = Color.from_rich_color(style.color)
    if style.reverse:
        front, back = back, front
    goal = max((WHITE, BLACK), key=lambda end: contrast(end, back))
    wanted = front
    for step in range(1, 21):
        if contrast(wanted, back) >= LEAST_CONTRAST:
            break
        wanted = front.blend(goal, step / 20)
    # Dim text would lose what it has gained.
    changed = Style(dim=False) + (
        Style.from_color(bgcolor=wanted.rich_color) if style.reverse else Style.from_color(wanted.rich_color)
    )
    return style + changed


class LeastContrast(LineFilter):
    """Lightens (or darkens) every text until it stands out from what is behind it."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, _contrasted(style, background) if style and text.strip() else style, control)
            for text, style, control in segments
        ]


@lru_cache(4096)
def _colourless(style: Style) -> Style:
    back, front = style.bgcolor, style.color
    marked = back is not None and not back.is_default and max(back.get_truecolor()) > 0
    faint = front is not None and not front.is_default and max(front.get_truecolor()) < 255 * DIM_BELOW
    return Style(
        bold=style.bold,
        dim=style.dim or (faint and not marked and not style.reverse) or None,
        italic=style.italic,
        underline=style.underline,
        strike=style.strike,
        reverse=(bool(style.reverse) != marked) or None,
        meta=style.meta,
    )


class NoColours(LineFilter):
    """No colours at all. What stands on a background of its own (the line under the cursor) is reversed.

    Made for a theme whose only background is black.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, _colourless(style) if style is not None else None, control)
            for text, style, control in segments
        ]


@lru_cache(4096)
def _sixteen(style: Style) -> Style:
    back = style.bgcolor.downgrade(ColorSystem.STANDARD).number if style.bgcolor is not None else None
    front = style.color.downgrade(ColorSystem.STANDARD).number if style.color is not None else None
    if style.bgcolor is not None and style.bgcolor.is_default:
        back = None
    if style.color is None or style.color.is_default or back is None:
        return style
    dark = back in {0, 1, 4, 5, 8}
    if front is None or front == back or (dark and front == _BLACK) or (not dark and front not in {0, 1, 4, 5}):
        front = _WHITE if dark else _BLACK
    if back == _GREY and front == _GREY:
        front = _WHITE
    # Eight of the backgrounds are enough, and a text console has no others.
    return style + Style.from_color(RichColor.from_ansi(front), RichColor.from_ansi(back % 8 if back != _GREY else 0))


class SixteenColours(LineFilter):
    """Where there are no more than sixteen, two that are near each other would fall into one: text on itself."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, _sixteen(style) if style is not None else None, control) for text, style, control in segments
        ]


def filters_for(theme: str, environ: Mapping[str, str], colours: str | None) -> list[LineFilter]:
    """What the colours of the app still go through.

    Args:
        theme: name of the theme.
        environ: `NO_COLOR`, if it is not empty, takes the colours away (https://no-color.org).
        colours: the colour system that Rich has found: "standard" for sixteen colours.
    """
    if environ.get("NO_COLOR"):
        return [NoColours()]
    filters: list[LineFilter] = [LeastContrast()] if theme == "reid-contrast" else []
    return [*filters, SixteenColours()] if colours == "standard" else filters
