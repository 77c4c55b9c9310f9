"""What is remembered from one time to the next, and the command palette."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.widgets import OptionList

from core.profile import Profile
from reid_tui.palette import commands
from reid_tui.remembered import Memory, Remembered
from reid_tui.screens.dialogs import ChoiceDialog
from reid_tui.screens.help import HelpScreen
from reid_tui.screens.picker import PickerScreen
from reid_tui.settings import Settings
from reid_tui.theme import THEMES
from reid_tui.widgets.chart import Chart
from reid_tui.widgets.log_pane import LogPane
from tests.reid_tui.conftest import OpenApp, screen_text, until
from tests.reid_tui.fake_run import FakeRun
from tests.reid_tui.test_dashboard import LONG, board, started


async def test_what_the_keys_have_chosen_is_there_the_next_time(
    open_app: OpenApp, profile: Profile, tmp_path: Path
) -> None:
    path = tmp_path / "state" / "remembered.json"
    async with open_app(FakeRun(**LONG), selected=profile, memory=Memory(path)) as (app, pilot):
        await started(app, pilot)
        assert not path.exists()
        await pilot.press("t", "l", "y")
        await until(pilot, lambda: path.exists() and json.loads(path.read_bytes())["log_scale"])
    assert Memory(path).now == Remembered("reid-light", True, True)
    async with open_app(FakeRun(**LONG), selected=profile, memory=Memory(path)) as (app, pilot):
        await started(app, pilot)
        assert app.theme == "reid-light"
        assert board(app).query_one(LogPane).display
        assert board(app).query_one("#loss", Chart).log_scale
    settings = Settings(theme="safe")
    async with open_app(FakeRun(**LONG), selected=profile, memory=Memory(path), settings=settings) as (app, pilot):
        assert app.theme == "reid-safe", "the settings come before"


async def test_the_picker_begins_on_the_profile_that_was_launched_last(
    open_app: OpenApp, profiles: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "remembered.json"
    async with open_app(FakeRun(**LONG), memory=Memory(path)) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, PickerScreen) and app.screen.highlighted)
        await pilot.press("down", "enter")
        await until(pilot, path.exists)
    for paths, expected in ((profiles, "beta"), (profiles[:1], "alpha")):
        async with open_app(paths=paths, memory=Memory(path)) as (app, pilot):
            await until(pilot, lambda: isinstance(app.screen, PickerScreen) and app.screen.highlighted)
            assert isinstance(app.screen, PickerScreen) and app.screen.highlighted
            assert app.screen.highlighted.path.stem == expected
            await pilot.press("up", "f5")
            await pilot.pause(0.1)
            assert app.screen.highlighted.path.stem == "alpha", "only the first time"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"theme": 3, "log": "yes", "log_scale": 1, "profile": null}', b"\xff"]
)
def test_a_damaged_file_is_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "remembered.json"
    path.write_bytes(content)
    memory = Memory(path)
    assert memory.now == Remembered()
    assert memory.note(log=True)
    assert not memory.note(log=True)
    memory.write()
    assert Memory(path).now == Remembered(log=True)


async def test_what_cannot_be_written_is_told_once_in_the_log(
    open_app: OpenApp, profile: Profile, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    memory = Memory(tmp_path / "file" / "remembered.json")
    async with open_app(FakeRun(**LONG), selected=profile, memory=memory) as (app, pilot):
        await started(app, pilot)
        for key in ("l", "y", "t"):
            await pilot.press(key)
            await pilot.pause(0.2)
        said = [text for _, _, text in board(app).state.log if "not remembered" in text]
        assert len(said) == 1, said
        assert not app._notifications


def titles(app: object) -> list[str]:
    return [command.title for command in commands(app, app.screen)]  # type: ignore[attr-defined, arg-type]


async def test_the_palette_has_what_the_keys_of_the_screen_do_and_the_themes(
    open_app: OpenApp, profile: Profile
) -> None:
    async with open_app(FakeRun(**LONG), selected=profile, settings=Settings(keys={"run.stop": "x"})) as (app, pilot):
        await started(app, pilot)
        found = titles(app)
        assert {"Stop  (x)", "Checkpoint  (c)", "Log scale  (y)", "Theme: contrast"} <= {*found}
        assert not any("New run" in title for title in found)  # the run has not ended
        assert len([title for title in found if title.startswith("Theme: ")]) == len(THEMES)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette) and app.screen.query_one(OptionList).options)
        await pilot.press(*"log scale")
        await until(pilot, lambda: "Log scale  (y)" in screen_text(app))
        await until(pilot, lambda: app.screen.query_one(OptionList).option_count == 1)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.dashboard)
        await until(pilot, lambda: board(app).query_one("#loss", Chart).log_scale)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        await pilot.press("x")
        assert isinstance(app.screen, ChoiceDialog)


async def test_the_palette_of_the_picker(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, PickerScreen) and app.screen.highlighted)
        assert {"Launch  (⏎)", "Reload  (F5)", "Help  (F1)"} <= {*titles(app)}
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"help")
        await until(pilot, lambda: app.screen.query_one(OptionList).option_count == 1)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        assert "^p" in screen_text(app)
