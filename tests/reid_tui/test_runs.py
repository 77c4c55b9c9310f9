"""The screen of runs: what it lists, sorts, filters, marks, opens and deletes, driven by keys."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Input

from core.profile import Profile
from core.run_fields import COLUMNS
from core.run_lock import held
from reid_tui.app import ReidApp
from reid_tui.cells import cut_middle, fitted
from reid_tui.cli import main
from reid_tui.screens.compare import CompareScreen
from reid_tui.screens.dashboard import DashboardScreen
from reid_tui.screens.dialogs import ChoiceDialog
from reid_tui.screens.help import HelpScreen
from reid_tui.screens.picker import PickerScreen
from reid_tui.screens.runs import RunsScreen
from reid_tui.text import bytes_text
from reid_tui.widgets.run_columns import layout_for, widest
from reid_tui.widgets.run_table import RunTable
from tests.listed_runs import make_run, run_row
from tests.reid_tui.conftest import OpenApp, screen_text, until
from tests.reid_tui.fake_run import FakeRun

OpenRuns = Callable[..., AbstractAsyncContextManager[tuple[ReidApp, Pilot[None]]]]
SIZES = [(80, 24), (120, 40), (40, 20)]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs: alpha is the newest, gamma the best, beta the largest and a crash."""
    folder = tmp_path / "runs"
    now = time.time()
    make_run(folder, "alpha_lr1e-3", (0.1, 0.5), began=now - 100, checkpoint=2000)
    make_run(
        folder, "beta_lr1e-4", (0.1, 0.6), began=now - 8000, reason=None, checkpoint=9000,
        train={"lr": 1e-4}, model={"name": "ViT-B-16"},
    )  # fmt: skip
    make_run(folder, "gamma_lr1e-5", (0.1, 0.9), began=now - 200_000, checkpoint=4000, train={"lr": 1e-5})
    return folder


@pytest.fixture
def open_runs(open_app: OpenApp, runs: Path) -> OpenRuns:
    @asynccontextmanager
    async def opened(folder: Path = runs, **options: object) -> AsyncIterator[tuple[ReidApp, Pilot[None]]]:
        async with open_app(list_runs=True, runs_dir=folder, **options) as (app, pilot):
            await until(pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen._loaded)
            await pilot.pause()
            yield app, pilot

    return opened


def screen(app: ReidApp) -> RunsScreen:
    assert isinstance(app.screen, RunsScreen)
    return app.screen


def table(app: ReidApp) -> RunTable:
    return screen(app).query_one(RunTable)


def listed(app: ReidApp) -> list[str]:
    return [row.folder.name.partition("_")[0] for row in table(app).rows]


def current(app: ReidApp) -> str:
    row = table(app).current
    return row.folder.name.partition("_")[0] if row else ""


def marked(app: ReidApp) -> list[str]:
    return [folder.name.partition("_")[0] for folder in table(app).marked]


def last_lines(app: ReidApp) -> str:
    return "\n".join(screen_text(app).splitlines()[-4:])


@contextmanager
def live(folder: Path) -> Iterator[None]:
    with held(folder):
        yield


@pytest.mark.parametrize("size", SIZES)
async def test_every_run_stands_in_a_line_of_its_own(open_runs: OpenRuns, size: tuple[int, int]) -> None:
    async with open_runs(size=size) as (app, _):
        lines = [line for line in screen_text(app).splitlines() if "lr1e" in line or "…" in line]
        text = screen_text(app)
        for name, word in (("alpha", "✔ finished"), ("beta", "✘ crashed"), ("gamma", "✔ finished")):
            assert any(name in line and word in line for line in lines), text
        assert listed(app) == ["alpha", "beta", "gamma"]
        assert "3 runs" in text
        assert "50.0" in text and "90.0" in text
        assert all(cell_len(line) == size[0] for line in text.splitlines())
        if size[0] >= 80:
            for part in ("1/12", "1e-4", "▲age", "size", "2 d"):
                assert part in text, part
        if size[0] >= 120:
            for part in ("ViT-B-16", "dorsal-right", "batch", "32"):
                assert part in text, part


