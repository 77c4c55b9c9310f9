"""What every dialog leaves behind: nothing, however often it is opened in a run of days."""

from __future__ import annotations

import gc

import pytest
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widgets import Static
from textual.widgets._footer import FooterKey

from core.profile import Profile
from reid_tui.app import ReidApp
from reid_tui.filters import filters_for
from reid_tui.screens.alerts import AlertsScreen
from reid_tui.screens.help import HelpScreen, help_text
from tests.reid_tui.conftest import OpenApp, screen_text, until
from tests.reid_tui.fake_run import FakeRun
from tests.reid_tui.snapshots import cells
from tests.reid_tui.test_dashboard import LONG, board, started


async def _open_and_close(app: ReidApp, pilot: Pilot[None], times: int, key: str = "question_mark") -> None:
    for _ in range(times):
        await pilot.press(key)
        await until(pilot, lambda: app.screen is not board(app))
        await pilot.pause()
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is board(app))


def _objects() -> int:
    gc.collect()
    return len(gc.get_objects())


@pytest.mark.parametrize("key", ["question_mark", "a", "s"])
async def test_a_closed_dialog_is_let_go_of_with_all_that_it_has_drawn(
    open_app: OpenApp, profile: Profile, key: str
) -> None:
    """Textual keeps some thousand objects of each, and the garbage collector stops the screen to look at them."""
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await started(app, pilot)
        await _open_and_close(app, pilot, 3, key)
        before = _objects()
        await _open_and_close(app, pilot, 10, key)
        assert _objects() - before < 5000


async def test_the_help_is_built_once_and_opens_at_its_top_in_the_width_of_the_moment(
    open_app: OpenApp, profile: Profile
) -> None:
    async with open_app(FakeRun(**LONG), selected=profile, size=(120, 20)) as (app, pilot):
        await started(app, pilot)

        async def opened() -> HelpScreen:
            await pilot.press("question_mark")
            await until(pilot, lambda: isinstance(app.screen, HelpScreen) and "Keys" in screen_text(app))
            assert isinstance(app.screen, HelpScreen)
            return app.screen

        first = await opened()
        box = first.query_one(VerticalScroll)
        at_the_top = screen_text(app)
        await pilot.press("end")
        await until(pilot, lambda: box.scroll_y == box.max_scroll_y > 0)
        await pilot.press("escape")
        await pilot.resize_terminal(60, 20)
        assert await opened() is first
        await until(pilot, lambda: box.scroll_y == 0 and box.region.right <= 60)
        narrow = box.query_one(Static).content
        assert "hold the run after the batch in hand" in at_the_top
        assert str(narrow) == str(help_text("dashboard", "chart", room=int(0.96 * 60) - 6))


@pytest.mark.parametrize("room", [32, 40, 48, 60, 80])
def test_the_help_fits_the_width_that_there_is(room: int) -> None:
    text = help_text("dashboard", "chart", "runs", "picker", room=room).plain
    assert max(map(len, text.splitlines())) <= room
    assert "Save" in text and "a marked run" in " ".join(text.split())


@pytest.mark.parametrize("colours", ["none", "sixteen"])
async def test_what_is_below_is_dim_without_many_colours_as_well(
    open_app: OpenApp, profile: Profile, colours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if colours == "none":
        monkeypatch.setenv("NO_COLOR", "1")
    async with open_app(FakeRun(**LONG), selected=profile, size=(120, 40)) as (app, pilot):
        await started(app, pilot)
        if colours == "sixteen":
            app._line_filters = app.theme, filters_for(app.theme, {}, "standard")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AlertsScreen))
        app.screen.refresh()
        await pilot.pause(0.2)
        looks = {
            (style.dim, style.bold, style.color.number if style.color else None)
            for text, style, _ in cells(app)[0]
            if style is not None and text.strip()
        }
        assert looks == ({(True, False, None)} if colours == "none" else {(None, False, 8)})


async def test_the_keys_at_the_bottom_stay_while_they_are_the_same(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.pause()
        before = list(app.screen.query(FooterKey))
        await _open_and_close(app, pilot, 2)
        assert before and list(app.screen.query(FooterKey)) == before


async def test_keys_that_were_made_anew_are_let_go_of(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.pause()
        before = {key.description for key in app.screen.query(FooterKey)}
        board(app).live.control.stop_after_batch()
        await until(pilot, lambda: {key.description for key in app.screen.query(FooterKey)} != before)

        def left_behind() -> int:
            gc.collect()
            return sum(isinstance(item, FooterKey) and not item.is_attached for item in gc.get_objects())

        await until(pilot, lambda: left_behind() == 0)
