"""Every screen, as it looked when somebody last looked at it; see `snapshots.py`."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import textual
from textual.pilot import Pilot
from textual.widgets import Input

from core.events import Alert, Cleared, Event, Gpu, Paused, Progress, RunFinished, System
from core.profile import Profile
from core.run_lock import held
from core.run_plan import PlannedRun
from reid_tui.app import ReidApp
from reid_tui.run_queue import QueuedRun
from reid_tui.screens.compare import CompareScreen
from reid_tui.screens.editor import EditorScreen
from reid_tui.screens.picker import PickerScreen
from reid_tui.screens.runs import RunsScreen
from reid_tui.theme import CONTRAST, SAFE, SAFE_LIGHT
from tests import listed_runs, run_folders
from tests.reid_tui.conftest import OpenApp, until
from tests.reid_tui.fake_run import FOLDER, FakeRun
from tests.reid_tui.snapshots import NOON, SIZES, Snapshots, events_of, still, told

# Textual draws borders, footer and lists, and each of its versions a little otherwise.
DRAWN_WITH = "8.2.8"
pytestmark = pytest.mark.skipif(textual.__version__ != DRAWN_WITH, reason=f"drawn with Textual {DRAWN_WITH}")
GIB = 2.0**30
OTHER_LOOKS = [theme.name for theme in (CONTRAST, SAFE, SAFE_LIGHT)]


@pytest.fixture
def snapshot(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Snapshots]:
    """At home in an empty folder, in UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setenv("HOME", str(Path.cwd()))
        patch.delenv("XDG_CONFIG_HOME", raising=False)
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield Snapshots(request.config.getoption("--renew-snapshots"))
    time.tzset()


@pytest.fixture
def copies(snapshot: Snapshots, profiles: list[Path]) -> list[Path]:
    """The profiles in a folder that is called the same everywhere."""
    Path("mine").mkdir()
    return [Path(shutil.copy(path, Path("mine") / path.name)) for path in profiles]


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


async def test_picker(snapshot: Snapshots, open_app: OpenApp, copies: list[Path]) -> None:
    async with open_app(paths=copies) as (app, pilot):
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
        await pilot.press("l")
        await snapshot(app, pilot, "live-other-themes", sizes=SIZES[1:2], looks=OTHER_LOOKS)


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


async def test_charts(snapshot: Snapshots, open_app: OpenApp, profile: Profile) -> None:
    events = live()
    async with open_app(told(events), selected=profile) as (app, pilot):
        await shown(app, pilot, events)
        await pilot.press("f", "left", "left", "left")
        await snapshot(app, pilot, "chart-cursor")
        await pilot.press("escape", "escape", "e", "y")
        await snapshot(app, pilot, "chart-smooth-log")
        await pilot.press("2", "f", "x", "x")
        await snapshot(app, pilot, "chart-time")
        await pilot.press("m")
        await snapshot(app, pilot, "metrics")


def readings(gpus: int, at: float) -> list[System]:
    """A machine that becomes busy; the second GPU is full, the fourth one is not the run's."""
    return [
        System(
            at + 2 * number,
            tuple(
                Gpu(index, "NVIDIA H100 80GB HBM3", -1 if index == 3 else index, (number * (index + 3)) % 10 / 9,
                    (79 if index == 1 else 41) * GIB, 80 * GIB, 63.0 + 4 * index, 310.0, 700.0)
                for index in range(gpus)
            ),
            0.43, 16.0, 5.3 * GIB, 126 * GIB, 812 * GIB, 2000 * GIB, 0.03,
        )
        for number in range(20)
    ]  # fmt: skip