async def test_arrows_pages_and_ends_move_the_cursor(open_runs: OpenRuns) -> None:
    async with open_runs() as (app, pilot):
        assert current(app) == "alpha"
        for keys, name in (
            ("down", "beta"), ("down", "gamma"), ("down", "gamma"), ("up", "beta"), ("home", "alpha"),
            ("end", "gamma"), ("pageup", "alpha"), ("pagedown", "gamma"),
        ):  # fmt: skip
            await pilot.press(keys)
            assert current(app) == name, keys
        assert "❯" in next(line for line in screen_text(app).splitlines() if "gamma" in line)
        assert "gamma_lr1e-5" in last_lines(app)  # the whole name, below the table


async def test_s_sorts_by_each_column_and_capital_s_turns_round(open_runs: OpenRuns) -> None:
    async with open_runs() as (app, pilot):
        orders = {}
        for _ in COLUMNS:
            await pilot.press("s")
            orders[screen(app)._sort] = listed(app)
        assert set(orders) == set(COLUMNS)
        assert orders["size"] == ["beta", "gamma", "alpha"]
        assert orders["r1"] == ["gamma", "beta", "alpha"]
        assert orders["name"] == ["alpha", "beta", "gamma"]
        assert orders["lr"] == ["alpha", "beta", "gamma"]
        assert orders["state"] == ["beta", "alpha", "gamma"]
        assert orders["age"] == ["alpha", "beta", "gamma"]
        await pilot.press("S")
        assert listed(app) == ["gamma", "beta", "alpha"]
        assert "by age ▼" in screen_text(app) and "▼age" in screen_text(app)
        assert current(app) == "alpha"  # the cursor stays on its run


async def test_a_click_on_a_title_sorts_and_another_turns_round(open_runs: OpenRuns) -> None:
    async with open_runs() as (app, pilot):
        layout = table(app)._layout
        at = next(start for column, start in zip(layout.columns, layout.starts(), strict=True) if column.key == "r1")
        await pilot.click(RunTable, offset=(at + 1, 0))
        assert listed(app) == ["gamma", "beta", "alpha"]
        await pilot.click(RunTable, offset=(at + 1, 0))
        assert listed(app) == ["alpha", "beta", "gamma"]


async def test_clicks_move_mark_and_open(open_runs: OpenRuns) -> None:
    async with open_runs() as (app, pilot):
        await pilot.click(RunTable, offset=(8, 2))
        assert (current(app), marked(app)) == ("beta", [])
        await pilot.click(RunTable, offset=(1, 3))
        assert (current(app), marked(app)) == ("gamma", ["gamma"])
        await pilot.click(RunTable, offset=(8, 15))  # below the last
        assert current(app) == "gamma"
        await pilot.click(RunTable, offset=(8, 2), times=2)
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))


@pytest.mark.parametrize("size", SIZES)
async def test_the_filter_is_typed_kept_and_cleared(open_runs: OpenRuns, size: tuple[int, int]) -> None:
    async with open_runs(size=size) as (app, pilot):
        filter = screen(app).query_one(Input)
        assert not filter.display
        await pilot.press("slash", *"r1>55")
        assert listed(app) == ["beta", "gamma"]
        assert "2 of 3 runs" in screen_text(app)
        await pilot.press("space", *"vit")
        assert listed(app) == ["beta"]
        await pilot.press("enter")  # back to the table; the filter stays
        assert filter.display and table(app).has_focus
        assert listed(app) == ["beta"]
        await pilot.press("escape")
        assert listed(app) == ["alpha", "beta", "gamma"]
        assert not filter.display
        assert isinstance(app.screen, RunsScreen)


async def test_keys_typed_into_the_filter_do_nothing_else(open_runs: OpenRuns) -> None:
    async with open_runs() as (app, pilot):
        await pilot.press("slash", *"sScDnqtu?")
        assert screen(app).query_one(Input).value == "sScDnqtu?"
        assert isinstance(app.screen, RunsScreen) and screen(app)._sort == "age"
        await pilot.press("escape", "slash", "down", "space")
        assert marked(app) == ["alpha"]  # an arrow leads back to the table
        assert not screen(app).query_one(Input).display  # and an empty field goes


