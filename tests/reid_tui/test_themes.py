"""Colours: enough contrast, told apart by everybody, readable with sixteen of them and with none."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from rich.color import ColorSystem
from textual.color import Color

from core.profile import Profile
from reid_tui.filters import LEAST_CONTRAST, contrast, filters_for
from reid_tui.screens.picker import PickerScreen
from reid_tui.settings import Settings
from reid_tui.theme import PLAIN, SAFE, SAFE_LIGHT, THEMES, first_theme, other_theme, short_name
from tests.reid_tui.conftest import OpenApp, screen_text, until
from tests.reid_tui.fake_run import FakeRun
from tests.reid_tui.snapshots import cells
from tests.reid_tui.test_dashboard import LONG, ended, started

# What people without one kind of cone see of (red, green, blue), in linear light (Machado and others, 2009).
BLINDNESS = {
    "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "tritanopia": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
}


def seen(color: Color, kind: str) -> list[float]:
    linear = [(part / 255) ** 2.2 for part in color.rgb]
    mixed = [sum(a * b for a, b in zip(row, linear, strict=True)) for row in BLINDNESS[kind]]
    return [max(part, 0.0) ** (1 / 2.2) for part in mixed]


@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize("theme", [SAFE, SAFE_LIGHT], ids=lambda theme: theme.name)
def test_the_curves_of_the_safe_themes_are_told_apart(theme: object, kind: str) -> None:
    colours = [getattr(theme, name) for name in ("primary", "accent", "secondary", "success")]
    for one, other in itertools.combinations([seen(Color.parse(colour), kind) for colour in colours[:3]], 2):
        assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 0.12
    good, bad = seen(Color.parse(theme.success), kind), seen(Color.parse(theme.error), kind)  # type: ignore[attr-defined]
    assert sum((a - b) ** 2 for a, b in zip(good, bad, strict=True)) ** 0.5 > 0.12


def worst(app: object) -> tuple[float, str]:
    """The text of the screen that stands out least, and its contrast."""
    found = [(21.0, "")]
    for row in cells(app):  # type: ignore[arg-type]
        for text, style, _ in row:
            if style is None or style.color is None or not any(char.isalnum() for char in text):
                continue
            back = Color.from_rich_color(style.bgcolor) if style.bgcolor else Color(0, 0, 0)
            front = Color.from_rich_color(style.color)
            front, back = (back, front) if style.reverse else (front, back)
            found.append((0.0 if style.dim else contrast(front, back), text))
    return min(found)


async def test_every_text_of_the_contrast_theme_has_a_contrast_of_seven(open_app: OpenApp, profile: Profile) -> None:
    settings = Settings(theme="contrast")
    async with open_app(FakeRun(epochs=2), selected=profile, settings=settings, size=(120, 40)) as (app, pilot):
        await ended(app, pilot)
        assert worst(app)[0] >= LEAST_CONTRAST, worst(app)
        for key in ("question_mark", "ctrl+p"):
            await pilot.press(key)
            await pilot.pause(0.2)
            assert worst(app)[0] >= LEAST_CONTRAST, worst(app)
            await pilot.press("escape")
        app.theme = "reid-dark"
        await pilot.pause(0.1)
        assert worst(app)[0] < LEAST_CONTRAST, "it is the theme that does it"
    async with open_app(settings=settings) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, PickerScreen) and app.screen.highlighted)
        assert worst(app)[0] >= LEAST_CONTRAST, worst(app)


async def test_the_key_goes_through_every_theme(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await started(app, pilot)
        names = []
        for _ in THEMES:
            await pilot.press("t")
            names.append(app.theme)
        assert sorted(names) == sorted(theme.name for theme in THEMES)
        assert other_theme("no theme of ours") == THEMES[0].name


def test_the_first_theme() -> None:
    assert first_theme({}) == "reid-dark"
    assert first_theme({"COLORFGBG": "0;15"}) == "reid-light"
    assert first_theme({"COLORFGBG": "0;15"}, "safe") == "reid-safe"
    assert first_theme({}, "gone") == "reid-dark"
    assert [short_name(theme.name) for theme in THEMES][:2] == ["dark", "light"]


async def test_no_color_takes_every_colour_and_reverses_the_cursor(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, profiles: list[Path]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_app() as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, PickerScreen) and app.screen.highlighted)
        assert app.theme == PLAIN.name
        styles = {style for row in cells(app) for _, style, _ in row if style is not None}
        assert {(style.color, style.bgcolor) for style in styles} == {(None, None)}
        reversed_rows = ["".join(part.text for part in row if part.style and part.style.reverse) for row in cells(app)]
        assert any("alpha" in text for text in reversed_rows)
        assert not any("beta" in text for text in reversed_rows)


@pytest.mark.parametrize("theme", [theme.name for theme in THEMES])
async def test_with_sixteen_colours_no_text_stands_on_itself(open_app: OpenApp, profile: Profile, theme: str) -> None:
    async with open_app(FakeRun(epochs=2), selected=profile, size=(120, 40)) as (app, pilot):
        await ended(app, pilot)
        app.theme = theme
        app._line_filters = theme, filters_for(theme, {}, "standard")
        app.screen.refresh()
        await pilot.pause(0.1)
        pairs = set()
        for row in cells(app):
            for text, style, _ in row:
                if text.strip() and style is not None and style.color is not None and style.bgcolor is not None:
                    small = [colour.downgrade(ColorSystem.STANDARD).number for colour in (style.color, style.bgcolor)]
                    pairs.add((small[0], small[1]))
        assert pairs
        light = {2, 3, 6, 7, 10, 11, 14, 15}
        for front, back in pairs:
            assert front != back
            assert (front in light) != (back in light) or back == 0, (front, back)
        assert "Finished" in screen_text(app)