def alerts(at: float) -> list[Event]:
    """Two that hold, one that is over, one of a moment."""
    return [
        Alert(at, "warning", "The loss jumped", "9.31 at step 120, 1.7 before\nlower train.lr", "loss-spike", at - 5),
        Cleared(at + 20, "loss-spike", "The loss jumped"),
        Alert(at + 30, "error", "Checkpoint not saved", "no space left on /data: free some, then press c"),
        Alert(
            at + 40, "warning", "The GPU waits for images",
            "61 % of the training was spent waiting: raise data.workers, or data.cache = \"memory\"", "data-wait", at,
        ),
        Alert(at + 50, "warning", "The disk is nearly full", "3.1 GiB left where checkpoints go", "disk", at + 50),
    ]  # fmt: skip


async def test_system_and_alerts(snapshot: Snapshots, open_app: OpenApp, profile: Profile) -> None:
    events = live()
    async with open_app(told(events), selected=profile) as (app, pilot):
        await shown(app, pilot, events)

        async def say(more: list[Any]) -> None:
            assert app.dashboard is not None
            for event in more:
                app.dashboard.live.emit(event)
            await shown(app, pilot, more)

        await pilot.press("g")
        for number, gpus in enumerate((0, 1, 8)):
            await say(readings(gpus, NOON + 1000 * (number + 1)))
            await snapshot(app, pilot, f"system-{gpus}-gpus")
        await say(alerts(NOON + 5000))
        app.clear_notifications()
        await pilot.press("a")
        await snapshot(app, pilot, "alerts")


async def test_queue(snapshot: Snapshots, open_app: OpenApp, profile: Profile) -> None:
    events = live()
    titles = ("recommended · train.lr=3e-4", "recommended · train.lr=1e-4", "market-1501")
    async with open_app(told(events), queued=[PlannedRun(title, profile) for title in titles]) as (app, pilot):
        await shown(app, pilot, events)
        await snapshot(app, pilot, "queue-line")
        message = "CUDA out of memory\nlower train.batch_size"
        app.queue.runs[:0] = [
            QueuedRun("recommended · train.lr=3e-3", profile, "failed", message=message),
            QueuedRun("recommended · train.lr=1e-3", profile, "done", 0.813, folder=FOLDER, message="12 epochs done"),
        ]
        await pilot.press("u")
        await snapshot(app, pilot, "queue")
        await pilot.press("h", "home")
        await snapshot(app, pilot, "queue-held")


async def test_dashboards_of_other_processes(snapshot: Snapshots) -> None:
    def start_run(*_: object) -> None:
        raise AssertionError("a run was started")

    events = live()
    folder = run_folders.make_run(Path("runs") / Path(FOLDER).name, *events)
    os.utime(folder / "events.jsonl", (NOON + 200, NOON + 200))
    for name, process in (("attached-crashed", nullcontext()), ("attached-live", held(folder))):
        app = ReidApp([], None, (), None, start_run, attach=folder)
        with process:
            async with app.run_test(size=SIZES[0]) as pilot:
                await until(pilot, lambda app=app: app.dashboard and app.dashboard.state.now >= events[-1].time)
                await until(
                    pilot, lambda app=app, name=name: (app.dashboard.state.finished is None) == ("live" in name)
                )
                await snapshot(app, pilot, name)


