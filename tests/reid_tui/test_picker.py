"""The picker: what it lists, filters and previews, and what it will not launch."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input, OptionList, Static

from core.profile import Profile
from core.profile_files import read_profile
from reid_tui.screens.dashboard import DashboardScreen
from reid_tui.screens.help import HelpScreen
from reid_tui.screens.picker import PickerScreen
from reid_tui.widgets.profile_view import data_missing, entry, matches, problems, values
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


def parsed(path: Path) -> Profile:
    profile = read_profile(path).profile
    assert profile is not None
    return profile


def test_an_entry_has_name_model_data_and_epochs(profiles: list[Path]) -> None:
    assert entry(read_profile(profiles[0])).plain == "  alpha\n  12 ep · RN-tiny · demo-hands"
    assert entry(read_profile(profiles[1])).plain == "  beta\n  60 ep · ViT-B-16 (openai) · market"
    assert entry(read_profile(profiles[2])).plain == "✘ broken\n  2 problems"


def test_the_preview_marks_what_differs_from_the_defaults(profiles: list[Path]) -> None:
    lines = values(parsed(profiles[0])).plain.splitlines()
    assert [line for line in lines if line.startswith("[")] == [
        "[data]",
        "[model]",
        "[train]",
        "[augment]",
        "[validate]",
        "[run]",
    ]
    epochs = next(line for line in lines if "epochs " in line and "warmup" not in line)
    assert epochs.split() == ["•", "epochs", "12", "default", "60"]
    assert next(line for line in lines if "batch_size" in line).split() == ["batch_size", "32"]


def test_the_preview_of_a_bad_profile_has_every_problem(profiles: list[Path]) -> None:
    text = problems(read_profile(profiles[2])).plain
    assert "• line 7 · train.epoch: unknown key; did you mean train.epochs?" in text
    assert str(profiles[2]) not in text
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
        await pilot.press("enter", "enter")
        assert [note.message for note in app._notifications] == ["broken cannot be launched: it has problems"]


async def test_a_profile_whose_data_are_missing_is_not_called_wrong(open_app: OpenApp, profiles: list[Path]) -> None:
    away = profiles[1].with_name("away.toml")
    away.write_text(profiles[1].read_text().replace("demo:hands", "not/there"))
    reading = read_profile(away)
    assert entry(reading).plain == "○ away\n  no data yet · 60 ep · ViT-B-16 (openai) · market"
    assert problems(reading).plain.startswith(
        "○ no data yet: cannot be launched\n\n• line 3 · data.root: no such folder"
    )
    assert not data_missing(read_profile(profiles[0]))
    assert not data_missing(read_profile(profiles[2]))
    assert not data_missing(read_profile(away, ["train.epochs=0"]))
    async with open_app(paths=[away]) as (app, pilot):
        await until(pilot, lambda: "--help" in screen_text(app))  # the sentence is wrapped, not cut
        assert "60 ep" in screen_text(app)
        await pilot.press("enter")
        assert [note.message for note in app._notifications] == ["away cannot be launched: its data are not there yet"]
        assert isinstance(app.screen, PickerScreen)


@pytest.mark.parametrize(
    ("keys", "launched"),
    [(("b", "e", "enter"), "beta"), (("down", "enter"), "beta"), (("down", "up", "enter"), "alpha")],
)
async def test_enter_waits_for_the_keys_before_it(open_app: OpenApp, keys: tuple[str, ...], launched: str) -> None:
    async with open_app() as (app, pilot):
        await until(pilot, lambda: highlighted(picker(app)) == "alpha")
        for key in keys:  # all at once, as a terminal sends what was typed while the app was busy
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        # Whole: an app that ends while a screen is being made takes it down in the middle.
        await until(pilot, lambda: app.dashboard is not None and app.dashboard.is_mounted)
        assert app.dashboard is not None
        assert app.dashboard.run_title == launched


async def test_enter_stands_in_the_footer(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await until(pilot, lambda: "Launch" in screen_text(app).splitlines()[-1])


async def test_the_theme_changes_with_a_key(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await until(pilot, lambda: highlighted(picker(app)) == "alpha")
        before = app.current_theme.dark
        await pilot.press("f2")
        assert app.current_theme.dark is not before
        await pilot.press("f2")
        assert app.current_theme.dark is before


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
