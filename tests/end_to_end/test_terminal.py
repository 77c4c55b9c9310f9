"""The app in a real pseudo-terminal, its screen read by a terminal emulator."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.terminal import ROOT, Terminal

PROGRAM = """
import os, subprocess, sys, threading, time, warnings
sys.path.insert(0, {root!r})
from core.profile import Profile
from reid_tui.launch_app import run_app
from tests.reid_tui.fake_run import FakeRun

profile = Profile.model_validate({{"data": {{"root": "demo:hands"}}, "model": {{"name": "RN-tiny"}}}})

def noise(epoch, batch):
    if (epoch, batch) == (1, 2):
        os.write(1, b"raw bytes to descriptor one\\n")
        os.write(2, b"\\x1b[2J\\x1b[Hraw bytes to descriptor two\\n")
        subprocess.run(["sh", "-c", "printf 'printed by a child\\\\n'; printf 'complaint of a child\\\\n' >&2"])
        print("printed by python")
        warnings.warn("a warning by python")
        sys.__stderr__.write("written to the original stream\\n")
    {more}

def start(profile, emit, control):
    FakeRun(hook=noise, {run})(emit, control)

sys.exit(run_app(start_run=start, selected=profile))
"""


@pytest.fixture
def on_terminal() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(run: str = "epochs=2", more: str = "pass", **options: str) -> Terminal:
        program = PROGRAM.format(root=str(ROOT), run=run, more=more)
        opened.append(Terminal(["-c", program], **options))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


SAID = (
    "raw bytes to descriptor one",
    "raw bytes to descriptor two",
    "printed by a child",
    "complaint of a child",
    "printed by python",
    "UserWarning: a warning by python",
    "written to the original stream",
)


@pytest.mark.parametrize("term", ["xterm-256color", "screen", "vt100"])
def test_what_others_write_ends_in_the_log_and_not_on_the_screen(
    on_terminal: Callable[..., Terminal], term: str
) -> None:
    terminal = on_terminal("epochs=2, pace=0.05", term=term)
    terminal.until(lambda: "all 2 epochs are done" in terminal.text)
    terminal.press("l")  # hides the log, so that it can be compared with the screen without it
    terminal.until(lambda: "╭─ Log" not in terminal.text)
    terminal.press("l")
    terminal.until(lambda: "╭─ Log" in terminal.text)
    terminal.until(lambda: SAID[0] in terminal.text)
    rows = terminal.screen.display
    top = next(index for index, row in enumerate(rows) if "╭─ Log" in row)
    assert not any(text in row for row in rows[:top] for text in SAID)
    # Every frame is whole: nothing has scrolled, and no row was written over.
    assert rows[0].startswith("  reid-tui")
    assert rows[2].startswith("╭─ Finished")
    assert rows[2].rstrip().endswith("╮")
    assert "Quit" in rows[-1]
    missing = [text for text in SAID if text not in "\n".join(rows[top:])]
    assert not missing, terminal.text
    terminal.press("q")
    assert terminal.wait() == 0
    assert terminal.restored
    after = terminal.after_the_screen()
    assert "Finished after 2 epochs" in after
    assert "files in /data/runs/" in after
    assert "best Rank-1" in after
    assert "_FINAL.pth" in after


def test_quitting_a_live_run_says_what_is_saved_and_waits_for_it(on_terminal: Callable[..., Terminal]) -> None:
    terminal = on_terminal("epochs=1000, pace=0.02, batches=50, patience=0", more="time.sleep(0.6)")
    terminal.until(lambda: "training" in terminal.text and "batch" in terminal.text)
    terminal.press("q")
    terminal.until(lambda: "Stop and quit" in terminal.text)
    terminal.press("q")
    assert terminal.wait() == 0
    assert terminal.restored
    after = terminal.after_the_screen()
    assert "stopping after the batch in hand, and saving FINAL" in after
    assert "Stopped after 0 epochs" in after


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_and_gives_the_terminal_back(
    on_terminal: Callable[..., Terminal], number: signal.Signals
) -> None:
    terminal = on_terminal("epochs=1000, pace=0.02, patience=0")
    terminal.until(lambda: "training" in terminal.text)
    terminal.process.send_signal(number)
    assert terminal.wait() == 0
    assert terminal.restored
    assert f"stopped by {number.name}" in terminal.after_the_screen()


def test_the_run_goes_on_when_the_terminal_is_gone(on_terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    more = f"epoch == 3 and (print('to nobody', flush=True), os.write(1, b'x'), open({str(mark)!r}, 'w').close())"
    terminal = on_terminal("epochs=4, pace=0.1", more=more)
    terminal.until(lambda: "training" in terminal.text)
    terminal.process.send_signal(signal.SIGHUP)
    assert terminal.wait() == 0
    assert mark.exists()
    assert terminal.after_the_screen().count("\n") == 0


def test_the_run_goes_on_when_the_terminal_goes_without_a_signal(
    on_terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    more = "epoch == 3 and batch == 1 and (print('said in the third epoch', flush=True), os.write(2, b'raw\\n'))"
    terminal = on_terminal(f"epochs=4, pace=0.25, folder={str(tmp_path)!r}", more=more)
    terminal.until(lambda: "training" in terminal.text)
    terminal.hang_up()
    _, status, usage = os.wait4(terminal.process.pid, 0)
    terminal.process.returncode = os.waitstatus_to_exitcode(status)
    assert terminal.process.returncode == 0
    log = (tmp_path / "run.log").read_text()
    for line in ("the terminal is gone; the training goes on", "said in the third epoch", "raw"):
        assert line in log
    assert "Traceback" not in log
    # The rest of the run is six seconds of sleep; it took all of them when nobody noticed that the terminal was gone.
    assert usage.ru_utime + usage.ru_stime < 5


BUILDING = """
import sys, threading, time
sys.path.insert(0, {root!r})
from core.profile import Profile
from reid_tui.launch_app import run_app

