"""A box on top of another screen, which goes on below it, dimmed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TypeVar

from rich.console import RenderableType
from rich.segment import Segment
from rich.style import Style
from textual._styles_cache import StylesCache
from textual.color import Color
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen

Result = TypeVar("Result")


class Dialog(ModalScreen[Result | None]):
    """Gives a result, None where it was closed."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        & > Vertical, & > VerticalScroll {
            width: 64; max-width: 96%; height: auto; max-height: 96%;
            border: round $primary; background: $surface; padding: 0 1;
            scrollbar-size-vertical: 1;
        }
        & OptionList, & OptionList:focus {
            height: auto; border: none; background: transparent; padding: 0; background-tint: transparent 0%;
        }
        & OptionList > .option-list--option-highlighted, & OptionList:focus > .option-list--option-highlighted {
            background: $primary 25%; color: $foreground; text-style: none;
        }
    }
    """

    def render(self) -> RenderableType:
        below = super().render()
        return _Below(below.screen, below.color) if isinstance(below, BackgroundScreen) else below

    def on_unmount(self) -> None:
        # Keyed by the caches of widgets, it would keep those of the last thousand, with all that they have drawn.
        StylesCache.get_inner_outer.cache_clear()

    def action_dismiss_dialog(self) -> None:
        self.dismiss(None)


class _Below(BackgroundScreen):
    """Textual mixes the colours of every piece of text anew, which takes as long as all the rest of a dialog."""

    @classmethod
    def process_segments(cls, segments: Iterable[Segment], color: Color) -> Iterable[Segment]:
        for text, style, control in segments:
            yield Segment(text, style if control else _dimmed(style, color), control)


@lru_cache(4096)
def _dimmed(style: Style | None, color: Color) -> Style | None:
    (segment,) = BackgroundScreen.process_segments([Segment(" ", style)], color)
    return segment.style
