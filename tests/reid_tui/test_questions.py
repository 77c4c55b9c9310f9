"""What a person asks of a run: a checkpoint, a pause, its end, to be left alone; and the questions before that."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from textual.widgets import OptionList

from core.control import RunControl
from core.events import CheckpointSaved, Event, Paused, RunFinished
from core.profile import Profile
from reid_tui.screens.dialogs import ChoiceDialog
from reid_tui.screens.run_asks import HANDED_OVER
from tests.reid_tui.conftest import OpenApp, screen_text, until
from tests.reid_tui.fake_run import FakeRun
from tests.reid_tui.test_dashboard import LONG, board, ended, started


async def test_checkpoint(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG | {"pace": 0.3}), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press("c")
        assert "saving a checkpoint" in screen_text(app)
        await until(pilot, lambda: any("asked for" in text for _, _, text in board(app).state.log))
        await until(pilot, lambda: "saving a checkpoint" not in screen_text(app))
        assert "✔ saved hands_ViT-B-16_LAST.pth" in screen_text(app)
        assert not app._notifications  # it would cover the panels


async def test_pause_holds_the_run_and_a_second_one_goes_on(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG | {"pace": 0.3}), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press("p")
        assert "pausing after this batch" in screen_text(app)
        await until(pilot, lambda: board(app).state.paused)
        await until(pilot, lambda: "❚❚ paused" in screen_text(app))
        points = len(board(app).state.losses.x)
        await pilot.pause(0.3)
        assert len(board(app).state.losses.x) == points
        await pilot.press("p")
        await until(pilot, lambda: len(board(app).state.losses.x) > points)
        assert "❚❚ paused" not in screen_text(app)


async def test_two_quick_pauses_leave_no_word_behind(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG | {"pace": 0.3}), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press("p", "p")
        assert "going on" not in screen_text(app)
        assert "pausing" not in screen_text(app)
        points = len(board(app).state.losses.x)
        await until(pilot, lambda: len(board(app).state.losses.x) > points)
        assert board(app).wish == ""


async def test_a_pause_that_is_over_before_it_is_drawn_leaves_no_word_behind(
    open_app: OpenApp, profile: Profile
) -> None:
    async with open_app(FakeRun(**LONG | {"pace": 0.3}), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press("p")
        board(app).live.emit(Paused(time.time(), True))
        board(app).live.emit(Paused(time.time(), False))
        board(app).fold_now()
        assert board(app).wish == ""


async def test_only_the_checkpoint_that_was_asked_for_answers_the_wish(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG | {"pace": 0.5}), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press("c")
        board(app).live.emit(CheckpointSaved(time.time(), "BEST", "/data/x_BEST.pth", 1))
        board(app).fold_now()
        await pilot.pause()
        assert "saving a checkpoint" in screen_text(app)


async def test_once_it_is_stopping_the_keys_say_so(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG | {"batches": 100_000}), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press("s", "e", "p")
        await pilot.pause()
        assert "not paused: the run stops after this epoch" in screen_text(app)
        await pilot.press("s")
        choices = app.screen.query_one(OptionList)
        texts = [str(choices.get_option_at_index(index).prompt).split() for index in range(choices.option_count)]
        assert [words[:2] for words in texts] == [["n", "Now"], ["c", "Cancel"]]
        assert texts[1][2:] == ["the", "run", "stops", "after", "this", "epoch"]
        await pilot.press("c")
        assert board(app).live.control.stopping_after_epoch
        assert not board(app).live.control.stopping_after_batch


async def test_a_run_that_is_not_built_yet_has_neither_batch_nor_final(open_app: OpenApp, profile: Profile) -> None:
    def run(emit: Callable[[Event], None], control: RunControl) -> None:
        while not control.stopping_after_batch:
            time.sleep(0.01)
        time.sleep(0.5)
        emit(RunFinished(time.time(), "stopped", "stopped before the first epoch", 0, 0.5))

    async with open_app(run, selected=profile) as (app, pilot):
        await until(pilot, lambda: app.dashboard is not None and board(app).live.alive)
        await pilot.press("q")
        assert isinstance(app.screen, ChoiceDialog)
        assert [choice.key for choice in app.screen.choices] == ["s", "q"]
        await pilot.press("s", "s")
        await until(pilot, lambda: "still being loaded" in screen_text(app))
        await pilot.press("n")
        await pilot.pause()
        text = screen_text(app)
        assert "stopping as soon as model and data are loaded" in text
        assert "FINAL" not in text
        assert "batch" not in text


@pytest.mark.parametrize("key", ["s", "q"])
async def test_a_question_is_withdrawn_when_the_run_ends(open_app: OpenApp, profile: Profile, key: str) -> None:
    async with open_app(FakeRun(**LONG | {"pace": 0.05}), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press(key)
        assert isinstance(app.screen, ChoiceDialog)
        board(app).live.control.stop_after_batch("enough")
        await ended(app, pilot)
        await until(pilot, lambda: app.screen is app.dashboard)
        await pilot.press("n")
        assert app.screen is app.dashboard
        assert app.is_running


@pytest.mark.parametrize("key", ["s", "question_mark"])
async def test_ctrl_q_asks_from_wherever_it_is_pressed(open_app: OpenApp, profile: Profile, key: str) -> None:
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press(key, "ctrl+c")
        assert "ctrl+q quits" in [note.message for note in app._notifications]
        for _ in range(2):
            await pilot.press("ctrl+q")
            assert board(app).asks_to_quit
            assert len(app.screen_stack) == 3
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)


async def test_stop_after_this_epoch(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG | {"batches": 400}), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press("s")
        assert isinstance(app.screen, ChoiceDialog)
        await pilot.press("enter")  # the first choice
        assert board(app).live.control.stopping_after_epoch
        await pilot.pause()
        assert "stopping after this epoch" in screen_text(app)
        await ended(app, pilot)
        state = board(app).state
        assert state.finished is not None
        assert state.finished.reason == "stopped"
        assert state.finished.epoch == state.epochs[-1].epoch
        assert "■ stopped" in screen_text(app)


async def test_stop_now(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG | {"batches": 100_000}), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press("s", "n")
        assert board(app).live.control.stopping_after_batch
        await ended(app, pilot)
        assert board(app).state.epochs[-1].epoch == 0
        assert any(saved.kind == "FINAL" for saved in board(app).state.checkpoints)


@pytest.mark.parametrize("keys", [("escape",), ("c",), ("down", "down", "enter")])
async def test_stop_can_be_cancelled(open_app: OpenApp, profile: Profile, keys: tuple[str, ...]) -> None:
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press("s", *keys)
        await pilot.pause()
        assert app.screen is app.dashboard
        control = board(app).live.control
        assert not control.stopping_after_batch
        assert not control.stopping_after_epoch
        assert not control.take_checkpoint()  # `c` was the dialog's


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_quit_asks_while_a_run_is_live(open_app: OpenApp, profile: Profile, key: str) -> None:
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press(key)
        assert isinstance(app.screen, ChoiceDialog)
        await pilot.press("s")
        assert app.screen is app.dashboard
        assert not board(app).live.control.stopping_after_batch
        await pilot.press(key, "q")
        await until(pilot, lambda: not app.is_running)
        assert board(app).live.control.stopping_after_batch
        assert board(app).live.join(10)


async def test_the_dialog_says_what_its_choices_do(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press("s")
        choices = app.screen.query_one(OptionList)
        assert [str(choices.get_option_at_index(index).prompt).split("\n")[0].split() for index in range(3)] == [
            ["e", "After", "this", "epoch"],
            ["n", "Now"],
            ["c", "Cancel"],
        ]


async def test_keys_for_a_live_run_do_nothing_after_its_end(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(epochs=1), selected=profile) as (app, pilot):
        await ended(app, pilot)
        await pilot.press("s", "p", "c")
        assert app.screen is app.dashboard
        shown = {binding.binding.action for binding in app.screen.active_bindings.values()}
        assert not shown & {"checkpoint", "pause", "stop"}
        assert "profiles" in shown


@pytest.mark.parametrize("key", ["d", "q"])
async def test_a_run_is_left_to_itself(open_app: OpenApp, profile: Profile, key: str) -> None:
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press(key)
        assert isinstance(app.screen, ChoiceDialog)
        await pilot.press("d")
        await until(pilot, lambda: not app.is_running)
        assert board(app).handed_over
        assert board(app).live.control.reason == HANDED_OVER


async def test_a_run_that_is_about_to_stop_is_not_left_to_itself(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG | {"pace": 0.2}), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press("s", "e", "q")
        assert isinstance(app.screen, ChoiceDialog)
        assert [choice.key for choice in app.screen.choices] == ["s", "q"]
        await pilot.press("d")
        assert isinstance(app.screen, ChoiceDialog)


@pytest.mark.parametrize(("size", "keys"), [((30, 8), 0), ((30, 8), 2), ((40, 12), 0)])
async def test_the_choices_are_there_however_small_the_terminal_is(
    open_app: OpenApp, profile: Profile, size: tuple[int, int], keys: int
) -> None:
    async with open_app(FakeRun(**LONG), selected=profile, size=size) as (app, pilot):
        await started(app, pilot)
        await pilot.press("s", *["down"] * keys)
        await until(pilot, lambda: ("After this epoch", "Now", "Cancel")[keys] in screen_text(app))
