"""A disk that is full, or can only be read, while a run trains: real limits, real file systems, whole runs."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[1]
# What fails in seconds of a tiny run fails in hours of a real one; the pauses are as much shorter.
START = """
import resource, os, runpy, sys
import core.trainer, core.emitter
core.trainer.FINAL_PAUSES = core.emitter.END_PAUSES = (0.1, 0.1)
{setup}
sys.argv[0] = "reid-tui"
runpy.run_module("reid_tui", run_name="__main__", alter_sys=True)
"""
LIMIT = 3000  # bytes of a file: `profile.toml` and the first few events fit


@pytest.fixture
def place(tmp_path, tiny_set):
    """An empty folder with a profile."""
    (tmp_path / "tiny.toml").write_text(
        f'[data]\nroot = "{tiny_set}"\nimage_size = [32, 32]\n[model]\nname = "RN-tiny"\n'
        '[run]\ndevice = "cpu"\n'
        "[train]\nepochs = 1000\nbatch_size = 8\nearly_stop_patience = 0\n"
    )
    return tmp_path


class Run:
    """`reid-tui launch --headless` in a process of its own, after some lines of Python."""

    def __init__(self, place, *overrides, setup=""):
        options = [part for override in overrides for part in ("--set", override)]
        self.place = place
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", START.format(setup=setup), "launch", "tiny.toml", "--headless", *options],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": str(place)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    @property
    def folder(self):
        [folder] = (self.place / "runs").glob("*_RN-tiny_*")
        return folder

    def read_until(self, *words):
        """Read what it prints until all of the words were there, in any order, since the last such call."""
        missing = set(words)
        assert self.process.stdout is not None
        while missing:
            line = self.process.stdout.readline()
            assert line, f"it ended before {missing}:\n{self.shown}"
            self.shown += line
            missing = {word for word in missing if word not in line}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self):
        self.shown += self.process.communicate(timeout=60)[0]
        assert "Traceback" not in self.shown, self.shown
        return self.process.returncode


def epochs_of_record(folder):
    """Epochs in `events.jsonl` and `metrics.csv`, each line of which must be whole and in its place."""
    text = (folder / "events.jsonl").read_text()
    assert text.endswith("\n")
    events = [json.loads(line) for line in text.splitlines()]
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    assert (events[0]["event"], events[-1]["event"]) == ("LogLine", "RunFinished")
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(None not in row and None not in row.values() for row in rows), "no row is torn"
    told = [event["metrics"]["epoch"] for event in events if event["event"] == "EpochFinished"]
    assert told == [int(row["epoch"]) for row in rows] == list(range(len(rows)))
    log = (folder / "run.log").read_text()
    stamps = [line[:23] for line in log.splitlines()]
    assert stamps == sorted(stamps) and log.endswith("\n")
    assert [int(number) for number in re.findall(r"(?m)^.{23} info    epoch (\d+) ", log)] == told[1:]
    assert log.count("The run folder cannot be written: ") == 1
    assert log.count("The run folder can be written again") == 1
    return events, told


def assert_recovered(run):
    """All that was said is in the files, all that was to be saved is saved, and nothing else is left."""
    assert run.stop() == 0, run.shown
    events, told = epochs_of_record(run.folder)
    assert events[-1]["not_saved"] == []
    assert "not saved" not in run.shown
    loaded = {path.stem.rsplit("_", 1)[1]: load_checkpoint(path) for path in run.folder.glob("checkpoints/*.pth")}
    assert set(loaded) == {"BEST", "LAST", "LAST-previous", "FINAL"}
    assert loaded["FINAL"].epoch == loaded["LAST"].epoch == told[-1]
    best = [event for event in events if event["event"] == "CheckpointSaved" and event["kind"] == "BEST"]
    assert best[0]["epoch"] == 1 and "saved after all" in best[0]["reason"]
    assert loaded["BEST"].epoch == best[-1]["epoch"]
    assert not list(run.folder.glob("checkpoints/.*"))
    for kind in ("BEST", "LAST"):
        assert run.shown.count(f"{kind} could not be saved: ") == 1, "one alert for an outage"


def test_files_that_may_not_grow_are_written_when_they_may(place):
    setup = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, resource.RLIM_INFINITY))"
    with Run(place, setup=setup) as run:
        run.read_until("BEST could not be saved", "LAST could not be saved", "The run folder cannot be written")
        run.read_until("LAST still cannot be saved")  # the end of another epoch
        torn = (run.folder / "events.jsonl").read_bytes()
        assert len(torn) == LIMIT and not torn.endswith(b"\n"), "a line went in in part"
        resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        run.read_until("The run folder can be written again: nothing was lost", "_BEST.pth", "_LAST.pth")
        run.read_until("epoch ")
        assert_recovered(run)


def test_what_is_never_saved_is_said_at_the_end(place):
    setup = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT},) * 2)"
    with Run(place, "train.epochs=2", setup=setup) as run:
        assert run.end() == 1, run.shown
    words = os.strerror(errno.EFBIG)
    for what in ("BEST of epoch 1", "LAST of epoch 2", "FINAL of epoch 2", "events.jsonl"):
        assert f"not saved: {what}: {words}" in run.shown
    assert "FINAL could not be saved: " in run.shown and "the run failed, with 2 epochs done" in run.shown
    lines = (run.folder / "events.jsonl").read_text().splitlines()
    for line in lines[:-1]:
        json.loads(line)
    assert list(run.folder.glob("checkpoints/*")) == [] == list(run.folder.glob("checkpoints/.*"))


def test_a_run_that_cannot_begin_says_so(train, tiny_profile):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        outcome = train(tiny_profile())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    [alert, finished] = outcome.events
    assert alert.message.endswith(f"profile.toml: {os.strerror(errno.EFBIG)}")
    assert finished.reason == "failed"


@contextlib.contextmanager
def small_file_system(folder, size):
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(file, seconds):
    """Take all the room there is, and what comes free in the meantime."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.write(file.fileno(), b"\0" * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC
            time.sleep(0.005)


