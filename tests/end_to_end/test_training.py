"""`reid-tui launch` as a person uses it: a real terminal, a real training, keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from core.profile import Profile
from core.profile_files import write_profile
from tests.end_to_end.terminal import Terminal


@pytest.fixture
def reid_tui(tmp_path: Path, tiny_profile: Callable[..., Profile]) -> Iterator[Callable[..., Terminal]]:
    """Start the program in a folder with a profile `mine` on a terminal of 40 rows and 120 columns."""
    opened: list[Terminal] = []
    (tmp_path / "profiles").mkdir()

    def start(*arguments: str, **train: object) -> Terminal:
        (tmp_path / "profiles" / "mine.toml").write_text(write_profile(tiny_profile(**train)))
        environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
        command = ["-m", "reid_tui", *arguments]
        opened.append(Terminal(command, rows=40, columns=120, folder=tmp_path, environ=environ))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def checkpoints(folder: Path) -> set[str]:
    return {path.stem.rsplit("_", 1)[1] for path in folder.glob("runs/*/checkpoints/*.pth")}


def test_pick_train_watch_and_leave(reid_tui: Callable[..., Terminal], tmp_path: Path) -> None:
    terminal = reid_tui("launch", epochs=3)
    terminal.until(lambda: "market-1501" in terminal.text)
    terminal.press("mine\r")  # in one piece: Enter must not overtake the filter
    terminal.until(lambda: "q leaves" in terminal.text, seconds=90)  # the log names the end before it has come
    assert "all epochs done" in terminal.text
    assert "on query0/gallery0 (test split)" in terminal.text
    assert checkpoints(tmp_path) == {"BEST", "FINAL", "LAST", "LAST-previous"}
    terminal.press("q")
    assert terminal.wait() == 0
    assert terminal.restored
    assert "best Rank-1" in terminal.after_the_screen()


def test_pause_checkpoint_and_stop(reid_tui: Callable[..., Terminal], tmp_path: Path) -> None:
    terminal = reid_tui("launch", "mine", epochs=1000)
    terminal.until(lambda: "epoch 2 " in terminal.text, seconds=90)
    terminal.press("p")
    terminal.until(lambda: "paused" in terminal.text)
    terminal.press("c")
    terminal.until(lambda: "saved" in terminal.text and "LAST saved (asked for" in terminal.text)
    terminal.press("p")
    terminal.until(lambda: "goes on" in terminal.text)
    terminal.press("s")
    terminal.until(lambda: "after this epoch" in terminal.text.lower())
    terminal.press("\r")
    terminal.until(lambda: "q leaves" in terminal.text, seconds=60)
    assert "stopped by the user after epoch" in terminal.text
    terminal.press("q")
    assert terminal.wait() == 0
    [final] = tmp_path.glob("runs/*/checkpoints/*_FINAL.pth")
    assert "stopped by the user" in torch.load(final, weights_only=True)["reason"]


def test_a_run_that_cannot_begin_says_why_on_the_screen(reid_tui: Callable[..., Terminal]) -> None:
    terminal = reid_tui("launch", "mine", "--set", "run.device=cuda:7")
    terminal.until(lambda: "run.device is cuda:7" in terminal.text, seconds=60)
    terminal.press("q")
    assert terminal.wait() == 1
    assert terminal.restored
    assert "Traceback" not in terminal.received.decode()


def test_a_screen_that_crashes_is_told_in_the_log_and_the_run_goes_on(
    tmp_path: Path, tiny_profile: Callable[..., Profile]
) -> None:
    (tmp_path / "mine.toml").write_text(write_profile(tiny_profile(epochs=30)))
    code = (
        "import sys; from reid_tui.cli import main; from reid_tui.widgets.patience import PatiencePanel as panel\n"
        "shown = panel.show; panel.show = lambda self, state: shown(self, state) or len(state.epochs) > 2 and 1 / 0\n"
        "sys.exit(main(['launch', 'mine.toml']))"
    )
    terminal = Terminal(["-c", code], folder=tmp_path, environ={"XDG_CONFIG_HOME": str(tmp_path / "config")})
    try:
        assert terminal.wait(90) == 1
        assert terminal.restored
        assert "The screen has failed; the training goes on" in terminal.after_the_screen()
    finally:
        terminal.close()
    [log] = tmp_path.glob("runs/*/run.log")
    text = log.read_text()
    assert "the screen has failed; the run goes on without it" in text
    assert "ZeroDivisionError" in text
    assert "epoch 30 " in text
    assert checkpoints(tmp_path) == {"BEST", "FINAL", "LAST", "LAST-previous"}
