"""Text of widgets that draw line by line, made selectable with the mouse; Textual does it by itself for the others."""

from __future__ import annotations

from collections.abc import Iterable

from rich.segment import Segment
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget


def selectable(widget: Widget, strip: Strip, y: int) -> Strip:
    """A line as it is drawn, with what is selected of it marked; `y` is its number among all lines of the widget."""
    selection = widget.text_selection
    if selection is not None and (span := selection.get_span(y)) is not None:
        length = strip.cell_length
        start, stop = min(span[0], length), length if span[1] < 0 else min(span[1], length)
        style = widget.screen.get_component_rich_style("screen--selection")
        marked = Strip(Segment.apply_style(strip.crop(start, stop), post_style=style))  # over the line's own colours
        strip = Strip.join([strip.crop(0, start), marked, strip.crop(stop)])
    return strip.apply_offsets(0, y)


def selected(lines: Iterable[str], selection: Selection) -> tuple[str, str]:
    """What `Widget.get_selection` is to give: the text, and what ends it."""
    return selection.extract("\n".join(line.rstrip() for line in lines)), "\n"
