"""What a run or a redraw leaves behind is given back, though the collector passes over what lives."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.control import RunControl
from core.events import Event
from core.profile import Profile
from reid_tui import garbage
from reid_tui.live_run import Emit
from reid_tui.screens.dashboard import DashboardScreen
from reid_tui.screens.runs import RunsScreen
from tests.listed_runs import make_run
from tests.reid_tui.conftest import OpenApp, until
from tests.reid_tui.fake_run import FakeRun


@pytest.fixture(autouse=True)
def as_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(garbage, "SECONDS", 0.3)
    monkeypatch.setattr(garbage, "LOOK_SECONDS", 0.05)
    before = gc.get_threshold()
    garbage.begin()
    yield
    garbage.end()
    gc.set_threshold(*before)


async def test_the_screen_of_a_run_that_was_opened_and_left(open_app: OpenApp, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "alpha")
    left: list[weakref.ref[DashboardScreen]] = []
    async with open_app(list_runs=True, runs_dir=tmp_path / "runs") as (app, pilot):
        for _ in range(3):
            await until(pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen._loaded)
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, DashboardScreen) and app.screen.state.epochs)
            left.append(weakref.ref(app.screen))
            await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await until(pilot, lambda: [screen() for screen in left[:-1]] == [None, None])


class Model:
    """Part of a ring, as a model is with the hooks on it."""

    def __init__(self) -> None:
        self.itself = self


async def test_much_that_has_lived_for_a_while(open_app: OpenApp) -> None:
    async with open_app() as (_, pilot):
        rings = [Model() for _ in range(40_000)]
        one = weakref.ref(rings[0])
        del rings
        await until(pilot, lambda: one() is None)


async def test_the_model_of_the_last_run_before_the_next_is_built(open_app: OpenApp, profile: Profile) -> None:
    models: list[weakref.ref[Model]] = []
    alive: list[list[bool]] = []

    def run(emit: Emit, control: RunControl) -> object:
        alive.append([model() is not None for model in models])
        model = Model()
        models.append(weakref.ref(model))

        def emit_and_keep(event: Event) -> None:
            assert model
            emit(event)

        return FakeRun(epochs=2, batches=2, pace=0.01)(emit_and_keep, control)

    async with open_app(run, selected=profile) as (app, pilot):
        for _ in range(2):
            board = app.dashboard
            assert board is not None
            await until(pilot, lambda board=board: board.state.finished is not None and not board.live.alive)
            app.launch(profile, "again")
            await until(pilot, lambda board=board: app.dashboard is not board)
        await until(pilot, lambda: len(alive) == 3)
    assert alive == [[], [False], [False, False]]
