"""How long a person waits for the first frame and for `--help`, and what Python and Textual take of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.benchmarks.live_screen import COLUMNS, ROWS
from tests.benchmarks.row import Row
from tests.end_to_end.terminal import ROOT, Terminal

DRAWN = ("Filter", "Profiles", "Quit")  # the top of the picker, its list, and the keys below
BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}  # kept, as pip keeps it for whoever installs: the first round compiles
PROFILE = '[data]\nroot = "demo:hands"\n[model]\nname = "RN-tiny"\n'


def first_frame_seconds() -> float:
    """From the start of `python -m reid_tui launch` until the picker is complete on a terminal of 120x40.

    Complete: a terminal emulator shows its frames and the keys at the bottom. The profiles, of which the folder has
    two, are read behind that frame and are not waited for.
    """
    with TemporaryDirectory() as home:
        folder = Path(home) / "profiles"
        folder.mkdir()
        for name in ("one", "two"):
            (folder / f"{name}.toml").write_text(PROFILE)
        began = time.perf_counter()
        terminal = Terminal(
            ["-m", "reid_tui", "launch"],
            rows=ROWS,
            columns=COLUMNS,
            folder=Path(home),
            environ={
                "HOME": home,
                "XDG_CONFIG_HOME": home,
                "XDG_STATE_HOME": home,
                "TMUX": "",
                "LC_ALL": "C.UTF-8",
                **BYTECODE,
            },
        )
        try:
            terminal.until(lambda: all(word in terminal.text for word in DRAWN), seconds=60)
            return time.perf_counter() - began
        finally:
            terminal.close()


def import_textual_seconds() -> float:
    """A process of Python that imports `textual.app` and `textual.widgets`, and ends."""
    return _process_seconds("-c", "import textual.app, textual.widgets")


def help_seconds() -> float:
    """A process of `python -m reid_tui --help`."""
    return _process_seconds("-m", "reid_tui", "--help")


def pass_seconds() -> float:
    """A process of Python that does nothing."""
    return _process_seconds("-c", "pass")


def _process_seconds(*arguments: str) -> float:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **BYTECODE}
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, env=environ, check=True)
    return time.perf_counter() - began


def medians(rounds: int = 15) -> dict[str, float]:
    """Of each of the four, taken in turn, so that a busy moment of the machine meets all of them."""
    functions = (first_frame_seconds, import_textual_seconds, help_seconds, pass_seconds)
    taken = [[function() for function in functions] for _ in range(rounds + 1)][1:]  # the first fills the caches
    return {function.__name__: median(row[at] for row in taken) for at, function in enumerate(functions)}


def rows() -> list[Row]:
    found = medians()
    frame, textual = found["first_frame_seconds"], found["import_textual_seconds"]
    told, nothing = found["help_seconds"], found["pass_seconds"]
    first = "the first frame of `reid-tui launch`"
    detail = f"{frame:.3f} s against {textual:.3f} s"
    return [
        Row(first, "importing textual.app and textual.widgets", frame / textual, "x its time", 2, detail=detail),
        Row(first, "an idle machine", frame, "s", 0.45),
        Row(
            "reid-tui --help",
            "python -c pass",
            told / nothing,
            "x its time",
            8,
            detail=f"{told:.3f} s against {nothing:.3f} s",
        ),
    ]
