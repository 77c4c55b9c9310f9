"""The form of a profile: what it is made of, what it gives back, and its keys."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from pydantic import Field
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, Static

from core import profile as schema
from core.profile import Profile
from core.profile_files import read_profile, write_profile
from reid_tui import profile_form
from reid_tui.app import ReidApp
from reid_tui.profile_form import ProfileForm, form_fields, to_toml
from reid_tui.screens.dashboard import DashboardScreen
from reid_tui.screens.dialogs import ChoiceDialog
from reid_tui.screens.editor import EditorScreen
from reid_tui.screens.help import HelpScreen
from reid_tui.screens.picker import PickerScreen
from reid_tui.screens.save_profile import ChangesScreen, SaveProfileDialog
from tests.core.test_profile_files import profiles as any_profile
from tests.reid_tui.conftest import OpenApp, screen_text, until

TABLES = {"data": {"root": "demo:hands"}, "model": {"name": "RN-tiny"}, "train": {"epochs": 12}}


@given(any_profile())
@settings(max_examples=150, deadline=None)
def test_any_profile_comes_out_of_the_form_as_it_went_in(profile: Profile) -> None:
    form = ProfileForm(profile.tables())
    check = form.check()
    assert (check.profile, check.problems, form.changes) == (profile, {}, [])
    assert Profile.model_validate(tomllib.loads(form.toml(profile, "a\nb = 1"))) == profile
    for field in form.fields:  # typed anew, it is the same
        form[field.key] = "x"
        form[field.key] = field.text_of(field.value_of(form.original(field.key)))
        assert not form.changed(field.key)
    assert form.check().profile == profile


def test_the_form_has_every_key_of_the_schema() -> None:
    tables = Profile.model_validate(TABLES).tables()
    assert [field.key for field in form_fields()] == [f"{table}.{key}" for table in tables for key in tables[table]]
    assert all(field.description for field in form_fields())
    fields = {field.key: field for field in form_fields()}
    assert fields["train.lr"].range == "> 0, <= 10"
    assert fields["train.label_smoothing"].range == ">= 0, < 1"
    assert fields["data.image_size"].range == "each >= 16, <= 4 096"
    assert fields["train.sampler"].choices == ("shuffle", "pk")
    assert (fields["model.name"].default, fields["train.epochs"].default) == (None, "60")


def test_a_new_key_appears_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Train(schema.Train):
        fast: bool = Field(False, description="new")
        words: tuple[str, ...] = Field((), description="new as well")
        mode: Literal["a", "b"] = Field("a", description="a choice")

    class Longer(Profile):
        train: Train = Field(default_factory=Train)

    monkeypatch.setattr(profile_form, "Profile", Longer)
    fields = {field.key: field for field in form_fields()}
    assert fields["train.fast"].choices == ("true", "false")
    assert fields["train.fast"].value_of("true") is True
    assert fields["train.words"].value_of('"a", "b"') == ["a", "b"]
    assert fields["train.mode"].choices == ("a", "b")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("train.epochs", "0"),
        ("train.epochs", "three"),
        ("train.epochs", ""),
        ("train.epochs", "1.5"),
        ("train.lr", "nan"),
        ("train.sampler", "kp"),
        ("data.image_size", "64"),
        ("data.image_size", "64, 5000"),
        ("data.camera_pattern", "c("),
        ("run.device", "gpu"),
        ("run.name", "../up"),
        ("validate.splits", "[0, 0]"),
    ],
)
def test_a_wrong_value_gets_the_words_that_a_file_gets(tmp_path: Path, key: str, text: str) -> None:
    form = ProfileForm(TABLES)
    form[key] = text
    [(place, words)] = form.check().problems.items()
    assert place == key
    field = next(field for field in form.fields if field.key == key)
    path = tmp_path / "x.toml"
    tables = form.tables()
    path.write_text(
        "\n".join(f"[{t}]\n" + "\n".join(f"{k} = {to_toml(v)}" for k, v in tables[t].items()) for t in tables)
    )
    [problem] = read_profile(path, check_folders=False).problems
    assert problem.endswith(words) and f": {key}" in problem
    assert field.description


def test_rules_across_keys_and_keys_that_must_be_given() -> None:
    form = ProfileForm(TABLES)
    form["train.sampler"], form["train.batch_size"] = "pk", "30"
    assert form.check().problems == {
        "train.batch_size": "30 is not a multiple of train.images_per_identity 4, as sampler `pk` needs"
    }
    form["train.batch_size"], form["model.name"] = "32", ""
    assert form.check().problems == {"model.name": "is missing, and has no default"}
    assert form.check().profile is None


def test_changes_are_those_of_value_not_of_writing() -> None:
    form = ProfileForm(TABLES)
    form["train.lr"], form["train.weight_decay"], form["data.image_size"] = "0.00001", "0", "224,224"
    assert form.changes == []
    form["train.lr"] = "1e-4"
    assert [(change.key, change.old, change.new) for change in form.changes] == [("train.lr", "1e-05", "1e-4")]
    assert form.reset("train.lr") == "1e-05"
    assert form.changes == []


def test_a_file_that_is_wrong_can_be_mended() -> None:
    form = ProfileForm({**TABLES, "train": {"epochs": "many", "epoch": 3}, "zzz": 1})
    assert form.unknown == ["train.epoch", "zzz"]
    assert form["train.epochs"] == '"many"'
    assert list(form.check().problems) == ["train.epochs"]
    form["train.epochs"] = "3"
    assert form.check().profile is not None


def test_the_file_has_what_was_given_and_what_is_not_default() -> None:
    form = ProfileForm({**TABLES, "train": {"epochs": 60}})
    form["train.lr"] = "1e-3"
    profile = form.check().profile
    assert profile is not None
    text = form.toml(profile, "demo.toml")
    assert tomllib.loads(text) == {
        "data": {"root": "demo:hands"},
        "model": {"name": "RN-tiny"},
        "train": {"epochs": 60, "lr": 1e-3},
    }
    assert text.startswith("# Made from demo.toml")
    assert tomllib.loads(write_profile(profile)) == profile.tables()


# On the screen -------------------------------------------------------------------------------------------------


@pytest.fixture
def editing(open_app: OpenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Opens the app with the form of the first profile, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    @asynccontextmanager
    async def opened(size: tuple[int, int] = (80, 24), **options) -> AsyncIterator[tuple[ReidApp, Pilot[None]]]:
        async with open_app(size=size, **options) as (app, pilot):
            await until(pilot, lambda: isinstance(app.screen, PickerScreen) and app.screen.highlighted)
            await pilot.press("f4")
            await until(pilot, lambda: isinstance(app.screen, EditorScreen) and app.screen.row)
            yield app, pilot

    return opened


def editor(app: ReidApp) -> EditorScreen:
    assert isinstance(app.screen, EditorScreen)
    return app.screen


def focused(app: ReidApp) -> str:
    row = editor(app).row
    return row.field.key if row else ""


async def go_to(app: ReidApp, pilot: Pilot[None], key: str) -> None:
    editor(app).set_focus(editor(app).rows[key].control)
    await pilot.pause()


async def put(app: ReidApp, pilot: Pilot[None], key: str, text: str) -> None:
    """Clear the field, paste all but the last letter, type that: every key of a pilot takes its time."""
    editor(app).set_focus(control := editor(app).rows[key].control)
    assert isinstance(control, Input)
    await pilot.press("end", "ctrl+u")
    control.post_message(events.Paste(text[:-1]))
    await pilot.press(text[-1])


async def test_the_form_shows_values_meaning_range_and_default(editing) -> None:
    async with editing() as (app, pilot):
        assert focused(app) == "data.root"
        assert "demo:hands" in screen_text(app) and "must be given" in screen_text(app)
        await go_to(app, pilot, "train.lr")
        await until(pilot, lambda: "learning rate of the image encoder" in screen_text(app))
        assert "number, > 0, <= 10 · default 1e-05" in screen_text(app)
        assert "[train]" in screen_text(app)


async def test_the_focus_moves(editing) -> None:
    async with editing() as (app, pilot):
        for keys, where in (
            ("down", "data.dataset"),
            ("tab", "data.aspect"),
            ("enter", "data.image_size"),
            ("shift+tab", "data.aspect"),
            ("pagedown", "train.epochs"),
            ("pageup", "data.aspect"),
            ("pageup", "data.root"),
            ("up", "run.seed"),
            ("down", "data.root"),
        ):
            await pilot.press(keys)
            assert focused(app) == where


async def test_typing_changes_a_value_and_marks_it(editing) -> None:
    async with editing(size=(120, 40)) as (app, pilot):
        await put(app, pilot, "train.epochs", "20")
        await until(pilot, lambda: "• 1 change" in screen_text(app))
        assert "•  epochs" in screen_text(app)
        assert "12 → 20" in screen_text(app)
        await pilot.press("f8")
        await until(pilot, lambda: "1 change" not in screen_text(app))
        assert editor(app).form["train.epochs"] == "12"


async def test_choices_are_cycled_and_picked_by_letter(editing) -> None:
    async with editing() as (app, pilot):
        await go_to(app, pilot, "run.precision")
        values = []
        for key in ("space", "right", "left", "b", "f", "f"):
            await pilot.press(key)
            await pilot.pause()
            values.append(editor(app).form["run.precision"])
        assert values == ["fp32", "bf16", "fp32", "bf16", "fp32", "fp16"]
        await pilot.press("f8")
        assert editor(app).form["run.precision"] == "auto"
        await pilot.click(editor(app).rows["run.precision"].control)
        assert editor(app).form["run.precision"] == "fp32"
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)


async def test_a_problem_stands_at_its_field_and_stops_a_launch(editing) -> None:
    async with editing() as (app, pilot):
        await put(app, pilot, "train.epochs", "0")
        await until(pilot, lambda: "•✘ epochs" in screen_text(app) and "✘ 1 problem" in screen_text(app))
        assert "input should be greater than or equal to 1 (it is 0)" in screen_text(app)
        await go_to(app, pilot, "run.seed")
        for key, done in (("f5", "launched"), ("f6", "queued"), ("f2", "saved")):
            await pilot.press(key)
            await until(
                pilot, lambda done=done: [n.message for n in app._notifications] == [f"not {done}: 1 problem left"]
            )
        assert focused(app) == "train.epochs"
        assert app.queue.runs == []


async def test_rules_across_keys_are_told_as_they_are_broken(editing) -> None:
    async with editing() as (app, pilot):
        await put(app, pilot, "train.batch_size", "30")
        assert not editor(app).check.problems
        await go_to(app, pilot, "train.sampler")
        await pilot.press("p")
        await until(pilot, lambda: "✘ 1 problem" in screen_text(app))
        await pilot.press("f3")
        assert focused(app) == "train.batch_size"
        await until(pilot, lambda: "is not a multiple of train.images_per_identity 4" in screen_text(app))


async def test_folders_are_looked_for_a_little_later(editing) -> None:
    async with editing() as (app, pilot):
        await put(app, pilot, "data.root", "not/there")
        await until(pilot, lambda: "no such folder: not/there" in screen_text(app))
        await put(app, pilot, "train.epochs", "3")
        assert list(editor(app).check.problems) == ["data.root"]  # it does not flicker
        await put(app, pilot, "data.root", "demo:hands")
        await until(pilot, lambda: not editor(app).check.problems)


async def test_the_changes_are_listed(editing) -> None:
    async with editing() as (app, pilot):
        await pilot.press("f9")
        assert isinstance(app.screen, ChangesScreen)
        assert "Every value is that of the file" in screen_text(app)
        await pilot.press("escape")
        await put(app, pilot, "train.epochs", "20")
        await put(app, pilot, "data.aspect", "left")
        await pilot.press("f9")
        await until(pilot, lambda: "train.epochs  12 → 20" in screen_text(app))
        assert "data.aspect   (empty) → left" in screen_text(app)
        await pilot.press("f9")
        assert isinstance(app.screen, EditorScreen)


async def test_what_was_typed_last_counts(editing) -> None:
    """All keys at once, as a terminal sends what was typed while the app was busy."""
    async with editing() as (app, pilot):
        await go_to(app, pilot, "data.dataset")
        for key in ("end", "x", "down", "y", "f5"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen) and app.screen.state.started)
        run = app.queue.runs[0]
        assert (run.profile.data.dataset, run.profile.data.aspect) == ("demo-handsx", "y")
        assert run.title == "alpha · data.dataset=demo-handsx · data.aspect=y"


async def test_what_was_typed_last_is_saved(editing) -> None:
    async with editing() as (app, pilot):
        await go_to(app, pilot, "data.dataset")
        for key in ("end", "x", "f2"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(pilot, lambda: isinstance(app.screen, SaveProfileDialog))
        assert 'dataset = "demo-handsx"' in app.screen._text


async def test_changes_are_queued_without_leaving_the_form(editing) -> None:
    async with editing() as (app, pilot):
        for epochs in ("20", "30"):
            await put(app, pilot, "train.epochs", epochs)
            await pilot.press("f6")
            await until(pilot, lambda epochs=epochs: f"train.epochs={epochs}" in str(app.queue.runs[-1:]))
        assert [run.profile.train.epochs for run in app.queue.waiting] == [20, 30]
        assert isinstance(app.screen, EditorScreen)


async def test_save_as_writes_a_file_that_the_picker_has(editing, tmp_path: Path) -> None:
    async with editing() as (app, pilot):
        await put(app, pilot, "train.epochs", "20")
        await pilot.press("f2")
        assert isinstance(app.screen, SaveProfileDialog)
        assert app.screen.query_one(Input).value == "alpha"
        await pilot.press("end", "/", "enter")
        await until(pilot, lambda: "must start with a letter or digit" in screen_text(app))
        assert isinstance(app.screen, SaveProfileDialog)
        await pilot.press("backspace", "2", "enter")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen))
        saved = tmp_path / "profiles" / "alpha2.toml"
        assert tomllib.loads(saved.read_text())["train"] == {"epochs": 20}
        assert editor(app).form.changes == [] and "alpha2.toml" in screen_text(app)
        await pilot.press("escape")  # nothing is left to ask
        await until(pilot, lambda: isinstance(app.screen, PickerScreen))


async def test_a_file_is_replaced_only_after_a_question(editing, tmp_path: Path) -> None:
    taken = tmp_path / "config" / "reid-tui" / "profiles" / "alpha.toml"
    taken.parent.mkdir(parents=True)
    taken.write_text("mine")
    async with editing() as (app, pilot):
        await pilot.press("f2", "down")
        await until(pilot, lambda: "there is one of this name" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await pilot.press("c")
        assert taken.read_text() == "mine"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen))
        assert tomllib.loads(taken.read_text())["run"] == {"name": "demo"}


async def test_a_folder_that_cannot_be_written_to_is_said(editing, tmp_path: Path) -> None:
    (tmp_path / "profiles").write_text("a file")
    async with editing() as (app, pilot):
        await pilot.press("f2", "enter")
        await until(pilot, lambda: "✘ not saved" in screen_text(app))
        await pilot.press("escape")
        assert isinstance(app.screen, EditorScreen)


async def test_leaving_asks_while_changes_are_not_saved(editing) -> None:
    async with editing() as (app, pilot):
        await put(app, pilot, "train.epochs", "20")
        for key, screen in (("c", EditorScreen), ("s", SaveProfileDialog), ("escape", EditorScreen)):
            if key != "escape":
                await pilot.press("escape")
                assert isinstance(app.screen, ChoiceDialog)
            await pilot.press(key)
            await until(pilot, lambda screen=screen: isinstance(app.screen, screen))
        await pilot.press("escape", "d")
        await until(pilot, lambda: isinstance(app.screen, PickerScreen))


async def test_it_fits(editing) -> None:
    async with editing(size=(40, 20)) as (app, pilot):
        await put(app, pilot, "data.dataset", "手のデータ")
        for size in ((40, 20), (80, 24), (200, 60)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda: "must start with a" in screen_text(app) and "data.dataset" in screen_text(app))
            assert all(row.control.region.right <= size[0] for row in editor(app).rows.values())
        await pilot.press("f1")
        assert isinstance(app.screen, HelpScreen)


def test_changes_are_counted_from_the_command_line_on() -> None:
    form = ProfileForm(TABLES)
    form.lay_over(["train.lr=1e-3", "train.epochs=60", "data.image_size=[64, 32]", "run.name=x", "a.b=c", "d"])
    assert form.changes == []
    assert [form[key] for key in ("run.name", "data.image_size", "train.lr")] == ["x", "[64, 32]", "0.001"]
    form["train.lr"] = "1"
    assert [(change.key, change.old, change.new) for change in form.changes] == [("train.lr", "0.001", "1")]
    assert form.reset("train.lr") == "0.001"
    profile = form.check().profile
    assert profile is not None
    saved = tomllib.loads(form.toml(profile, "a"))
    assert saved["train"] == {"epochs": 60, "lr": 0.001} and saved["run"] == {"name": "x"}


@pytest.mark.parametrize("size", [(80, 24), (40, 20)])
async def test_the_form_opens_at_its_first_heading(editing, size: tuple[int, int]) -> None:
    async with editing(size=size) as (app, pilot):
        form = editor(app).query_one("#form")
        await until(pilot, lambda: "[data]" in screen_text(app))
        for key in ("pagedown", "pagedown", "pageup", "pageup", "pageup"):
            await pilot.press(key)
        await until(pilot, lambda: form.scroll_offset.y == 0 and "[data]" in screen_text(app))


async def test_a_file_that_is_no_toml_is_refused(open_app: OpenApp, tmp_path: Path) -> None:
    path = tmp_path / "torn.toml"
    path.write_text("[data")
    async with open_app(paths=[path]) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, PickerScreen) and app.screen.highlighted)
        await pilot.press("f4")
        await until(pilot, lambda: any("is not TOML" in note.message for note in app._notifications))
        assert isinstance(app.screen, PickerScreen)


async def test_on_top_of_a_run_nothing_is_launched(editing) -> None:
    async with editing() as (app, pilot):
        editor(app).can_launch = False
        editor(app).refresh_bindings()
        await pilot.press("f5")
        await pilot.pause(0.3)
        assert isinstance(app.screen, EditorScreen)
        assert "must be given" in str(app.screen.query_one("#detail-text", Static).content)
