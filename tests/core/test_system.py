"""The gauges of the machine: with a GPU library that is not there, refuses, or loses a GPU; and a thread that ends."""

from __future__ import annotations

import math
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.container import cores_allowed, memory_allowed
from core.data_wait import DataWait
from core.emitter import Emitter
from core.events import Event, Gpu, LogLine, Paused, RunFinished, System, from_json
from core.gpus import GpuReader, cuda_ordinals, gpu_of
from core.recorder import Recorder
from core.run_lock import held
from core.run_summary import summarize
from core.system import SystemMonitor


class NvmlError(Exception):
    pass


class FakeNvml:
    """Two GPUs; `broken` names functions that refuse, `lost` GPUs that are gone."""

    NVMLError = NvmlError
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, broken: set[str] = frozenset(), count: int = 2) -> None:  # type: ignore[assignment]
        self.broken, self.lost, self.count, self.shut = set(broken), set[int](), count, 0

    def __getattr__(self, name: str) -> Any:
        answers: dict[str, Any] = {
            "nvmlInit": lambda: None,
            "nvmlShutdown": lambda: setattr(self, "shut", self.shut + 1),
            "nvmlDeviceGetCount": lambda: self.count,
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetName": lambda gpu: f"H10{gpu}",
            "nvmlDeviceGetUUID": lambda gpu: f"GPU-{gpu}{gpu}{gpu}",
            "nvmlDeviceGetUtilizationRates": lambda gpu: SimpleNamespace(gpu=50 + gpu),
            "nvmlDeviceGetMemoryInfo": lambda gpu: SimpleNamespace(used=4, total=8),
            "nvmlDeviceGetTemperature": lambda gpu, sensor: 60 + gpu,
            "nvmlDeviceGetPowerUsage": lambda gpu: 310_500,
            "nvmlDeviceGetEnforcedPowerLimit": lambda gpu: 700_000,
            "nvmlDeviceGetHandleByUUID": lambda uuid: f"part {uuid}",
            "nvmlDeviceGetDeviceHandleFromMigDeviceHandle": lambda part: 1,
            "nvmlDeviceGetIndex": lambda gpu: gpu,
        }
        if name not in answers:
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            if name in self.broken or (arguments and arguments[0] in self.lost):
                raise NvmlError(name)
            return answers[name](*arguments)

        return call


class TestGpus:
    def test_what_they_say_in_our_units(self) -> None:
        nvml = FakeNvml()
        reader = GpuReader(nvml, {})
        assert reader.read() == (
            Gpu(0, "H100", 0, 0.5, 4.0, 8.0, 60.0, 310.5, 700.0),
            Gpu(1, "H101", 1, 0.51, 4.0, 8.0, 61.0, 310.5, 700.0),
        )
        reader.close()
        reader.close()
        assert nvml.shut == 1 and reader.read() == ()

    def test_without_a_driver_there_are_none(self) -> None:
        reader = GpuReader(FakeNvml({"nvmlInit"}), {})
        assert reader.read() == ()
        reader.close()

    def test_without_the_library_there_are_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", None)
        assert GpuReader(environ={}).read() == ()

    def test_on_this_machine_it_does_not_raise(self) -> None:
        reader = GpuReader()
        assert all(isinstance(gpu, Gpu) for gpu in reader.read())
        reader.close()

    def test_what_is_not_supported_is_a_blank(self) -> None:
        nvml = FakeNvml({"nvmlDeviceGetPowerUsage", "nvmlDeviceGetUtilizationRates", "nvmlDeviceGetName"})
        gpu = GpuReader(nvml, {}).read()[0]
        assert gpu.name == "GPU" and gpu.temperature == 60.0
        assert math.isnan(gpu.power) and math.isnan(gpu.utilisation)

    def test_a_gpu_that_is_lost_is_blank_and_may_come_back(self) -> None:
        nvml = FakeNvml()
        reader = GpuReader(nvml, {})
        nvml.lost = {1}
        first, second = reader.read()
        assert first.utilisation == 0.5 and repr(second) == repr(Gpu(1, "H101", 1))
        nvml.lost = set()
        assert reader.read()[1].utilisation == 0.51

    def test_faults_of_ours_are_not_hidden(self) -> None:
        nvml = FakeNvml()
        nvml.count = "two"  # type: ignore[assignment]
        with pytest.raises(ValueError, match="two"):
            GpuReader(nvml, {})

    @pytest.mark.parametrize(
        ("visible", "ordinals"),
        [
            (None, [0, 1]),
            ("", [-1, -1]),
            ("1", [-1, 0]),
            ("1,0", [1, 0]),
            ("1,7,0", [-1, 0]),
            ("-1", [-1, -1]),
            ("GPU-11", [-1, 0]),
            ("GPU-", [-1, -1]),  # could be either
            ("MIG-8", [-1, 0]),
        ],
    )
    def test_those_that_the_process_sees_are_ours(self, visible: str | None, ordinals: list[int]) -> None:
        environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
        gpus = GpuReader(FakeNvml(), environ).read()
        assert [gpu.cuda for gpu in gpus] == ordinals
        assert [gpu.ours for gpu in gpus] == [ordinal >= 0 for ordinal in ordinals]

    def test_ordinals_of_none(self) -> None:
        assert cuda_ordinals("0", [-1], 0) == {}

    def test_the_one_a_run_trains_on(self) -> None:
        gpus = (Gpu(0, "T400", 0), Gpu(1, "A6000", 1), Gpu(2, "A6000"))
        assert gpu_of("cuda:1 (A6000)", gpus) == gpus[1]
        assert gpu_of("cuda:0 (A6000)", gpus) == gpus[1], "CUDA puts the fastest first"
        assert gpu_of("cuda:0 (H100)", gpus) is None
        assert gpu_of("cpu (2 threads)", gpus) is None


