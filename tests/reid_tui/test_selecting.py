"""Text of every panel can be selected with the mouse and copied with ctrl+c."""

from __future__ import annotations

import pytest

from core.profile import Profile
from tests.reid_tui.conftest import OpenApp, screen_text, until
from tests.reid_tui.fake_run import FakeRun
from tests.reid_tui.snapshots import cells
from tests.reid_tui.test_dashboard import ended


@pytest.mark.parametrize(
    ("words", "width"),
    [
        ("epoch 2  loss", 13),  # the log
        ("baseline   38.2   54.2", 22),  # the table
        ("all 2 epochs are done", 21),  # a panel
    ],
)
async def test_what_the_mouse_selects_is_copied(open_app: OpenApp, profile: Profile, words: str, width: int) -> None:
    async with open_app(FakeRun(epochs=2), selected=profile, size=(120, 60)) as (app, pilot):
        await ended(app, pilot)
        await until(pilot, lambda: words in screen_text(app))
        y = next(number for number, row in enumerate(screen_text(app).splitlines()) if words in row)
        x = screen_text(app).splitlines()[y].index(words)
        await pilot.mouse_down(offset=(x, y))
        await pilot.hover(offset=(x + 3, y))
        await pilot.hover(offset=(x + width, y))
        await pilot.mouse_up(offset=(x + width, y))
        await pilot.pause(0.1)
        before = {str(style) for _, style, _ in cells(app)[y]}
        await pilot.press("ctrl+c")
        assert words[: width - 1] in app.clipboard
        app.screen.clear_selection()
        await pilot.pause(0.1)
        assert before - {str(style) for _, style, _ in cells(app)[y]}, "what is selected is marked"
