"""Only what is new is sent, and the terminal shows the same as if everything were."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.terminal import ROOT, Terminal

PROGRAM = """
import sys, time
sys.path.insert(0, {root!r})
from core.events import Alert, LogLine
from core.profile import Profile
from reid_tui.launch_app import run_app
from tests.reid_tui.fake_run import FakeRun

profile = Profile.model_validate({{"data": {{"root": "demo:hands"}}, "model": {{"name": "RN-tiny"}}}})
LINES = ("手の写真 {{}} 実験", "é {{}} e\\u0301 ❤\\ufe0f", "👩\\u200d🔬 {{}} नमस्ते", "שלום {{}}", "│ ● {{}} ⣿")

def start(profile, emit, control):
    def batch(epoch, number):
        while (epoch, number) > ({epochs} + 1, 2) and not control.stopping_after_batch:
            time.sleep(0.02)  # it stands still, so that two pictures of it can be compared
        emit(LogLine(time.time(), "info", LINES[(epoch + number) % len(LINES)].format(epoch * number)))
        if number == 3:
            emit(Alert(time.time(), "warning", "幅 of 文字", "two cells each: 手手手"))

    FakeRun(epochs=1000, batches=6, pace=0.03, patience=0, name="手-run-実験", hook=batch)(emit, control)

sys.exit(run_app(start_run=start, selected=profile))
"""
REDRAW = "\x0c"
Cells = list[list[tuple[object, ...]]]
OnTerminal = Callable[..., Terminal]


@pytest.fixture
def on_terminal(tmp_path: Path) -> Iterator[OnTerminal]:
    opened: list[Terminal] = []

    def start(epochs: int = 4, columns: int = 120, rows: int = 40, term: str = "xterm-256color") -> Terminal:
        environ = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "TMUX": "", "LC_ALL": "C.UTF-8"}
        program = PROGRAM.format(root=str(ROOT), epochs=epochs)
        opened.append(Terminal(["-c", program], rows=rows, columns=columns, environ=environ, term=term))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def stands_still(terminal: Terminal) -> None:
    """After the second batch of epoch 5; before the third of epoch 4 there were fewer alerts."""
    terminal.until(lambda: "! 5 alerts" in terminal.text and " 33 %" in terminal.text, seconds=40)


def cells(terminal: Terminal) -> Cells:
    """Everything that a person sees: characters, colours and attributes."""
    screen = terminal.screen
    return [[tuple(screen.buffer[y][x]) for x in range(screen.columns)] for y in range(screen.lines)]


def settled(terminal: Terminal) -> Cells:
    """The picture once nothing comes any more."""
    before = -1
    while before != len(terminal.received):
        before = len(terminal.received)
        terminal.read(0.7)
    return cells(terminal)


def differences(one: Cells, other: Cells) -> list[tuple[int, int, object, object]]:
    return [
        (y, x, one[y][x], other[y][x]) for y in range(len(one)) for x in range(len(one[y])) if one[y][x] != other[y][x]
    ]


def redrawn(terminal: Terminal) -> Cells:
    """The picture after everything was sent anew."""
    before = len(terminal.received)
    terminal.press(REDRAW)
    terminal.until(lambda: len(terminal.received) > before + 2 * terminal.screen.lines)
    return settled(terminal)


@pytest.mark.parametrize(("columns", "rows"), [(120, 40), (80, 24), (61, 19)])
def test_the_picture_is_that_of_a_full_redraw(on_terminal: OnTerminal, columns: int, rows: int) -> None:
    terminal = on_terminal(columns=columns, rows=rows)
    stands_still(terminal)
    # The log, the cursor of a chart, its zoom, a chart alone and back, help and alerts and back, scrolling, a theme.
    for keys in ("", "l", "\x1b[D\x1b[D", "++", "f", "f", "?", "\x1b[B", "?", "\x1b[5~", "\x1b[6~", "a", "a", "l", "t"):
        terminal.press(keys)
        seen = settled(terminal)
        assert differences(seen, redrawn(terminal)) == [], f"after {keys!r}"


def test_what_others_have_written_on_the_screen_is_repaired(on_terminal: OnTerminal) -> None:
    terminal = on_terminal()
    stands_still(terminal)
    whole = settled(terminal)
    terminal._stream.feed(b"\x1b[3;1H\x1b[2Ka message to all users\x1b[H")
    assert "a message to all users" in terminal.text
    assert differences(redrawn(terminal), whole) == []


def test_what_has_not_changed_is_not_sent(on_terminal: OnTerminal) -> None:
    terminal = on_terminal(epochs=1000)
    terminal.until(lambda: re.search("epoch +[3-9] of 1000", terminal.text), seconds=40)
    before = len(terminal.received)
    terminal.until(lambda: re.search("epoch +[1-9][0-9] of 1000", terminal.text), seconds=40)
    assert terminal.received[before:].count("╭".encode()) == 0, "the corners of panels stay where they are"