def test_a_full_file_system_is_filled_again_when_there_is_room(place):
    # Room for BEST, FINAL and two LAST: what it keeps. A third LAST beside them has to wait for the oldest to go.
    with small_file_system(place / "runs", 200 * 2**20) as runs, (runs / "ballast").open("ab") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, 196 * 2**20)
        with Run(place) as run:
            run.read_until("BEST could not be saved", "LAST could not be saved")
            while "The run folder cannot be written" not in run.shown:
                fill(ballast, 0.3)
                run.read_until("epoch ")
            run.read_until("epoch ")
            words = os.strerror(errno.ENOSPC)
            assert f"_BEST.pth: {words}" in run.shown and f"_LAST.pth: {words}" in run.shown
            ballast.truncate(0)
            run.read_until("The run folder can be written again: nothing was lost", "_BEST.pth", "_LAST.pth")
            run.read_until("epoch ")
            assert_recovered(run)


# Permissions do not bind root, unless it gives up CAP_DAC_OVERRIDE (bit 1).
BOUND = """
import ctypes
header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert ctypes.CDLL(None).capget(header, sets) == 0
sets[0] &= ~2
assert ctypes.CDLL(None).capset(header, sets) == 0
"""


def test_a_folder_that_turns_read_only(place):
    with Run(place, setup=BOUND) as run:
        run.read_until("epoch 1 ", "_BEST.pth")
        checkpoints = run.folder / "checkpoints"
        checkpoints.chmod(0o555)
        run.read_until("LAST could not be saved")
        run.read_until("epoch ")
        run.read_until("LAST still cannot be saved")
        assert os.strerror(errno.EACCES) in run.shown
        checkpoints.chmod(0o755)
        run.read_until("saved after all")
        assert run.stop() == 0
    assert not list(checkpoints.glob(".*"))
    loaded = {path.stem.rsplit("_", 1)[1]: load_checkpoint(path) for path in checkpoints.glob("*.pth")}
    assert {"BEST", "LAST", "FINAL"} <= set(loaded) and loaded["LAST"].epoch == loaded["FINAL"].epoch
