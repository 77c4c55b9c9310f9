"""The NVIDIA GPUs of the machine, by NVML; none where there is no driver, no library or no GPU."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.events import Gpu

_DEVICE = re.compile(r"cuda:(\d+) \((.*)\)")


class GpuReader:
    """Reads every GPU of the machine. Whatever NVML refuses (not supported, no permission, GPU lost) is a blank.

    Args:
        nvml: the module `pynvml`, or what stands for it; None: it is imported now.
        environ: holds `CUDA_VISIBLE_DEVICES`.
    """

    def __init__(self, nvml: Any = None, environ: Mapping[str, str] = os.environ) -> None:
        self._nvml = nvml
        self._begun = False
        self._gpus: list[tuple[Any, Gpu]] = []  # handle, and what stays the same
        try:
            if nvml is None:
                import pynvml

                self._nvml = pynvml
            self._nvml.nvmlInit()
        except (ImportError, OSError):
            return
        except self._nvml.NVMLError:
            return
        self._begun = True
        self._find(environ.get("CUDA_VISIBLE_DEVICES"))

    def read(self) -> tuple[Gpu, ...]:
        """How the GPUs are now, in nvidia-smi's order."""
        return tuple(self._one(handle, gpu) for handle, gpu in self._gpus)

    def close(self) -> None:
        if self._begun:
            self._begun = False
            self._gpus = []
            self._ask(self._nvml.nvmlShutdown)

    def _find(self, visible: str | None) -> None:
        handles, names, uuids = [], [], []
        for index in range(int(self._ask(self._nvml.nvmlDeviceGetCount) or 0)):
            handle = self._ask(self._nvml.nvmlDeviceGetHandleByIndex, index)
            handles.append(handle)
            names.append(str(self._ask(self._nvml.nvmlDeviceGetName, handle) or "GPU"))
            uuids.append(str(self._ask(self._nvml.nvmlDeviceGetUUID, handle) or ""))
        indices = [self._index_of(entry.strip(), uuids) for entry in (visible or "").split(",")]
        ordinals = cuda_ordinals(visible, indices, len(handles))
        self._gpus = [
            (handle, Gpu(index, name, ordinals.get(index, -1)))
            for index, (handle, name) in enumerate(zip(handles, names, strict=True))
        ]

    def _index_of(self, entry: str, uuids: Sequence[str]) -> int:
        """Which GPU an entry of `CUDA_VISIBLE_DEVICES` is, or is a part of; -1: none."""
        if entry.lstrip("-").isdigit():
            return int(entry) if 0 <= int(entry) < len(uuids) else -1
        if entry.startswith("MIG-"):
            part = self._ask(self._nvml.nvmlDeviceGetHandleByUUID, entry)
            whole = part and self._ask(self._nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle, part)
            index = whole and self._ask(self._nvml.nvmlDeviceGetIndex, whole)
            return -1 if index is None else int(index)
        found = [index for index, uuid in enumerate(uuids) if entry and uuid.startswith(entry)]
        return found[0] if len(found) == 1 else -1

    def _one(self, handle: Any, gpu: Gpu) -> Gpu:
        if handle is None:
            return gpu
        nvml = self._nvml
        rates = self._ask(nvml.nvmlDeviceGetUtilizationRates, handle)
        memory = self._ask(nvml.nvmlDeviceGetMemoryInfo, handle)
        heat = self._ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
        power = self._ask(nvml.nvmlDeviceGetPowerUsage, handle)
        limit = self._ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        return Gpu(
            gpu.index,
            gpu.name,
            gpu.cuda,
            utilisation=math.nan if rates is None else rates.gpu / 100,
            memory_used=math.nan if memory is None else float(memory.used),
            memory_total=math.nan if memory is None else float(memory.total),
            temperature=math.nan if heat is None else float(heat),
            power=math.nan if power is None else power / 1000,
            power_limit=math.nan if limit is None else limit / 1000,
        )

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The answer, or None where NVML has none."""
        try:
            return function(*arguments)
        except self._nvml.NVMLError:
            return None


def cuda_ordinals(visible: str | None, indices: Sequence[int], count: int) -> dict[int, int]:
    """Index of each GPU that CUDA shows to the process: N of its cuda:N.

    Args:
        visible: `CUDA_VISIBLE_DEVICES`; None: not set, so that all are shown.
        indices: which GPU each of its entries is; from the first that is none (-1) on, CUDA looks at no more.
        count: of the GPUs of the machine.
    """
    if visible is None:
        return {index: index for index in range(count)}
    ordinals: dict[int, int] = {}
    for ordinal, index in enumerate(indices):
        if index < 0:
            break
        ordinals.setdefault(index, ordinal)
    return ordinals


def gpu_of(device: str, gpus: Sequence[Gpu]) -> Gpu | None:
    """The GPU that a run trains on; None where it is none, or cannot be told.

    CUDA may number GPUs of different kinds otherwise than nvidia-smi does, so the name must be the same as well.

    Args:
        device: as `RunStarted` has it: "cuda:0 (NVIDIA H100)".
    """
    if (match := _DEVICE.fullmatch(device)) is None:
        return None
    same = [gpu for gpu in gpus if gpu.ours and gpu.name == match[2]]
    numbered = [gpu for gpu in same if gpu.cuda == int(match[1])]
    return numbered[0] if numbered else same[0] if len(same) == 1 else None
