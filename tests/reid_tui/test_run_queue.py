"""The queue without a screen, and on it with runs that train nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from textual.pilot import Pilot
from textual.widgets import Input

from core.events import RunFinished
from core.profile import Profile
from core.run_plan import PlannedRun
from core.run_state import RunState, fold
from reid_tui.app import ReidApp
from reid_tui.launch_app import see_to_the_queue
from reid_tui.run_queue import QueuedRun, RunQueue, best_of
from reid_tui.screens.dashboard import DashboardScreen
from reid_tui.screens.dialogs import ChoiceDialog
from reid_tui.screens.help import HelpScreen
from reid_tui.screens.picker import PickerScreen
from reid_tui.screens.queue import QueueScreen
from reid_tui.widgets.queue_line import queue_text
from tests.reid_tui.conftest import OpenApp, screen_text, until
from tests.reid_tui.fake_run import FakeRun

LONG = {"epochs": 1000, "batches": 20, "pace": 0.002, "patience": 0}
PROFILE = Profile.model_validate({"data": {"root": "demo:hands"}, "model": {"name": "RN-tiny"}})


def ended_with(reason: Any) -> RunState:
    return fold(RunState(), RunFinished(0.0, reason, "a word", 3, 1.0, folder="/runs/x"))


class Machine(RuleBasedStateMachine):
    """Whatever is done: no run is lost or doubled, those that wait stand last, at most one is at work."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = RunQueue()
        self.added: list[QueuedRun] = []
        self.removed: list[QueuedRun] = []

    def pick(self, number: int) -> QueuedRun:
        return self.queue.runs[number % len(self.queue.runs)]

    @rule()
    def add(self) -> None:
        self.added.append(self.queue.add(f"run {len(self.added)}", PROFILE))

    @precondition(lambda self: self.queue.runs)
    @rule(number=st.integers(0, 99), by=st.sampled_from([-1, 1]))
    def move(self, number: int, by: Any) -> None:
        run, before = self.pick(number), self.queue.waiting
        moved = self.queue.move(run, by)
        assert moved == (run in before and 0 <= before.index(run) + by < len(before))
        if moved:
            assert self.queue.waiting.index(run) == before.index(run) + by

    @precondition(lambda self: self.queue.runs)
    @rule(number=st.integers(0, 99))
    def remove(self, number: int) -> None:
        run = self.pick(number)
        if self.queue.remove(run):
            self.removed.append(run)
        else:
            assert run.standing != "waiting"

    @precondition(lambda self: self.queue.waiting and self.queue.running is None)
    @rule(number=st.integers(0, 99))
    def begin(self, number: int) -> None:
        waiting = self.queue.waiting
        self.queue.begin(waiting[number % len(waiting)])

    @precondition(lambda self: self.queue.running is not None)
    @rule(reason=st.sampled_from(["finished", "early-stop", "stopped", "failed", "crashed"]))
    def end(self, reason: str) -> None:
        run = self.queue.running
        self.queue.end(ended_with(reason))
        assert run is not None
        assert run.standing == {"finished": "done", "early-stop": "done", "stopped": "stopped"}.get(reason, "failed")

    @invariant()
    def holds(self) -> None:
        assert set(self.queue.runs) | set(self.removed) == set(self.added)
        assert len(self.queue.runs) + len(self.removed) == len(self.added)
        assert len(self.queue.having("running")) <= 1
        assert self.queue.runs[len(self.queue.runs) - len(self.queue.waiting) :] == self.queue.waiting


Machine.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestMachine = Machine.TestCase


