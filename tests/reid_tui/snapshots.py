"""What a screen looked like when somebody last looked at it: text and colours of each cell, kept in a file.

A new screen needs one line in a test: `await snapshot(app, pilot, "its-name")`. It is drawn in every size and theme of
this file. `pytest tests/reid_tui/test_snapshots.py --renew-snapshots` writes the files anew; read the difference
before it is committed.
"""

from __future__ import annotations

import asyncio
import difflib
import string
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.segment import Segment
from textual._context import visible_screen_stack
from textual.pilot import Pilot
from textual.widgets import Input

from core.control import RunControl
from core.events import Event, RunFinished
from reid_tui.app import ReidApp
from tests.reid_tui.fake_run import FakeRun

FOLDER = Path(__file__).parent / "snapshots"
SIZES = ((80, 24), (120, 40), (200, 60))
LOOKS = ("reid-dark", "reid-light")
NOON = 1_795_521_600.0  # of a day in UTC
SAME_LOOKS = 3
LOOK_SECONDS = 0.02  # more than Textual takes from one redraw to the next
LETTERS = string.ascii_letters + string.digits


def cells(app: ReidApp) -> list[list[Segment]]:
    """The screen as it is drawn, filters and all, on top of those that are seen through it."""
    visible_screen_stack.set(app._background_screens)
    return [list(strip) for strip in app.screen._compositor.render_strips()]


def text_of(rows: Iterable[list[Segment]]) -> list[str]:
    return ["".join(segment.text for segment in row).rstrip() for row in rows]


def colours_of(rows: Iterable[list[Segment]]) -> list[str]:
    """A letter for each style, and the cells of each row as runs of letters: "12a3b"."""
    letters: dict[str, str] = {}
    lines = []
    for row in rows:
        runs: list[tuple[str, int]] = []
        for segment in row:
            style = str(segment.style or "none")
            letter = letters.setdefault(style, LETTERS[len(letters)])
            before = runs.pop() if runs and runs[-1][0] == letter else (letter, 0)
            runs.append((letter, before[1] + segment.cell_length))
        lines.append("".join(f"{cells}{letter}" for letter, cells in runs))
    return [*(f"{letter} = {style}" for style, letter in letters.items()), *lines]


async def still(app: ReidApp, pilot: Pilot[None]) -> list[list[Segment]]:
    """The screen once several looks at it, one after the other, have seen the same."""
    for field in app.screen.query(Input):
        field.cursor_blink = False
    seen: list[list[Segment]] = []
    same = 0
    await pilot.pause()
    for _ in range(200):
        await asyncio.sleep(LOOK_SECONDS)  # a pause of the pilot asks every widget, and takes as long as ten looks
        before, seen = seen, cells(app)
        same = same + 1 if seen == before else 0
        if same == SAME_LOOKS:
            return seen
    raise AssertionError("the screen does not come to rest")


class Snapshots:
    """Compares with the files, or writes them anew."""

    def __init__(self, renew: bool) -> None:
        self._renew = renew

    async def __call__(
        self,
        app: ReidApp,
        pilot: Pilot[None],
        name: str,
        *,
        sizes: Sequence[tuple[int, int]] = SIZES,
        looks: Sequence[str] = LOOKS,
    ) -> None:
        order = list(looks)
        for size in sizes:
            if app.size != size:
                await pilot.resize_terminal(*size)
            colours: dict[str, list[str]] = {}
            text: list[str] = []
            for look in order:
                if app.theme != look:  # to change it takes longer than to draw
                    app.theme = look
                rows = await still(app, pilot)
                text, colours[look] = text_of(rows), colours_of(rows)
            order.reverse()
            parts = ["== text", *text]
            for look in looks:
                parts += [f"== {look}", *colours[look]]
            self._compare(f"{name}-{size[0]}x{size[1]}", parts)
        app.theme = LOOKS[0]
        await pilot.resize_terminal(*SIZES[0])
        await still(app, pilot)  # what is scrolled before the layout is done ends elsewhere

    def _compare(self, name: str, lines: list[str]) -> None:
        path = FOLDER / f"{name}.txt"
        if self._renew:
            FOLDER.mkdir(exist_ok=True)
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            return
        assert path.exists(), f"{name} is new: look at it, then run pytest with --renew-snapshots"
        kept = path.read_text(encoding="utf-8").splitlines()
        changed = list(difflib.unified_diff(kept, lines, "kept", "now", lineterm="", n=1))
        assert not changed, f"{name} looks otherwise than it did:\n" + "\n".join(changed[:80])


def events_of(run: FakeRun) -> list[Event]:
    """What a fake run says, at times that are always the same."""
    said: list[Event] = []
    run.pace = 0.0
    run(said.append, RunControl())
    still = [replace(event, time=NOON + number) for number, event in enumerate(said)]
    return [replace(event, seconds=172.0) if isinstance(event, RunFinished) else event for event in still]


def told(events: list[Event]) -> Callable[[Callable[[Event], None], RunControl], None]:
    """A run that says these events; where the end is not among them, it is live until it is stopped."""

    def run(emit: Callable[[Event], None], control: RunControl) -> None:
        for event in events:
            emit(event)
        while not isinstance(events[-1], RunFinished) and not control.stopping_after_batch:
            time.sleep(0.02)

    return run
