"""The screens of `launch`, `runs` and `attach` as terminals of several kinds show them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.events import Event
from core.run_lock import held
from tests import listed_runs, run_folders
from tests.end_to_end.terminal import ROOT, Terminal

TERMS = ("xterm-256color", "screen", "linux")
BRAILLE = re.compile("[\u2801-\u28ff]")
SIZE = {"rows": 24, "columns": 80}
LAUNCH = """
import sys
sys.path.insert(0, {root!r})
from core.profile import Profile
from reid_tui.launch_app import run_app
from tests.reid_tui.fake_run import FakeRun

profile = Profile.model_validate({{"data": {{"root": "demo:hands"}}, "model": {{"name": "RN-tiny"}}}})

def start(profile, emit, control):
    FakeRun(epochs=1000, batches=40, pace=0.02, patience=0)(emit, control)

sys.exit(run_app(start_run=start, selected=profile))
"""
Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a program on a terminal, at home in an empty folder."""
    with ExitStack() as stack:

        def started(arguments: list[str], term: str) -> Terminal:
            environ = {
                "HOME": str(tmp_path),
                "XDG_STATE_HOME": str(tmp_path / "state"),
                "TMUX": "",
                "LC_ALL": "C.UTF-8",
            }
            terminal = Terminal(arguments, term=term, environ=environ, folder=tmp_path, **SIZE)  # type: ignore[arg-type]
            stack.callback(terminal.close)
            return terminal

        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run that another process (this one) is at work on, beside one that has ended."""
    listed_runs.make_run(tmp_path / "runs", "older_run", (0.2, 0.45))
    events: list[Event] = [event for epoch in (1, 2) for event in run_folders.trained(epoch, 0.4 * epoch)]
    path = tmp_path / "runs" / "live_run"
    return run_folders.make_run(path, run_folders.started(path), *events)


def left_in_order(terminal: Terminal) -> None:
    """The screen is whole, and no text has the colour of its background; then `q` leaves."""
    rows = terminal.screen.display
    assert len(rows) == 24 and "Traceback" not in terminal.text
    for y in range(24):
        for cell in terminal.screen.buffer[y].values():
            assert cell.data.strip() == "" or cell.fg == "default" or cell.fg != cell.bg, (y, cell)
    terminal.press("q")


@pytest.mark.parametrize("term", TERMS)
def test_launch(start: Start, term: str) -> None:
    terminal = start(["-c", LAUNCH.format(root=str(ROOT))], term)
    terminal.until(lambda: "▶ training" in terminal.text and "● tot" in terminal.text)
    terminal.until(lambda: any(BRAILLE.search(row) for row in terminal.screen.display[7:12]))  # the curve of the loss
    terminal.until(lambda: "Plot" in terminal.screen.display[23])
    rows = terminal.screen.display
    assert rows[0].startswith("  reid-tui  hands") and rows[1].startswith("  11k-hands dorsal-right · 224×224")
    assert rows[2].startswith("╭─ Progress ─") and rows[2].endswith("─╮")
    assert re.match(r"│ run    epoch  +\d+ of 1000  [━╸┄]+ +\d+ %", rows[3])
    assert re.match(r"╭─ ▸ Loss ─+╮╭─ Epochs ─+╮$", rows[6])
    assert rows[23].rstrip() == "c Save p Pause s Stop d Detach q Quit ? Help l Log r Runs m Plot"
    left_in_order(terminal)
    terminal.until(lambda: "Stop and quit" in terminal.text)
    terminal.press("q")
    assert terminal.wait() == 0 and terminal.restored


@pytest.mark.parametrize("term", TERMS)
def test_runs(start: Start, folder: Path, term: str) -> None:
    with held(folder):
        terminal = start(["-m", "reid_tui", "runs"], term)
        terminal.until(lambda: "2 runs" in terminal.text and "▲age" in terminal.text and "Back" in terminal.text)
        rows = terminal.screen.display
        assert rows[0].startswith("  reid-tui  runs of this machine")
        assert " ".join(rows[1].split()) == "run state R-1 mAP epoch lr ▲age size"
        assert re.search(r"live_run +▶ running +80.0 +40.0 +2/9 ", terminal.text)
        assert re.search(r"older_run +✔ finished +45.0 +40.0 +1/12 +1e-3 ", terminal.text)
        assert rows[23].split()[-2:] == ["q", "Back"]
        left_in_order(terminal)
        assert terminal.wait() == 0 and terminal.restored


@pytest.mark.parametrize("term", TERMS)
def test_attach(start: Start, folder: Path, term: str) -> None:
    with held(folder):
        terminal = start(["-m", "reid_tui", "attach", "live_run"], term)
        terminal.until(lambda: "▶ training" in terminal.text and "★ 80.0 Rank-1, epoch 2" in terminal.text)
        terminal.until(lambda: "Plot" in terminal.screen.display[23])
        rows = terminal.screen.display
        assert re.match(r"│ run    epoch 2 of 9 ", rows[3])
        assert re.search(r"│★ +2 +80.0 .* 40.0 +1.50 ?│$", "\n".join(rows), re.MULTILINE)
        assert rows[23].rstrip().endswith("n New run r Runs m Plot")
        left_in_order(terminal)
        assert terminal.wait() == 0 and terminal.restored


def test_without_a_screen(start: Start, folder: Path) -> None:
    """A terminal that can do nothing gets lines or a word why, never a sequence."""
    with held(folder):
        runs = start(["-m", "reid_tui", "runs"], "dumb")
        attach = start(["-m", "reid_tui", "attach", "live_run"], "dumb")
        assert runs.wait() == 0
        assert "live_run" in runs.text and "older_run" in runs.text
        assert attach.wait() == 1
        assert "There is no screen to watch it on: TERM is dumb; its log is" in attach.text
        assert b"\x1b" not in runs.received + attach.received