async def test_the_footer_is_about_what_has_the_focus(open_runs: OpenRuns, runs: Path) -> None:
    async with open_runs() as (app, pilot):
        footer = lambda: screen_text(app).splitlines()[-1]  # noqa: E731
        await until(pilot, lambda: "⏎ Open" in footer() and "D Delete" in footer())
        await pilot.press("slash", *"gamma")
        await until(pilot, lambda: footer().split() == ["⏎", "To", "the", "list", "esc", "Clear"])
        await pilot.press("enter")
        await until(pilot, lambda: "⏎ Open" in footer() and "/ Filter" in footer())
        await pilot.press("slash", "x", "enter")  # nothing passes
        await until(pilot, lambda: "/ Filter" in footer() and "Open" not in footer())
        await pilot.press("escape")
        await until(pilot, lambda: "⏎ Open" in footer())
        for path in runs.iterdir():
            shutil.rmtree(path)
        screen(app).look()
        await until(pilot, lambda: "There is no run yet" in screen_text(app))
        await until(pilot, lambda: footer().split() == ["n", "New", "run", "?", "Help", "q", "Back"])


async def test_a_filter_that_cannot_be_understood_says_so(open_runs: OpenRuns) -> None:
    async with open_runs(size=(120, 40)) as (app, pilot):
        await pilot.press("slash")
        screen(app).query_one(Input).value = "stat=x r1>high"
        await pilot.pause()
        assert "! stat: no such value; did you mean state? · r1>high: not a number" in last_lines(app)
        assert listed(app) == ["alpha", "beta", "gamma"]
        await pilot.press("escape", "slash", *"zzz")
        assert "No run passes the filter" in screen_text(app)
        await pilot.press("enter", "enter", "space", "D", "down")  # on nothing
        assert isinstance(app.screen, RunsScreen) and marked(app) == []


async def test_space_marks_and_u_takes_all_marks_away(open_runs: OpenRuns) -> None:
    async with open_runs() as (app, pilot):
        await pilot.press("space", "space")
        assert marked(app) == ["alpha", "beta"] and current(app) == "gamma"
        assert "2 marked" in last_lines(app)
        assert sum("✓" in line for line in screen_text(app).splitlines()) == 2
        await pilot.press("up", "space")
        assert marked(app) == ["alpha"]
        await pilot.press("u")
        assert marked(app) == []


async def test_cursor_marks_and_place_stay_with_their_runs(open_runs: OpenRuns, tmp_path: Path) -> None:
    many = tmp_path / "many"
    for number in range(40):
        make_run(many, f"run{number:02}", began=1e9 - number)
    async with open_runs(many) as (app, pilot):
        table(app).move(25)
        await pilot.press("space", "up")
        assert (current(app), marked(app)) == ("run25", ["run25"])
        line = next(at for at, line in enumerate(screen_text(app).splitlines()) if "❯" in line)
        make_run(many, "new", began=2e9)
        shutil.rmtree(many / "run03")
        shutil.rmtree(many / "run04")
        screen(app).look()
        await until(pilot, lambda: len(table(app).rows) == 39 and "new" in listed(app))
        await pilot.pause()
        assert (current(app), marked(app)) == ("run25", ["run25"])
        assert next(at for at, text in enumerate(screen_text(app).splitlines()) if "❯✓" in text) == line
        shutil.rmtree(many / "run25")
        screen(app).look()
        await until(pilot, lambda: marked(app) == [])
        assert current(app) == "run26"


