"""Names that are long, wide, combined or written from right to left move no border, on any screen at any width."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len, chop_cells
from textual.pilot import Pilot

from core.events import Alert, Event, LogLine, RunFinished, RunStarted
from core.profile import Profile
from reid_tui.app import ReidApp
from reid_tui.screens.picker import PickerScreen
from tests.reid_tui.conftest import OpenApp, screen_text, until
from tests.reid_tui.fake_run import FakeRun
from tests.reid_tui.snapshots import NOON, events_of, told
from tests.reid_tui.test_snapshots import shown

NAMES = {
    "wide": "👩‍🔬🖐🏽🏁手掌再識別" * 9,
    "combined": "a\u0301\u0302\u0303e\u0308नमस्ते" * 12,
    "right-to-left": "יד ימין معرف اليد " * 8,
    "long": "identity-" * 22 + "end",
}
SIZES = ((40, 20), (80, 24), (120, 40), (300, 50))


def check(app: ReidApp, size: tuple[int, int]) -> None:
    rows = screen_text(app).splitlines()
    assert [row for row in rows if cell_len(row) != size[0]] == []
    for panel in app.screen.query(".panel"):
        region = panel.region
        if not panel.display or not panel.is_on_screen or region.right > size[0] or region.bottom > size[1]:
            continue
        for y in range(region.y, region.bottom):
            sides = []
            for x in (region.x, region.right - 1):
                before = chop_cells(rows[y], x)[0] if x else ""
                assert cell_len(before) == x, f"a wide character lies across a border: {rows[y]}"
                sides.append(rows[y][len(before)])
            assert set(sides) <= set("│╭╰╮╯"), (panel, y, rows[y])


async def at_every_size(app: ReidApp, pilot: Pilot[None], sizes: tuple[tuple[int, int], ...] = SIZES) -> None:
    for size in sizes:
        await pilot.resize_terminal(*size)
        await pilot.pause(0.02)
        check(app, size)


def hostile(name: str, *, ended: bool) -> list[Event]:
    events: list[Event] = []
    for event in events_of(FakeRun(epochs=3, batches=4, name=name, folder=f"/data/{name}", validated_on=name)):
        if isinstance(event, RunStarted):
            event = replace(event, name=name, model=name, dataset=name, aspect=name, device=name)
        if isinstance(event, RunFinished):
            break
        events += [event, LogLine(event.time, "info", name)]
    events.append(Alert(NOON + 900, "warning", name, name))
    if ended:
        lacks = (f"{name}: {name}",)
        events.append(RunFinished(NOON + 950, "failed", name, 3, 9.0, folder=f"/data/{name}", not_saved=lacks))
    return events


@pytest.mark.parametrize("ended", [False, True], ids=["live", "failed"])
@pytest.mark.parametrize("kind", NAMES)
async def test_the_dashboard(open_app: OpenApp, profile: Profile, kind: str, ended: bool) -> None:
    events = hostile(NAMES[kind], ended=ended)
    async with open_app(told(events), selected=profile) as (app, pilot):
        await shown(app, pilot, events)
        app.clear_notifications()
        await at_every_size(app, pilot)
        if not ended:
            for key in ("l", "s", "question_mark"):
                await pilot.press(key)
                await at_every_size(app, pilot, SIZES[:2])
                await pilot.press("escape")


@pytest.mark.parametrize("kind", NAMES)
async def test_the_picker(open_app: OpenApp, profiles: list[Path], tmp_path: Path, kind: str) -> None:
    name = NAMES[kind].encode()[:240].decode(errors="ignore").rstrip("\u200d")
    paths = []
    for number, profile in enumerate(profiles):
        paths.append(tmp_path / f"{number}{name}.toml")
        text = profile.read_text().replace('"demo-hands"', f'"{name}"')
        paths[-1].write_text(text)
        shutil.copystat(profile, paths[-1])
    async with open_app(paths=paths) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, PickerScreen) and app.screen.highlighted)
        for keys in (("down",), ("down", *"手e")):
            await pilot.press(*keys)
            await at_every_size(app, pilot)