def test_the_countdown_and_its_hold() -> None:
    queue = RunQueue()
    queue.count_down(0.0)
    assert queue.seconds_left(9.0) is None  # nothing waits
    run = queue.add("a", PROFILE)
    assert queue.seconds_left(0.0) is None  # nothing has ended yet
    queue.count_down(10.0, 5.0)
    assert (queue.seconds_left(12.0), queue.seconds_left(20.0)) == (3.0, 0.0)
    assert queue_text(queue, 12.5).plain.startswith("▶ next in 3 s · h holds")
    queue.hold()
    assert queue.seconds_left(20.0) is None
    assert "held" in queue_text(queue, 20.0).plain
    queue.go_on(30.0)
    assert queue.seconds_left(30.0) == 0.0
    queue.begin(run)
    assert queue.seconds_left(40.0) is None
    assert queue_text(queue, 40.0).plain == ""


def test_the_best_of_the_queue_is_the_earliest_of_equals() -> None:
    runs = [QueuedRun("a", PROFILE), QueuedRun("b", PROFILE, rank1=0.5), QueuedRun("c", PROFILE, rank1=0.5)]
    assert best_of(runs) is runs[1]
    assert best_of(runs[:1]) is None


def test_without_the_screen_the_queue_goes_on_or_says_what_it_drops(capsys: pytest.CaptureFixture[str]) -> None:
    def train(profile: Profile, emit: Any, control: Any) -> RunFinished:
        finished = RunFinished(time.time(), "finished", "all done", 1, 1.0, folder="/runs/x")
        emit(finished)
        return finished

    queue = RunQueue([QueuedRun("a", PROFILE), QueuedRun("b", PROFILE)])
    see_to_the_queue(queue, train, goes_on=True, silent=True)
    assert [run.standing for run in queue.runs] == ["done", "done"]
    assert capsys.readouterr().out == ""
    queue = RunQueue([QueuedRun("a", PROFILE), QueuedRun("b", PROFILE)])
    see_to_the_queue(queue, train, goes_on=False, silent=False)
    assert capsys.readouterr().out.count("not run") == 2


# On the screen -------------------------------------------------------------------------------------------------


def planned(*titles: str) -> list[PlannedRun]:
    return [PlannedRun(title, PROFILE) for title in titles]


def standings(app: ReidApp) -> list[tuple[str, str]]:
    return [(run.title, run.standing) for run in app.queue.runs]


async def begun(app: ReidApp, pilot: Pilot[None], title: str) -> DashboardScreen:
    await until(pilot, lambda: app.dashboard is not None and app.dashboard.run_title == title)
    assert app.dashboard is not None
    await until(pilot, lambda: app.dashboard is not None and app.dashboard.state.started is not None)
    return app.dashboard


async def test_runs_follow_each_other(open_app: OpenApp) -> None:
    async with open_app(FakeRun(epochs=1), queued=planned("one", "two", "three")) as (app, pilot):
        app.queue_runner.pause = 0.0
        await until(pilot, lambda: [word for _, word in standings(app)] == ["done"] * 3)
        assert app.dashboard is not None and app.dashboard.run_title == "three"
        assert len(app.screen_stack) == 2
        assert all(run.rank1 > 0.4 and run.folder for run in app.queue.runs)


async def test_a_run_that_fails_does_not_hold_up_the_next(open_app: OpenApp) -> None:
    def fails(emit: Any, control: Any) -> None:
        raise OSError("no such device")

    async with open_app(fails, queued=planned("one", "two")) as (app, pilot):
        app.queue_runner.pause = 0.0
        await until(pilot, lambda: [word for _, word in standings(app)] == ["failed"] * 2)
        assert "no such device" in app.queue.runs[0].message


async def test_the_next_one_is_announced_and_can_be_held(open_app: OpenApp) -> None:
    async with open_app(FakeRun(epochs=1), queued=planned("one", "two")) as (app, pilot):
        app.queue_runner.pause = 60.0
        await until(pilot, lambda: "▶ next in" in screen_text(app))
        assert "h holds" in screen_text(app) and "two" in screen_text(app)
        await pilot.press("h")
        await until(pilot, lambda: "queue held" in screen_text(app))
        await pilot.press("h")
        await begun(app, pilot, "two")