def start(profile, emit, control):
    time.sleep(3600)  # a download that does not come

sys.exit(run_app(start_run=start, selected=Profile.model_validate(
    {{"data": {{"root": "demo:hands"}}, "model": {{"name": "RN-tiny"}}}})))
"""


def test_a_second_interrupt_ends_what_is_not_built_yet(on_terminal: Callable[..., Terminal]) -> None:
    terminal = Terminal(["-c", BUILDING.format(root=str(ROOT))], rows=24, columns=80)
    try:
        terminal.until(lambda: "preparing" in terminal.text)
        terminal.process.send_signal(signal.SIGINT)
        terminal.until(lambda: b"as soon as model and data are loaded" in terminal.received)
        assert "FINAL" not in terminal.after_the_screen()
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.wait() == 130
        assert "nothing was saved" in terminal.after_the_screen()
        assert terminal.restored
    finally:
        terminal.close()


def test_a_failed_run_gives_exit_code_one(on_terminal: Callable[..., Terminal]) -> None:
    terminal = on_terminal(more="epoch == 2 and 1 / 0")
    terminal.until(lambda: "✘ failed" in terminal.text)
    assert "ZeroDivisionError" in terminal.text
    terminal.press("q")
    assert terminal.wait() == 1
    assert "ZeroDivisionError: division by zero" in terminal.after_the_screen()


def test_a_crash_of_the_screen_prints_its_traceback_and_lets_the_run_go_on(
    on_terminal: Callable[..., Terminal],
) -> None:
    more = "epoch == 2 and batch == 1 and setattr(__import__('reid_tui.widgets.status').widgets.status, 'clean', None)"
    terminal = on_terminal("epochs=3, pace=0.1", more=more)
    assert terminal.wait() == 1
    assert terminal.restored
    after = terminal.after_the_screen()
    assert "TypeError" in after
    assert "The screen has failed; the training goes on" in after
    assert "Finished after 3 epochs" in after


@pytest.mark.parametrize(
    ("wanted", "tmux", "bells", "sequences"),
    [
        ("off", "", 0, []),
        ("", "", 0, []),
        ("bell", "", 1, []),
        ("osc9,osc777", "", 0, [b"\x1b]9;reid-tui hands: Finished: all 1 epochs are done\x1b\\"
                               b"\x1b]777;notify;reid-tui hands;Finished: all 1 epochs are done\x1b\\"]),
        ("bell,osc9", "/tmp/t,1,0", 1, [
            b"\x1bPtmux;\x1b\x1b]9;reid-tui hands: Finished: all 1 epochs are done\x1b\x1b\\\x1b\\\x07"
        ]),
    ],
)  # fmt: skip
def test_the_end_rings_as_it_was_asked_to(
    on_terminal: Callable[..., Terminal], wanted: str, tmux: str, bells: int, sequences: list[bytes]
) -> None:
    terminal = on_terminal("epochs=1, pace=0.02", environ={"REID_TUI_NOTIFY": wanted, "TMUX": tmux})
    terminal.until(lambda: "all 1 epochs are done" in terminal.text)
    terminal.press("q")
    assert terminal.wait() == 0
    # Textual's shape of the pointer ends in the same byte.
    assert terminal.received.replace(b"\x1b]22;default\x07", b"").count(b"\x07") == bells
    assert [sequence in terminal.received for sequence in sequences] == [True] * len(sequences)
    if not sequences:
        assert b"\x1b]9;" not in terminal.received and b"]777;" not in terminal.received
