"""`reid-tui runs` and the commands that tell a live run things, from the command line to the control."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.control import RunControl
from core.control_socket import ControlServer
from core.events import Paused
from core.run_list import remember
from core.run_lock import held
from core.run_summary import RunSummary
from reid_tui import runs_command
from reid_tui.cli import main
from reid_tui.runs_command import run_lines
from tests.run_folders import HOSTILE, PROFILE, ended, make_run, started, trained

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in a folder of its own: exit code, standard output, standard error; neither holds an escape."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        out, err = capsys.readouterr()
        assert not [char for char in out + err if (ord(char) < 32 and char != "\n") or char == "\u202e"]
        return code, out, err

    return call


@pytest.fixture
def live(run: Run) -> Iterator[RunControl]:
    folder = make_run(Path("runs/hands-1"), started(Path("runs/hands-1")), *trained(1, 0.5))
    control = RunControl()
    with held(folder), ControlServer(folder, control):
        yield control


def test_without_runs_the_way_to_the_first_is_said(run: Run) -> None:
    assert run("runs") == (0, "there is no run yet; begin one with `reid-tui launch`\n", "")
    assert run("runs", "--json") == (0, "", "")
    code, out, err = run("attach")
    assert (code, out) == (1, "")
    assert err.startswith("reid-tui: There is no run yet: ")


def test_each_run_has_a_line_with_its_standing_and_its_whole_name(run: Run, tmp_path: Path) -> None:
    now = time.time()
    here, far = Path("runs"), tmp_path / "far" / "a-name-that-is-long-and-can-be-copied-whole-20261123-141500"
    make_run(here / "done", started(here, now - 7300), *trained(0, 0.9), *trained(2, 0.714), ended("finished"))
    make_run(here / "gone", started(here, now - 90))
    make_run(far, started(far, now), Paused(now, True))
    remember(far.resolve())
    with held(far):
        code, out, _ = run("runs")
    lines = {line.split()[-1]: line.split()[:-1] for line in out.splitlines()}
    assert code == 0
    assert lines["run"] == ["state", "epoch", "R-1", "mAP", "age"]
    assert lines["done"] == ["finished", "2/9", "71.4", "35.7", "2", "h"]
    assert lines["gone"] == ["crashed", "0/9", "-", "-", "1", "min"]
    assert lines[far.name] == ["paused", "0/9", "-", "-", "now"]
    _, out, _ = run("runs", "--runs", "runs")
    assert far.name not in out and "done" in out


def test_json_has_everything_and_null_for_what_is_not_known(run: Run) -> None:
    here = Path("runs/done")
    make_run(here, started(here), *trained(1, 0.5), ended("stopped"))
    _, out, _ = run("runs", "--json")
    [line] = out.splitlines()
    values = json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert values["folder"] == str(here.resolve())
    assert (values["name"], values["standing"], values["message"]) == ("done", "stopped", "its last word")
    assert (values["epoch"], values["epochs"], values["best_rank1"], values["best_epoch"]) == (1, 9, 0.5, 1)
    assert values["profile"]["model"] == {"name": "RN-tiny"}
    (here / "metrics.csv").unlink()
    values = json.loads(run("runs", "--json")[1])
    assert values["best_rank1"] is None and values["best_epoch"] is None


def test_json_of_a_profile_with_what_json_does_not_have(run: Run) -> None:
    odd = PROFILE + "lr = nan\nmany = [inf, { deep = -inf }]\nday = 2026-11-23\nclock = 14:15:00\n"
    make_run(Path("runs/odd"), profile=odd)
    _, out, _ = run("runs", "--json")
    profile = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))["profile"]
    train = {"epochs": 9, "lr": None, "many": [None, {"deep": None}], "day": "2026-11-23", "clock": "14:15:00"}
    assert profile["train"] == train


@pytest.mark.parametrize("name", ["hands-1", "ands", "runs/hands-1"])
@pytest.mark.parametrize(
    ("command", "words", "reached"),
    [
        (["stop"], "stops after this batch, and is saved", lambda control: control.stopping == "batch"),
        (
            ["stop", "--after-epoch"],
            "stops after this epoch, and is saved",
            lambda control: control.stopping == "epoch",
        ),
        (["checkpoint"], "is saved after the batch in hand", lambda control: control.take_checkpoint()),
        (["pause"], "pauses after the batch in hand", lambda control: control.paused),
    ],
)
def test_commands_reach_the_run(
    run: Run, live: RunControl, name: str, command: list[str], words: str, reached: Callable[[RunControl], bool]
) -> None:
    assert run(*command, name) == (0, f"hands-1 {words}\n", "")
    assert reached(live)
    assert sum(map(bool, (live.stopping, live.paused, live.take_checkpoint()))) <= 1


def test_a_paused_run_is_let_go_on(run: Run, live: RunControl) -> None:
    live.pause()
    assert run("continue", "hands-1") == (0, "hands-1 goes on\n", "")
    assert not live.paused


def test_what_the_run_does_not_do_is_a_failure(run: Run, live: RunControl) -> None:
    live.stop_after_epoch()
    assert run("pause", "hands-1") == (1, "", "reid-tui: The run did not do it: the run is about to stop\n")


@pytest.mark.parametrize("command", ["stop", "checkpoint", "pause", "continue"])
def test_a_run_that_is_not_live_cannot_be_told_anything(run: Run, command: str) -> None:
    folder = make_run(Path("runs/done"), ended("finished"))
    code, out, err = run(command, "done")
    assert (code, out) == (1, "")
    assert err == f"reid-tui: The run cannot be asked: no process of this machine trains in {folder.resolve()}\n"
    code, out, err = run(command, "absent")
    assert (code, out) == (1, "")
    assert "No such run: there is no run absent here" in err
    code, out, err = run(command, "x" * 300)
    assert (code, out) == (1, "")
    with pytest.raises(SystemExit, match="2"):
        main([command])  # a run must be named: the latest is too easily another one than was meant


@pytest.mark.parametrize("command", ["stop", "checkpoint", "pause", "continue"])
def test_a_run_that_is_still_starting_is_waited_for(run: Run, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run(Path("runs/new"))
    control = RunControl()

    def serve(over: threading.Event) -> None:
        over.wait(0.3)
        with ControlServer(folder, control):
            over.wait(30)

    over = threading.Event()
    thread = threading.Thread(target=serve, args=(over,))
    with held(folder):
        thread.start()
        try:
            code, out, err = run(command, "new")
        finally:
            over.set()
            thread.join()
        assert (code, err) == (0, "new is still starting; waiting for it …\n")
        assert out.startswith("new ")
        monkeypatch.setattr(runs_command, "STARTING_SECONDS", 0.1)
        code, out, err = run(command, "new")
    assert (code, out) == (1, "")
    assert err.endswith("reid-tui: The run cannot be asked: it is still starting; try again in a moment\n")


def test_without_a_terminal_a_run_cannot_be_watched_and_its_log_is_named(run: Run, live: RunControl) -> None:
    code, out, err = run("attach", "hands-1")
    assert (code, out) == (1, "")
    assert "There is no screen to watch it on" in err
    assert str(Path("runs/hands-1/run.log").resolve()) in err.replace("\n", "")


def test_names_full_of_escapes_do_not_reach_the_terminal(run: Run) -> None:
    """The fixture looks for them in whatever is printed."""
    folders = [make_run(Path("runs") / (number + HOSTILE), ended("failed", HOSTILE)) for number in "12"]
    code, out, _ = run("runs")
    assert code == 0
    assert out.count("\n") == 3
    assert out.count("␊name") == 2
    assert [json.loads(line)["name"] for line in run("runs", "--json")[1].splitlines()] in (
        [folder.name for folder in folders],
        [folder.name for folder in reversed(folders)],
    )
    for arguments in (["attach", "evil"], ["stop", "evil"], ["stop", folders[0].name], ["stop", "x" + HOSTILE]):
        code, out, err = run(*arguments)
        assert (code, out) == (1, "")
        assert err.startswith("reid-tui: ")
    control = RunControl()
    with held(folders[0]), ControlServer(folders[0], control):
        code, out, _ = run("pause", folders[0].name)
        assert (code, control.paused) == (0, True)
        assert out == "1evil␊name pauses after the batch in hand\n"


def test_columns_stay_in_line_whatever_is_known() -> None:
    runs = [
        RunSummary(Path("a"), "preparing"),
        RunSummary(Path("b"), "finished", 1000, 1000, 1.0, 1.0, 7, 0.0, 0.0),
        RunSummary(Path("c"), "crashed", 3, 60, 0.05, 0.01, 3, 0.0, 99_999_999.0),
    ]
    lines = list(run_lines(runs, 1e8))
    assert len({line.rindex("  ") for line in lines}) == 1
    assert len({len(line) for line in lines[1:]}) == 1
