"""Draws the pictures of docs/ from the real app on the demo: python -m docs.make_screenshots"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from core.control import RunControl
from core.events import Event, RunFinished
from core.profile import Profile
from core.profile_files import builtin_profiles, load_profile
from core.session import run_profile
from reid_tui.app import ReidApp
from reid_tui.widgets.run_table import RunTable

FOLDER = Path(__file__).parent
SIZE = (132, 43)
COMPARED_EPOCHS = 8
LAST_EPOCH = 9  # the picture is taken in the middle of the one after it


def _run(profile: Profile, emit: Callable[[Event], None], control: RunControl) -> RunFinished:
    return run_profile(profile, emit, control)


async def picker(folder: Path) -> None:
    shutil.copytree(builtin_profiles(), folder / "profiles")
    with contextlib.chdir(folder):  # paths are shown as a person in that folder would see them
        paths = sorted(Path("profiles").glob("*.toml"))
        await _picker(ReidApp(paths, None, [], None, _run))


async def _picker(app: ReidApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(1.0)
        _save(app, "picker.svg")


async def dashboard(runs: Path) -> None:
    profile = load_profile(builtin_profiles() / "demo.toml", [f"run.dir={runs}", "train.early_stop_patience=8"])
    app = ReidApp(None, None, [], profile, _run)
    async with app.run_test(size=SIZE) as pilot:
        screen = app.dashboard
        assert screen is not None
        while True:
            await pilot.pause(0.25)
            progress = screen.state.progress
            assert screen.state.finished is None, screen.state.finished
            if len(screen.state.epochs) > LAST_EPOCH and progress and progress.done >= 0.4 * progress.total:
                break
        _save(app, "dashboard.svg")
        screen.live.control.stop_after_batch()
        while screen.live.alive:
            await pilot.pause(0.1)
        gc.unfreeze()  # the app has frozen what torch loaded, which would be reported as leaked at exit


async def compare(runs: Path) -> None:
    """Three short runs that differ in learning rate and sampler."""
    demo = builtin_profiles() / "demo.toml"
    for number, overrides in enumerate(
        (["train.lr=1e-3"], ["train.lr=3e-4"], ["train.lr=1e-3", 'train.sampler="shuffle"', "data.normalize=none"])
    ):
        values = [f"run.dir={runs}", f"run.name={'abc'[number]}", f"train.epochs={COMPARED_EPOCHS}", *overrides]
        run_profile(load_profile(demo, values), lambda event: None, RunControl())
    app = ReidApp(None, None, [], None, _run, list_runs=True, runs_dir=runs)
    async with app.run_test(size=(SIZE[0], 38)) as pilot:
        while not any(len(table.rows) == len("abc") for table in app.screen.query(RunTable)):
            await pilot.pause(0.2)
        for key in ("space", "space", "space", "c"):  # each goes on to the next run
            await pilot.press(key)
            await pilot.pause(0.2)
        await pilot.pause(1.0)
        _save(app, "compare.svg")


def _save(app: ReidApp, name: str) -> None:
    svg = app.export_screenshot(title="reid-tui")
    # The pages that show it may not load fonts from elsewhere, and each drawing would else get classes of its own.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    (FOLDER / name).write_text(re.sub(r"terminal-\d+", "terminal", svg), encoding="utf-8")


if __name__ == "__main__":
    # As in a terminal of today, wherever it is drawn.
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    os.environ.pop("NO_COLOR", None)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(picker(Path(folder)))
        asyncio.run(dashboard(Path(folder) / "one"))
        asyncio.run(compare(Path(folder) / "three"))
