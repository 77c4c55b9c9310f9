"""How long a dashboard takes to open a run, and how much memory it has then."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

import psutil

from core.events import CheckpointSaved, EpochFinished, EpochMetrics, Event, Patience, Progress, System, to_json
from core.history import read_history
from core.recorder import Recorder
from tests.benchmarks.row import Row
from tests.end_to_end.terminal import Terminal
from tests.run_folders import PROFILE, ended, started

ROUNDS = 5
_BEGAN = 1e9
_SECONDS = 1.0  # between two events
_BEST = 0.8765


def make_long_run(folder: Path, events: int = 1_000_000, epochs: int = 5_000, *, kept: bool = True) -> Path:
    """A run folder as the recorder leaves it, of a run that has ended; its best Rank-1 is 87.65 %, in the middle.

    Args:
        folder: made here.
        events: of the event file, about; those of the epochs are among them.
        epochs: each with its validation, two checkpoints, and a reading of the machine now and then.
        kept: whether the state is kept beside the events, as it is while a run goes on; False: as an older version
            has left it. It takes most of the time of making one.
    """
    folder.mkdir(parents=True)
    (folder / "profile.toml").write_text(PROFILE)
    (folder / ".lock").touch()
    rows: list[EpochMetrics] = []
    with (folder / "events.jsonl").open("w") as file:
        file.writelines(f"{line}\n" for line in _lines(folder, events, epochs, rows))
    with closing(Recorder(folder, rows)):  # writes the table of epochs
        pass
    if kept:
        read_history(folder)
    return folder


def _lines(folder: Path, events: int, epochs: int, rows: list[EpochMetrics]) -> Iterator[str]:
    now = _BEGAN
    batches = max(events // epochs - 6, 1)
    yield to_json(started(folder, now, epochs=epochs, batches_per_epoch=batches))
    pattern = _pattern(batches)
    for epoch in range(1, epochs + 1):
        for batch in range(1, batches + 1):
            now += _SECONDS
            loss = 9.0 / (epoch + batch / batches) + 0.25 * (batch * 7919 % 101) / 101
            yield pattern % (now, epoch, batch, 123.4 + batch % 7, loss, 0.75 * loss, 0.25 * loss, 1 + loss, 1e-4)
        now += _SECONDS
        rank1 = _BEST if epoch == epochs // 2 + 1 else 0.8 - 0.5 / epoch + 0.01 * (epoch % 3)
        row = EpochMetrics(
            epoch, loss, 0.75 * loss, 0.25 * loss, 0.5, 0.6, 0.7, rank1, 0.9, 0.95, rank1 / 2, rank1 / 3, "test", 900,
            0, 1e-4, 1e-3, 1.0, 123.4, batches * _SECONDS,
        )  # fmt: skip
        rows.append(row)
        saved: list[Event] = [
            CheckpointSaved(now, kind, f"{folder}/checkpoints/run_{kind}.pth", epoch, routine=True, size=10**8)
            for kind in ("LAST", "BEST")
        ]
        told = [EpochFinished(now, row), Patience(now, 1, _BEST, 1, 0), *saved, System(now, cpu=0.5, cpus=2.0)]
        yield from map(to_json, told)
    yield to_json(ended("finished", time=now))


def _pattern(batches: int) -> str:
    """A `Progress` as `to_json` writes it, which is too slow for a million of them."""
    event = Progress(0.5, "train", 11, 12, batches, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5)
    line = to_json(event).replace(f'"total": {batches}', '"total": @').replace("%", "%%")
    for value, code in (
        ("0.5", "%r"), ("11", "%d"), ("12", "%d"), ("1.5", "%r"), ("2.5", "%r"), ("3.5", "%r"), ("4.5", "%r"),
        ("5.5", "%r"), ("6.5", "%r"),
    ):  # fmt: skip
        assert line.count(f": {value}") == 1
        line = line.replace(f": {value}", f": {code}")
    return line.replace("@", str(batches))


def open_run(folder: Path, shows: str = "87.6") -> tuple[float, float]:
    """Attach to a run on a pseudo-terminal of 120x40.

    Returns:
        Seconds from the start of the process to the first screen that `shows` is on, a text of the history (the best
        Rank-1 in percent), as a terminal emulator has it; and the resident memory of the process then, in MB (10^6).
    """
    began = time.perf_counter()
    arguments = ["-m", "reid_tui", "attach", str(folder)]
    with tempfile.TemporaryDirectory() as place:
        environ = {"XDG_CONFIG_HOME": place, "XDG_STATE_HOME": place, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        with closing(Terminal(arguments, rows=40, columns=120, environ=environ)) as terminal:
            terminal.until(lambda: shows in terminal.text, 120)
            seconds = time.perf_counter() - began
            return seconds, psutil.Process(terminal.process.pid).memory_info().rss / 1e6


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as place:
        small = make_long_run(Path(place) / "small", 200, 2)
        long = make_long_run(Path(place) / "long")
        opened: dict[Path, list[tuple[float, float]]] = {small: [], long: []}
        for _ in range(ROUNDS):
            for folder, figures in opened.items():
                figures.append(open_run(folder))
    (small_took, small_held), (took, held) = (
        tuple(map(median, zip(*figures, strict=True))) for figures in opened.values()
    )
    what = "opening a run of 1,000,000 events and 5,000 epochs"
    return [
        Row(f"{what}, to its history", "", took, "s", 1, detail=f"a run of 200 events: {small_took:.2f} s"),
        Row(f"{what}, memory", "a run of 200 events", held - small_held, "MB more", 50, detail=f"{held:.0f} MB"),
    ]
