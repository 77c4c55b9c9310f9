"""Where resized images are kept, so that none is decoded twice: on the disk, else in memory, else nowhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.data.pixel_cache import PixelCache, Pixels, take_into

_FAST, _EXACT = "fast-2", "exact"  # how the images were decoded; another number where the same file gives other pixels
SHARE_OF_FREE_MEMORY = 0.5  # what images of a run may take where there is no room on the disk


class Shelf(Protocol):
    """Keeps N images of one size, by number. `load` and `put` are called in many threads, for different images."""

    def load(self, image: int) -> bool:
        """Whether it is here from an earlier run."""

    def put(self, image: int, pixels: Pixels) -> None:
        """Keep (height, width, 3) uint8, decoded after `load` has not found it. OSError: it cannot be kept."""

    def take(self, images: NDArray[np.int64], out: Pixels) -> None:
        """Copy images that are here to `out`, (B, height, width, 3)."""

    def close(self) -> None:
        """Let go of them."""


class MemoryShelf:
    """In the memory of this process."""

    def __init__(self, images: int, size: tuple[int, int]) -> None:
        # Pages of the array are taken as they are written, not now.
        self._pixels = np.empty((images, *size, 3), np.uint8)

    def load(self, image: int) -> bool:
        return False

    def put(self, image: int, pixels: Pixels) -> None:
        self._pixels[image] = pixels

    def take(self, images: NDArray[np.int64], out: Pixels) -> None:
        take_into(out, self._pixels, images)

    def close(self) -> None:
        self._pixels = np.empty((0,), np.uint8)


class Shelves:
    """Gives the stores of a run their shelves.

    Args:
        cache: bytes that the cache on the disk may take, of all data sets together; 0: it is not used.
        memory: bytes that the stores of a run may take; None: a share of the memory that is free now.
        exact: how the images are decoded; the cache keeps both kinds apart.
        pinned: whether batches are made in pinned memory, from which a GPU takes them by itself.
        tell: gets a line where images are not kept on the disk though they were to be.
    """

    def __init__(
        self,
        cache: int = 0,
        memory: int | None = None,
        *,
        exact: bool = False,
        pinned: bool = False,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.exact = exact
        self.pinned = pinned
        self.memory_left = int(SHARE_OF_FREE_MEMORY * free_memory()) if memory is None else memory
        self._cache = cache
        self._tell = tell

    def shelf(self, paths: Sequence[Path], size: tuple[int, int]) -> Shelf | None:
        """A shelf for the images of these files at one size; None: they must be decoded each time."""
        if self._cache and (kept := self._on_disk(paths, size)):
            return kept
        needed = len(paths) * size[0] * size[1] * 3
        if needed <= self.memory_left:
            self.memory_left -= needed
            return MemoryShelf(len(paths), size)
        self._tell(f"{len(paths)} images are decoded anew in each epoch: there is no room for {needed / 1e9:.1f} GB")
        return None

    def _on_disk(self, paths: Sequence[Path], size: tuple[int, int]) -> PixelCache | None:
        try:
            kept = PixelCache.open(paths, size, _EXACT if self.exact else _FAST, self._cache)
        except OSError as error:
            self._tell(f"resized images are not kept for later runs: {error}")
            return None
        if kept is None:
            self._tell("resized images are not kept for later runs: there is no room for them in the cache")
        return kept


def free_memory() -> int:
    """Bytes of memory that are free, caches counted and a container's limit kept; without a way to know, 4 GiB."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 4 << 30
    try:
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return free
    return max(min(free, limit - used), 0)