async def test_a_live_run_is_shown_as_it_goes_on(
    open_runs: OpenRuns, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reid_tui.screens.runs.LOOK_SECONDS", 0.05)
    async with open_runs() as (app, pilot):
        with live(runs / "alpha_lr1e-3"):
            await until(pilot, lambda: "◌ preparing" in screen_text(app))
            with (runs / "alpha_lr1e-3" / "metrics.csv").open("a") as file:
                file.write((runs / "alpha_lr1e-3" / "metrics.csv").read_text().splitlines()[-1].replace("1,", "2,", 1))
                file.write("\n")
            await until(pilot, lambda: "2/12" in screen_text(app))
        await until(pilot, lambda: "◌ preparing" not in screen_text(app))


async def test_nothing_is_drawn_while_nothing_changes(open_runs: OpenRuns) -> None:
    async with open_runs() as (app, _):
        drawn: list[object] = []
        table(app).refresh = lambda *args, **options: drawn.append(args)  # type: ignore[method-assign, assignment]
        rows = list(table(app).rows)
        screen(app)._take(RunsScreen.RunsRead(rows))
        assert drawn == []
        screen(app)._take(RunsScreen.RunsRead(rows[1:]))
        assert drawn


async def test_enter_opens_the_run_and_escape_comes_back(open_runs: OpenRuns) -> None:
    async with open_runs() as (app, pilot):
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
        board = app.screen
        assert isinstance(board, DashboardScreen)
        await until(pilot, lambda: len(board.state.epochs) == 2)
        assert "60.0" in screen_text(app) or "60" in screen_text(app)
        await until(pilot, lambda: "esc Back" in screen_text(app).splitlines()[-1])
        for key in ("f", "escape"):  # one chart alone, and the whole again
            await pilot.press(key)
            await pilot.pause()
        assert app.screen is board and not board.chart_is_full
        for key in ("escape", "enter", "r"):
            await pilot.press(key)
            await pilot.pause()
        assert isinstance(app.screen, RunsScreen) and current(app) == "beta"
        assert len(app.screen_stack) == 2
        await until(pilot, lambda: not board.live._thread.is_alive())  # type: ignore[attr-defined]
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)


async def test_the_list_alone_is_left_with_q_only(open_runs: OpenRuns) -> None:
    async with open_runs() as (app, pilot):
        await pilot.press("slash", *"gam", "escape", "escape", "escape")
        await pilot.pause(0.1)
        assert app.is_running and isinstance(app.screen, RunsScreen)
        assert listed(app) == ["alpha", "beta", "gamma"]
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)


@pytest.mark.parametrize("size", SIZES)
async def test_delete_names_the_runs_and_their_bytes(open_runs: OpenRuns, runs: Path, size: tuple[int, int]) -> None:
    async with open_runs(size=size) as (app, pilot):
        await pilot.press("space", "space", "D")
        assert isinstance(app.screen, ChoiceDialog)
        text = screen_text(app)
        assert "Delete 2 runs, " in text and "for good" in text
        asked = app.screen._question
        assert [line.split()[0] for line in asked.splitlines()] == ["alpha_lr1e-3", "beta_lr1e-4"]
        assert all(line.split()[0] in text and "kB" in line for line in asked.splitlines())
        await pilot.press("enter")  # the first answer keeps them
        assert isinstance(app.screen, RunsScreen)
        assert len(list(runs.iterdir())) == 3
        await pilot.press("D", "d")
        await until(pilot, lambda: listed(app) == ["gamma"] and "✔ 2 runs deleted" in last_lines(app))
        assert [path.name for path in runs.iterdir()] == ["gamma_lr1e-5"]
        assert marked(app) == []
        await pilot.press("D", "escape", "D", "d")  # without marks: the one under the cursor
        await until(pilot, lambda: "There is no run yet" in screen_text(app) and not list(runs.iterdir()))