async def test_the_dashboard_says_what_waits(open_app: OpenApp) -> None:
    async with open_app(FakeRun(**LONG), queued=planned("one", "a\x1b[31mb", "c")) as (app, pilot):
        await begun(app, pilot, "one")
        await until(pilot, lambda: "queue: 2 waiting · u shows it · next ab" in screen_text(app))


async def test_order_is_changed_and_runs_are_removed(open_app: OpenApp) -> None:
    async with open_app(FakeRun(**LONG), queued=planned("one", "two", "three", "four")) as (app, pilot):
        await begun(app, pilot, "one")
        await pilot.press("u")
        assert isinstance(app.screen, QueueScreen)
        await pilot.press("x")  # the one at work
        assert [note.message for note in app._notifications] == [
            "not removed: it is at work: s on the dashboard stops it"
        ]
        await pilot.press("down", "l")
        assert [title for title, _ in standings(app)] == ["one", "three", "two", "four"]
        await pilot.press("l", "l")
        assert [title for title, _ in standings(app)] == ["one", "three", "four", "two"]
        await pilot.press("e")
        assert [title for title, _ in standings(app)] == ["one", "three", "two", "four"]
        await pilot.press("x")
        assert [title for title, _ in standings(app)] == ["one", "three", "four"]
        assert "2 waiting" in screen_text(app)
        await pilot.press("enter")  # one is at work: nothing begins
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("escape", "escape")
        assert isinstance(app.screen, DashboardScreen)
        assert standings(app)[0] == ("one", "running")


@pytest.mark.parametrize("key", ["u", "q", "escape"])
async def test_the_queue_closes(open_app: OpenApp, key: str) -> None:
    async with open_app(FakeRun(**LONG), queued=planned("one", "two"), size=(40, 20)) as (app, pilot):
        await begun(app, pilot, "one")
        await pilot.press("u")
        assert "running" in screen_text(app) and "waiting" in screen_text(app)
        await pilot.press(key)
        assert isinstance(app.screen, DashboardScreen)


async def test_held_in_the_list_and_begun_out_of_turn(open_app: OpenApp) -> None:
    async with open_app(FakeRun(epochs=1), queued=planned("one", "two", "three")) as (app, pilot):
        app.queue_runner.pause = 60.0
        await until(pilot, lambda: "▶ next in" in screen_text(app))
        await pilot.press("u", "h")
        await until(pilot, lambda: "queue held" in screen_text(app))
        await until(pilot, lambda: app.queue_runner.at_rest)
        await pilot.press("down", "enter")
        await begun(app, pilot, "three")
        assert [title for title, _ in standings(app)] == ["one", "three", "two"]
        assert isinstance(app.screen, DashboardScreen)


async def test_a_profile_is_added_while_a_run_is_live(open_app: OpenApp) -> None:
    async with open_app(FakeRun(**LONG), queued=planned("one")) as (app, pilot):
        await begun(app, pilot, "one")
        await pilot.press("u", "a")
        await until(pilot, lambda: isinstance(app.screen, PickerScreen) and app.screen.highlighted)
        assert "for the queue" in screen_text(app)
        await pilot.press("enter", "down", "f6")
        await until(pilot, lambda: len(app.queue.waiting) == 2)
        await until(pilot, lambda: "2 waiting, F7" in screen_text(app))
        await pilot.press(*"bro")
        await pilot.press("f6")
        await pilot.pause()
        assert any("broken cannot be queued" in note.message for note in app._notifications)
        await pilot.press("escape")
        assert isinstance(app.screen, PickerScreen) and app.screen.query_one(Input).value == ""
        await pilot.press("escape")
        assert isinstance(app.screen, DashboardScreen)
        assert standings(app) == [("one", "running"), ("alpha", "waiting"), ("beta", "waiting")]


