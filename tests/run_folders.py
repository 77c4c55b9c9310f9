"""Run folders made by hand, as a run leaves them, and a process that holds one."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from core.events import (
    EndReason,
    EpochFinished,
    EpochMetrics,
    Event,
    Progress,
    RunFinished,
    RunStarted,
    to_json,
)

PROFILE = '[run]\nname = "hands"\n[data]\nroot = "demo:hands"\n[model]\nname = "RN-tiny"\n[train]\nepochs = 9\n'
HOSTILE = "evil\x1b[2J\x1b]0;title\x07\n\u202ename"
_HOLD = """
import sys
from pathlib import Path
from core.run_lock import hold
descriptor = hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def started(folder: Path, time: float = 1e9, **changed: Any) -> RunStarted:
    return RunStarted(
        **{
            "time": time, "run": folder.name, "name": "hands", "folder": str(folder), "model": "RN-tiny",
            "pretrained": "none", "dataset": "demo-hands", "aspect": "", "image_size": (32, 32), "device": "cpu",
            "precision": "fp32", "epochs": 9, "batch_size": 8, "batches_per_epoch": 4, "identities": 4,
            "train_images": 20, "query_images": 6, "gallery_images": 3, "patience": 0, "validated_on": "test split",
            "profile": {}, **changed,
        }
    )  # fmt: skip


def ended(reason: EndReason, message: str = "its last word", time: float = 1e9 + 9) -> RunFinished:
    return RunFinished(time, reason, message, 2, 9.0)


def trained(epoch: int, rank1: float, time: float = 1e9 + 5) -> list[Event]:
    """An epoch with its validation."""
    metrics = EpochMetrics(epoch, 1.5, 1.0, 0.5, rank1=rank1, mAP=rank1 / 2, split="test", seconds=5.0)
    return [Progress(time, "train", epoch, 4, 4, 100.0, 1.5, 1.0, 0.5), EpochFinished(time, metrics)]


def make_run(folder: Path, *events: Event, profile: str = PROFILE) -> Path:
    """A run folder with these events in its files. Nobody holds it."""
    folder.mkdir(parents=True)
    (folder / "profile.toml").write_text(profile)
    (folder / ".lock").touch()
    (folder / "events.jsonl").touch()
    say(folder, *events)
    with (folder / "metrics.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([item.name for item in fields(EpochMetrics)])
        rows.writerows(asdict(event.metrics).values() for event in events if isinstance(event, EpochFinished))
    return folder


def say(folder: Path, *events: Event) -> None:
    """Append to the event file, as the run does."""
    with (folder / "events.jsonl").open("a") as file:
        file.writelines(to_json(event) + "\n" for event in events)


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the folder, and can be killed."""
    process = python(_HOLD, str(folder))
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def python(code: str, *arguments: str, pass_fds: Sequence[int] = ()) -> subprocess.Popen[str]:
    """A process that runs this code, with pipes to it."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=pass_fds,
        cwd=Path(__file__).parents[1],
    )


def wait_until(true: Callable[[], object], seconds: float = 10.0) -> None:
    """The test fails if it does not become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it has not become true"
        time.sleep(0.01)
