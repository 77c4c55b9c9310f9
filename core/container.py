"""What a container, or a batch job, lets its processes have of the machine: Linux control groups, old and new."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_HUGE = 1 << 60  # what an old control group says for "no limit" is larger


def cores_allowed(root: Path = ROOT, groups: Path = Path("/proc/self/cgroup")) -> float:
    """Cores that this process may use: those of its affinity, or less where its group gets less time than that."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = float(affinity)
    for folder in _folders(root, groups, "cpu"):
        with suppress(OSError, ValueError, ZeroDivisionError):
            if (folder / "cpu.max").exists():
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota, period = ((folder / f"cpu.cfs_{part}_us").read_text().strip() for part in ("quota", "period"))
            if quota not in {"max", "-1"}:
                cores = min(cores, float(quota) / float(period))
    return cores


def memory_allowed(root: Path = ROOT, groups: Path = Path("/proc/self/cgroup")) -> float:
    """Bytes that the groups of this process may take; infinite where there is no limit."""
    limit = math.inf
    for folder in _folders(root, groups, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):  # "max" is no number
                value = int((folder / name).read_text())
                limit = min(limit, value if value < _HUGE else math.inf)
    return limit


def _folders(root: Path, groups: Path, controller: str) -> Iterator[Path]:
    """The group of this process and those around it, as far as they can be seen from here."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, names, path = [*line.split(":", 2), "", ""][:3]
        if names and controller not in names.split(","):
            continue
        base = root / controller if names else root
        group = base / path.lstrip("/")
        # From inside a container the path may be that of the host, and is not there; the root of it is.
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(base) and folder.is_dir())
