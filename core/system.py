"""How the machine is, told every two seconds from a thread of its own, in the process that trains.

It is there and not in the screen, so that attached screens see it, and those who look at the run next week.
"""

from __future__ import annotations

import math
import shutil
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from core.container import cores_allowed, memory_allowed
from core.data_wait import DataWait
from core.events import Event, LogLine, System
from core.gpus import GpuReader

if TYPE_CHECKING:
    import psutil

SYSTEM_SECONDS = 2.0
CHILDREN_EVERY = 5  # readings; to find the children, every process of the machine is looked at
PATIENCE = 0.5  # seconds that the end of the run waits for the thread, which a driver may hold up


class Processes:
    """CPU time and memory of this process and its children; psutil is imported when it is made."""

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self._me = psutil.Process()
        self._all: list[psutil.Process] = [self._me]
        self._seconds: dict[psutil.Process, float] = {}  # of CPU, at the last reading
        self._read_at = math.nan
        self._readings = 0
        self.cores = cores_allowed()
        self.memory_total = min(float(psutil.virtual_memory().total), memory_allowed())

    def read(self, now: float) -> tuple[float, float]:
        """Share of the allowed cores since the last reading (NaN at the first), and bytes of memory.

        Memory that processes share is counted for each of them.
        """
        if self._readings % CHILDREN_EVERY == 0:
            with suppress(self._psutil.Error):
                self._all = [self._me, *self._me.children(recursive=True)]
        self._readings += 1
        seconds: dict[psutil.Process, float] = {}
        memory = 0.0
        for process in self._all:
            with suppress(self._psutil.Error), process.oneshot():  # it may have ended
                times = process.cpu_times()
                memory += process.memory_info().rss
                seconds[process] = times.user + times.system
        used = sum(spent - self._seconds.get(process, spent) for process, spent in seconds.items())
        share = used / max(now - self._read_at, 1e-9) / self.cores
        self._seconds, self._read_at = seconds, now
        return (math.nan if math.isnan(share) else min(max(share, 0.0), 1.0)), memory


class SystemMonitor:
    """Tells `emit` how the machine is, between entry and exit. Nothing that goes wrong here reaches the run.

    Args:
        emit: called from a thread of its own, which is a daemon.
        folder: on the file system that the checkpoints go to.
        data_wait: of the training.
        every: seconds between two readings.
        gpus: makes what reads the GPUs; called in the thread.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        folder: Path,
        data_wait: DataWait,
        every: float = SYSTEM_SECONDS,
        gpus: Callable[[], GpuReader] = GpuReader,
    ) -> None:
        self._emit = emit
        self._folder = folder
        self._data_wait = data_wait
        self._every = every
        self._make_gpus = gpus
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="system", daemon=True)

    def __enter__(self) -> SystemMonitor:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        try:
            self._watch()
        except Exception:  # noqa: BLE001 - a run is not ended for its gauges; it is said that they are gone
            text = f"the machine is not watched any more:\n{traceback.format_exc()}"
            if not self._ended.is_set():
                self._emit(LogLine(time.time(), "warning", text))

    def _watch(self) -> None:
        processes, gpus = Processes(), self._make_gpus()
        try:
            while not self._ended.is_set():
                event = self._read(processes, gpus)
                if self._ended.is_set():
                    break
                self._emit(event)
                self._ended.wait(self._every)
        finally:
            gpus.close()

    def _read(self, processes: Processes, gpus: GpuReader) -> System:
        cpu, memory = processes.read(time.monotonic())
        free, total = math.nan, math.nan
        with suppress(OSError):  # a file system that is away
            disk = shutil.disk_usage(self._folder)
            free, total = float(disk.free), float(disk.total)
        return System(
            time.time(),
            gpus=gpus.read(),
            cpu=cpu,
            cpus=processes.cores,
            ram=memory,
            ram_total=processes.memory_total,
            disk_free=free,
            disk_total=total,
            data_wait=self._data_wait.take(),
        )