async def test_marked_runs_that_the_filter_hides_are_left_alone(open_runs: OpenRuns, runs: Path) -> None:
    async with open_runs() as (app, pilot):
        await pilot.press("space", "slash", *"gamma", "enter")
        assert (listed(app), marked(app)) == (["gamma"], ["alpha"])
        assert "1 marked and hidden by the filter" in last_lines(app)
        await pilot.press("c")
        assert "1 marked run is hidden by the filter and stays" in last_lines(app)
        await pilot.press("D")
        assert isinstance(app.screen, ChoiceDialog)
        assert app.screen._question.startswith("gamma_lr1e-5") and "alpha" not in app.screen._question
        assert "1 marked run is hidden by the filter and stays" in screen_text(app)
        await pilot.press("k", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        assert [run.folder.name for run in app.screen.compared.runs] == ["gamma_lr1e-5"]
        assert [note.message for note in app._notifications] == ["1 marked run is hidden by the filter and stays"]
        await pilot.press("q", "D", "d")
        await until(pilot, lambda: listed(app) == [])
        assert sorted(path.name for path in runs.iterdir()) == ["alpha_lr1e-3", "beta_lr1e-4"]
        await pilot.press("D")  # on nothing
        assert "1 marked run is hidden by the filter and stays" in last_lines(app)
        assert marked(app) == ["alpha"]


async def test_a_live_run_is_not_deleted(open_runs: OpenRuns, runs: Path) -> None:
    with live(runs / "alpha_lr1e-3"):
        async with open_runs() as (app, pilot):
            await pilot.press("D")
            assert "live and cannot be deleted" in last_lines(app)
            assert isinstance(app.screen, RunsScreen)
            await pilot.press("space", "space", "D")
            assert "1 live run marked as well" in screen_text(app)
            await pilot.press("d")
            await until(pilot, lambda: listed(app) == ["alpha", "gamma"])


async def test_one_that_became_live_meanwhile_is_told(open_runs: OpenRuns, runs: Path) -> None:
    async with open_runs() as (app, pilot):
        await pilot.press("D")
        with live(runs / "alpha_lr1e-3"):
            await pilot.press("d")
            await until(pilot, lambda: app._notifications)
        [note] = app._notifications
        assert "another process trains" in note.message
        assert "✘ 0 runs deleted; 1 could not be" in last_lines(app)
        assert (runs / "alpha_lr1e-3" / "profile.toml").exists()


async def test_compare_wants_marks_and_takes_eight_at_most(open_runs: OpenRuns, tmp_path: Path) -> None:
    many = tmp_path / "many"
    for number in range(9):
        make_run(many, f"run{number}")
    async with open_runs(many) as (app, pilot):
        await pilot.press("c")
        assert "mark the runs to compare" in last_lines(app)
        await pilot.press(*["space"] * 8, "end", "space", "c")
        assert "8 at most" in last_lines(app)
        await pilot.press("space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))


async def test_n_picks_a_profile_and_f3_comes_back(open_runs: OpenRuns) -> None:
    async with open_runs() as (app, pilot):
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, PickerScreen))
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, PickerScreen))
        assert len(app.screen_stack) == 2
        await pilot.press("f3", "q")
        assert isinstance(app.screen, PickerScreen)


async def test_an_empty_list_says_how_to_begin(open_runs: OpenRuns, tmp_path: Path) -> None:
    async with open_runs(tmp_path / "none") as (app, pilot):
        assert "There is no run yet" in screen_text(app)
        assert "reid-tui launch" in screen_text(app)
        await pilot.press("enter", "space", "D", "c", "s", "S", "down", "end", "u")
        assert isinstance(app.screen, RunsScreen)


async def test_help_and_theme(open_runs: OpenRuns) -> None:
    async with open_runs(size=(120, 50)) as (app, pilot):
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        for part in ("Compare", "Delete", "lr<1e-4"):
            assert part in screen_text(app)
        await pilot.press("escape")
        before = app.current_theme.dark
        await pilot.press("t")
        assert app.current_theme.dark is not before


async def test_a_run_of_this_process_stays_while_the_list_is_shown(
    open_app: OpenApp, profile: Profile, runs: Path
) -> None:
    fake = FakeRun(epochs=30, batches=20, pace=0.02, patience=0)
    async with open_app(fake, selected=profile, runs_dir=runs) as (app, pilot):
        own = app.screen
        assert isinstance(own, DashboardScreen)
        await until(pilot, lambda: own.state.started is not None)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and listed(app) != [])
        await pilot.press("n")
        assert [note.message[:26] for note in app._notifications] == ["a run trains in this proce"]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen) and app.screen is not own)
        assert app.dashboard is own and app.live_run is own.live
        await pilot.press("q")  # of the other run: it asks about this one
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        assert own.run_is_live
        await pilot.press("s")  # stay
        await until(pilot, lambda: app.screen is own)
        await pilot.press("r", "escape")
        assert app.screen is own


