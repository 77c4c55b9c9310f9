"""A run in another process: its events come through, wishes reach it, and what became of it is known."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import ClassVar

import pytest

from core.control import RunControl
from core.control_socket import ControlServer, ask
from core.events import Alert, Event, LogLine, Paused, RunFinished, Stopping
from core.history import History
from core.run_lock import held
from core.run_state import Past, RunState, fold
from reid_tui import attached_run
from reid_tui.attached_run import AttachedRun
from tests.run_folders import ended, holder, make_run, say, started, trained, wait_until


def followers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "attached-run"]


class Screen:
    """Whoever draws: keeps what it has taken, and what that comes to."""

    opened: ClassVar[list[Screen]] = []

    def __init__(self, folder: Path) -> None:
        self.poked = 0
        self.run = AttachedRun(folder, self._poke)
        self.events: list[Event] = []
        self.state = RunState()
        self.run.begin()
        self.opened.append(self)

    def _poke(self) -> None:
        self.poked += 1

    def of(self, kind: type) -> list[Event]:
        new = self.run.take()
        self.events += new
        reduce(fold, new, self.state)
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture(autouse=True)
def _quick_and_left_at_the_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(attached_run, "FOLLOW_SECONDS", 0.02)
    yield
    while Screen.opened:
        Screen.opened.pop().run.leave()
    wait_until(lambda: not followers())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", started(tmp_path / "run"), *trained(1, 0.5))


@pytest.fixture
def live(folder: Path) -> Iterator[RunControl]:
    """The other side: the lock is held, and the socket is served."""
    control = RunControl()
    with held(folder), ControlServer(folder, control):
        yield control


def test_the_past_comes_as_a_state_and_what_follows_in_order(folder: Path, live: RunControl) -> None:
    screen = Screen(folder)
    wait_until(lambda: screen.of(Past))
    assert len(screen.events) == 1
    assert screen.state.started == started(folder)
    assert [row.rank1 for row in screen.state.epochs] == [0.5]
    assert screen.run.built and screen.run.alive and screen.run.finished is None
    say(folder, *(LogLine(float(number), "info", "x") for number in range(500)))
    wait_until(lambda: len(screen.of(LogLine)) == 500)
    assert [event.time for event in screen.of(LogLine)] == [float(number) for number in range(500)]
    assert screen.poked <= len(screen.events)
    screen.run.emit(LogLine(0.0, "info", "my own"))
    assert screen.of(LogLine)[-1] == LogLine(0.0, "info", "my own")
    assert "my own" not in (folder / "events.jsonl").read_text()


def test_a_run_that_has_said_nothing_yet(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "events.jsonl").unlink()
    with held(folder):
        screen = Screen(folder)
        assert not screen.run.built and screen.run.alive
        say(folder, started(folder))
        wait_until(lambda: screen.of(Event) and screen.state.started)
        assert screen.run.built


def test_wishes_reach_the_run(folder: Path, live: RunControl) -> None:
    screen = Screen(folder)
    control = screen.run.control
    control.pause()
    assert control.paused
    wait_until(lambda: live.paused)
    control.resume()
    assert not control.paused
    wait_until(lambda: not live.paused)
    control.checkpoint()
    wait_until(live.take_checkpoint)
    control.stop_after_epoch()
    wait_until(lambda: live.stopping == "epoch")
    assert control.stopping == "epoch"
    control.pause()  # it is about to stop: not even asked for
    assert not control.paused
    control.stop_after_batch()
    wait_until(lambda: live.stopping == "batch")
    assert not screen.of(Alert)


def test_wishes_are_passed_on_before_the_run_is_left(folder: Path, live: RunControl) -> None:
    screen = Screen(folder)
    screen.run.control.pause()
    screen.run.control.checkpoint()
    screen.run.leave()
    wait_until(lambda: not followers())
    assert live.paused and live.take_checkpoint()
    assert screen.run.alive and screen.run.finished is None  # what was known is known still


def test_what_another_screen_has_wished_for_is_known(folder: Path, live: RunControl) -> None:
    screen = Screen(folder)
    control = screen.run.control
    wait_until(lambda: screen.of(Past))
    say(folder, Paused(1.0, True))
    wait_until(lambda: control.paused)
    say(folder, Paused(2.0, False))
    wait_until(lambda: not control.paused)
    say(folder, Stopping(3.0, "epoch", "stopped from outside"))
    wait_until(lambda: control.stopping == "epoch")
    say(folder, Stopping(4.0, "batch", "stopped from outside"))
    wait_until(lambda: control.stopping == "batch")
    say(folder, ended("stopped"))
    wait_until(lambda: control.stopping is None)
    assert [type(event) for event in screen.of(Event)] == [Past, Paused, Paused, Stopping, Stopping, RunFinished]


def test_two_screens_agree(folder: Path, live: RunControl) -> None:
    one, other = Screen(folder), Screen(folder)
    one.run.control.pause()
    wait_until(lambda: live.paused)
    say(folder, Paused(1.0, True))  # as the run does
    wait_until(lambda: other.run.control.paused)
    other.run.control.resume()
    wait_until(lambda: not live.paused)
    say(folder, Paused(2.0, False))
    wait_until(lambda: not one.run.control.paused)


@pytest.mark.parametrize("wish", ["pause", "stop_after_epoch", "stop_after_batch", "checkpoint"])
def test_a_wish_that_fails_is_told_and_forgotten(folder: Path, wish: str) -> None:
    with held(folder):  # live, and nobody serves
        screen = Screen(folder)
        control = screen.run.control
        getattr(control, wish)()
        wait_until(lambda: screen.of(Alert))
        [alert] = screen.of(Alert)
        assert isinstance(alert, Alert)
        assert (alert.level, alert.title) == ("error", "The run cannot be asked")
        assert "still starting" in alert.message
        assert not control.paused and control.stopping is None


def test_a_wish_that_fails_leaves_what_the_run_has_said(folder: Path) -> None:
    with held(folder):
        screen = Screen(folder)
        say(folder, Paused(1.0, True))
        wait_until(lambda: screen.run.control.paused)
        screen.run.control.resume()
        wait_until(lambda: screen.of(Alert))
        assert screen.run.control.paused
        screen.run.control.stop_after_epoch()
        wait_until(lambda: len(screen.of(Alert)) == 2)
        assert screen.run.control.paused and screen.run.control.stopping is None


def test_a_refused_wish_is_told_with_the_reason(folder: Path, live: RunControl) -> None:
    live.stop_after_batch()  # and this screen has not heard of it
    screen = Screen(folder)
    screen.run.control.pause()
    wait_until(lambda: screen.of(Alert))
    assert screen.of(Alert)[0] == Alert(
        screen.of(Alert)[0].time, "error", "The run did not do it", "the run is about to stop"
    )
    assert not screen.run.control.paused


def test_a_run_that_has_ended_says_so_itself(folder: Path) -> None:
    say(folder, ended("stopped"))
    screen = Screen(folder)
    wait_until(lambda: not screen.run.alive)
    assert screen.run.finished == ended("stopped")
    screen.of(Past)
    assert screen.state.finished == ended("stopped")
    assert not screen.of(RunFinished)  # it is not crashed as well


def test_a_run_whose_process_is_killed_is_crashed_and_comes_to_life_again_when_resumed(folder: Path) -> None:
    with holder(folder) as process:
        screen = Screen(folder)
        wait_until(lambda: screen.of(Past))
        assert screen.run.alive and screen.run.finished is None
        process.kill()
        process.wait(10)
    wait_until(lambda: screen.run.finished)
    crashed = screen.run.finished
    assert crashed is not None
    assert (crashed.reason, crashed.epoch, crashed.folder) == ("crashed", 1, str(folder))
    assert "reid-tui resume run" in crashed.message
    assert crashed.time == 1e9 + 5  # of its newest event
    assert not screen.run.alive
    with contextlib.ExitStack() as stack:
        stack.enter_context(held(folder))
        wait_until(lambda: screen.run.alive)
        say(folder, started(folder, resumed_epoch=2))
        wait_until(lambda: screen.run.finished is None)
        assert screen.run.alive
    wait_until(lambda: screen.run.finished)  # again without a word
    assert [event.reason for event in screen.of(RunFinished) if isinstance(event, RunFinished)] == ["crashed"] * 2


def test_the_last_word_is_read_before_the_run_is_called_crashed(folder: Path) -> None:
    say(folder, *(LogLine(float(number), "info", "x" * 1000) for number in range(3000)), ended("finished"))
    screen = Screen(folder)
    wait_until(lambda: not screen.run.alive)
    wait_until(lambda: screen.of(Past))
    assert screen.state.finished == ended("finished")
    assert not screen.of(RunFinished)


def test_damage_in_the_file_does_not_end_the_following(folder: Path, live: RunControl) -> None:
    screen = Screen(folder)
    wait_until(lambda: screen.of(Past))
    with (folder / "events.jsonl").open("ab") as file:
        file.write(b"[" * 100_000 + b"\n\xff\0\n" + b'{"event": "LogLine", "time": null, "level": 3, "text": []}\n')
    say(folder, LogLine(7.0, "info", "after it"))
    wait_until(lambda: screen.of(LogLine))
    assert screen.of(LogLine) == [LogLine(7.0, "info", "after it")]


def test_a_folder_that_cannot_be_read_is_told_once_and_tried_again(folder: Path, live: RunControl) -> None:
    (folder / "events.jsonl").rename(folder / "aside")
    (folder / "events.jsonl").mkdir()
    screen = Screen(folder)
    wait_until(lambda: screen.of(Alert))
    assert not screen.run.alive
    time.sleep(0.1)  # some more looks
    (folder / "events.jsonl").rmdir()
    (folder / "aside").rename(folder / "events.jsonl")
    wait_until(lambda: screen.of(Event) and screen.state.started)  # as the past, or one by one if it was away just now
    wait_until(lambda: screen.run.alive)
    assert len(screen.of(Alert)) == len(screen.state.alerts) == 1
    ask(folder, do="checkpoint")
    assert live.take_checkpoint()


@pytest.mark.parametrize(
    ("said", "paused", "stopping"),
    [
        ([Paused(1.0, True)], True, None),
        ([Paused(1.0, True), Paused(2.0, False)], False, None),
        ([Stopping(1.0, "epoch", "x")], False, "epoch"),
        ([Paused(1.0, True), Stopping(2.0, "batch", "x")], False, "batch"),
        ([Stopping(1.0, "batch", "x"), ended("stopped")], False, None),
        ([Paused(1.0, True), started(Path("run"), resumed_epoch=2)], False, None),
    ],
)
def test_wishes_of_the_past_are_known(
    folder: Path, live: RunControl, said: list[Event], paused: bool, stopping: str | None
) -> None:
    say(folder, *said)
    screen = Screen(folder)
    wait_until(lambda: screen.of(Past))
    assert (screen.run.control.paused, screen.run.control.stopping) == (paused, stopping)


def test_a_long_past_that_was_never_read_is_announced_and_kept(
    folder: Path, live: RunControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(folder, *(LogLine(float(number), "info", "x" * 1000) for number in range(1500)))
    monkeypatch.setattr(attached_run, "LONG", 1 << 20)
    for announced in (True, False):
        screen = Screen(folder)
        wait_until(lambda: screen.of(Past))  # noqa: B023
        assert [type(event) for event in screen.events] == [LogLine, Past][not announced :]
        assert screen.state.log[-1][2] == "x" * 1000
        say(folder, LogLine(9e9, "info", "x" * 1000))
        wait_until(lambda: len(screen.of(LogLine)) == 1 + announced)  # noqa: B023
    assert (folder / "events.state").exists()


def test_who_leaves_while_a_long_past_is_read_is_not_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = threading.Event()

    def endless(history: History) -> bool:
        read.set()
        return True

    monkeypatch.setattr(History, "read", endless)
    screen = Screen(folder)
    assert read.wait(10)
    screen.run.leave()
    wait_until(lambda: not followers())
