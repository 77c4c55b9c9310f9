"""A widget that draws one piece of text, and only when that has changed."""

from __future__ import annotations

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget


class Panel(Widget):
    """Base of the small panels: `lines` makes the text from what was shown last, and the width."""

    def __init__(self, title: str = "", *, id: str | None = None, classes: str = "panel") -> None:
        super().__init__(id=id, classes=classes)
        self._drawn = Content("")
        self._drawn_width = -1
        if title:
            self.border_title = Content(title)

    def lines(self, width: int) -> list[Content]:
        """What the panel says, in lines of at most `width` cells."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw if the text is another one than that on the screen."""
        width = self.size.width
        drawn = self._compose_text(width)
        if width != self._drawn_width or not _same(drawn, self._drawn):
            layout = len(drawn.plain.splitlines()) != len(self._drawn.plain.splitlines())
            self._drawn, self._drawn_width = drawn, width
            self.refresh(layout=layout)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Lines that the text takes at this width, which may be another one than that of the last drawing."""
        return len(self.lines(width))

    def on_resize(self) -> None:
        self.redraw()

    def _compose_text(self, width: int) -> Content:
        return Content("\n").join(line.truncate(width, ellipsis=True) for line in self.lines(width))

    def render(self) -> Content:
        if self.size.width != self._drawn_width:
            self._drawn, self._drawn_width = self._compose_text(self.size.width), self.size.width
        return self._drawn


def _same(one: Content, other: Content) -> bool:
    return one.plain == other.plain and one.spans == other.spans