async def test_opening_the_run_of_this_process_goes_to_its_own_screen(
    open_app: OpenApp, profile: Profile, runs: Path
) -> None:
    fake = FakeRun(epochs=1000, batches=20, pace=0.02, patience=0, folder=str(runs / "alpha_lr1e-3"))
    async with open_app(fake, selected=profile, runs_dir=runs) as (app, pilot):
        own = app.screen
        assert isinstance(own, DashboardScreen)
        await until(pilot, lambda: own.state.started is not None)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and listed(app) != [])
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is own)


async def test_odd_names_break_nothing(open_runs: OpenRuns, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    for name in (
        "手のデータ手のデータ手のデータ手のデータ",
        "[red]x[/nothing]".replace("/", ":"),
        "a\x1b[31mb\n",
        "שלום",
        "é́" * 30,
    ):
        make_run(odd, name, model={"name": "模型" * 9}, run={"name": "[b]"})
    for size in SIZES:
        async with open_runs(odd, size=size) as (app, _):
            text = screen_text(app)
            assert "\x1b" not in text and "[red]x" in text
            assert all(cell_len(line) == size[0] for line in text.splitlines())


async def test_what_cannot_be_read_is_said(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: ReidApp) -> None:
        raise OSError("the disk [is] gone")

    monkeypatch.setattr(ReidApp, "_look_at_runs", fail)
    async with open_app(list_runs=True) as (app, pilot):
        await until(pilot, lambda: "the disk [is] gone" in screen_text(app))


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 120, 200])
def test_columns_fit_and_the_important_ones_stay(width: int) -> None:
    rows = [run_row("n" * 70, "preparing", profile={"model": {"name": "m" * 40}, "data": {"dataset": "d" * 9}})]
    layout = layout_for(width, widest(rows))
    keys = [column.key for column in layout.columns]
    assert keys[:2] == ["name", "state"]
    assert 3 + sum(layout.widths) + len(keys) - 1 <= width
    assert all(cell_len(text) == cells for text, cells in zip(layout.cells(rows[0], 0.0), layout.widths, strict=True))
    order = ["r1", "epoch", "map", "age", "lr", "size", "model", "batch", "aspect", "dataset"]
    assert set(keys[2:]) == set(order[: len(keys) - 2])
    assert len(keys) == 12 or width < 200
    assert ("r1" in keys) == (width >= 40)


def test_cells() -> None:
    assert cut_middle("abcdefghij", 7) == "abc…hij"
    assert cut_middle("abcdefghij", 7, 2) == "abcd…ij"
    assert cut_middle("手手手手手手", 8) == "手手…手"
    assert (fitted("手手", 3), fitted("ab", 4), fitted("ab", 4, right=True), fitted("ab", 0)) == (
        "手…",
        "ab  ",
        "  ab",
        "",
    )
    assert cut_middle("abc", 2) == "a…"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1234, "1.2 kB"), (12_345, "12 kB"), (999_600, "1.0 MB"), (5.5e8, "550 MB"),
     (2e12, "2.0 TB"), (math.nan, "–"), (-1, "–")],
)  # fmt: skip
def test_bytes(count: float, text: str) -> None:
    assert bytes_text(count) == text


def test_the_command_opens_the_screen_on_a_terminal_alone(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[dict[str, object]] = []
    monkeypatch.setattr("reid_tui.launch_app.run_app", lambda **options: opened.append(options) or 0)
    monkeypatch.setattr("reid_tui.terminal.can_show_app", lambda: (False, "no terminal"))
    assert main(["runs", "--runs", str(runs)]) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == [
        "run", "alpha_lr1e-3", "beta_lr1e-4", "gamma_lr1e-5",
    ]  # fmt: skip
    monkeypatch.setattr("reid_tui.terminal.can_show_app", lambda: (True, ""))
    assert main(["runs", "--runs", str(runs), "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert opened == []
    assert main(["runs", "--runs", str(runs)]) == 0
    assert capsys.readouterr().out == ""
    assert [(options["list_runs"], options["runs_dir"]) for options in opened] == [(True, runs)]
