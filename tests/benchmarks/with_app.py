"""Training images a second of the demo with the app drawing on a terminal of 120x40, against the same run headless."""

from __future__ import annotations

import csv
import fcntl
import os
import pty
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

from core.data.demo_hands import ensure_demo_hands
from tests.benchmarks.row import Row

ROUNDS = 3
EPOCHS = 6
LAUNCH = ("-m", "reid_tui", "launch", "demo", "--set", f"train.epochs={EPOCHS}", "--set", "train.early_stop_patience=0")


def rows() -> list[Row]:
    """With a thread of torch on each core, as it is without a GPU; and with a core to spare, as it is beside one."""
    ensure_demo_hands()
    cores = os.cpu_count() or 1
    return [_row(threads, cores) for threads in (cores, cores - 1) if threads]


def _row(threads: int, cores: int) -> Row:
    rates: dict[bool, list[float]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            for drawing in (False, True):
                rates[drawing].append(_images_per_second(Path(folder) / f"{number}-{drawing}", threads, drawing))
    headless, drawing = (statistics.median(rates[which]) for which in (False, True))
    what = f"training images/s with the app drawing, RN-tiny at 96x96, {threads} of {cores} cores"
    medians = f"{drawing:.1f} against {headless:.1f} images/s"
    return Row(what, "headless", drawing / headless, "x", 0.97, at_least=True, detail=medians)


def _images_per_second(runs: Path, threads: int, drawing: bool) -> float:
    """The median over the epochs of a run but the first, which decodes."""
    where = ("--set", f"run.dir={runs}")
    environ = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    if drawing:
        _on_a_terminal([sys.executable, *LAUNCH, *where], runs, environ)
    else:
        command = [sys.executable, *LAUNCH, *where, "--headless"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environ)
    (metrics,) = runs.glob("*/metrics.csv")
    with metrics.open(newline="", encoding="utf-8") as file:
        rates = [float(row["images_per_second"]) for row in csv.DictReader(file) if int(row["epoch"]) > 1]
    return statistics.median(rates)


def _on_a_terminal(command: list[str], runs: Path, environ: dict[str, str]) -> None:
    """Run the app until its run has ended, and leave it; what it draws is read and thrown away."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environ = {**environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    app = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environ, start_new_session=True)
    os.close(slave)

    def read() -> None:
        while True:
            try:
                os.read(master, 1 << 16)
            except OSError:  # the app has left the terminal
                return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        while app.poll() is None:
            time.sleep(0.5)
            if any(runs.glob("*/checkpoints/*_FINAL.pth")):
                time.sleep(2.0)  # the last word comes after the file
                os.write(master, b"q")
                app.wait(30)
    finally:
        app.kill()
        app.wait()
        reader.join()
        os.close(master)
