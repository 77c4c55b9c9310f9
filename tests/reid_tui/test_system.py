"""The panel of the machine, the list of alerts, and the bell: driven by keys."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from core.control import RunControl
from core.events import Alert, Cleared, Event, Gpu, RunFinished, System
from core.profile import Profile
from core.run_state import RunState, fold
from reid_tui.app import ReidApp
from reid_tui.keys import keys_of
from reid_tui.notify import BELL, Notifier, sequence, ways_of
from reid_tui.screens.alerts import AlertsScreen, alert_lines, in_order
from reid_tui.screens.help import HelpScreen
from reid_tui.widgets.patience import PatiencePanel
from reid_tui.widgets.system import SystemPanel, gpu_line, sparks
from tests.reid_tui.conftest import OpenApp, screen_text, until
from tests.reid_tui.fake_run import FakeRun

GIB = 2.0**30
H100 = "NVIDIA H100 80GB HBM3"  # as the fake run has it


def machine(count: int, at: float = 0.0) -> System:
    gpus = tuple(
        Gpu(index, H100, index, 0.5, (79 if index == 1 else 41) * GIB, 80 * GIB, 63.0, 310.0, 700.0)
        for index in range(count)
    )
    return System(at or time.time(), gpus, 0.43, 16.0, 5.3 * GIB, 126 * GIB, 812 * GIB, 2000 * GIB, 0.03)


class Run(FakeRun):
    """A run that goes on and on, on a machine with so many GPUs; it has said `words` to begin with."""

    def __init__(self, gpus: int = 1, words: tuple[Event, ...] = ()) -> None:
        super().__init__(epochs=1000, batches=1000, pace=0.01, patience=0)
        self.gpus, self.words = gpus, words

    def __call__(self, emit: Callable[[Event], None], control: RunControl) -> None:
        def hook(epoch: int, batch: int) -> None:
            if (epoch, batch) == (1, 1):
                for event in (*self.words, *([machine(self.gpus)] if self.gpus >= 0 else [])):
                    emit(event)

        self.hook = hook
        super().__call__(emit, control)


def shown(app: ReidApp) -> tuple[bool, bool]:
    """Whether the panels of the machine and of early stopping are on the screen."""
    board = app.dashboard
    assert board is not None
    return tuple(bool(board.query_one(kind).region.area) for kind in (SystemPanel, PatiencePanel))  # type: ignore[return-value]


async def begun(app: ReidApp, pilot: Pilot[None], alerts: int = 0) -> None:
    await until(pilot, lambda: app.dashboard is not None and app.dashboard.state.losses.x)
    await until(pilot, lambda: app.dashboard is not None and len(app.dashboard.state.alerts) >= alerts)
    await pilot.pause(0.1)


class TestPanel:
    async def test_where_there_is_room_it_is_there_by_itself(self, open_app: OpenApp, profile: Profile) -> None:
        async with open_app(Run(2), selected=profile, size=(120, 40)) as (app, pilot):
            await begun(app, pilot)
            await until(pilot, lambda: shown(app) == (True, True))
            text = screen_text(app)
            for part in ("▸GPU 0", "·GPU 1", "50 %", "41.0/80", "79.0/80 GiB!", "63 °C", "310 W"):
                assert part in text, part
            for part in ("CPU 43 % of 16", "RAM 5.3/126 GiB", "disk 812 GiB free", "data wait 3 %"):
                assert part in text, part
            await pilot.press("g")
            await until(pilot, lambda: shown(app) == (False, True))

    @pytest.mark.parametrize("size", [(80, 24), (40, 20), (110, 24)])
    async def test_elsewhere_it_takes_the_place_of_early_stopping(
        self, open_app: OpenApp, profile: Profile, size: tuple[int, int]
    ) -> None:
        async with open_app(Run(2), selected=profile, size=size) as (app, pilot):
            await begun(app, pilot)
            await until(pilot, lambda: shown(app) == (False, True))
            await pilot.press("g")
            await until(pilot, lambda: shown(app) == (True, False))
            await until(pilot, lambda: "▸GPU 0" in screen_text(app))
            assert "data wait 3 %" in screen_text(app)
            await pilot.press("g")
            await until(pilot, lambda: shown(app) == (False, True))

    async def test_eight_gpus_fit_on_a_usual_terminal(self, open_app: OpenApp, profile: Profile) -> None:
        async with open_app(Run(8), selected=profile) as (app, pilot):
            await begun(app, pilot)
            await pilot.press("g")
            await until(pilot, lambda: "GPU 7" in screen_text(app))
            assert "data wait" in screen_text(app) and "Epoch " in screen_text(app)

    async def test_from_behind_the_log_it_comes_out(self, open_app: OpenApp, profile: Profile) -> None:
        async with open_app(Run(1), selected=profile) as (app, pilot):
            await begun(app, pilot)
            await pilot.press("l", "g")
            await until(pilot, lambda: "▸GPU 0" in screen_text(app))
            assert "╭─ Log" not in screen_text(app)

    async def test_a_run_without_readings_says_so_only_when_asked(self, open_app: OpenApp, profile: Profile) -> None:
        async with open_app(Run(-1), selected=profile, size=(120, 40)) as (app, pilot):
            await begun(app, pilot)
            assert shown(app) == (False, True)
            await pilot.press("g")
            await until(pilot, lambda: "no reading yet" in screen_text(app))

    async def test_without_a_gpu_there_is_no_line_for_it(self, open_app: OpenApp, profile: Profile) -> None:
        async with open_app(Run(0), selected=profile, size=(120, 40)) as (app, pilot):
            await begun(app, pilot)
            await until(pilot, lambda: "CPU 43 %" in screen_text(app))
            assert "GPU 0" not in screen_text(app)

    @pytest.mark.parametrize("width", range(8, 120))
    def test_a_line_is_never_wider_than_the_panel(self, width: int) -> None:
        gpus = machine(2).gpus
        for gpu in (*gpus, Gpu(11, "手机\x1b[2J"), Gpu(3, "hot", 0, 1.0, 8 * GIB, 8 * GIB, 99.0, 9.0)):
            line = gpu_line(gpu, [0.1, math.nan, 1.0, 0.5, 0.2], width, used=gpu.index == 0)
            assert cell_len(line.plain) <= width
            assert "\x1b" not in line.plain

    def test_columns_stand_below_each_other(self) -> None:
        lines = [gpu_line(gpu, [0.5] * 9, 42, used=False).plain for gpu in machine(3).gpus]
        assert len({line.index("%") for line in lines}) == len({line.index("°") for line in lines}) == 1

    def test_sparks(self) -> None:
        assert sparks([0.0, 0.5, 1.0, math.nan, 7.0, -1.0], 6) == "▁▅█ █▁"
        assert sparks([1.0], 3) == "  █" and sparks([0.0, 1.0], 1) == "█" and sparks([1.0], 0) == ""

    async def test_after_the_end_it_says_when_that_was(self, open_app: OpenApp, profile: Profile) -> None:
        run = Run(1)
        run.epochs = run.batches = 1
        async with open_app(run, selected=profile, size=(120, 40)) as (app, pilot):
            await until(pilot, lambda: app.dashboard is not None and app.dashboard.state.finished is not None)
            await until(pilot, lambda: f"at {time.strftime('%H:')}" in screen_text(app))


def alert(kind: str, at: float, level: Any = "warning", message: str = "what to do") -> Alert:
    return Alert(at, level, f"about {kind}", message, kind, at - 5)


class TestAlerts:
    def test_those_that_hold_come_first_and_then_the_newest(self) -> None:
        state = RunState()
        once = Alert(4.0, "error", "once", "m")
        for event in (alert("a", 1.0), alert("b", 2.0), alert("a", 3.0), once, Cleared(5.0, "a", "")):
            fold(state, event)
        assert [(each.title, each.time) for each in in_order(state)] == [
            ("about b", 2.0), ("once", 4.0), ("about a", 3.0), ("about a", 1.0),
        ]  # fmt: skip
        titles = [line.plain for line in alert_lines(state) if line.plain and not line.plain.startswith("  ")]
        assert "since" in titles[0] and titles[1].startswith("✘ once") and " to " in titles[2]
        assert titles[3].endswith("over")

    async def test_a_lists_them_and_escape_goes_back(self, open_app: OpenApp, profile: Profile) -> None:
        words = (alert("spike", time.time(), message="lower [red]train.lr\x1b[2J"), alert("disk", time.time()))
        async with open_app(Run(0, words), selected=profile) as (app, pilot):
            await begun(app, pilot, 2)
            assert "! 2 alerts" in screen_text(app)
            await pilot.press("a")
            await until(pilot, lambda: "! about disk   since" in screen_text(app))
            assert "lower [red]train.lr" in screen_text(app)
            assert app.dashboard is not None
            app.dashboard.live.emit(alert("late", time.time()))
            await until(pilot, lambda: "about late" in screen_text(app))
            await pilot.press("question_mark")
            assert isinstance(app.screen, HelpScreen) and "the oldest" in screen_text(app)
            await pilot.press("escape")
            assert isinstance(app.screen, AlertsScreen)
            await pilot.press("escape")
            assert app.screen is app.dashboard

    @pytest.mark.parametrize("key", ["a", "q"])
    async def test_other_ways_out(self, open_app: OpenApp, profile: Profile, key: str) -> None:
        async with open_app(Run(0), selected=profile) as (app, pilot):
            await begun(app, pilot)
            await pilot.press("a")
            await until(pilot, lambda: "No alerts so far" in screen_text(app))
            await pilot.press(key)
            assert app.screen is app.dashboard and app.is_running

    async def test_a_long_list_scrolls(self, open_app: OpenApp, profile: Profile) -> None:
        words = tuple(alert(f"number {number}", time.time()) for number in range(40))
        async with open_app(Run(0, words), selected=profile) as (app, pilot):
            await begun(app, pilot, 40)
            await pilot.press("a")
            box = app.screen.query_one("VerticalScroll")
            await until(pilot, lambda: box.max_scroll_y > 50)
            page = box.size.height - 1
            for key, offset in (
                ("down", 1), ("down", 2), ("up", 1), ("end", box.max_scroll_y), ("home", 0),
                ("pagedown", page), ("space", 2 * page), ("pageup", page),
            ):  # fmt: skip
                await pilot.press(key)
                await until(pilot, lambda offset=offset: box.scroll_offset.y == offset)  # type: ignore[misc]

    def test_every_key_of_the_list_has_an_action(self) -> None:
        for key in keys_of("alerts"):
            assert hasattr(AlertsScreen, f"action_{key.action.partition('(')[0]}"), key.id


class TestNotifications:
    def test_ways(self) -> None:
        assert ways_of({}) == ways_of({"REID_TUI_NOTIFY": "off,bell"}) == ways_of({"REID_TUI_NOTIFY": "mail"}) == ()
        assert ways_of({"REID_TUI_NOTIFY": " OSC9, bell"}) == ("bell", "osc9")

    def test_nothing_in_a_text_ends_or_splits_the_sequence(self) -> None:
        bad = "a;b\x1b\\c\x07d\nnew\x9cline" + "x" * 500
        text = sequence(bad, bad, ("osc777",), tmux=False)
        assert text.startswith("\x1b]777;notify;") and text.endswith("\x1b\\")
        inner = text[2:-2]
        assert inner.count(";") == 3 and not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in inner)
        assert len(text) < 400

    def test_tmux_hands_on_what_is_wrapped(self) -> None:
        assert sequence("t", "b", ("bell", "osc9"), tmux=True) == "\x1bPtmux;\x1b\x1b]9;t: b\x1b\x1b\\\x1b\\" + BELL

    def test_what_is_worth_one(self) -> None:
        written: list[str] = []
        clock = [1000.0]
        notifier = Notifier({"REID_TUI_NOTIFY": "bell"}, written.append, lambda: clock[0])
        end = RunFinished(1000.0, "finished", "done", 3, 1.0)
        notifier.hear("r", [machine(1, 1000.0), Alert(1000.0, "info", "t", "m"), Cleared(1000.0, "k", "t")])
        notifier.hear("r", [alert("old", 900.0), RunFinished(900.0, "finished", "done", 3, 1.0)])
        assert written == []
        notifier.hear("r", [alert("new", 1000.0)] * 3)
        assert written == [BELL]
        clock[0] = 1005.0
        notifier.hear("r", [alert("soon after", 1005.0)])
        assert written == [BELL], "they do not ring all the time"
        notifier.hear("r", [end])
        assert written == [BELL] * 2
        assert notifier.toggle() == "notifications off"
        notifier.hear("r", [end])
        assert written == [BELL] * 2
        assert notifier.toggle() == "notifications: bell"

    async def test_b_turns_them_on(self, open_app: OpenApp, profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("REID_TUI_NOTIFY", raising=False)
        written: list[str] = []
        monkeypatch.setattr(ReidApp, "_write_to_terminal", lambda app, text: written.append(text))
        async with open_app(Run(0), selected=profile) as (app, pilot):
            await begun(app, pilot)
            assert app.dashboard is not None
            app.dashboard.live.emit(alert("first", time.time()))
            await until(pilot, lambda: "1 alert" in screen_text(app))
            assert written == []
            await pilot.press("b")
            await until(pilot, lambda: "notifications: bell" in screen_text(app))
            app.dashboard.live.emit(alert("second", time.time()))
            await until(pilot, lambda: "2 alerts" in screen_text(app))
            assert written == [BELL]
            await pilot.press("b")
            await until(pilot, lambda: "notifications off" in screen_text(app))

    async def test_without_a_real_terminal_nothing_is_written(self, open_app: OpenApp, profile: Profile) -> None:
        async with open_app(Run(0), selected=profile) as (app, pilot):
            await begun(app, pilot)
            app._write_to_terminal(BELL)  # the driver of the tests draws nowhere
