"""Names of folders, files and runs, and event files, are not to be trusted: they never reach the terminal raw."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.events import Alert, EpochFinished, EpochMetrics, LogLine, RunFinished, RunStarted, to_json
from core.profile import Profile
from core.profile_files import write_profile
from tests.end_to_end.terminal import ROOT, Terminal

# A title, the screen cleared, red, a query that the terminal answers as if typed, a C1 escape, text from right to left,
# markup of Rich and Textual, commands of a shell.
NAME = "\x1b]0;PWNED\x07\x1b[2J\x1b[31m\x1b[6n\x9b31m\u202e[bold red]x[@click=app.quit]y\r\n$(touch pwned)`touch pwned`"
EVIL = f"{NAME}[/]"
RAW = re.compile(rb"\x1b\]0;PWNED|\x1b\[2J|\x1b\[6n|\x1b\[31m|\xc2\x9b|\xe2\x80\xae")


@pytest.fixture
def place(tmp_path: Path, tiny_set: Path, tiny_profile: Callable[..., Profile]) -> Path:
    """A folder with a data set whose first identity, and an image in it that is none, have evil names."""
    root = tmp_path / "set"
    shutil.copytree(tiny_set, root)
    (root / "train" / "t0").rename(root / "train" / NAME)
    next((root / "train" / NAME).iterdir()).write_bytes(b"no image")
    profile = tiny_profile(data={"root": str(root)})
    (tmp_path / f"{NAME}.toml").write_text(write_profile(profile))
    (tmp_path / "mine.toml").write_text(write_profile(profile))
    return tmp_path


def environment(place: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(place / "config"), "XDG_STATE_HOME": str(place / "state")}


def reid_tui(place: Path, *arguments: str) -> bytes:
    process = subprocess.run(
        [sys.executable, "-m", "reid_tui", *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment(place)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    assert b"Traceback" not in process.stdout
    return process.stdout


def assert_harmless(place: Path, shown: bytes) -> None:
    assert not RAW.search(shown), RAW.search(shown)
    assert not list(place.rglob("pwned"))


def test_names_of_data_on_the_console_and_in_the_log(place: Path) -> None:
    shown = reid_tui(place, "launch", "mine.toml", "--headless")
    assert b"Image cannot be read" in shown
    assert_harmless(place, shown)
    [log] = place.glob("runs/*/run.log")
    assert b"Image cannot be read" in log.read_bytes()
    assert_harmless(place, log.read_bytes())
    assert_harmless(place, reid_tui(place, "profiles", "--profiles", "."))


def test_names_of_profiles_and_data_on_the_screen(place: Path) -> None:
    terminal = Terminal(
        ["-m", "reid_tui", "launch", "--profiles", "."], folder=place, columns=300, environ=environment(place)
    )
    try:
        terminal.until(lambda: "mine" in terminal.text and "[bold red]x" in terminal.text)
        terminal.press("mine\r")
        terminal.until(lambda: "✘ Image cannot be read" in terminal.text, seconds=60)
        terminal.until(lambda: "[bold red]x[@click=app.quit]y" in terminal.text)
        terminal.press("q")
        assert terminal.wait() == 1
        assert_harmless(place, terminal.received)
    finally:
        terminal.close()


def evil_run(place: Path) -> Path:
    """A run folder of which every text is evil."""
    folder = place / "runs" / NAME
    folder.mkdir(parents=True)
    (folder / "profile.toml").write_text((place / "mine.toml").read_text())
    now = time.time()
    events = [
        LogLine(now, "info", EVIL),
        RunStarted(
            now, EVIL, EVIL, "/etc", EVIL, EVIL, EVIL, EVIL, (32, 32), EVIL, EVIL, 3, 8, 3, 4, 20, 6, 3, 0, EVIL, {}
        ),
        EpochFinished(now, EpochMetrics(0, rank1=0.5, mAP=0.5, queries=3, split=EVIL)),
        Alert(now, "error", EVIL, EVIL),
        RunFinished(now, "failed", EVIL, 0, 1.0, (f"/tmp/{EVIL}",), "/etc"),
    ]
    (folder / "events.jsonl").write_text("".join(to_json(event) + "\n" for event in events))
    return folder


def test_an_event_file_that_somebody_else_wrote(place: Path) -> None:
    folder = evil_run(place)
    assert_harmless(place, reid_tui(place, "runs"))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    terminal = Terminal(
        ["-m", "reid_tui", "attach", str(folder)], folder=place, rows=40, columns=120, environ=environment(place)
    )
    try:
        terminal.until(lambda: "✘ failed" in terminal.text)
        terminal.press("l?")
        terminal.until(lambda: "what the keys do" in terminal.text)
        terminal.press("\x1b")
        terminal.until(lambda: "what the keys do" not in terminal.text)
        terminal.press("q")
        assert terminal.wait() == 0
        assert_harmless(place, terminal.received)
    finally:
        terminal.close()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before  # who only looks changes nothing
