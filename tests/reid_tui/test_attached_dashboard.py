"""The dashboard on a run of another process: what it shows of it, what it tells it, and that leaving costs nothing."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.control import RunControl
from core.control_socket import ControlServer
from core.events import Alert, CheckpointSaved, LogLine, Paused, Stopping
from core.run_lock import held, is_live, mark_waiting
from reid_tui import attached_run
from reid_tui.app import ReidApp
from reid_tui.attached_run import AttachedRun
from reid_tui.screens.dashboard import DashboardScreen
from reid_tui.screens.dialogs import ChoiceDialog
from reid_tui.screens.picker import PickerScreen
from reid_tui.settings import Settings
from reid_tui.widgets.progress import ProgressPanel
from tests.reid_tui.conftest import screen_text, until
from tests.run_folders import HOSTILE, ended, make_run, say, started, trained, wait_until

MARK = "said by the run itself"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached_run, "FOLLOW_SECONDS", 0.02)
    monkeypatch.setattr(Settings, "redraw_seconds", 0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", started(tmp_path / "run"), *trained(1, 0.5), *trained(2, 0.75))


@pytest.fixture
def live(folder: Path) -> Iterator[RunControl]:
    control = RunControl()
    with held(folder), ControlServer(folder, control):
        yield control


@asynccontextmanager
async def attached(folder: Path) -> AsyncIterator[tuple[ReidApp, Pilot[None]]]:
    """The app on a folder, once it has read what is there. It must start nothing of its own."""

    def start_run(*_: object) -> None:
        raise AssertionError("a run was started")

    say(folder, LogLine(1e9 + 8, "info", MARK))
    app = ReidApp([], None, (), None, start_run, attach=folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.dashboard and any(text == MARK for _, _, text in app.dashboard.state.log))
        yield app, pilot


def board(app: ReidApp) -> DashboardScreen:
    assert app.dashboard is not None
    return app.dashboard


def title(app: ReidApp) -> str:
    return str(board(app).query_one(ProgressPanel).border_title)


async def test_a_live_run_is_shown_with_what_it_has_said_so_far(folder: Path, live: RunControl) -> None:
    async with attached(folder) as (app, pilot):
        assert isinstance(board(app).live, AttachedRun)
        await until(pilot, lambda: "▶ training" in screen_text(app))
        text = screen_text(app)
        for part in ("RN-tiny", "demo-hands", "75.0", "epoch 2 of 9", MARK):
            assert part in text, part
        assert [row.epoch for row in board(app).state.epochs] == [1, 2]
        say(folder, *trained(3, 0.8))
        await until(pilot, lambda: "epoch 3 of 9" in screen_text(app))


async def test_a_run_that_waits_for_others_says_so_until_it_has_its_turn(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "later")
    with held(folder):
        mark_waiting(folder, True)
        async with attached(folder) as (app, pilot):
            await until(pilot, lambda: "○ waiting in a queue" in screen_text(app).splitlines()[0])
            assert "it begins when the runs before it have ended" in screen_text(app)
            mark_waiting(folder, False)
            await until(pilot, lambda: "◌ preparing" in screen_text(app).splitlines()[0])


@pytest.mark.parametrize("reason", ["finished", "early-stop", "stopped", "failed"])
async def test_a_run_that_has_ended_is_shown_as_such(folder: Path, reason) -> None:
    say(folder, ended(reason))
    async with attached(folder) as (app, pilot):
        await until(pilot, lambda: "its last word" in screen_text(app))
        words = {
            "finished": "✔ finished",
            "early-stop": "✔ stopped early",
            "stopped": "■ stopped",
            "failed": "✘ failed",
        }
        assert words[reason] in screen_text(app).splitlines()[0]
        await pilot.press("c", "p", "s")  # nobody to tell
        assert app.screen is app.dashboard
        assert not board(app).state.alerts
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)


async def test_a_crashed_run_is_shown_with_the_way_on_and_comes_to_life_when_it_is_resumed(folder: Path) -> None:
    async with attached(folder) as (app, pilot):
        await until(pilot, lambda: "✘ crashed" in screen_text(app).splitlines()[0])
        assert "reid-tui resume run" in screen_text(app)
        assert title(app) == "Crashed after 2 epochs, 0:08"
        await until(pilot, lambda: "c Save" not in screen_text(app))
        assert board(app).query_one(ProgressPanel).has_class("failed")
        control = RunControl()
        with held(folder), ControlServer(folder, control):
            say(folder, started(folder, resumed_epoch=2), *trained(2, 0.6))
            await until(pilot, lambda: "▶ training" in screen_text(app).splitlines()[0])
            assert title(app) == "Progress"
            assert [row.rank1 for row in board(app).state.epochs] == [0.5, 0.6]
            await until(pilot, lambda: "c Save" in screen_text(app))
            await pilot.press("c")
            await until(pilot, control.take_checkpoint)


@pytest.mark.parametrize("key", ["d", "q", "ctrl+q"])
async def test_leaving_asks_nothing_and_the_run_goes_on(folder: Path, live: RunControl, key: str) -> None:
    async with attached(folder) as (app, pilot):
        await pilot.press(key)
        await until(pilot, lambda: not app.is_running)
        assert not board(app).handed_over
    wait_until(lambda: not any(thread.name == "attached-run" for thread in threading.enumerate()))
    assert is_live(folder)
    assert (live.stopping, live.paused, live.take_checkpoint()) == (None, False, False)


async def test_another_profile_can_be_picked_while_the_run_goes_on(folder: Path, live: RunControl) -> None:
    async with attached(folder) as (app, pilot):
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, PickerScreen))
        await until(pilot, lambda: not any(thread.name == "attached-run" for thread in threading.enumerate()))
        assert live.stopping is None and is_live(folder)


async def test_checkpoint_reaches_the_run_and_is_answered(folder: Path, live: RunControl) -> None:
    async with attached(folder) as (app, pilot):
        await pilot.press("c")
        assert "saving a checkpoint" in screen_text(app)
        await until(pilot, live.take_checkpoint)
        say(folder, CheckpointSaved(1e9 + 9, "LAST", f"{folder}/checkpoints/a_LAST.pth", 2, "asked for"))
        await until(pilot, lambda: "✔ saved a_LAST.pth" in screen_text(app))


async def test_pause_reaches_the_run_and_a_second_one_goes_on(folder: Path, live: RunControl) -> None:
    async with attached(folder) as (app, pilot):
        await pilot.press("p")
        await until(pilot, lambda: live.paused)
        assert "pausing after this batch" in screen_text(app)
        say(folder, Paused(1e9 + 9, True))
        await until(pilot, lambda: "❚❚ paused" in screen_text(app).splitlines()[0])
        await pilot.press("p")
        await until(pilot, lambda: not live.paused)
        say(folder, Paused(1e9 + 10, False))
        await until(pilot, lambda: "▶ training" in screen_text(app).splitlines()[0])


async def test_what_another_screen_wished_for_is_shown_and_can_be_taken_back(folder: Path, live: RunControl) -> None:
    say(folder, Paused(1e9 + 7, True))
    live.pause()
    async with attached(folder) as (app, pilot):
        await until(pilot, lambda: "❚❚ paused" in screen_text(app).splitlines()[0])
        await pilot.press("p")
        await until(pilot, lambda: not live.paused)
        say(folder, Paused(1e9 + 9, False), Stopping(1e9 + 9, "epoch", "stopped from outside"))
        await until(pilot, lambda: "■ stopping" in screen_text(app).splitlines()[0])


@pytest.mark.parametrize(("key", "after"), [("e", "epoch"), ("n", "batch")])
async def test_stop_asks_when_and_reaches_the_run(folder: Path, live: RunControl, key: str, after: str) -> None:
    async with attached(folder) as (app, pilot):
        await pilot.press("s")
        assert isinstance(app.screen, ChoiceDialog)
        assert live.stopping is None
        await pilot.press(key)
        await until(pilot, lambda: live.stopping == after)
        await until(pilot, lambda: "■ stopping" in screen_text(app).splitlines()[0])


@pytest.mark.parametrize(
    ("keys", "words"), [("c", "saving"), ("p", "pausing"), ("se", "■ stopping"), ("sn", "■ stopping")]
)
async def test_a_wish_that_does_not_reach_the_run_is_not_shown_as_if_it_had(
    folder: Path, keys: str, words: str
) -> None:
    with held(folder):  # and nobody serves
        async with attached(folder) as (app, pilot):
            await pilot.press(*keys)
            await until(pilot, lambda: board(app).state.alerts)
            await until(pilot, lambda: words not in screen_text(app))
            assert "▶ training" in screen_text(app).splitlines()[0]
            assert [note.title for note in app._notifications] == ["The run cannot be asked"]
            await pilot.press(*keys)  # it can be tried again
            await until(pilot, lambda: len(board(app).state.alerts) == 2)


async def test_a_hostile_folder_cannot_draw(tmp_path: Path) -> None:
    folder = make_run(tmp_path / HOSTILE)
    say(folder, started(folder, name=HOSTILE, model="[bold]" + HOSTILE, dataset=HOSTILE), ended("failed", HOSTILE))
    async with attached(folder) as (app, pilot):
        await until(pilot, lambda: "✘ failed" in screen_text(app))
        rows = screen_text(app).split("\n")
        assert len(rows) == 40
        assert not [char for row in rows for char in row if ord(char) < 32 or char == "\u202e"]


async def test_an_error_of_the_past_does_not_pop_up(folder: Path, live: RunControl) -> None:
    say(folder, Alert(1e9 + 7, "error", "Old", "long ago"))
    async with attached(folder) as (app, pilot):
        assert not app._notifications
        say(folder, Alert(1e9 + 9, "error", "New", "just now"))
        await until(pilot, lambda: [note.title for note in app._notifications] == ["New"])
