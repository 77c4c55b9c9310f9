"""The dashboard, driven by keys: what it shows of a run, and what it tells the run."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from core.control import RunControl
from core.errors import WeightsError
from core.events import (
    Alert,
    EpochFinished,
    EpochMetrics,
    Event,
    LogLine,
    Progress,
    RunFinished,
)
from core.profile import Profile
from core.run_state import RunState, fold
from reid_tui.app import ReidApp
from reid_tui.keys import KEYS, bindings, keys_of
from reid_tui.launch_app import summary
from reid_tui.screens.dashboard import SETTLING_SECONDS, DashboardScreen
from reid_tui.screens.help import HelpScreen, help_text
from reid_tui.screens.metric_picker import MetricPicker
from reid_tui.screens.picker import PickerScreen
from reid_tui.widgets.chart import Chart
from reid_tui.widgets.epoch_table import EpochTable, columns_for
from reid_tui.widgets.log_pane import LogPane
from reid_tui.widgets.patience import pips
from reid_tui.widgets.progress import ProgressPanel, bar
from tests.reid_tui.conftest import OpenApp, screen_text, until
from tests.reid_tui.fake_run import FOLDER, FakeRun

LONG = {"epochs": 1000, "batches": 20, "pace": 0.002, "patience": 0}


def board(app: ReidApp) -> DashboardScreen:
    assert app.dashboard is not None
    return app.dashboard


async def started(app: ReidApp, pilot: Pilot[None]) -> None:
    await until(pilot, lambda: app.dashboard is not None and board(app).state.losses.x)


async def ended(app: ReidApp, pilot: Pilot[None]) -> None:
    await until(pilot, lambda: app.dashboard is not None and board(app).state.finished is not None)
    await pilot.pause()


async def test_a_run_is_shown_to_its_end_and_the_screen_stays(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(epochs=3), selected=profile, size=(120, 40)) as (app, pilot):
        await ended(app, pilot)
        text = screen_text(app)
        for part in (
            "Finished after 3 epochs",
            "all 3 epochs are done",
            "ViT-B-16 (openai)",
            "NVIDIA H100",
            "bf16",
            "on query0/gallery0 (test split)",
            "baseline 38.2",
            FOLDER,
            "✔ finished",
            "q leaves",
        ):
            assert part in text, part
        assert app.is_running
        await pilot.press("q")  # without a question
        await until(pilot, lambda: not app.is_running)


async def test_the_table_has_a_row_per_epoch_and_stars_the_best(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(epochs=6, peak=3), selected=profile, size=(120, 40)) as (app, pilot):
        await ended(app, pilot)
        table, state = board(app).query_one(EpochTable), board(app).state
        assert table.cell_text(-1).split()[:6] == ["Epoch", "R-1", "R-5", "R-10", "mAP", "loss"]
        assert table.cell_text(0).split()[:3] == ["baseline", "38.2", "54.2"]
        assert [row.epoch for row in state.epochs] == list(range(len(state.epochs)))
        starred = [row for row in range(len(state.epochs)) if "★" in table.cell_text(row)]
        assert state.best is not None
        assert starred == [state.best.epoch]
        assert f"{100 * state.best.rank1:.1f}" in table.cell_text(starred[0])


async def test_the_newest_epoch_stays_in_sight_until_the_person_scrolls(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG | {"batches": 1}), selected=profile) as (app, pilot):
        await until(pilot, lambda: len(board(app).state.epochs) > 30)
        table = board(app).query_one(EpochTable)
        await until(pilot, lambda: table.scroll_offset.y == table.max_scroll_y > 0)  # while others come in
        await pilot.press("tab")
        assert not table.has_focus
        while table.scroll_offset.y > 0:
            before = table.scroll_offset.y
            await pilot.press("pageup")
            await until(pilot, lambda before=before: table.scroll_offset.y < before)
        known = len(board(app).state.epochs)
        await until(pilot, lambda: len(board(app).state.epochs) > known + 5)
        assert table.scroll_offset.y == 0


@pytest.mark.parametrize("width", [20, 38, 60, 100, 200])
def test_columns_never_ask_for_more_than_there_is(width: int) -> None:
    columns = columns_for(width)
    gap = 2 if width >= 60 else 1
    assert columns[0].title == "Epoch"
    assert len(columns) == 1 or 1 + sum(column.width + gap for column in columns) <= width
    if width >= 38:
        assert [column.title for column in columns][:6] == ["Epoch", "R-1", "R-5", "R-10", "mAP", "loss"]


async def test_the_theme_changes_with_a_key(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await started(app, pilot)
        before = app.current_theme.dark
        await pilot.press("t")
        assert app.current_theme.dark is not before


async def test_log_and_log_scale(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await started(app, pilot)
        log, chart = board(app).query_one(LogPane), board(app).query_one("#loss", Chart)
        assert not log.display
        await pilot.press("l")
        await until(pilot, lambda: log.display and any("reading 502 images" in strip.text for strip in log.lines))
        await until(pilot, lambda: "╭─ Log" in screen_text(app))
        await pilot.press("l", "y")
        await pilot.pause()
        assert not log.display
        assert chart.log_scale
        assert "Loss (log)" in screen_text(app)


async def test_ctrl_c_says_how_to_quit_and_stops_nothing(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await started(app, pilot)
        await pilot.press("ctrl+c")
        assert "q quits, s stops the run" in [note.message for note in app._notifications]
        assert app.is_running
        assert not board(app).live.control.stopping_after_batch


async def test_after_the_end_another_run_can_be_picked(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(epochs=1), selected=profile) as (app, pilot):
        await ended(app, pilot)
        first = board(app)
        await until(pilot, lambda: not first.live.alive)
        await pilot.press("n", "escape")  # meant for a dialog that the end of the run has closed
        assert app.screen is first
        await pilot.pause(SETTLING_SECONDS)
        await pilot.press("escape")
        assert app.screen is first
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, PickerScreen) and app.screen.highlighted)
        await pilot.press("enter")
        await until(pilot, lambda: app.dashboard is not first)
        await ended(app, pilot)
        second = board(app)
        await pilot.pause(SETTLING_SECONDS)
        await until(pilot, lambda: not second.live.alive)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, PickerScreen) and app.screen.highlighted)
        assert [type(screen) for screen in app.screen_stack].count(PickerScreen) == 1
        # What is written now belongs to the next run.
        app.take_output(["written in between"])
        assert not second.live.take()
        await pilot.press("enter")
        await until(pilot, lambda: app.dashboard is not second)
        await until(pilot, lambda: any(text == "written in between" for _, _, text in board(app).state.log))


async def test_a_failure_is_shown_with_its_way_out(open_app: OpenApp, profile: Profile) -> None:
    def run(emit: Callable[[Event], None], control: RunControl) -> None:
        raise WeightsError("Weights do not fit", "ViT-B-16 [openai] needs QuickGELU\nset model.quick_gelu")

    async with open_app(run, selected=profile, size=(120, 40)) as (app, pilot):
        await ended(app, pilot)
        text = screen_text(app)
        assert "✘ failed" in text
        assert "ViT-B-16 [openai] needs QuickGELU" in text
        assert "set model.quick_gelu" in text


WAY_OUT = "lower train.batch_size or data.image_size, or set run.precision to bf16 and launch it again"


async def test_a_long_reason_is_wrapped_so_that_the_way_out_can_be_read(open_app: OpenApp, profile: Profile) -> None:
    folder = "/data/runs/" + "a-long-name-of-an-experiment-" * 4 + "end"

    def run(emit: Callable[[Event], None], control: RunControl) -> None:
        message = "Weights do not fit: " + "the file has other shapes than the model " * 4 + WAY_OUT
        emit(RunFinished(time.time(), "failed", message, 0, 0.5, folder=folder))

    async with open_app(run, selected=profile) as (app, pilot):
        await ended(app, pilot)
        panel = board(app).query_one(ProgressPanel)
        await until(pilot, lambda: panel.size.height > 6)
        rows = [row[2:-2].rstrip() for row in screen_text(app).splitlines()[2 : 2 + panel.outer_size.height]]
        assert WAY_OUT in " ".join(rows)
        assert folder in "".join(rows)  # whole: it can be copied
        assert summary(board(app).state)[-1] == f"files in {folder}"


async def test_the_end_names_what_was_not_saved(open_app: OpenApp, profile: Profile) -> None:
    why = "No space left on device"
    lacks = (f"BEST of epoch 5: {why}", f"run.log: {why}")

    def run(emit: Callable[[Event], None], control: RunControl) -> None:
        emit(RunFinished(time.time(), "finished", "all epochs done", 9, 0.5, not_saved=lacks))

    async with open_app(run, selected=profile, size=(120, 40)) as (app, pilot):
        await ended(app, pilot)
        text = screen_text(app)
        assert "! all epochs done · not saved: BEST of epoch 5, run.log" in text
        assert f"not saved: BEST of epoch 5: {why}" in text, "in the log pane, with the reason"
        assert summary(board(app).state)[-2:] == [f"not saved: {what}" for what in lacks]


async def test_the_validation_of_an_epoch_does_not_draw_the_run_back(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(epochs=4, batches=2), selected=profile) as (app, pilot):
        await ended(app, pilot)
        state = RunState(started=board(app).state.started)
        panel = board(app).query_one(ProgressPanel)
        fold(state, Progress(1.0, "train", 1, 2, 2, 50.0))
        fold(state, Progress(2.0, "validate", 1, 900, 963, 1000.0))
        panel.show(state)
        run, phase = (line.plain for line in panel.lines(76))
        assert " 25 %" in run
        assert " 93 %" in phase
        fold(state, Progress(3.0, "validate", 1, 963, 963, 1000.0))
        panel.show(state)
        assert "left" not in "".join(line.plain for line in panel.lines(76))


@pytest.mark.parametrize("width", [30, 50, 76, 150])
async def test_bars_take_the_free_room(open_app: OpenApp, profile: Profile, width: int) -> None:
    async with open_app(FakeRun(epochs=4, batches=2), selected=profile) as (app, pilot):
        await ended(app, pilot)
        state = RunState(started=board(app).state.started)
        panel = board(app).query_one(ProgressPanel)
        fold(state, EpochFinished(1.0, EpochMetrics(1, seconds=14.0)))
        for event in (Progress(1.0, "train", 2, 1, 2, 50.0), Progress(2.0, "train", 2, 2, 2, 50.0)):
            fold(state, event)
            panel.show(state)
            for line in panel.lines(width):
                assert line.cell_length == width
                bar_cells = sum(line.plain.count(sign) for sign in "━╸┄")
                assert bar_cells >= max(12, width - 54), line.plain


async def test_the_header_at_80_columns_has_experiment_and_model(open_app: OpenApp, profile: Profile) -> None:
    run = FakeRun(**LONG, name="hands_ViT-B-16_11k-hands_dorsal-right_e60_lr1e-05_b32_20261123-141500")
    async with open_app(run, selected=profile) as (app, pilot):
        await started(app, pilot)
        await until(pilot, lambda: "hands · ViT-B-16 " in screen_text(app).splitlines()[0])


async def test_the_log_is_wrapped_anew_at_another_width(open_app: OpenApp, profile: Profile) -> None:
    words = " ".join(f"word{number}" for number in range(30))

    def run(emit: Callable[[Event], None], control: RunControl) -> None:
        emit(LogLine(time.time(), "info", words))
        FakeRun(epochs=1)(emit, control)

    async with open_app(run, selected=profile, size=(140, 50)) as (app, pilot):
        await ended(app, pilot)
        log = board(app).query_one(LogPane)
        await until(pilot, lambda: any("word29" in strip.text for strip in log.lines))
        wide = len(log.lines)
        await pilot.resize_terminal(60, 50)
        await until(pilot, lambda: len(log.lines) > wide)
        assert all(strip.cell_length <= 60 for strip in log.lines)
        assert sum("word0 " in strip.text for strip in log.lines) == 1
        await pilot.resize_terminal(140, 50)
        await until(pilot, lambda: len(log.lines) == wide)


async def test_foreign_text_is_neither_markup_nor_control(open_app: OpenApp, profile: Profile) -> None:
    def run(emit: Callable[[Event], None], control: RunControl) -> None:
        emit(LogLine(time.time(), "info", "[bold]not markup[/nothing] \x1b[31mred\x1b[0m \x07bell"))
        emit(Alert(time.time(), "warning", "[odd] title", "a \x1b]0;title\x07 b [/]"))
        FakeRun(epochs=1, name="run [1] \x1b[2J")(emit, control)

    async with open_app(run, selected=profile, size=(140, 70)) as (app, pilot):
        await ended(app, pilot)
        text = screen_text(app)
        log = "\n".join(strip.text for strip in board(app).query_one(LogPane).lines)
        assert "[bold]not markup[/nothing] red ␇bell" in log
        assert "[odd] title: a  b [/]" in log
        assert "\x1b" not in log
        assert "run [1]" in text
        assert "\x1b" not in text


def test_help_has_every_key_of_the_table_and_every_key_is_bound() -> None:
    for where in ("picker", "dashboard", "chart", "metrics"):
        text = help_text(where).plain
        for key in keys_of(where):
            assert key.tooltip in text
    assert [key.id for key in KEYS] == list(dict.fromkeys(key.id for key in KEYS))
    for screen, *wheres in (
        (DashboardScreen, "dashboard", "chart"),
        (PickerScreen, "picker"),
        (MetricPicker, "metrics"),
    ):
        assert [binding for where in wheres for binding in bindings(where)] == screen.BINDINGS
        for key in [key for where in wheres for key in keys_of(where)]:
            assert hasattr(screen, f"action_{key.action.partition('(')[0]}")


async def test_help_opens_and_closes(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("q")
        assert app.screen is app.dashboard


@pytest.mark.parametrize("size", [(80, 24), (40, 20), (200, 60), (20, 6), (300, 80), (70, 12), (40, 15), (80, 15)])
async def test_every_size_can_be_drawn_while_it_runs_and_after(
    open_app: OpenApp, profile: Profile, size: tuple[int, int]
) -> None:
    async with open_app(FakeRun(epochs=8), selected=profile, size=size) as (app, pilot):
        await ended(app, pilot)
        rows = screen_text(app).splitlines()
        assert len(rows) == size[1]
        if size[1] >= 15:
            table = board(app).query_one(EpochTable)
            assert table.scrollable_content_region.height >= 3, "\n".join(rows)  # the titles and two epochs
        if size[0] >= 40 and size[1] >= 20:
            text = "\n".join(rows)
            for part in ("Finished", "Epochs", "R-1", "Early stopping", "★"):
                assert part in text, part
        if size[0] >= 80:
            assert "Loss" in "\n".join(rows)
            assert "Rank-1 and mAP" in "\n".join(rows)


async def test_the_layout_follows_the_terminal(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG), selected=profile, size=(160, 50)) as (app, pilot):
        await started(app, pilot)
        log, charts = board(app).query_one(LogPane), board(app).query_one("#charts")
        assert log.display
        loss, ranks = board(app).query_one("#loss"), board(app).query_one("#ranks")
        assert loss.region.y == ranks.region.y
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: not log.display)
        assert loss.region.x == ranks.region.x
        await pilot.resize_terminal(40, 20)
        await until(pilot, lambda: not charts.display)


async def test_nothing_is_drawn_while_nothing_changes(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(FakeRun(**LONG), selected=profile, size=(120, 40)) as (app, pilot):
        await started(app, pilot)
        await pilot.press("p")
        await until(pilot, lambda: board(app).state.paused and "❚❚ paused" in screen_text(app))
        await pilot.pause(0.3)
        drawn: list[str] = []
        for panel in board(app).query(".panel, .bar"):
            original = panel.refresh

            def refresh(*args: object, original: Callable[..., object] = original, **options: object) -> object:
                drawn.append("refresh")
                return original(*args, **options)

            panel.refresh = refresh  # type: ignore[method-assign, assignment]
        for _ in range(5):
            board(app).fold_now()
        assert drawn == []


def test_pips_and_bars_can_be_read_without_colour() -> None:
    assert pips(2, 3) == "●●○"
    assert pips(5, 3) == "●●●"
    assert pips(2, 60) == ""
    assert bar(0.5, 8, "$primary").plain == "━━━━┄┄┄┄"
    assert bar(float("nan"), 4, "$primary").plain == "┄┄┄┄"


async def test_a_run_does_not_begin_on_a_screen_that_is_taken_down_before_it_is_made(
    open_app: OpenApp, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DashboardScreen, "compose", lambda screen: ())
    async with open_app(FakeRun(**LONG), selected=profile) as (app, pilot):
        await until(pilot, lambda: app.dashboard is not None and board(app).is_mounted)
        assert not board(app).live.alive
