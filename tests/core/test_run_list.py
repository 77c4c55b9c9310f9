"""The runs of this machine: listed, found by what a person types, remembered wherever they are."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from core import run_list
from core.errors import ReidError
from core.run_list import find_run, list_runs, remember, remembered, run_folders
from core.run_lock import held, mark_waiting
from tests.run_folders import ended, make_run, python, started


@pytest.fixture(autouse=True)
def _a_machine_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def the_list(tmp_path: Path) -> Path:
    return tmp_path / "state" / "reid-tui" / f"runs-{socket.gethostname()}.jsonl"


def run_at(folder: Path, time: float = 1e9) -> Path:
    """A run that began, and ended, at a time."""
    make_run(folder, started(folder, time), ended("finished", time=time))
    os.utime(folder / "profile.toml", (time, time))
    return folder.resolve()


# Listed ---------------------------------------------------------------------------------------------------------


def test_runs_here_and_elsewhere_newest_first_each_once(tmp_path: Path) -> None:
    near, far = run_at(Path("runs/near"), 100.0), run_at(tmp_path / "far", 200.0)
    for folder in (far, near, far, tmp_path / "gone"):
        remember(folder)
    assert [run.folder for run in list_runs()] == [far, near]
    assert [run.folder for run in list_runs(Path("runs"))] == [near]
    assert list_runs(tmp_path / "nowhere") == []


def test_only_folders_of_runs_are_listed(tmp_path: Path) -> None:
    run = run_at(Path("runs/run"))
    Path("runs/profiles").mkdir()
    Path("runs/profiles/profile.toml").write_text("[run]\n")  # no run: nobody has held it, it has said nothing
    Path("runs/empty").mkdir()
    Path("runs/file").touch()
    (Path("runs/young") / "x").mkdir(parents=True)
    Path("runs/young/profile.toml").write_text("[run]\n")
    with held(Path("runs/young")):
        assert sorted(path.name for path in run_folders()) == ["run", "young"]
    assert run in run_folders()


def test_a_folder_that_cannot_be_looked_at_costs_only_itself(tmp_path: Path) -> None:
    run = run_at(Path("runs/run"))
    odd = make_run(Path("runs/odd"))
    (odd / ".lock").unlink()
    (odd / ".lock").symlink_to(".lock")  # a loop
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for folder in (
        tmp_path / ("x" * 300),
        loop / "run",
        Path("/dev/null/run"),
        tmp_path / "\udcff",
        tmp_path / "\ud800",
    ):
        remember(folder)
    assert [found.folder for found in list_runs()] == [run]


# Found ----------------------------------------------------------------------------------------------------------


def test_a_run_is_found_by_path_by_name_and_by_a_part_of_it(tmp_path: Path) -> None:
    first, second = run_at(Path("runs/hands-20261123-141500")), run_at(Path("runs/hands-20261123-141501"))
    far = run_at(tmp_path / "far" / "feet-20261123")
    assert find_run(str(far)) == far
    assert find_run("runs/hands-20261123-141500") == first
    assert find_run("hands-20261123-141500") == first
    assert find_run("141501") == second
    with pytest.raises(ReidError, match="No such run: there is no run feet here; `reid-tui runs` lists them"):
        find_run("feet")
    remember(far)
    assert find_run("feet") == far
    with pytest.raises(ReidError, match="No such run"):
        find_run("feet", Path("runs"))
    with pytest.raises(ReidError) as several:
        find_run("hands")
    assert several.value.title == "Several runs of that name"
    assert [line.split()[1] for line in several.value.message.splitlines()[1:]] == [str(first), str(second)]


def test_a_whole_name_comes_before_longer_ones_that_hold_it(tmp_path: Path) -> None:
    run_at(Path("runs/hands-2"))
    short = run_at(Path("runs/hands"))
    assert find_run("hands") == short
    remember(run_at(tmp_path / "far" / "hands"))
    with pytest.raises(ReidError, match="Several runs"):
        find_run("hands")
    assert find_run("hands", Path("runs")) == short


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3000, "~nobody-of-that-name/run", "/root/\udcff", "no\nrun", "*"])
def test_a_name_that_can_be_none_is_said_to_be_none(name: str) -> None:
    with pytest.raises(ReidError):
        find_run(name)


def test_a_folder_that_is_no_run_is_not_taken_by_its_path() -> None:
    Path("runs/empty").mkdir(parents=True)
    with pytest.raises(ReidError, match="No such run"):
        find_run("runs/empty")


def test_the_latest_is_that_which_said_something_last() -> None:
    run_at(Path("runs/older"), 100.0)
    later = run_at(Path("runs/later"), 200.0)
    os.utime("runs/older/profile.toml", (300.0, 300.0))
    assert find_run(None) == later


def test_of_all_runs_those_here_come_before_later_ones_elsewhere(tmp_path: Path) -> None:
    far = run_at(tmp_path / "far", 300.0)
    remember(far)
    assert find_run(None) == far
    near = run_at(Path("runs/near"), 100.0)
    assert find_run(None) == near


def test_of_two_live_runs_the_one_that_began_later_is_the_latest_whichever_has_just_written() -> None:
    early, late = Path("runs/early"), Path("runs/late")
    make_run(early, started(early, 100.0), ended("finished", time=300.0))
    make_run(late, started(late, 150.0), ended("finished", time=200.0))
    with held(early), held(late):
        assert find_run(None) == early.resolve()
        assert find_run(None, live_first=True) == late.resolve()


def test_a_live_run_comes_first_where_it_is_wanted(tmp_path: Path) -> None:
    live, near = run_at(tmp_path / "live", 100.0), run_at(Path("runs/near"), 200.0)
    remember(live)
    with held(live):
        assert find_run(None) == near
        assert find_run(None, live_first=True) == live
        with held(near):
            mark_waiting(near, True)
            assert find_run(None, live_first=True) == live
    assert find_run(None, live_first=True) == near


def test_without_any_run_the_way_to_the_first_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReidError, match=r"There is no run yet: neither in .*/here/runs nor elsewhere"):
        find_run(None)


# Remembered -----------------------------------------------------------------------------------------------------


def test_what_is_remembered_comes_back_each_once_whatever_its_name(tmp_path: Path) -> None:
    names = ["plain", 'with "quotes"\nand lines', "é 手", "\udcff", "plain"]
    for name in names:
        remember(tmp_path / name)
    assert list(remembered()) == [tmp_path / name for name in dict.fromkeys(names)]
    assert len(the_list(tmp_path).read_text().splitlines()) == 5


def test_lines_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    remember(tmp_path / "first")
    with the_list(tmp_path).open("ab") as file:
        file.write(b'\xff\xfe\n"torn\n{}\n3\n"with\\u0000null"\n' + b"[" * 20_000 + b"\n\n")
    remember(tmp_path / "second")
    assert list(remembered()) == [tmp_path / "first", tmp_path / "second"]


def test_a_torn_end_of_the_list_does_not_swallow_the_next_run(tmp_path: Path) -> None:
    remember(tmp_path / "first")
    with the_list(tmp_path).open("ab") as file:
        file.write(b'"/torn')  # the disk was full
    remember(tmp_path / "second")
    assert list(remembered()) == [tmp_path / "first", tmp_path / "second"]


def test_a_list_that_has_grown_too_long_is_cut_to_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_list, "_REMEMBERED", 10)
    kept = [tmp_path / f"run{number}" for number in range(8)]
    for folder in kept:
        folder.mkdir()
        remember(folder)
    for number in range(3):
        remember(tmp_path / f"gone{number}")
    remember(tmp_path / "new")
    assert list(remembered()) == [*kept[-5:], tmp_path / "new"]


def test_processes_that_begin_at_once_are_all_remembered(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from core.run_list import remember
sys.stdin.readline()
for number in range(50):
    remember(Path(sys.argv[1]) / (sys.argv[2] * 100) / str(number))
"""
    writers = [python(code, str(tmp_path), letter) for letter in "abc"]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=30)
        assert writer.returncode == 0
    assert len(list(remembered())) == 150
    assert all(json.loads(line) for line in the_list(tmp_path).read_text().splitlines())
