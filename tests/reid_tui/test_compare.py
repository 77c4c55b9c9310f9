"""Runs beside each other: the chart, the figures, the differences, driven by keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Static

from core.run_compare import METRICS
from reid_tui.app import ReidApp
from reid_tui.screens.compare import CompareScreen
from reid_tui.screens.dashboard import DashboardScreen
from reid_tui.screens.help import HelpScreen
from reid_tui.screens.runs import RunsScreen
from reid_tui.widgets.compare_table import CompareTable, figures_for
from reid_tui.widgets.run_chart import RUN_SIGNS, RunChart
from reid_tui.wishes import CompareWanted
from tests.listed_runs import make_run
from tests.reid_tui.conftest import OpenApp, screen_text, until

OpenCompare = Callable[..., AbstractAsyncContextManager[tuple[ReidApp, Pilot[None]]]]
SIZES = [(80, 24), (120, 40), (40, 20)]


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "runs"
    return [
        make_run(folder, "a_lr1e-3_20261123-101010", (0.1, 0.5, 0.7)),
        make_run(folder, "a_lr1e-4_20261123-111111", (0.1, 0.4, 0.6), train={"lr": 1e-4}),
        make_run(folder, "a_lr1e-5_20261123-121212", (0.1, 0.2), train={"lr": 1e-5}, model={"name": "ViT-B-16"}),
    ]


@pytest.fixture
def open_compare(open_app: OpenApp, runs: list[Path]) -> OpenCompare:
    @asynccontextmanager
    async def opened(
        folders: Sequence[Path] = runs, size: tuple[int, int] = (80, 24)
    ) -> AsyncIterator[tuple[ReidApp, Pilot[None]]]:
        async with open_app(list_runs=True, runs_dir=runs[0].parent, size=size) as (app, pilot):
            await until(pilot, lambda: isinstance(app.screen, RunsScreen))
            app.screen.post_message(CompareWanted(list(folders)))
            await until(pilot, lambda: isinstance(app.screen, CompareScreen))
            await until(pilot, lambda: screen(app).compared.runs[0].epochs)
            await pilot.pause()
            yield app, pilot

    return opened


def screen(app: ReidApp) -> CompareScreen:
    assert isinstance(app.screen, CompareScreen)
    return app.screen


def figures(app: ReidApp) -> list[str]:
    table = app.screen.query_one(CompareTable)
    return [line.plain for line in table.lines(table.size.width)]


def drawn(app: ReidApp) -> list[str]:
    """Markers of the curves, the uppermost first."""
    return [each.marker for each in app.screen.query_one(RunChart)._series]


def differing(app: ReidApp) -> str:
    return str(app.screen.query_one("#difference-lines", Static).content)


@pytest.mark.parametrize("size", SIZES)
async def test_chart_and_figures_are_there(open_compare: OpenCompare, size: tuple[int, int]) -> None:
    async with open_compare(size=size) as (app, pilot):
        text = screen_text(app)
        assert "3 runs compared" in text and "Rank-1, %" in text
        for marker in "●▲■":
            assert marker in text
        assert "★70.0" in text and "60.0" in text and "20.0" in text
        assert all(cell_len(line) == size[0] for line in text.splitlines())
        if size[0] >= 80:
            for part in ("R-5", "mAP", "mINP", "best ep", "epochs", "time", "● lr1e-3 70.0"):
                assert part in text, part
        await pilot.press("v")
        await pilot.pause()
        assert "train.lr" in screen_text(app) and "what differs" in screen_text(app)


async def test_m_draws_the_next_metric(open_compare: OpenCompare) -> None:
    async with open_compare() as (app, pilot):
        titles = []
        for _ in METRICS:
            chart = app.screen.query_one(RunChart)
            assert str(chart.border_title) in screen_text(app)
            if len(titles) == 1:
                assert "● lr1e-3 65.0" in screen_text(app)  # mAP: as many points, other values
            titles.append(str(chart.border_title).removesuffix(", %"))
            before = screen_text(app)
            await pilot.press("m")
            await pilot.pause()
            assert screen_text(app) != before
        assert titles == [metric.title for metric in METRICS]
        assert "Rank-1, %" in screen_text(app)
        await pilot.press("M", "M")
        assert METRICS[-2].title in screen_text(app)


async def test_a_metric_that_no_run_has_says_so(open_compare: OpenCompare) -> None:
    async with open_compare() as (app, pilot):
        screen(app)._metric = [metric.key for metric in METRICS].index("ce") - 1
        await pilot.press("m")
        await pilot.pause()
        assert "no values yet" in screen_text(app)


async def test_pin_draws_the_run_on_top_and_others_against_it(open_compare: OpenCompare) -> None:
    async with open_compare() as (app, pilot):
        assert drawn(app) == ["●", "▲", "■"]
        await pilot.press("down", "p")
        assert drawn(app) == ["▲", "●", "■"]
        _, first, second, third = figures(app)
        assert "❯⌂▲" in second and " 60.0" in second
        assert "★+10.0" in first and "-40.0" in third
        assert "against ⌂ lr1e-4" in screen_text(app)
        await pilot.press("down", "p")
        assert drawn(app) == ["■", "●", "▲"]
        await pilot.press("p")
        assert drawn(app) == ["●", "▲", "■"]
        assert "★70.0" in figures(app)[1]


async def test_a_hidden_curve_leaves_the_signs_of_the_others(open_compare: OpenCompare) -> None:
    async with open_compare() as (app, pilot):
        await pilot.press("space")
        assert drawn(app) == ["▲", "■"]
        assert figures(app)[1].startswith("❯ - ")
        await pilot.pause()
        assert "● lr1e-3" not in screen_text(app)
        await pilot.press("down", "space", "down", "space")
        await pilot.pause()
        assert drawn(app) == [] and "no values yet" in screen_text(app)
        await pilot.press("space", "up", "space", "up", "space")
        assert drawn(app) == ["●", "▲", "■"]
        assert len({sign.marker for sign in RUN_SIGNS}) == len({sign.colour for sign in RUN_SIGNS}) == 8
        assert len({sign.dash for sign in RUN_SIGNS}) == 8


async def test_only_what_differs_is_told_a_column_for_each_run(open_compare: OpenCompare) -> None:
    async with open_compare() as (app, pilot):
        await pilot.press("v")
        await pilot.pause()
        lines = [line.split() for line in differing(app).splitlines()]
        assert lines == [
            ["●", "lr1e-3", "▲", "lr1e-4", "■", "lr1e-5"],
            ["model.name", "RN50", "RN50", "ViT-B-16"],
            ["train.lr", "0.001", "0.0001", "1e-05"],
        ]
        assert not screen(app).query_one("#figures").display
        await pilot.press("v")
        assert screen(app).query_one("#figures").display


async def test_columns_that_do_not_fit_are_reached_with_the_arrows(open_compare: OpenCompare) -> None:
    async with open_compare(size=(40, 20)) as (app, pilot):
        await pilot.press("v")
        await pilot.pause()
        assert differing(app).splitlines()[0].split() == ["●", "lr1e-3"]
        assert "runs 1–1 of 3" in screen_text(app)
        await pilot.press("right", "right", "right", "right")
        assert differing(app).splitlines()[0].split() == ["■", "lr1e-5"]
        await pilot.press("left")
        assert differing(app).splitlines()[0].split() == ["▲", "lr1e-4"]


async def test_long_differences_scroll(open_compare: OpenCompare, tmp_path: Path) -> None:
    pair = [
        make_run(tmp_path / "more", name, extra={f"key{number:02}": name for number in range(40)})
        for name in ("a", "b")
    ]
    async with open_compare(pair) as (app, pilot):
        await pilot.press("v", "down", "down", "pagedown")
        await pilot.pause()
        box = screen(app).query_one("#differences")
        page = box.size.height - 1
        assert box.scroll_offset.y == 2 + page
        await pilot.press("pageup", "up")
        assert box.scroll_offset.y == 1


async def test_runs_that_do_not_differ_and_one_alone(open_compare: OpenCompare, runs: list[Path]) -> None:
    for folders, words in ((runs[:1], "one run alone"), ([runs[0], runs[0].parent / "same"], "do not differ")):
        if not folders[-1].exists():
            make_run(runs[0].parent, "same", (0.1, 0.5))
        async with open_compare(folders, size=(120, 40)) as (app, _):
            assert words in differing(app)
            assert len(figures(app)) == len(folders) + 1


async def test_eight_runs_fit(open_compare: OpenCompare, tmp_path: Path) -> None:
    many = [make_run(tmp_path / "many", f"run{at}", (0.1, 0.1 * at)) for at in range(8)]
    for size in SIZES:
        async with open_compare(many, size=size) as (app, _):
            text = screen_text(app)
            for marker in "●▲■◆○△□◇":
                assert marker in text, (marker, size)
            assert len(drawn(app)) == 8
            assert app.screen.query_one(RunChart).size.height >= 3


async def test_the_legend_of_a_narrow_chart_has_names(open_compare: OpenCompare, runs: list[Path]) -> None:
    async with open_compare(runs, size=(40, 20)) as (app, pilot):
        await until(pilot, lambda: "● …-3 70.0 ▲ …-4 60.0 ■ …-5 20.0" in screen_text(app))


async def test_live_runs_go_on(open_compare: OpenCompare, runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reid_tui.screens.compare.LOOK_SECONDS", 0.05)
    async with open_compare() as (app, pilot):
        row = (runs[0] / "metrics.csv").read_text().splitlines()[-1].split(",")
        with (runs[0] / "metrics.csv").open("a") as file:
            file.write(",".join(["3", *row[1:7], "0.95", *row[8:]]) + "\n")
        await until(pilot, lambda: "★95.0" in screen_text(app))
        assert app.screen.query_one(RunChart)._series[0].x[-1] == 3


async def test_log_scale_theme_help(open_compare: OpenCompare) -> None:
    async with open_compare(size=(120, 50)) as (app, pilot):
        await pilot.press("y")
        await pilot.pause()
        assert "(log)" in screen_text(app)
        before = app.current_theme.dark
        await pilot.press("t")
        assert app.current_theme.dark is not before
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen) and "Pin" in screen_text(app)


async def test_enter_opens_and_q_goes_back(open_compare: OpenCompare, runs: list[Path]) -> None:
    async with open_compare() as (app, pilot):
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
        assert app.dashboard is not None and app.dashboard.live.folder == runs[1]  # type: ignore[attr-defined]
        await pilot.press("escape")
        assert isinstance(app.screen, CompareScreen)
        await pilot.press("q")
        assert isinstance(app.screen, RunsScreen)


async def test_a_run_that_is_gone_stays_as_an_empty_line(open_compare: OpenCompare, runs: list[Path]) -> None:
    async with open_compare([*runs, runs[0].parent / "gone"]) as (app, pilot):
        assert figures(app)[4].count("–") == len(figures_for(76))
        await pilot.press("m", "v", "p")
        await pilot.pause()


@pytest.mark.parametrize("width", [20, 36, 76, 116])
def test_figures_fit(width: int) -> None:
    chosen = [figure.title for figure in figures_for(width)]
    assert "R-1" in chosen
    assert len(chosen) == 1 or 5 + 14 + 8 * len(chosen) <= width
