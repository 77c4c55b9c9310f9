"""How a run stands, from real files and real locks; damage leaves blanks and nothing worse."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.events import EndReason, Event, LogLine, Paused, to_json
from core.run_lock import held, mark_waiting
from core.run_summary import LIVE, Standing, summarize
from tests.run_folders import ended, holder, make_run, say, started, trained

HERE = Path("run")


@pytest.mark.parametrize(
    ("events", "standing"),
    [
        ([], "preparing"),
        ([LogLine(1e9, "info", "reading images")], "preparing"),
        ([started(HERE)], "running"),
        ([started(HERE), *trained(1, 0.5)], "running"),
        ([started(HERE), *trained(1, 0.5), Paused(2e9, True)], "paused"),
        ([started(HERE), Paused(2e9, True), LogLine(2e9, "info", "still")], "paused"),
        ([started(HERE), Paused(2e9, True), Paused(2e9, False)], "running"),
        ([started(HERE), ended("stopped")], "preparing"),  # resumed
        ([started(HERE), ended("stopped"), started(HERE)], "running"),
    ],
)
def test_a_run_that_is_held_is_live(tmp_path: Path, events: list[Event], standing: Standing) -> None:
    folder = make_run(tmp_path / "run", *events)
    with held(folder):
        run = summarize(folder)
    assert (run.standing, run.live, run.message) == (standing, True, "")
    assert standing in LIVE


def test_a_run_waits_for_as_long_as_the_holder_says_so_and_lives(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    with held(folder):
        mark_waiting(folder, True)
        assert summarize(folder).standing == "waiting"
        assert summarize(folder).live
    assert summarize(folder).standing == "crashed"
    with held(folder):  # somebody else resumes it
        assert summarize(folder).standing == "preparing"


@pytest.mark.parametrize(
    ("reason", "standing"),
    [("finished", "finished"), ("early-stop", "finished"), ("stopped", "stopped"), ("failed", "failed")],
)
def test_a_run_that_has_said_its_last_word_has_ended(tmp_path: Path, reason: EndReason, standing: Standing) -> None:
    folder = make_run(tmp_path / "run", started(HERE), *trained(1, 0.5), ended(reason))
    run = summarize(folder)
    assert (run.standing, run.live, run.message, run.changed) == (standing, False, "its last word", 1e9 + 9)


@pytest.mark.parametrize(
    "events",
    [[], [started(HERE)], [started(HERE), Paused(2e9, True)], [started(HERE), ended("finished"), started(HERE)]],
)
def test_a_run_whose_process_was_killed_has_crashed(tmp_path: Path, events: list[Event]) -> None:
    folder = make_run(tmp_path / "run", *events)
    with holder(folder) as process:
        assert summarize(folder).live
        process.kill()
        process.wait(10)
        run = summarize(folder)
    assert (run.standing, run.live, run.message) == ("crashed", False, "")


def test_the_best_epoch_is_the_earliest_of_the_best_and_the_baseline_does_not_compete(tmp_path: Path) -> None:
    events = [
        event for epoch, rank1 in enumerate((0.9, 0.5, 0.7, 0.7, math.nan, 0.6)) for event in trained(epoch, rank1)
    ]
    run = summarize(make_run(tmp_path / "run", started(HERE), *events))
    assert (run.best_rank1, run.best_map, run.best_epoch) == (0.7, 0.35, 2)
    assert (run.epoch, run.epochs, run.name) == (5, 9, "run")
    assert run.profile["train"] == {"epochs": 9}


def test_a_run_with_its_baseline_only_has_no_best_epoch(tmp_path: Path) -> None:
    run = summarize(make_run(tmp_path / "run", started(HERE), *trained(0, 0.9)))
    assert math.isnan(run.best_rank1) and math.isnan(run.best_map)
    assert (run.best_epoch, run.epoch) == (0, 0)


def test_a_long_log_does_not_hide_how_it_ended(tmp_path: Path) -> None:
    lines = [LogLine(1e9, "info", "x" * 1000)] * 200
    folder = make_run(tmp_path / "run", started(HERE), *lines, ended("stopped"))
    assert summarize(folder).standing == "stopped"
    say(folder, started(HERE), *lines[:40])
    assert summarize(folder).standing == "crashed"


def test_a_folder_without_files_and_one_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    for folder in (tmp_path / "bare", tmp_path / "gone"):
        run = summarize(folder)
        assert (run.standing, run.epoch, run.epochs, run.profile) == ("crashed", 0, 0, {})
        assert math.isnan(run.began) and math.isnan(run.changed) and math.isnan(run.best_rank1)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("profile.toml", b"[train\n"),
        ("profile.toml", b"\xff\xfe"),
        ("profile.toml", b"x = " + b"[" * 20_000),
        ("profile.toml", b"x = " + b"9" * 20_000),
        ("profile.toml", b'train = "word"\n'),
        ("profile.toml", b'[train]\nepochs = "many"\n'),
        ("events.jsonl", b"\xff" * 70_000),
        ("events.jsonl", b"\0" * 70_000),
        ("events.jsonl", b"[" * 70_000 + b"\n"),
        ("events.jsonl", b'{"event": "RunFinished", "time": null, "reason": "stopped"}\n'),
        ("events.jsonl", to_json(ended("stopped")).encode().replace(b"1000000009.0", b'"late"') + b"\n"),
        ("metrics.csv", b""),
        ("metrics.csv", b"\0" * 4096),
        ("metrics.csv", b"epoch,rank1\n1,0.5\n"),
        ("metrics.csv", b"epoch,rank1,mAP\ninf,0.5,0.5\nnan,1,1\nx,y,z\n1,0.5\n"),
        ("metrics.csv", b"epoch,rank1,mAP\n" + b"9" * 200_000 + b",1,1\n"),
        ("metrics.csv", b"epoch,rank1,mAP\n1\r2,3,4\r\r\n"),
    ],
)
def test_a_damaged_file_leaves_blanks(tmp_path: Path, name: str, data: bytes) -> None:
    folder = make_run(tmp_path / "run", started(HERE), *trained(1, 0.5), ended("stopped"))
    (folder / name).write_bytes(data)
    run = summarize(folder)
    assert (run.standing == "stopped") == (name != "events.jsonl")
    assert (run.best_rank1 == 0.5) == (name != "metrics.csv")
    assert (run.epochs == 9) == (name != "profile.toml")
    assert isinstance(run.changed, float)


def test_rows_before_the_damage_count(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", started(HERE), *trained(1, 0.5), *trained(2, 0.25))
    with (folder / "metrics.csv").open("a") as file:
        file.write("3,1.5,0." + "\0" * 200_000)
    run = summarize(folder)
    assert (run.best_rank1, run.epoch) == (0.5, 2)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_a_disk_does_to_the_files_a_run_can_be_shown(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    events = [started(HERE), *trained(0, 0.1), *trained(1, 0.5), ended("stopped")]
    folder = make_run(tmp_path_factory.mktemp("damaged") / "run", *events)
    for name in ("profile.toml", "events.jsonl", "metrics.csv"):
        content = (folder / name).read_bytes()
        begin = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(begin, len(content)))
        noise = data.draw(st.binary(max_size=20) | st.sampled_from([b"nan", b"null", b"[]", b'"', b"\r", b"1e999"]))
        (folder / name).write_bytes(content[:begin] + noise + content[end:])
    run = summarize(folder)
    assert not run.live
    assert isinstance(run.changed, float)
    assert isinstance(run.best_rank1, float)
