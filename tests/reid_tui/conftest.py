"""Apps with a run that trains nothing, and profiles in a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from core.profile import Profile
from reid_tui.app import ReidApp
from tests.reid_tui.fake_run import FakeRun

OpenApp = Callable[..., AbstractAsyncContextManager[tuple[ReidApp, Pilot[None]]]]

GOOD = """
[run]
name = "demo"
[data]
root = "demo:hands"
dataset = "demo-hands"
[model]
name = "RN-tiny"
[train]
epochs = 12
"""
OTHER = """
[data]
root = "demo:hands"
dataset = "market"
[model]
name = "ViT-B-16"
pretrained = "openai"
"""
BAD = """
[data]
root = "demo:hands"
[model]
name = "ViT-B-16"
[train]
epoch = 3
batch_size = 0
"""


@pytest.fixture(autouse=True)
def a_terminal_of_all_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever terminal the tests are run in."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    for name in ("NO_COLOR", "COLORFGBG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def profiles(tmp_path: Path) -> list[Path]:
    paths = []
    for name, text in (("alpha", GOOD), ("beta", OTHER), ("broken", BAD)):
        paths.append(tmp_path / f"{name}.toml")
        paths[-1].write_text(text)
    return paths


@pytest.fixture
def open_app(profiles: list[Path]) -> OpenApp:
    """Opens the app in a pilot; a run that is still live at the end is stopped and joined."""

    @asynccontextmanager
    async def opened(
        run: Any = None, *, size: tuple[int, int] = (80, 24), selected: Profile | None = None, **options: Any
    ) -> AsyncIterator[tuple[ReidApp, Pilot[None]]]:
        fake = run or FakeRun()
        paths = options.pop("paths", profiles)
        app = ReidApp(paths, None, (), selected, lambda profile, emit, control: fake(emit, control), **options)
        try:
            async with app.run_test(size=size) as pilot:
                yield app, pilot
        finally:
            if app.live_run is not None and not app.live_run.attached:
                app.live_run.control.stop_after_batch()
                assert app.live_run.join(10)

    return opened


@pytest.fixture
def profile() -> Profile:
    return Profile.model_validate({"data": {"root": "demo:hands"}, "model": {"name": "RN-tiny"}})


async def until(pilot: Pilot[None], true: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until something has become true; the test fails if it does not."""
    for _ in range(int(seconds / 0.02)):
        if true():
            return
        await pilot.pause(0.02)
    raise AssertionError("it has not become true")


def screen_text(app: ReidApp) -> str:
    """What is on the screen, row by row."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())
