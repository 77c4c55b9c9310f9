"""The settings file: what it sets, and that nothing in it stops the app."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from textual.widgets import Footer

from core.profile import Profile
from reid_tui.keys import KEYS, plain_keys_type, textual_keys
from reid_tui.screens.dialogs import ChoiceDialog
from reid_tui.screens.help import HelpScreen
from reid_tui.settings import DEFAULTS, RESERVED, Settings, locale_is_ascii, read_settings
from reid_tui.theme import THEMES, short_name
from tests.reid_tui.conftest import OpenApp, screen_text, until
from tests.reid_tui.fake_run import FakeRun
from tests.reid_tui.test_dashboard import LONG, board, started

LIKE = '"x", "f6" or "ctrl+k"'
WHY = RESERVED["ctrl+c"]
DOC = Path(__file__).parents[2] / "docs" / "settings.md"


def read(tmp_path: Path, text: str) -> tuple[Settings, list[str]]:
    path = tmp_path / "config.toml"
    path.write_text(text)
    settings, problems = read_settings(path)
    assert all(problem.startswith(f"{path}: ") for problem in problems)
    return settings, [problem.removeprefix(f"{path}: ") for problem in problems]


def test_no_file_is_the_defaults(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "none.toml") == (DEFAULTS, [])


def test_every_setting_is_taken(tmp_path: Path) -> None:
    text = """
        theme = "contrast"
        charts = "ascii"
        redraws_per_second = 2
        low_bandwidth = true
        [keys]
        "run.stop" = "z"
        run.pause = "F6, v"
        "view.log" = "?"
        "app.help" = "w"
        "chart.closer" = "*, ="
    """
    settings, problems = read(tmp_path, text)
    assert problems == []
    keys = {"run.stop": "z", "run.pause": "f6,v", "view.log": "question_mark", "app.help": "w"}
    keys["chart.closer"] = "asterisk,equals_sign"
    assert settings == Settings("contrast", "ascii", 2.0, True, keys)
    assert settings.redraw_seconds == 1.0
    assert Settings(redraws_per_second=2).redraw_seconds == 0.5
    assert Settings(redraws_per_second=0.2, low_bandwidth=True).redraw_seconds == 5.0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("them = 'dark'", "them: unknown setting; did you mean theme?"),
        ("theme = 'pink'", "theme: 'pink' is none of dark, light, contrast, safe, safe-light; the default is used"),
        ("charts = 3", "charts: 3 is none of auto, braille, ascii; auto is used"),
        ("redraws_per_second = 60", "redraws_per_second: 60 is not a number from 0.2 to 4; 4 is used"),
        ("redraws_per_second = true", "redraws_per_second: True is not a number from 0.2 to 4; 4 is used"),
        ("low_bandwidth = 1", "low_bandwidth: 1 is neither true nor false; false is used"),
        ("keys = 'x'", 'keys: is to be a table, [keys] with lines like "run.stop" = "x"; no key is changed'),
        ("keys.'run.stpo' = 'x'", "keys.run.stpo: unknown key; did you mean run.stop?"),
        ("keys.'run.stop' = 'c'", "keys.run.stop: c is the key of run.checkpoint already; its own key is used"),
        ("keys.'run.stop' = 3", f'keys.run.stop: 3 is to be a key in quotes, like {LIKE}; its own key is used'),
        ("keys.'run.stop' = 'ctrl+c'", f"keys.run.stop: ctrl+c is taken: {WHY}; its own key is used"),
        (
            "keys.'run.stop' = 'alt+x'",
            "keys.run.stop: 'alt+x' is no key that every terminal sends; take one like \"x\", \"f6\" or \"ctrl+k\"; "
            "its own key is used",
        ),
        (
            "keys.'picker.help' = 'h'",
            "keys.picker.help: 'h' is typed as text there; take one like \"f6\" or \"ctrl+k\"; its own key is used",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_and_its_default_used(tmp_path: Path, text: str, problem: str) -> None:
    assert read(tmp_path, text) == (DEFAULTS, [problem])


@pytest.mark.parametrize("content", [b"theme = ", b"\xff\xfe", b"[keys]\n[keys]\n"])
def test_a_file_that_is_no_toml_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    settings, [problem] = read_settings(tmp_path / "config.toml")
    assert settings == DEFAULTS
    assert "is no TOML" in problem
    assert read_settings(tmp_path)[1][0].endswith("cannot be read (Is a directory); every default is used")


def test_two_keys_may_change_places_and_of_two_for_one_the_later_is_left_out(tmp_path: Path) -> None:
    settings, problems = read(tmp_path, "[keys]\n'run.stop' = 'p'\n'run.pause' = 's'")
    assert (dict(settings.keys), problems) == ({"run.stop": "p", "run.pause": "s"}, [])
    settings, problems = read(tmp_path, "[keys]\n'run.stop' = 'z'\n'run.pause' = 'z'")
    assert dict(settings.keys) == {"run.stop": "z"}
    assert problems == ["keys.run.pause: z is the key of run.stop already; its own key is used"]


def test_every_key_of_the_table_would_be_taken_as_a_setting() -> None:
    for key in KEYS:
        for each in key.key.split(","):
            assert plain_keys_type(each), each
            assert textual_keys(each) == each


@pytest.mark.parametrize(
    ("environ", "ascii"),
    [
        ({}, False),
        ({"LANG": "C"}, True),
        ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, True),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, False),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, True),
        ({"LC_CTYPE": "en_US.utf8", "LANG": "C"}, False),
        ({"LC_ALL": "", "LANG": "de_DE.ISO-8859-1"}, True),
    ],
)
def test_the_locale_says_whether_there_is_utf_8(environ: dict[str, str], ascii: bool) -> None:
    assert locale_is_ascii(environ) is ascii


KEYMAP = {"run.stop": "x", "app.quit": "z", "view.log": "f6", "app.help": "h"}


async def test_remapped_keys_work_and_footer_help_and_status_show_them(open_app: OpenApp, profile: Profile) -> None:
    run = FakeRun(**LONG)
    async with open_app(run, selected=profile, size=(120, 40), settings=Settings(keys=KEYMAP)) as (app, pilot):
        await started(app, pilot)
        wanted = re.compile(r"x Stop\b.*z Quit\b.*h Help\b.*F6 Log\b")
        await until(pilot, lambda: wanted.search(screen_text(app).splitlines()[-1]))
        footer = screen_text(app).splitlines()[-1]
        assert footer.count("Quit") == 1
        await pilot.press("s", "l", "question_mark")
        assert app.screen is app.dashboard  # the old keys do nothing
        await pilot.press("h")
        assert isinstance(app.screen, HelpScreen)
        assert re.search(r" x +Stop +end the run", screen_text(app))
        await pilot.press("escape", "ctrl+c")
        assert "z quits, x stops the run" in [note.message for note in app._notifications]
        await pilot.press("x")
        assert isinstance(app.screen, ChoiceDialog)
        await pilot.press("escape", "z")
        assert isinstance(app.screen, ChoiceDialog)


async def test_swapped_keys_do_what_the_other_did(open_app: OpenApp, profile: Profile) -> None:
    settings = Settings(keys={"run.stop": "p", "run.pause": "s"})
    async with open_app(FakeRun(**LONG), selected=profile, settings=settings) as (app, pilot):
        await started(app, pilot)
        await pilot.press("p")
        assert isinstance(app.screen, ChoiceDialog)
        await pilot.press("escape", "s")
        assert board(app).live.control.paused


async def test_problems_are_told_on_the_screen_and_in_the_log(open_app: OpenApp, profile: Profile) -> None:
    told = ["/x/config.toml: theme: [red]odd[/]"]
    async with open_app(FakeRun(**LONG), selected=profile, size=(120, 40), told=told) as (app, pilot):
        await started(app, pilot)
        assert told == [note.message for note in app._notifications]
        await until(pilot, lambda: any(text == f"settings: {told[0]}" for _, _, text in board(app).state.log))
        assert app.screen.query_one(Footer)


def test_the_page_names_every_setting_and_every_key_and_no_others() -> None:
    text = DOC.read_text()
    named = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", text))
    assert named - {"config.toml", "remembered.json"} == {key.id for key in KEYS}
    rows = re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)
    assert {*rows} == {each.name for each in fields(Settings)}
    for theme in THEMES:
        assert f'`"{short_name(theme.name)}"`' in text
    for key in RESERVED:
        assert f"`{key}`" in text