async def test_a_queue_is_made_before_the_first_run(open_app: OpenApp) -> None:
    async with open_app(FakeRun(epochs=1)) as (app, pilot):
        app.queue_runner.pause = 0.0
        await until(pilot, lambda: isinstance(app.screen, PickerScreen) and app.screen.highlighted)
        await pilot.press("f6", "down", "f6")
        await until(pilot, lambda: len(app.queue.waiting) == 2)
        assert app.dashboard is None
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen))
        await pilot.press("enter")
        await until(pilot, lambda: standings(app) == [("alpha", "done"), ("beta", "done")])


async def test_going_to_the_profiles_holds_the_queue(open_app: OpenApp) -> None:
    async with open_app(FakeRun(epochs=1), queued=planned("one", "two")) as (app, pilot):
        app.queue_runner.pause = 60.0
        await until(pilot, lambda: "▶ next in" in screen_text(app))
        await until(pilot, lambda: app.queue_runner.at_rest)
        await pilot.pause(1.1)  # a key right after the end is not meant for it
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, PickerScreen))
        assert app.queue.held
        await until(pilot, lambda: "1 waiting, F7" in screen_text(app))
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        assert "1 waiting run of the queue would be dropped" in screen_text(app)
        await pilot.press("s")
        await pilot.press("f7", "enter")
        await begun(app, pilot, "two")


async def test_quitting_says_how_many_are_dropped(open_app: OpenApp) -> None:
    async with open_app(FakeRun(**LONG), queued=planned("one", "two", "three")) as (app, pilot):
        await begun(app, pilot, "one")
        await pilot.press("q")
        await until(pilot, lambda: "2 waiting runs" in screen_text(app))
        await pilot.press("s")
        assert isinstance(app.screen, DashboardScreen) and app.is_running
        await pilot.press("d")
        await until(pilot, lambda: "The queue goes along" in screen_text(app))
        await pilot.press("c", "q", "q")
        await until(pilot, lambda: not app.is_running)


async def test_quitting_after_the_end_asks_while_something_waits(open_app: OpenApp) -> None:
    async with open_app(FakeRun(epochs=1), queued=planned("one", "two")) as (app, pilot):
        app.queue_runner.pause = 60.0
        await until(pilot, lambda: "▶ next in" in screen_text(app))
        await pilot.press("q")
        assert isinstance(app.screen, ChoiceDialog)
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)


async def test_another_screen_is_left_in_peace_for_a_while_only(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_app(FakeRun(epochs=1), queued=planned("one", "two")) as (app, pilot):
        app.queue_runner.pause = 0.0
        await pilot.press("question_mark")
        await until(pilot, lambda: standings(app)[0] == ("one", "done"))
        await pilot.pause(1.2)
        assert isinstance(app.screen, HelpScreen)
        assert standings(app)[1] == ("two", "waiting")
        monkeypatch.setattr("reid_tui.queue_runner.BUSY_SECONDS", 0.0)
        await begun(app, pilot, "two")
        assert isinstance(app.screen, DashboardScreen)


async def test_a_run_that_cannot_be_started_does_not_end_the_queue(open_app: OpenApp) -> None:
    def refuse(profile: Profile) -> Any:
        raise OSError("no processes left")

    async with open_app(queued=planned("one", "two"), start_detached=refuse) as (app, pilot):
        app.queue.go_on(0.0)
        await until(pilot, lambda: standings(app) == [("one", "failed"), ("two", "failed")])
        assert app.queue.runs[0].message == "no processes left"


async def test_a_run_that_was_not_launched_here_has_no_queue(open_app: OpenApp) -> None:
    async with open_app(FakeRun(**LONG), queued=planned("one")) as (app, pilot):
        board = await begun(app, pilot, "one")
        assert board.check_action("queue", ())
        app.queue.runs.clear()
        assert not board.check_action("queue", ())
        assert not board.check_action("hold", ())
        await pilot.press("u", "h")
        assert app.screen is board
