"""The charts of the dashboard, driven by keys and mouse."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import OptionList

from core.control import RunControl
from core.events import EpochFinished, EpochMetrics, Event, Progress, RunFinished, RunStarted
from core.profile import Profile
from reid_tui.app import ReidApp
from reid_tui.screens.dashboard import DashboardScreen
from reid_tui.screens.help import HelpScreen
from reid_tui.screens.metric_picker import MetricPicker
from reid_tui.widgets.canvas import ASCII, BRAILLE
from reid_tui.widgets.chart import Chart
from reid_tui.widgets.series import Series
from reid_tui.widgets.smoothing import STRENGTHS
from reid_tui.wishes import ProfilesWanted
from tests.reid_tui.conftest import OpenApp, screen_text, until

EPOCHS, BATCHES = 10, 20
BEGAN = 1_000.0


def said() -> list[Event]:
    """A whole run, with a clock of its own: a batch takes 10 s, an epoch 220 s with its validation."""
    folder = "/data/runs/hands-1"
    begun = RunStarted(
        BEGAN, "hands-1", "hands", folder, "ViT-B-16", "openai", "11k-hands", "", (224, 224), "cpu", "bf16",
        EPOCHS, 32, BATCHES, 72, 957, 963, 71, 3, "query0/gallery0", {},
    )  # fmt: skip
    events: list[Event] = [begun, EpochFinished(BEGAN, EpochMetrics(0, rank1=0.3, mAP=0.2))]
    for epoch in range(1, EPOCHS + 1):
        start = BEGAN + (epoch - 1) * 220
        for batch in range(1, BATCHES + 1):
            x = epoch - 1 + batch / BATCHES
            loss = 9.0 if (epoch, batch) == (4, 7) else 2.0 - x / 10
            events.append(
                Progress(start + 10 * batch, "train", epoch, batch, BATCHES, 400.0, loss, loss - 0.5, 0.5, 3.0, 1e-4)
            )
        rank1 = 0.8 if epoch == 6 else 0.3 + epoch / 25
        row = EpochMetrics(epoch, 1.5, 1.0, 0.5, 0.9, rank1=rank1, rank5=0.85, mAP=rank1 - 0.1, lr=1e-4, seconds=220.0)
        events.append(EpochFinished(start + 220, row))
    return [*events, RunFinished(BEGAN + EPOCHS * 220, "finished", "all epochs are done", EPOCHS, 2200.0)]


def run(emit: Callable[[Event], None], control: RunControl) -> None:
    for event in said():
        emit(event)


def board(app: ReidApp) -> DashboardScreen:
    assert app.dashboard is not None
    return app.dashboard


async def shown(app: ReidApp, pilot: Pilot[None]) -> tuple[Chart, Chart]:
    """Both charts, once the whole run is on the screen."""
    await until(pilot, lambda: app.dashboard is not None and board(app).state.finished is not None)
    await pilot.pause()
    first, second = board(app).charts
    return first, second


def border(chart: Chart) -> str:
    return Content.from_markup(str(chart.border_subtitle)).plain


async def test_keys_are_for_the_chart_that_was_selected(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(run, selected=profile, size=(120, 40)) as (app, pilot):
        first, second = await shown(app, pilot)
        assert "▸ Loss" in screen_text(app)
        await pilot.press("y")
        assert (first.log_scale, second.log_scale) == (True, False)
        assert "Loss (log)" in screen_text(app)
        await pilot.press("2", "y")
        assert (first.log_scale, second.log_scale) == (True, True)
        assert second.has_focus
        assert "▸ Rank-1 and mAP, % (log)" in screen_text(app)
        await pilot.press("shift+tab", "y")
        assert first.has_focus
        assert (first.log_scale, second.log_scale) == (False, True)
        await pilot.press("tab", "y", "1", "y")
        assert (first.log_scale, second.log_scale) == (True, False)
        await pilot.click("#ranks")
        await pilot.press("y")
        assert (first.log_scale, second.log_scale) == (True, True)


@pytest.mark.parametrize("size", [(40, 20), (120, 40)])
async def test_tab_switches_charts_and_nothing_else(open_app: OpenApp, profile: Profile, size: tuple[int, int]) -> None:
    async with open_app(run, selected=profile, size=size) as (app, pilot):
        first, second = await shown(app, pilot)
        for key in ("tab", "tab", "shift+tab", "tab", "tab"):
            before = board(app).chart
            await pilot.press(key)
            assert board(app).chart is not before
            assert app.focused in (None, board(app).chart)
        assert board(app).chart is second
        if size[0] == 40:
            assert "▸ Rank-1 and mAP, % · f shows it" in screen_text(app)
        await pilot.press("f")
        await pilot.pause()
        assert second.display and not first.display
        await pilot.press("tab")
        await pilot.pause()
        assert first.display and not second.display


async def test_smoothing_goes_round_and_keeps_the_raw_curve_behind(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(run, selected=profile, size=(120, 40)) as (app, pilot):
        first, second = await shown(app, pilot)
        assert "total 1.00" in border(first)
        for strength in STRENGTHS[1:]:
            await pilot.press("e")
            await pilot.pause()
            assert first.smoothing == strength
            assert f"Loss (smoothed {strength:g})" in screen_text(app)
        assert "total ~" in border(first)
        styles = first._drawing.styles
        assert {"$primary", "$primary 40%"} <= styles
        await pilot.press("e")
        await pilot.pause()
        assert first.smoothing == 0
        assert "total 1.00" in border(first)
        assert second.smoothing == 0


async def test_zoom_pan_and_back_to_the_whole(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(run, selected=profile, size=(120, 40)) as (app, pilot):
        first, second = await shown(app, pilot)
        assert (first.view.low, first.view.high) == (0, 10)
        await pilot.press("plus")  # at the newest
        assert (first.view.low, first.view.high) == (5, 10)
        await pilot.press("plus")
        assert (first.view.low, first.view.high) == (7.5, 10)
        await pilot.press("j", "j")
        assert (first.view.low, first.view.high) == (6.25, 8.75)
        await pilot.pause()
        assert "Loss (6.25–8.75)" in screen_text(app)
        await pilot.press("k")
        assert first.view.high == pytest.approx(9.375)
        await pilot.press(*"kk")
        assert (first.view.low, first.view.high) == (7.5, 10)
        await pilot.press(*"jjjjjjjjjjjjj")
        assert first.view.low == 0
        await pilot.press("minus")
        assert first.view.width == 5
        await pilot.press("0")
        assert (first.view.low, first.view.high) == (0, 10)
        assert not first.zoomed_in
        assert not second.zoomed_in
        await pilot.press("equals_sign", "minus", "minus", "minus")
        assert (first.view.low, first.view.high) == (0, 10)
        await pilot.press("j")
        assert not first.zoomed_in


async def test_the_cursor_reads_every_chart_at_once(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(run, selected=profile, size=(160, 50)) as (app, pilot):
        first, second = await shown(app, pilot)
        assert border(second) == "● Rank-1 70.0   ▲ mAP 60.0"
        await pilot.press("left")
        await pilot.pause()
        assert first.cursor == second.cursor == 10
        assert border(second) == "epoch 10   ● Rank-1 70.0   ▲ mAP 60.0"
        await pilot.press("2", "left", "left", "left", "left")  # from epoch to epoch
        await pilot.pause()
        assert first.cursor == second.cursor == 6
        assert border(second) == "epoch 6   ● Rank-1 80.0   ▲ mAP 70.0"
        assert border(first) == "epoch 6   ● total 1.40   ▲ CE 0.900   ■ triplet 0.500"
        assert "┊" in first._drawing.plain
        assert "┊" in second._drawing.plain
        await pilot.press("right")
        assert second.cursor == 7
        await pilot.press("1", "left")  # from point to point: less than an epoch
        await pilot.pause()
        assert 6.7 < (first.cursor or 0) < 7
        assert border(second).startswith("epoch 7 ")
        await pilot.press("escape")
        await pilot.pause()
        assert first.cursor is None
        assert second.cursor is None
        assert border(second) == "● Rank-1 70.0   ▲ mAP 60.0"
        assert "┊" not in first._drawing.plain
        for _ in range(3):
            await pilot.press("right")  # there is nothing further
        assert first.cursor == 10


async def test_zoom_is_at_the_cursor_and_the_view_follows_it(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(run, selected=profile, size=(120, 40)) as (app, pilot):
        first, _ = await shown(app, pilot)
        first._point_at(4.0)
        await pilot.press("plus", "plus", "plus")
        assert first.view.low < 4.0 < first.view.high
        assert (4.0 - first.view.low) / first.view.width == pytest.approx(0.4)
        seen = first.view
        for _ in range(15):
            await pilot.press("left")
            assert first.view.low <= (first.cursor or 0) <= first.view.high
        assert first.view.low < seen.low
        assert first.view.width == pytest.approx(seen.width)


async def test_one_chart_alone_and_back(open_app: OpenApp, profile: Profile) -> None:
    for size in ((80, 24), (40, 20), (120, 40)):
        async with open_app(run, selected=profile, size=size) as (app, pilot):
            first, second = await shown(app, pilot)
            small = first.size
            await pilot.press("2", "f")
            await pilot.pause()
            assert second.size.width >= size[0] - 4
            assert second.size.height >= size[1] - 6
            assert not first.display
            assert "★" in screen_text(app)
            assert "Early stopping" not in screen_text(app)
            await pilot.press("1")
            await pilot.pause()
            assert first.size.height >= size[1] - 6
            assert "Loss" in screen_text(app)
            await pilot.press("left", "escape")
            await pilot.pause()
            assert first.size == small
            assert first.cursor is not None  # escape does one thing at a time
            await pilot.press("enter")
            await pilot.pause()
            assert first.size.height >= size[1] - 6
            await pilot.press("l")  # the log is somewhere else
            await pilot.pause()
            assert not board(app).chart_is_full
            await pilot.press("l", "f", "f")
            await pilot.pause()
            assert first.size == small


async def test_the_x_axis_is_epochs_steps_or_time_for_all_charts(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(run, selected=profile, size=(160, 50)) as (app, pilot):
        first, second = await shown(app, pilot)
        await pilot.press("plus", "left", "x")
        await pilot.pause()
        assert [chart.axis for chart in (first, second)] == ["step", "step"]
        assert [chart.view.high for chart in (first, second)] == [200, 200]
        assert first.cursor is None
        assert not first.zoomed_in
        assert len(re.findall(" step *│", screen_text(app))) == 2
        await pilot.press("left")
        await pilot.pause()
        assert border(second).startswith("step 200 ")
        await pilot.press("x")
        await pilot.pause()
        assert [chart.view.high for chart in (first, second)] == [9 * 220 + 200, 2200]
        assert len(re.findall(" time m:ss *│", screen_text(app))) == 2
        await pilot.press("left")
        await pilot.pause()
        assert border(second).startswith("36:40 ")
        await pilot.press("x")
        assert first.axis == "epoch"


async def test_metrics_are_picked_from_a_list(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(run, selected=profile, size=(120, 40)) as (app, pilot):
        first, second = await shown(app, pilot)
        await pilot.press("2", "m")
        picker = app.screen
        assert isinstance(picker, MetricPicker)
        await pilot.pause()
        assert "Second chart shows" in screen_text(app)
        assert "[x] Rank-1" in screen_text(app)
        await pilot.press("space", "down", "space")  # Rank-1 away, Rank-5 there
        await pilot.pause()
        assert "[ ] Rank-1" in screen_text(app)
        assert "[x] Rank-5" in screen_text(app)
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("escape", "enter")
        await pilot.pause()
        assert app.screen is app.dashboard
        assert [series.name for series in second.series] == ["Rank-5", "mAP"]
        assert "Rank-5 and mAP, %" in screen_text(app)
        assert [series.name for series in first.series] == ["total", "CE", "triplet"]


async def test_a_metric_of_another_unit_takes_the_other_marks_away(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(run, selected=profile, size=(120, 40)) as (app, pilot):
        first, _ = await shown(app, pilot)
        await pilot.press("m", *["up"] * 2, "space")  # the last but one of the list
        await pilot.press("enter")
        await pilot.pause()
        assert [series.name for series in first.series] == ["img/s/epoch"]
        assert "Images per second" in screen_text(app)
        await pilot.press("m", "space", "escape")
        assert [series.name for series in first.series] == ["img/s/epoch"]
        await pilot.press("m", "space", "up", "enter")  # no mark: the one under the bar
        assert [series.name for series in first.series] == ["img/s"]
        assert first.series[0].y[-1] == 400.0


async def test_metrics_can_be_marked_with_the_mouse(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(run, selected=profile, size=(120, 40)) as (app, pilot):
        first, _ = await shown(app, pilot)
        await pilot.press("m")
        await pilot.pause()
        picker = app.screen
        assert isinstance(picker, MetricPicker)
        await pilot.click(OptionList, offset=(6, 2))  # under the title: total, then CE
        await pilot.pause()
        assert app.screen is picker
        assert picker.marked == {"step.loss", "step.triplet"}
        await pilot.press("enter")
        assert [series.name for series in first.series] == ["total", "triplet"]


async def test_the_picker_can_be_used_where_it_does_not_fit(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(run, selected=profile, size=(40, 14)) as (app, pilot):
        first, _ = await shown(app, pilot)
        await pilot.press("m", "end")
        await pilot.pause()
        assert "[ ] epoch" in screen_text(app)
        assert "space marks" in screen_text(app)
        await pilot.press("space", "enter")
        assert [series.name for series in first.series] == ["epoch"]


async def test_how_the_charts_are_set_is_remembered_for_the_next_run(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(run, selected=profile, size=(120, 40)) as (app, pilot):
        first, _ = await shown(app, pilot)
        await pilot.press("2", "m", "down", "space", "enter", "y", "e", "x")
        before = board(app)
        before.post_message(ProfilesWanted())
        await until(pilot, lambda: app.screen is not before)
        app.launch(profile, "again")
        await until(pilot, lambda: app.dashboard is not before)
        first, second = await shown(app, pilot)
        assert [series.name for series in second.series] == ["Rank-1", "Rank-5", "mAP"]
        assert (second.log_scale, second.smoothing, second.axis) == (True, 0.6, "step")
        assert (first.log_scale, first.smoothing, first.axis) == (False, 0.0, "step")
        assert board(app).chart is second


async def test_the_wheel_zooms_at_the_pointer(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(run, selected=profile, size=(120, 40)) as (app, pilot):
        first, _ = await shown(app, pilot)
        picture = first._picture
        share = 0.25
        offset = (2 + picture.left + round(share * (picture.width - 1)), 3)  # border and padding before the plot
        under = first.view.at((offset[0] - 2 - picture.left) / (picture.width - 1))
        for _ in range(3):
            await pilot._post_mouse_events([_scroll_up()], first, offset)
        await pilot.pause()
        assert first.view.width == pytest.approx(10 * 0.8**3)
        left = first._picture.left - picture.left  # labels may have got wider
        now = first.view.at((offset[0] - 2 - picture.left - left) / (first._picture.width - 1))
        assert now == pytest.approx(under, abs=0.2)
        for _ in range(6):
            await pilot._post_mouse_events([_scroll_down()], first, offset)
        assert not first.zoomed_in


def _scroll_up() -> type:
    from textual.events import MouseScrollUp

    return MouseScrollUp


def _scroll_down() -> type:
    from textual.events import MouseScrollDown

    return MouseScrollDown


async def test_dragging_pans_and_a_click_puts_the_cursor(open_app: OpenApp, profile: Profile) -> None:
    async with open_app(run, selected=profile, size=(120, 40)) as (app, pilot):
        first, second = await shown(app, pilot)
        await pilot.press("plus")
        await pilot.pause()
        picture = first._picture
        await pilot.mouse_down(first, offset=(20, 4))
        await pilot.hover(first, offset=(20 + (picture.width - 1) // 2, 4))
        await pilot.mouse_up(first, offset=(20 + (picture.width - 1) // 2, 4))
        assert first.view.low == pytest.approx(2.5, abs=0.1)
        assert first.view.width == 5
        assert first.cursor is None
        assert not app.screen.selections  # of text
        await pilot.hover(first, offset=(10, 4))  # no button is held
        assert first.view.low == pytest.approx(2.5, abs=0.1)
        await pilot.press("0")
        await pilot.pause()
        picture = second._picture
        await pilot.click(second, offset=(2 + picture.left + round(0.6 * (picture.width - 1)), 4))
        await pilot.pause()
        assert second.cursor == first.cursor == 6
        assert "★" in second._drawing.plain


async def test_a_view_at_the_end_follows_a_live_run(open_app: OpenApp, profile: Profile) -> None:
    events = said()

    def live(emit: Callable[[Event], None], control: RunControl) -> None:
        for event in events[:60]:
            emit(event)
        while not control.stopping_after_batch:
            time.sleep(0.01)
        emit(RunFinished(BEGAN + 500, "stopped", "stopped", 2, 500.0))

    async with open_app(live, selected=profile, size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: app.dashboard is not None and len(board(app).state.losses.x) > 50)
        await pilot.pause()
        first = board(app).charts[0]
        await pilot.press("plus", "plus")
        before = first.view
        for event in events[60:80]:
            board(app).live.emit(event)
        board(app).fold_now()
        assert first.view.width == pytest.approx(before.width)
        assert first.view.high == board(app).state.losses.x[-1] > before.high
        await pilot.press("j")
        stays = first.view
        for event in events[80:100]:
            board(app).live.emit(event)
        board(app).fold_now()
        assert (first.view.low, first.view.high) == (stays.low, stays.high)


async def test_a_chart_is_drawn_only_when_something_has_changed(open_app: OpenApp, profile: Profile) -> None:
    """Counts, not times: with 20,000 points a drawing takes about 2 ms of numpy for three curves (see docs)."""
    async with open_app(run, selected=profile, size=(120, 40)) as (app, pilot):
        first, second = await shown(app, pilot)
        drawn, copied = (first.drawings, second.drawings), [points.copied for points in first._points]
        for _ in range(5):
            board(app).fold_now()
            first.refresh()  # whoever else wants it, the drawing is the same
            await pilot.pause()
        assert (first.drawings, second.drawings) == drawn
        await pilot.press("plus")
        await pilot.pause()
        assert (first.drawings, second.drawings) == (drawn[0] + 1, drawn[1])
        await pilot.press("left")
        await pilot.pause()
        assert (first.drawings, second.drawings) == (drawn[0] + 2, drawn[1] + 1)
        fold_one = Progress(BEGAN + 2300, "train", 11, 1, BATCHES, 400.0, 1.0, 0.5, 0.5, 3.0, 1e-4)
        board(app).live.emit(fold_one)
        board(app).fold_now()
        await until(pilot, lambda: first.drawings > drawn[0] + 2)  # curves are drawn once a second
        assert [points.copied for points in first._points] == [count + 2 for count in copied]
        assert (first.drawings, second.drawings) == (drawn[0] + 3, drawn[1] + 1)


class Alone(App[None]):
    """A chart without a run, as another screen would have it."""

    def compose(self) -> ComposeResult:
        yield Chart("Rank-1, %", unit="%", canvas=ASCII)


async def test_a_chart_overlays_many_runs_on_shared_axes() -> None:
    app = Alone()
    async with app.run_test(size=(100, 30)) as pilot:
        chart = app.query_one(Chart)
        x = [float(epoch) for epoch in range(30)]
        runs = [
            Series(f"run [{number}] 実験", f"{number}", x, [0.3 + number / 50 + at / 100 for at in x], best=29.0)
            for number in range(9)
        ]
        chart.show([*runs, Series("own", "own", x, x, colour="#ff8800", marker="W", dash=(1, 1))])
        await pilot.pause()
        await pilot.pause()
        plot = chart._drawing.plain
        assert plot.isascii()
        assert "W" in plot
        assert "*" in plot
        assert "#ff8800" in chart._drawing.styles
        chart.canvas = BRAILLE
        await pilot.pause()
        assert not chart._drawing.plain.isascii()
        chart.show([])
        await pilot.pause()
        assert "no values yet" in chart._drawing.plain
        for press in (chart.zoom, chart.pan, chart.reset, lambda: chart.move_cursor(1), chart.next_smoothing):
            press()
        await pilot.pause()
        chart.show([Series("one", "one", [4.0], [1.0])])
        chart.zoom()
        chart.move_cursor(-1)
        await pilot.pause()
        assert chart.cursor == 4.0
