"""Several runs from the command line: their order, their ends, the exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.run_summary import summarize
from tests.reid_tui.test_cli import command, ended

assert command  # a fixture
QUICK = ("--set", "train.epochs=1")


def runs(place: Path) -> list[Path]:
    return sorted((place / "runs").iterdir(), key=lambda folder: (folder / "profile.toml").stat().st_mtime)


def test_a_sweep_runs_one_after_another_with_a_table_at_the_end(command, tmp_path: Path) -> None:
    code, out, err = ended(command("launch", "tiny.toml", *QUICK, "--sweep", "train.weight_decay=0,1e-4"))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line for line in lines if re.match(r"\d of \d:", line)] == [
        "1 of 2: tiny · train.weight_decay=0",
        "2 of 2: tiny · train.weight_decay=1e-4",
    ]
    folders = runs(tmp_path)
    assert len(folders) == 2  # though name, rate, batch and epochs are the same
    table = lines[lines.index("Queue; Rank-1 and mAP of the best epoch") :]
    assert [" done " in line for line in table if "train.weight_decay" in line] == [True, True]
    assert sum(line.startswith("* ") for line in table) == 1
    assert [line.strip() for line in table if line.startswith("    /")] == [str(folder.resolve()) for folder in folders]


def test_a_run_that_fails_does_not_stop_those_behind_it(command, tmp_path: Path) -> None:
    code, out, _ = ended(command("launch", "tiny.toml", *QUICK, "--sweep", "run.device=cuda:7,cpu"))
    assert code == 1
    assert re.search(r"–\s+–\s+–  failed +tiny · run.device=cuda:7", out)
    assert "run.device is cuda:7, and torch sees" in out.rpartition("Queue;")[2]
    assert re.search(r"\*.* 1  done +tiny · run.device=cpu", out)


def test_the_problems_of_all_runs_are_told_before_anything_starts(command, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text((tmp_path / "tiny.toml").read_text() + "nonsense = 1\n")
    code, out, err = ended(command("launch", "tiny.toml", "other.toml", "--sweep", "train.lr=1e-3,-1"))
    assert (code, out) == (2, "")
    assert "--set train.lr=-1: train.lr: input should be greater than 0" in err
    assert "nonsense: unknown key" in err or "train.nonsense: unknown key" in err
    assert not (tmp_path / "runs").exists()
    code, _, err = ended(command("launch", "absent", "--sweep", "lr=1", "--sweep", "train.lr=,"))
    assert code == 2 and "must look like" in err and "a value is empty" in err
    code, _, err = ended(command("launch", "absent", "gone.toml"))
    assert code == 2 and "absent" in err and "gone.toml" in err
    code, _, err = ended(command("launch", "--sweep", "train.lr=1"))
    assert code == 2 and "name a profile" in err


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--requeue",), 75)])
def test_a_signal_stops_the_run_and_drops_the_rest(command, tmp_path: Path, arguments, code: int) -> None:
    process = command("launch", "tiny.toml", "tiny.toml", "tiny.toml", "--headless", *arguments,
                      "--set", "train.epochs=1000")  # fmt: skip
    for line in process.stdout:
        if line.startswith("epoch 1 "):
            break
    process.send_signal(signal.SIGTERM)
    returned, out, _ = ended(process)
    assert returned == code
    assert "interrupted by SIGTERM: 2 runs of the queue will not begin" in out
    assert sum(" not run " in line for line in out.splitlines()) == 2
    [folder] = runs(tmp_path)
    assert list(folder.glob("checkpoints/*_FINAL.pth"))


def test_an_interruption_before_the_first_batch_drops_everything(command, tmp_path: Path) -> None:
    process = command("launch", "tiny.toml", "tiny.toml", "--headless")
    for line in process.stdout:
        if line.startswith("1 of 2"):
            break
    process.send_signal(signal.SIGINT)
    code, out, _ = ended(process)
    assert code == 130
    assert re.search(r"^interrupted.*: 1 run of the queue will not begin", out, re.MULTILINE)


def until(true: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it has not become true"
        time.sleep(0.1)


def test_a_detached_queue_is_worked_through_by_one_process(command, tmp_path: Path) -> None:
    code, out, err = ended(command("launch", "tiny.toml", *QUICK, "--sweep", "run.seed=1,2", "--detach"))
    assert (code, err) == (0, "")
    assert "1 run behind it" in out
    folders = runs(tmp_path)
    assert len(folders) == 2
    standings = sorted(summarize(folder).standing for folder in folders)
    assert standings in (["preparing", "waiting"], ["running", "waiting"])
    until(lambda: all(summarize(folder).standing == "finished" for folder in folders))
    began = [json.loads((folder / "events.jsonl").read_text().splitlines()[0])["time"] for folder in sorted(folders)]
    ends = [json.loads((folder / "events.jsonl").read_text().splitlines()[-1])["time"] for folder in sorted(folders)]
    first = ends.index(min(ends))
    assert ends[first] <= began[1 - first]


def test_a_detached_queue_that_is_told_to_end_leaves_no_empty_folders(command, tmp_path: Path) -> None:
    code, out, _ = ended(command("launch", "tiny.toml", "tiny.toml", "--detach", "--set", "train.epochs=1000"))
    assert code == 0
    process = int(re.findall(r"kill (\d+) ", out)[0])
    first = Path(re.findall(r"the run goes on in (.*)", out)[0])
    until(lambda: summarize(first).epoch > 0)
    os.kill(process, signal.SIGTERM)
    until(lambda: summarize(first).standing == "stopped")
    until(lambda: runs(tmp_path) == [tmp_path / "runs" / first.name])


def test_a_sweep_stands_in_the_help() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reid_tui", "launch", "--help"], capture_output=True, text=True, check=True
    )
    assert "--sweep TABLE.KEY=VALUE,VALUE" in done.stdout
