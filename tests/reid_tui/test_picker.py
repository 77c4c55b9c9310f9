"""The picker: what it lists, filters and previews, and what it will not launch."""

from __future__ import annotations

import shutil
from pathlib import Path

from textual.widgets import Input, OptionList, Static

from core.profile_files import read_profile
from reid_tui.screens.dashboard import DashboardScreen
from reid_tui.screens.help import HelpScreen
from reid_tui.screens.picker import PickerScreen
from reid_tui.widgets.profile_view import entry, matches, preview
from tests.reid_tui.conftest import OpenApp, screen_text, until


def picker(app: object) -> PickerScreen:
    screen = app.screen  # type: ignore[attr-defined]
    assert isinstance(screen, PickerScreen)
    return screen


def listed(screen: PickerScreen) -> list[str]:
    profiles = screen.query_one("#profiles", OptionList)
    return [str(profiles.get_option_at_index(index).prompt) for index in range(profiles.option_count)]


def highlighted(screen: PickerScreen) -> str:
    return screen.highlighted.path.stem if screen.highlighted else ""


def test_an_entry_has_name_model_data_and_epochs(profiles: list[Path]) -> None:
    assert entry(read_profile(profiles[0])).plain == "  alpha\n  RN-tiny · demo-hands · 12 epochs"
    assert entry(read_profile(profiles[1])).plain == "  beta\n  ViT-B-16 (openai) · market · 60 epochs"
    assert entry(read_profile(profiles[2])).plain == "✘ broken\n  2 problems"


def test_the_preview_marks_what_differs_from_the_defaults(profiles: list[Path]) -> None:
    lines = preview(read_profile(profiles[0])).plain.splitlines()
    assert [line for line in lines if line.startswith("[")] == ["[run]", "[data]", "[model]", "[train]", "[validate]"]
    epochs = next(line for line in lines if "epochs " in line and "warmup" not in line)
    assert epochs.split() == ["•", "epochs", "12", "default", "60"]
    assert next(line for line in lines if "batch_size" in line).split() == ["batch_size", "32"]


def test_the_preview_of_a_bad_profile_has_every_problem(profiles: list[Path]) -> None:
    text = preview(read_profile(profiles[2])).plain
    assert "broken.toml:7: train.epoch: unknown key; did you mean train.epochs?" in text
    assert "train.batch_size" in text


def test_the_filter_needs_every_word(profiles: list[Path]) -> None:
    reading = read_profile(profiles[1])
    assert matches(reading, "")
    assert matches(reading, "VIT market")
    assert not matches(reading, "vit hands")


async def test_typing_filters_and_escape_clears(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await until(pilot, lambda: len(listed(picker(app))) == 3)
        await pilot.press(*"market")
        assert [text.split()[0] for text in listed(picker(app))] == ["beta"]
        assert highlighted(picker(app)) == "beta"
        await pilot.press("escape")
        assert len(listed(picker(app))) == 3
        assert highlighted(picker(app)) == "beta"
        await pilot.press(*"zzz")
        assert listed(picker(app)) == []
        assert "No profile matches" in screen_text(app)
        await pilot.press("enter")
        assert isinstance(app.screen, PickerScreen)


async def test_arrows_move_while_the_text_field_has_the_focus(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await until(pilot, lambda: highlighted(picker(app)) == "alpha")
        await pilot.press("down", "b")
        assert highlighted(picker(app)) == "beta"
        assert app.screen.query_one(Input).value == "b"
        await pilot.press("escape", "up")
        assert highlighted(picker(app)) == "alpha"
        assert "demo-hands" in str(app.screen.query_one("#values", Static).content)


async def test_a_bad_profile_is_shown_but_not_launched(open_app: OpenApp) -> None:
    async with open_app(size=(100, 30)) as (app, pilot):
        await until(pilot, lambda: highlighted(picker(app)) == "alpha")
        await pilot.press(*"broken")
        await pilot.pause()
        assert "cannot be launched" in screen_text(app)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, PickerScreen)
        assert app.live_run is None
        assert "broken cannot be launched" in [note.title for note in app._notifications]


async def test_enter_launches_what_is_highlighted(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await until(pilot, lambda: highlighted(picker(app)) == "alpha")
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
        assert app.dashboard is not None
        assert app.dashboard.run_title == "beta"


async def test_without_profiles_it_says_where_to_put_them(open_app: OpenApp, profiles: list[Path]) -> None:
    async with open_app(paths=[], size=(100, 30)) as (app, pilot):
        await until(pilot, lambda: "There are no profiles yet" in screen_text(app))


async def test_reload_reads_the_files_again(open_app: OpenApp, profiles: list[Path]) -> None:
    async with open_app() as (app, pilot):
        await until(pilot, lambda: highlighted(picker(app)) == "alpha")
        shutil.copy(profiles[0], profiles[2])
        await pilot.press("f5")
        await until(pilot, lambda: not any("problem" in text for text in listed(picker(app))))


async def test_markup_in_a_file_name_is_text(open_app: OpenApp, tmp_path: Path, profiles: list[Path]) -> None:
    odd = tmp_path / "[red]odd[/nothing].toml".replace("/", "_")
    shutil.copy(profiles[0], odd)
    async with open_app(paths=[odd], size=(100, 30)) as (app, pilot):
        await until(pilot, lambda: "[red]odd[_nothing]" in screen_text(app))


async def test_help_opens_on_f1_and_on_question_mark(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        for key in ("f1", "question_mark"):
            await pilot.press(key)
            assert isinstance(app.screen, HelpScreen)
            await pilot.press("escape")
            assert isinstance(app.screen, PickerScreen)
        assert app.screen.query_one(Input).value == ""


async def test_ctrl_c_hints_and_ctrl_q_leaves(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await pilot.press("ctrl+c")
        assert [note.message for note in app._notifications] == ["ctrl+q quits"]
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running)