class TestDataWait:
    def test_waiting_is_told_from_work_and_from_what_is_neither(self) -> None:
        clock = [0.0]
        wait = DataWait(lambda: clock[0])

        def source() -> Any:
            for number in range(3):
                clock[0] += 3.0
                yield number

        seen = []
        for number in wait.over(source()):
            seen.append(number)
            clock[0] += 1.0
            with wait.apart():
                clock[0] += 100.0
        assert seen == [0, 1, 2]
        assert wait.take() == pytest.approx(9 / 12)
        clock[0] += 50.0
        assert math.isnan(wait.take()), "nothing is trained"

    def test_a_wait_under_way_counts(self) -> None:
        clock = [0.0]
        wait = DataWait(lambda: clock[0])
        shares = []

        def source() -> Any:
            clock[0] += 5.0
            shares.append(wait.take())
            yield 1

        list(wait.over(source()))
        assert shares == [1.0]

    def test_a_break_ends_it(self) -> None:
        clock = [0.0]
        wait = DataWait(lambda: clock[0])
        batches = wait.over([1, 2])
        next(batches)
        batches.close()
        clock[0] += 5.0
        assert math.isnan(wait.take())


class TestContainer:
    def test_the_tightest_group_on_the_way_up_counts(self, tmp_path: Path) -> None:
        groups = tmp_path / "groups"
        groups.write_text("0::/job/step\n")
        root = tmp_path / "cgroup"
        (root / "job" / "step").mkdir(parents=True)
        (root / "job" / "step" / "memory.max").write_text("max\n")
        (root / "job" / "memory.max").write_text("4096\n")
        (root / "job" / "cpu.max").write_text("50000 100000\n")
        (root / "job" / "step" / "cpu.max").write_text("max 100000\n")
        assert memory_allowed(root, groups) == 4096
        assert cores_allowed(root, groups) == 0.5

    def test_old_groups(self, tmp_path: Path) -> None:
        groups = tmp_path / "groups"
        groups.write_text("4:memory:/of/the/host\n1:cpu,cpuacct:/\n")
        for name, text in (
            ("memory/memory.limit_in_bytes", "8192"),
            ("cpu/cpu.cfs_quota_us", "25000"),
            ("cpu/cpu.cfs_period_us", "100000"),
        ):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        assert (memory_allowed(tmp_path, groups), cores_allowed(tmp_path, groups)) == (8192, 0.25)

    def test_without_groups_there_is_no_limit(self, tmp_path: Path) -> None:
        assert memory_allowed(tmp_path, tmp_path / "none") == math.inf
        assert cores_allowed(tmp_path, tmp_path / "none") >= 1


