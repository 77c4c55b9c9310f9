"""Lines that fit already, on their way to the screen without what `Content` does for any text.

Wrapping, aligning and making selectable take as long for a chart as drawing it; a chart needs none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.segment import Segment
from textual.css.styles import RulesMap
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual


@dataclass(frozen=True)
class Line:
    """Pieces of text with a style each, as `Content` names it; every character takes one cell."""

    parts: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, parts: Iterable[tuple[str, str]]) -> Line:
        return cls(tuple(parts))

    @property
    def plain(self) -> str:
        return "".join(text for text, _ in self.parts)

    @property
    def cell_length(self) -> int:
        return sum(len(text) for text, _ in self.parts)


class Lines(Visual):
    """Drawn as they are, from the top left."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self.styles = {name for line in lines for _, name in line.parts}

    @property
    def plain(self) -> str:
        return "\n".join(line.plain for line in self._lines)

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        lines = self._lines[:height]
        looks = {name: (style + options.get_style(name)).rich_style for name in self.styles}
        return [Strip([Segment(text, looks[name]) for text, name in line.parts], line.cell_length) for line in lines]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        return max((line.cell_length for line in self._lines), default=0)

    def get_height(self, rules: RulesMap, width: int) -> int:
        return len(self._lines)
