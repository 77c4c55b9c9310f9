"""What reaches a real terminal: its title, its colours, its alphabet, and how much of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.terminal import ROOT, Terminal

PROGRAM = """
import sys, threading, time
sys.path.insert(0, {root!r})
from core.profile import Profile
from reid_tui.launch_app import run_app
from tests.reid_tui.fake_run import FakeRun

profile = Profile.model_validate({{"data": {{"root": "demo:hands"}}, "model": {{"name": "RN-tiny"}}}})

def start(profile, emit, control):
    FakeRun({run})(emit, control)

sys.exit(run_app(start_run=start, selected=profile, {app}))
"""
LIVE = "epochs=1000, batches=40, pace=0.02, patience=0"
SGR = re.compile(rb"\x1b\[([0-9;]*)m")
TITLE = re.compile(rb"\x1b\]2;([^\x1b]*)\x1b\\")

OnTerminal = Callable[..., Terminal]


@pytest.fixture
def on_terminal(tmp_path: Path) -> Iterator[OnTerminal]:
    opened: list[Terminal] = []

    def start(
        run: str = "epochs=2", app: str = "", environ: dict[str, str] | None = None, **options: object
    ) -> Terminal:
        own = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state"), "TMUX": ""}
        sized = {"rows": 40, "columns": 120, **options}
        program = PROGRAM.format(root=str(ROOT), run=run, app=app)
        opened.append(Terminal(["-c", program], environ={**own, **(environ or {})}, **sized))  # type: ignore[arg-type]
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def colour_codes(received: bytes) -> set[int]:
    """The parameters of every SGR sequence that choose a colour."""
    codes = {int(code or 0) for codes in SGR.findall(received) for code in codes.split(b";")}
    return {code for code in codes if 30 <= code <= 38 or 40 <= code <= 48 or 90 <= code <= 107}


def test_title_and_progress_follow_the_run_and_are_taken_back(on_terminal: OnTerminal) -> None:
    terminal = on_terminal("epochs=4, pace=0.1", environ={"WT_SESSION": "x"})
    terminal.until(lambda: re.search(rb"\x1b\]2;reid-tui \xc2\xb7 hands \xc2\xb7 epoch \d/4", terminal.received))
    terminal.until(lambda: re.search(rb"\x1b\]9;4;1;[1-9]\d?\x1b", terminal.received))
    terminal.until(lambda: b"finished \xc2\xb7 R-1" in terminal.received)
    terminal.press("q")
    assert terminal.wait() == 0
    received = terminal.received
    assert received.count(b"\x1b[22;2t") == received.count(b"\x1b[23;2t") == 1
    assert received.index(b"\x1b[22;2t") < received.index(b"\x1b]2;") < received.index(b"\x1b[23;2t")
    assert received.rfind(b"\x1b]9;4;0;0\x1b\\") > received.rfind(b"\x1b]9;4;1;")
    assert b"\x1bk" not in received
    titles = TITLE.findall(received)
    assert len(titles) == len(dict.fromkeys(titles)), "only what is new is written"


@pytest.mark.parametrize(
    ("term", "title"), [("xterm-256color", True), ("screen", True), ("linux", False), ("vt100", False)]
)
def test_a_terminal_gets_only_what_it_understands(on_terminal: OnTerminal, term: str, title: bool) -> None:
    terminal = on_terminal("epochs=1000, pace=0.05, patience=0", term=term)
    terminal.until(lambda: "training" in terminal.text and "epoch" in terminal.text)
    if title:
        terminal.until(lambda: TITLE.search(terminal.received))
    else:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            terminal.read()
    assert bool(TITLE.search(terminal.received)) is title
    assert b"\x1bk" not in terminal.received
    assert b"\x1b]9;" not in terminal.received
    rows = terminal.screen.display
    assert rows[0].startswith("  reid-tui  hands")
    assert rows[2].startswith("╭─ Progress") and rows[2].rstrip().endswith("╮")
    assert "Quit" in rows[-1]
    if term == "linux":  # eight colours: a text on itself could not be read
        for y in range(40):
            for cell in terminal.screen.buffer[y].values():
                assert cell.data.strip() == "" or cell.fg != cell.bg or cell.fg == "default", (y, cell)


def test_a_window_of_tmux_is_named_and_then_names_itself_again(on_terminal: OnTerminal) -> None:
    terminal = on_terminal("epochs=4, pace=0.1", term="screen-256color", environ={"TMUX": "/tmp/tmux,1,0"})
    terminal.until(lambda: re.search(rb"\x1bkreid-tui [^\x1b]+ finished", terminal.received))
    terminal.press("q")
    assert terminal.wait() == 0
    assert terminal.received.rfind(b"\x1bk\x1b\\") == terminal.received.rfind(b"\x1bk")


def test_without_a_terminal_that_can_there_is_no_screen(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    terminal = Terminal(["-m", "reid_tui", "launch"], term="dumb", environ=environ, rows=24, columns=80)
    try:
        assert terminal.wait() == 2
        assert "without a screen there is no picker (TERM is dumb)" in terminal.text.replace("\n", "")
        assert b"\x1b" not in terminal.received
    finally:
        terminal.close()


def test_no_color_means_none(on_terminal: OnTerminal) -> None:
    coloured = on_terminal("epochs=2, pace=0.05")
    coloured.until(lambda: "✔ finished" in coloured.text)
    assert colour_codes(coloured.received)
    terminal = on_terminal("epochs=2, pace=0.05", environ={"NO_COLOR": "1"})
    terminal.until(lambda: "✔ finished" in terminal.text)
    terminal.press("?")
    terminal.until(lambda: "esc closes" in terminal.text)
    terminal.press("\x1b")
    terminal.press("\x10")
    terminal.until(lambda: "Theme: safe" in terminal.text)
    assert not colour_codes(terminal.received)
    assert {0, 1} <= {int(code or 0) for codes in SGR.findall(terminal.received) for code in codes.split(b";")}


@pytest.mark.parametrize("how", ["locale", "setting"])
def test_in_ascii_every_byte_is_ascii_and_the_screen_can_be_read(
    on_terminal: OnTerminal, tmp_path: Path, how: str
) -> None:
    environ = {"LC_ALL": "C"} if how == "locale" else {"LC_ALL": "C.UTF-8"}
    if how == "setting":
        (tmp_path / "config" / "reid-tui").mkdir(parents=True)
        (tmp_path / "config" / "reid-tui" / "config.toml").write_text('charts = "ascii"')
    run = "epochs=6, pace=0.03, batches=8, name='手 नमस्ते 👩‍🔬 é', validated_on='שלום'"
    terminal = on_terminal(run, environ=environ)
    terminal.until(lambda: "v finished" in terminal.text, seconds=40)
    rows = terminal.screen.display
    assert "├" not in terminal.text
    assert rows[0].startswith("  reid-tui  ?? ")
    assert re.match(r"\+- Finished after 6 epochs, \d:\d\d -+\+$", rows[2].rstrip())
    charts = next(row for row in rows if "Loss" in row and "Rank-1" in row)
    assert re.match(r"\+- (> )?Loss -+\++- Rank-1 and mAP, % -+\+$", charts.rstrip())
    assert all(row[0] in " +|" and len(row.rstrip()) <= 120 for row in rows[2:-2])
    assert [row.rstrip()[-1] for row in rows[2:-2]].count("|") > 20, "borders are where they were"
    assert "* " in terminal.text and "@ total" in terminal.text and "Quit" in rows[-1]
    terminal.press("q")
    assert terminal.wait() == 0
    screen = terminal.received[: terminal.received.rfind(b"\x1b[?1049l")]
    shown = terminal.received if how == "locale" else screen
    assert [byte for byte in shown if byte >= 0x80] == []


def bytes_of(terminal: Terminal, seconds: float) -> int:
    """How much a live run sends in this time, once everything has been drawn."""
    terminal.until(lambda: re.search(r"batch +[5-9]\d of", terminal.text))
    before, end = len(terminal.received), time.monotonic() + seconds
    while time.monotonic() < end:
        terminal.read()
    return len(terminal.received) - before


def test_low_bandwidth_sends_fewer_bytes(on_terminal: OnTerminal) -> None:
    steady = LIVE.replace("batches=40", "batches=2000")  # epochs that end while this looks would cost the same in both
    usual = bytes_of(on_terminal(steady), 6.0)
    low = bytes_of(on_terminal(steady, "low_bandwidth=True"), 6.0)
    print(f"at 120x40: {usual / 6:.0f} bytes a second, and {low / 6:.0f} with few redraws")
    assert 0 < low < 0.8 * usual


def test_what_is_selected_is_copied_by_osc_52(on_terminal: OnTerminal) -> None:
    terminal = on_terminal("epochs=2")
    terminal.until(lambda: "✔ finished" in terminal.text)
    row = next(number for number, text in enumerate(terminal.screen.display, 1) if "all 2 epochs are done" in text)
    terminal.press(f"\x1b[<0;3;{row}M")
    terminal.press(f"\x1b[<32;8;{row}M\x1b[<32;23;{row}M")
    terminal.press(f"\x1b[<0;23;{row}m")
    terminal.read(0.3)
    terminal.press("\x03")
    terminal.until(lambda: b"\x1b]52;c;" in terminal.received)
    import base64

    sent = re.search(rb"\x1b\]52;c;([^\x07]*)\x07", terminal.received)
    assert sent
    assert "all 2 epochs" in base64.b64decode(sent[1]).decode()