def wait_until(true: Any) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it has not become true")


class TestMonitor:
    def test_it_tells_how_the_machine_is_until_it_ends(self, tmp_path: Path) -> None:
        heard: list[Event] = []
        nvml = FakeNvml()
        with SystemMonitor(heard.append, tmp_path, DataWait(), 0.01, lambda: GpuReader(nvml, {})) as monitor:
            assert monitor._thread.daemon
            wait_until(lambda: len(heard) > 3)
        wait_until(lambda: nvml.shut)
        count = len(heard)
        time.sleep(0.05)
        assert len(heard) == count
        first, last = heard[0], heard[-1]
        assert isinstance(first, System) and isinstance(last, System)
        assert math.isnan(first.cpu) and 0 <= last.cpu <= 1 and last.cpus > 0
        assert 0 < last.ram < last.ram_total and 0 < last.disk_free <= last.disk_total
        assert len(last.gpus) == 2 and math.isnan(last.data_wait)

    def test_a_file_system_that_is_away_leaves_a_blank(self, tmp_path: Path) -> None:
        heard: list[Event] = []
        with SystemMonitor(heard.append, tmp_path / "away", DataWait(), 0.01, lambda: GpuReader(FakeNvml(), {})):
            wait_until(lambda: heard)
        assert isinstance(heard[0], System) and math.isnan(heard[0].disk_free)

    def test_a_fault_is_told_and_reaches_nobody(self, tmp_path: Path) -> None:
        def broken() -> GpuReader:
            raise ZeroDivisionError("a gauge")

        heard: list[Event] = []
        with SystemMonitor(heard.append, tmp_path, DataWait(), 0.01, broken):
            wait_until(lambda: heard)
        [line] = heard
        assert isinstance(line, LogLine) and line.level == "warning" and "ZeroDivisionError: a gauge" in line.text

    def test_a_driver_that_hangs_does_not_hold_up_the_end(self, tmp_path: Path) -> None:
        hangs = threading.Event()

        def make() -> GpuReader:
            hangs.wait(30)
            return GpuReader(FakeNvml(), {})

        began = time.monotonic()
        with SystemMonitor(lambda event: None, tmp_path, DataWait(), 0.01, make):
            pass
        assert time.monotonic() - began < 10
        hangs.set()


class TestRecord:
    def test_the_file_has_one_in_ten_seconds_and_nothing_follows_the_end(self, tmp_path: Path) -> None:
        heard: list[Event] = []
        emit = Emitter(Recorder(tmp_path), heard.append)
        for at in range(0, 60, 2):
            emit(System(1000.0 + at))
        emit(RunFinished(1061.0, "finished", "", 1, 1.0))
        emit(System(1080.0))
        recorded = [from_json(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
        assert [event.time for event in recorded[:-1]] == [1000.0 + at for at in range(0, 60, 10)]
        assert isinstance(recorded[-1], RunFinished) and isinstance(heard[-1], RunFinished)
        assert len(heard) == 31

    def test_after_a_long_pause_a_run_is_still_known_to_pause(self, tmp_path: Path) -> None:
        record = Recorder(tmp_path)
        (tmp_path / "profile.toml").write_text("")
        record(Paused(0.0, True))
        gpus = tuple(Gpu(index, "NVIDIA H100 80GB HBM3") for index in range(8))
        for at in range(1000):
            record(System(10.0 * at + 10, gpus))
        with held(tmp_path):
            assert summarize(tmp_path).standing == "paused"


@pytest.mark.parametrize("sampler", ["pk", "shuffle"])
def test_a_healthy_run_has_readings_and_no_alerts(train: Any, tiny_profile: Any, sampler: str) -> None:
    outcome = train(tiny_profile(epochs=4, sampler=sampler))
    readings = outcome.of(System)
    assert readings and readings[0].ram > 0
    assert outcome.state.alerts == []
    assert isinstance(outcome.events[-1], RunFinished)
    assert all(saved.size > 0 for saved in outcome.state.checkpoints)
