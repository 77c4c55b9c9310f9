"""The lower border of a chart: what each curve is, and its value at the end or under the cursor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content

from reid_tui.text import duration, number
from reid_tui.widgets.axis import XAxis


@dataclass(frozen=True)
class Entry:
    """One curve. `smoothed`: the value is an average, and is shown with a tilde."""

    marker: str
    colour: str
    name: str
    short: str
    value: float
    smoothed: bool = False


def place_text(x: float, axis: XAxis, extent: float, *, named: bool = False) -> str:
    """A place on the x axis, as fine as `extent` of it on the screen needs: "epoch 2.45", "step 1200", "0:45:10"."""
    if axis == "time":
        text = duration(x)
    elif axis == "step":
        text = f"{x:.0f}"
    else:
        decimals = min(max(2 - math.floor(math.log10(extent)), 0), 4) if extent > 0 else 2
        text = f"{x:.{decimals}f}".rstrip("0").rstrip(".") if decimals else f"{x:.0f}"
    return f"{axis} {text}" if named and axis != "time" else text


def legend(entries: Sequence[Entry], width: int, unit: str = "", where: str = "") -> Content:
    """Marker, name and value of each curve, after `where` they are read; short names, or none, where it is narrow."""
    values = [
        ("~" if entry.smoothed else "")
        + (f"{100 * entry.value:.1f}" if unit == "%" and math.isfinite(entry.value) else number(entry.value))
        for entry in entries
    ]
    names = [f" {entry.name} " for entry in entries]
    shorts = [f" {entry.short} " for entry in entries]
    nothing = [""] * len(entries)
    bare = where.rpartition(" ")[2]
    ways = (
        (where, names, "   "),
        (where, names, "  "),
        (where, shorts, "  "),
        (bare, shorts, " "),
        (bare, nothing, " "),
    )
    for place, labels, gap in ways:
        parts = [Content.styled(place, "bold")] if place else []
        for entry, label, value in zip(entries, labels, values, strict=True):
            parts.append(Content.assemble((entry.marker, entry.colour), label, (value, "bold")))
        line = Content(gap).join(parts)
        if line.cell_length <= width:
            return line
    return line.truncate(max(width, 1), ellipsis=True)
