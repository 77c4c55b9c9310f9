"""Everything in ASCII, cell for cell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from core.run_state import RunState
from reid_tui.ascii import to_ascii
from reid_tui.title import CLEARED, FAILED, LONGEST, RUNNING, UNKNOWN, Announcer, closing, knows, progress_of, title_of
from tests.reid_tui.fake_run import FakeRun
from tests.reid_tui.snapshots import events_of

SOURCES = Path(__file__).parents[2] / "reid_tui"


@pytest.mark.parametrize(
    ("text", "ascii"),
    [
        ("plain", "plain"),
        ("\x1b[1m★\x1b[0m│\x1b[31m╭─╮", "\x1b[1m*\x1b[0m|\x1b[31m+-+"),
        ("手e\u0301é👩‍🔬x", "??ee??x"),
        ("⠁⠤⣀⣿⡇", "'-_||"),
        ("\u200b\u0301", ""),
        ("a…b – c", "a~b - c"),
    ],
)
def test_as_many_cells_as_before(text: str, ascii: str) -> None:
    assert to_ascii(text) == ascii
    plain = re.sub(r"\x1b\[\d+m", "", text)
    assert cell_len(re.sub(r"\x1b\[\d+m", "", ascii)) == cell_len(plain)


def test_every_sign_that_the_screens_use_has_one_of_its_own() -> None:
    """Accented letters and braille apart, nothing that is drawn may become a question mark."""
    used = {char for path in SOURCES.rglob("*.py") for char in path.read_text() if not char.isascii()}
    assert len(used) > 20
    assert [char for char in sorted(used) if "?" in to_ascii(char) and char not in "手é"] == []
    for char in used:
        assert len(to_ascii(char)) == cell_len(char), char


def test_titles_and_progress() -> None:
    from core.run_state import fold

    state = RunState()
    assert title_of(state, "demo\x1b]2;x\x07") == "reid-tui · demo"
    assert progress_of(state) == (UNKNOWN, 0)
    seen = set()
    for event in events_of(FakeRun(epochs=4, batches=4)):
        fold(state, event)
        seen.add(progress_of(state))
        assert len(title_of(state, "x")) <= LONGEST
    assert (RUNNING, 25) in seen and progress_of(state) == (CLEARED, 0)
    assert re.fullmatch(r"reid-tui · hands · finished · R-1 \d\d\.\d", title_of(state, "x"))
    failed = fold(RunState(), events_of(FakeRun(epochs=1))[-1])
    failed.finished = failed.finished and type(failed.finished)(1.0, "failed", "out of memory", 0, 1.0)
    assert progress_of(failed) == (FAILED, 100)


def test_only_what_is_new_is_written() -> None:
    announcer = Announcer(knows({"TERM": "xterm-256color", "WT_SESSION": "1"}))
    assert announcer.update("a", (RUNNING, 3)) == "\x1b]2;a\x1b\\\x1b]9;4;1;3\x1b\\"
    assert announcer.update("a", (RUNNING, 3)) == ""
    assert announcer.update("b", (RUNNING, 3)) == "\x1b]2;b\x1b\\"
    assert Announcer(knows({"TERM": "linux"})).update("a", (RUNNING, 3)) == ""


@pytest.mark.parametrize(
    ("environ", "known"),
    [
        ({"TERM": "xterm-256color"}, (True, False, False)),
        ({"TERM": "xterm-ghostty"}, (True, False, True)),
        ({"TERM": "xterm-256color", "VTE_VERSION": "8000"}, (True, False, True)),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, (True, False, False)),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, (True, False, False)),
        ({"TERM": "tmux-256color", "TMUX": "x", "WT_SESSION": "1"}, (True, True, False)),
        ({"TERM": "screen"}, (True, False, False)),
        ({"TERM": "linux"}, (False, False, False)),
        ({"TERM": "dumb"}, (False, False, False)),
        ({"TERM": "vt100", "TMUX": "x"}, (False, False, False)),
        ({}, (False, False, False)),
    ],
)
def test_what_terminals_are_known_to_understand(environ: dict[str, str], known: tuple[bool, bool, bool]) -> None:
    found = knows(environ)
    assert (found.title, found.window_name, found.progress) == known
    assert bool(closing(found)) is any(known)
