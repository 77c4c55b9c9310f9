"""The dashboard of a run that is past its first two epochs, on a pseudo-terminal of 120x40."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from core.data.demo_hands import ensure_demo_hands
from tests.end_to_end.terminal import ROOT, Terminal

ROWS, COLUMNS = 40, 120
PROGRAM = """
import random, sys, time
sys.path.insert(0, {root!r})
from core.events import Gpu, System
from core.profile import Profile
from reid_tui.launch_app import run_app
from tests.reid_tui.fake_run import FakeRun

QUICK_EPOCHS = 2
profile = Profile.model_validate({{"data": {{"root": "demo:hands"}}, "model": {{"name": "RN-tiny"}}}})

def start(profile, emit, control):
    draw = random.Random(1)

    def batch(epoch, number):
        if epoch > QUICK_EPOCHS:
            run.pace = 0.25  # the trainer speaks four times a second, whatever its batches take
        if number % 8 == 0:  # and the gauges every two seconds
            gpu = Gpu(0, "NVIDIA H100 80GB HBM3", 0, draw.uniform(0.8, 1), 5.7e10, 8.5e10, draw.randint(55, 60),
                      draw.uniform(480, 620), 700)
            emit(System(time.time(), (gpu,), draw.uniform(0.3, 0.6), 16, 2.1e10, 1.3e11, 8e11, 2e12, 0.02))

    run = FakeRun(epochs=1000, batches=80, pace=0.01, patience=0, hook=batch)
    run(emit, control)

sys.exit(run_app(start_run=start, selected=profile, low_bandwidth={low_bandwidth}))
"""


@contextmanager
def made_up_run(*, low_bandwidth: bool = False) -> Iterator[Terminal]:
    """A run that speaks as one that trains, beside a GPU, but computes nothing; an epoch takes twenty seconds."""
    arguments = ["-c", PROGRAM.format(root=str(ROOT), low_bandwidth=low_bandwidth)]
    with TemporaryDirectory() as home, _third_epoch(arguments, home) as terminal:
        terminal.until(lambda: "GPU 0" in terminal.text, seconds=60)
        yield terminal


@contextmanager
def demo_run(threads: int) -> Iterator[Terminal]:
    """The demo, trained in truth, on so many threads of torch."""
    ensure_demo_hands()
    with TemporaryDirectory() as home:
        wanted = ("train.epochs=1000", "train.early_stop_patience=0", f"run.dir={home}/runs")
        arguments = ["-m", "reid_tui", "launch", "demo", *(word for each in wanted for word in ("--set", each))]
        with _third_epoch(arguments, home, OMP_NUM_THREADS=str(threads)) as terminal:
            yield terminal


@contextmanager
def _third_epoch(arguments: list[str], home: str, **environ: str) -> Iterator[Terminal]:
    environ |= {"XDG_CONFIG_HOME": home, "XDG_STATE_HOME": home, "TMUX": "", "LC_ALL": "C.UTF-8"}
    terminal = Terminal(arguments, rows=ROWS, columns=COLUMNS, environ=environ)
    try:
        terminal.until(lambda: "epoch    3 of 1000" in terminal.text, seconds=180)
        read_for(terminal, 2.0)
        yield terminal
    finally:
        terminal.close()


def read_for(terminal: Terminal, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        terminal.read()


def cpu_seconds(terminal: Terminal) -> float:
    """Time that the process of the screen has used on all its threads so far."""
    fields = Path(f"/proc/{terminal.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
