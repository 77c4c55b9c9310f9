"""Runs that no terminal ends: started in a process of their own, watched from screens, told things from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.control_socket import ask
from core.profile import Profile
from core.profile_files import write_profile
from core.run_lock import is_live
from core.run_summary import summarize
from tests.end_to_end.terminal import ROOT, Terminal


@pytest.fixture
def place(tmp_path: Path, tiny_profile: Callable[..., Profile]) -> Iterator[Path]:
    """A folder with a profile `mine.toml` of a thousand epochs; what still trains there at the end is killed."""
    (tmp_path / "mine.toml").write_text(write_profile(tiny_profile(epochs=1000)))
    yield tmp_path
    for folder in tmp_path.glob("runs/*"):
        for process in trainers(folder):
            os.kill(process, signal.SIGKILL)


def reid_tui(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(place / "state")}
    command = [sys.executable, "-m", "reid_tui", *arguments]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=60)


def screen(place: Path, *arguments: str) -> Terminal:
    environ = {"XDG_CONFIG_HOME": str(place / "config"), "XDG_STATE_HOME": str(place / "state")}
    return Terminal(["-m", "reid_tui", *arguments], folder=place, environ=environ)


def trainers(folder: Path) -> list[int]:
    """The processes that hold the run folder's lock."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(link.readlink() == folder / ".lock" for link in (process / "fd").iterdir()):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def detached(place: Path) -> Path:
    """The folder of a run that was started by `launch --detach` and trains."""
    began = reid_tui(place, "launch", "mine.toml", "--detach")
    assert (began.returncode, began.stderr) == (0, "")
    [folder] = (place / "runs").iterdir()
    assert f"reid-tui attach {folder.name}" in began.stdout
    assert summarize(folder).live  # from the first moment on
    until(lambda: summarize(folder).epoch >= 1)
    return folder


def test_a_detached_run_is_watched_left_and_told_things(place: Path, detached: Path) -> None:
    [process] = trainers(detached)
    assert os.getsid(process) == process
    one, two = screen(place, "attach"), screen(place, "attach", detached.name)
    try:
        for terminal in (one, two):
            terminal.until(lambda terminal=terminal: "training" in terminal.text)
        one.press("p")
        for terminal in (one, two):  # each is read on, for a screen that nobody reads takes no keys
            terminal.until(lambda terminal=terminal: "❚❚ paused" in terminal.text)
        assert json.loads(reid_tui(place, "runs", "--json").stdout)["standing"] == "paused"
        two.press("c")
        for terminal in (two, one):
            terminal.until(lambda terminal=terminal: "LAST saved (asked for" in terminal.text)
        assert reid_tui(place, "continue", detached.name).returncode == 0
        for terminal in (one, two):
            terminal.until(lambda terminal=terminal: "❚❚ paused" not in terminal.text)
        one.press("d")
        assert one.wait() == 0
        assert one.restored
        assert "the run goes on in" in one.after_the_screen()
        two.hang_up()
        assert two.process.wait(20) == 0
        epoch = summarize(detached).epoch
        until(lambda: summarize(detached).epoch > epoch)
    finally:
        one.close()
        two.close()
    assert reid_tui(place, "stop", detached.name, "--after-epoch").returncode == 0
    until(lambda: not is_live(detached))
    assert summarize(detached).standing == "stopped"
    assert not (detached / ".control").exists()
    assert reid_tui(place, "stop", detached.name).returncode == 1
    again = reid_tui(place, "resume", detached.name, "--detach")
    assert (again.returncode, again.stderr) == (0, "")
    epoch = summarize(detached).epoch
    until(lambda: summarize(detached).epoch > epoch)
    ask(detached, do="stop", after="batch")
    until(lambda: not is_live(detached))
    assert "Traceback" not in (detached / "run.log").read_text()


def test_a_killed_run_is_seen_to_be_dead_and_comes_to_life_on_the_same_screen(place: Path, detached: Path) -> None:
    terminal = screen(place, "attach")
    try:
        terminal.until(lambda: "training" in terminal.text)
        [process] = trainers(detached)
        os.kill(process, signal.SIGKILL)
        terminal.until(lambda: "✘ crashed" in terminal.text)
        assert summarize(detached).standing == "crashed"
        assert (detached / ".control/socket").exists()  # stale; it is in nobody's way
        assert reid_tui(place, "resume", "--detach").returncode == 0
        terminal.until(lambda: "training" in terminal.text and "crashed" not in terminal.text, seconds=60)
        terminal.press("s")
        terminal.until(lambda: "After this epoch" in terminal.text)
        terminal.press("n")
        terminal.until(lambda: "■ stopped" in terminal.text)
        terminal.press("q")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_a_run_in_this_terminal_can_be_left_to_itself(place: Path) -> None:
    terminal = screen(place, "launch", "mine.toml")
    try:
        terminal.until(lambda: "epoch 2 " in terminal.text, seconds=90)
        terminal.press("d")
        terminal.until(lambda: "Leave the run to itself" in terminal.text)
        terminal.press("d")
        assert terminal.wait() == 0
        assert "the run goes on in" in terminal.after_the_screen()
    finally:
        terminal.close()
    [folder] = (place / "runs").iterdir()
    epoch = summarize(folder).epoch
    until(lambda: summarize(folder).epoch > epoch)
    rows = (folder / "metrics.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [str(number) for number in range(len(rows))]


def test_a_picked_profile_is_launched_in_a_process_of_its_own(place: Path) -> None:
    terminal = screen(place, "launch", "--detach", "--profiles", ".")
    try:
        terminal.until(lambda: "mine" in terminal.text)
        terminal.press("mine\r")
        terminal.until(lambda: "▶ training" in terminal.text, seconds=90)
        terminal.press("q")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    [folder] = (place / "runs").iterdir()
    assert summarize(folder).standing == "running"
