"""What every dialog leaves behind: nothing, however often it is opened in a run of days."""

from __future__ import annotations

import gc

from textual.pilot import Pilot
from textual.widgets._footer import FooterKey

from core.profile import Profile
from reid_tui.app import ReidApp
from reid_tui.screens.help import HelpScreen
from tests.reid_tui.conftest import OpenApp, until
from tests.reid_tui.fake_run import FakeRun
from tests.reid_tui.test_dashboard import LONG, board, started


async def _open_and_close(app: ReidApp, pilot: Pilot[None], times: int) -> None:
    for _ in range(times):
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.pause()
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is board(app))


def _objects() -> int:
    gc.collect()
    return len(gc.get_objects())


async def test_a_closed_dialog_is_let_go_of_with_all_that_it_has_drawn(open_app: OpenApp, profile: Profile) -> None:
    """Textual keeps some thousand objects of each, and the garbage collector stops the screen to look at them."""
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await started(app, pilot)
        await _open_and_close(app, pilot, 3)
        before = _objects()
        await _open_and_close(app, pilot, 10)
        assert _objects() - before < 5000


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
