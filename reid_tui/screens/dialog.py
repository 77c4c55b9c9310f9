"""A box on top of another screen, which goes on below it, dimmed."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual._styles_cache import StylesCache
from textual.app import RenderResult
from textual.color import Color
from textual.css.styles import RulesMap
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual

Result = TypeVar("Result")

_FAINT = RichStyle(dim=True, bold=False)
_GREY = RichStyle(color="bright_black", bold=False)


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

    def render(self) -> RenderResult:  # type: ignore[override]  # a screen may give what any other widget may
        below = super().render()
        return _Below(below.screen, below.color) if isinstance(below, BackgroundScreen) else below

    def on_unmount(self) -> None:
        # Keyed by the caches of widgets, it would keep those of the last thousand, with all that they have drawn.
        StylesCache.get_inner_outer.cache_clear()

    def action_dismiss_dialog(self) -> None:
        self.dismiss(None)


class _Below(Visual):
    """Textual mixes the colours of every piece of text anew, and cuts the pieces into lines that they come in already:
    that takes three times as long as all the rest of a dialog."""

    def __init__(self, screen: Screen[object], color: Color) -> None:
        self._screen = screen
        self._color = color

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        base, color = style.rich_style, self._color
        return [
            Strip([Segment(text, _dimmed(base, look, color), control) for text, look, control in strip])
            for strip in self._screen._compositor.render_strips()
        ]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        return container_width

    def get_height(self, rules: RulesMap, width: int) -> int:
        return int(self._screen.size.height)


@lru_cache(4096)
def _dimmed(base: RichStyle, style: RichStyle | None, color: Color) -> RichStyle:
    front, back = (style.color, style.bgcolor) if style else (None, None)
    if not any(each is not None and each.triplet is not None for each in (front, back)):
        # A filter has been at work: of sixteen colours, and of none, there is nothing to mix.
        return (style or RichStyle()).clear_meta_and_links() + (_FAINT if front is None else _GREY)
    (segment,) = BackgroundScreen.process_segments([Segment(" ", style)], color)
    return base + segment.style