@pytest.fixture
def runs(snapshot: Snapshots, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Runs of every standing, seen from noon."""
    monkeypatch.setattr("reid_tui.screens.runs.time", SimpleNamespace(time=lambda: NOON))
    for screen in ("runs", "compare"):  # once is enough
        monkeypatch.setattr(f"reid_tui.screens.{screen}.LOOK_SECONDS", 3600.0)
    hour, parent = 3600.0, Path("runs")
    vit, market = {"name": "ViT-B-16"}, {"dataset": "market-1501", "aspect": ""}
    listed: list[tuple[str, tuple[float, ...], float, Any, dict[str, Any]]] = [
        ("hands_lr1e-3_20261124-113000", (0.38, 0.47, 0.53), 0.5, None, {}),
        ("hands_lr1e-4_20261124-101500", (0.38, 0.45, 0.58, 0.61), 1.75, None, {"train": {"lr": 1e-4}}),
        ("hands_vit_20261124-080000", (0.38, 0.52, 0.66, 0.71, 0.70), 4, "early-stop", {"model": vit}),
        ("market_vit_20261123-201500", (0.1, 0.3), 15.75, "failed", {"model": vit, "data": market}),
        ("market_rn50_20261123-120000", (0.1, 0.4, 0.55), 24, "stopped", {"data": market}),
        ("手-mobile_20261120-090000", (0.2, 0.31), 99, None, {"train": {"lr": 3e-5, "batch_size": 8}}),
        ("hands_lr3e-4_20261101-070000", (0.38, 0.6, 0.75, 0.813), 557, "finished", {"train": {"lr": 3e-4}}),
    ]
    for name, ranks, ago, reason, tables in listed:
        folder = listed_runs.make_run(parent, name, ranks, began=NOON - ago * hour, reason=reason, **tables)
        [checkpoint] = (folder / "checkpoints").iterdir()
        os.truncate(checkpoint, 598_000_000 if "vit" in name else 176_000_000)  # no blocks are taken for it
    busy, idle = parent / listed[0][0], parent / listed[1][0]
    run_folders.say(busy, Progress(NOON - 60, "train", 3, 4, 12, 400.0, 1.2, 1.0, 0.2))
    run_folders.say(idle, Paused(NOON - 60, True))
    with ExitStack() as stack:
        stack.enter_context(held(busy))
        stack.enter_context(held(idle))
        yield parent


async def test_runs(snapshot: Snapshots, open_app: OpenApp, runs: Path) -> None:
    async with open_app(list_runs=True, runs_dir=runs) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and len(app.screen.table.rows) == 7)
        await snapshot(app, pilot, "runs")
        await pilot.press("space", "down", "space", "space", "D")
        await snapshot(app, pilot, "runs-delete")
        await pilot.press("escape", *"ssss", "S")  # by size, name, state, Rank-1; the other way round
        await snapshot(app, pilot, "runs-sorted")
        await pilot.press("slash")
        app.screen.query_one(Input).value = "hands r1>50 epoch>two"
        await snapshot(app, pilot, "runs-filter-problem")
        app.screen.query_one(Input).value = "hands r1>65"
        await pilot.press("enter", "down")
        await snapshot(app, pilot, "runs-filter")


async def test_compare(snapshot: Snapshots, open_app: OpenApp, runs: Path) -> None:
    async with open_app(list_runs=True, runs_dir=runs) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and len(app.screen.table.rows) == 7)
        await pilot.press("space", "space", "space", "end", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen.compared.runs[0].epochs)
        await snapshot(app, pilot, "compare")
        await snapshot(app, pilot, "compare-other-themes", sizes=SIZES[1:2], looks=OTHER_LOOKS)
        await pilot.press("v")
        await snapshot(app, pilot, "compare-differences")
        await pilot.press("v", "down", "space", "down", "p", "m")
        await snapshot(app, pilot, "compare-pinned")


async def test_editor(snapshot: Snapshots, open_app: OpenApp, copies: list[Path]) -> None:
    async with open_app(paths=[Path.cwd() / path for path in copies]) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, PickerScreen) and app.screen.highlighted)
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen) and app.screen.row)
        editor = app.screen
        assert isinstance(editor, EditorScreen)
        await snapshot(app, pilot, "editor")

        async def put(key: str, text: str) -> None:
            field = editor.rows[key].control
            assert isinstance(field, Input)
            editor.set_focus(field)
            await until(pilot, lambda: field.has_focus)
            field.value = text
            await until(pilot, lambda: editor.form[key] == text)
            await still(app, pilot)  # a dialog would keep the form below it where it is on its way

        await put("train.lr", "3e-4")
        await pilot.press("f2")
        await snapshot(app, pilot, "editor-save")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is editor)
        await put("train.epochs", "0")
        await snapshot(app, pilot, "editor-problem")
        await pilot.press("f9")
        await snapshot(app, pilot, "editor-changes")
