"""Every screen, as it looked when somebody last looked at it; see `snapshots.py`."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
import textual
from textual.pilot import Pilot

from core.events import Event, Progress, RunFinished
from core.profile import Profile
from reid_tui.app import ReidApp
from reid_tui.screens.picker import PickerScreen
from tests.reid_tui.conftest import OpenApp, until
from tests.reid_tui.fake_run import FakeRun
from tests.reid_tui.snapshots import NOON, Snapshots, events_of, told

# Textual draws borders, footer and lists, and each of its versions a little otherwise.
DRAWN_WITH = "8.2.8"
pytestmark = pytest.mark.skipif(textual.__version__ != DRAWN_WITH, reason=f"drawn with Textual {DRAWN_WITH}")


@pytest.fixture
def snapshot(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Snapshots:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return Snapshots(request.config.getoption("--renew-snapshots"))


def live() -> list[Event]:
    """A run in the middle of its eighth epoch."""
    events = events_of(FakeRun(epochs=12, batches=12))
    cut = next(
        at for at, event in enumerate(events) if isinstance(event, Progress) and event.epoch == 8 and event.done == 5
    )
    return events[: cut + 1]


async def shown(app: ReidApp, pilot: Pilot[None], events: list[Event]) -> None:
    def all_folded() -> bool:
        return app.dashboard is not None and app.dashboard.state.now == events[-1].time

    await until(pilot, all_folded)


async def test_picker(
    snapshot: Snapshots, open_app: OpenApp, profiles: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(profiles[0].parent)
    paths = []
    Path("mine").mkdir()
    for path in profiles:
        paths.append(Path("mine") / path.name)
        shutil.copy(path, paths[-1])
    async with open_app(paths=paths) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, PickerScreen) and app.screen.highlighted)
        await snapshot(app, pilot, "picker")
        await pilot.press("down", "down")
        await snapshot(app, pilot, "picker-problems")
        await pilot.press("f1")
        await snapshot(app, pilot, "picker-help")


async def test_dashboard_of_a_live_run(snapshot: Snapshots, open_app: OpenApp, profile: Profile) -> None:
    events = live()
    async with open_app(told(events), selected=profile) as (app, pilot):
        await shown(app, pilot, events)
        await snapshot(app, pilot, "live")
        for key, name in (("s", "stop"), ("d", "detach"), ("q", "quit"), ("question_mark", "help")):
            await pilot.press(key)
            await snapshot(app, pilot, name)
            await pilot.press("escape")
        await pilot.press("l")
        await snapshot(app, pilot, "log")


async def test_dashboard_before_training(snapshot: Snapshots, open_app: OpenApp, profile: Profile) -> None:
    events = live()[:2]
    async with open_app(told(events), selected=profile) as (app, pilot):
        await shown(app, pilot, events)
        await snapshot(app, pilot, "preparing")


async def test_dashboard_of_a_finished_run(snapshot: Snapshots, open_app: OpenApp, profile: Profile) -> None:
    events = events_of(FakeRun(epochs=12, batches=12, peak=6))
    async with open_app(told(events), selected=profile) as (app, pilot):
        await shown(app, pilot, events)
        await snapshot(app, pilot, "finished")


async def test_dashboard_of_a_failed_run(snapshot: Snapshots, open_app: OpenApp, profile: Profile) -> None:
    message = "CUDA out of memory\nlower train.batch_size or data.image_size, or set run.precision to bf16"
    events = [*live(), RunFinished(NOON + 5000, "failed", message, 7, 172.0, folder="/data/runs/hands")]
    async with open_app(told(events), selected=profile) as (app, pilot):
        await shown(app, pilot, events)
        await snapshot(app, pilot, "failed")
