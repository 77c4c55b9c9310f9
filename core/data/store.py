"""Resized images, decoded once on a thread pool and kept as uint8; batches are slices of them.

Pillow lets go of the GIL while it decodes, so threads are enough: there is no worker process to fork.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.data.images import read_image
from core.data.unreadable import Unreadable, stop
from core.errors import DataError

BATCHES_AHEAD = 3
SHARE_OF_FREE_MEMORY = 0.5  # what decoded images of a run may take; beyond it they are decoded anew each time


def decoding_threads() -> int:
    """Threads for decoding: the cores this process may use, at most 16."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 16)


class MemoryBudget:
    """Bytes that the stores of a run may take together; by default a share of the memory that is free now."""

    def __init__(self, left: int | None = None) -> None:
        self.left = int(SHARE_OF_FREE_MEMORY * _free_memory()) if left is None else left

    def take(self, needed: int) -> bool:
        """Whether so many bytes may be taken; they are, if so."""
        if needed > self.left:
            return False
        self.left -= needed
        return True


class ImageStore:
    """Images at one size.

    Args:
        paths: N image files.
        size: height, width in pixels.
        pool: the threads that decode.
        budget: memory for keeping them; where it does not do, they are decoded anew each time.
        unreadable: told of an image that cannot be read; unless it raises, the image is left out of its batch, and
            tried again when it is wanted next.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        size: tuple[int, int],
        pool: ThreadPoolExecutor,
        budget: MemoryBudget,
        unreadable: Unreadable = stop,
    ) -> None:
        self._paths = paths
        self._size = size
        self._pool = pool
        self._unreadable = unreadable
        self._keeps = budget.take(len(paths) * size[0] * size[1] * 3)
        # Pages of the array are taken as they are written, not now.
        self._pixels = np.empty((len(paths) if self._keeps else 0, *size, 3), np.uint8)
        self._decoded = np.zeros(len(paths), bool)

    def __len__(self) -> int:
        return len(self._paths)

    def batches(self, order: Iterable[NDArray[np.int64]]) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
        """The batches of an order of indices, decoded a few ahead of the one in use.

        Yields:
            The indices (B,) and the images: (B, height, width, 3) uint8 on the CPU, their own memory. B may be 0, where
            all images of a batch are left out.

        Raises:
            DataError: an image cannot be read, and `unreadable` raises it; it is named.
        """
        ahead: deque[tuple[NDArray[np.int64], dict[int, Future[NDArray[np.uint8]]]]] = deque()
        rest = iter(order)
        on_the_way: dict[int, Future[NDArray[np.uint8]]] = {}
        try:
            while True:
                while len(ahead) < BATCHES_AHEAD and (indices := next(rest, None)) is not None:
                    missing = [int(index) for index in dict.fromkeys(indices.tolist()) if not self._decoded[index]]
                    for index in missing:
                        if index not in on_the_way:
                            on_the_way[index] = self._pool.submit(read_image, self._paths[index], self._size)
                    ahead.append((indices, {index: on_the_way[index] for index in missing}))
                if not ahead:
                    return
                indices, futures = ahead.popleft()
                yield self._gather(indices, futures)
                for index in futures:
                    on_the_way.pop(index, None)
        finally:
            for future in on_the_way.values():
                future.cancel()

    def _gather(
        self, indices: NDArray[np.int64], futures: dict[int, Future[NDArray[np.uint8]]]
    ) -> tuple[NDArray[np.int64], torch.Tensor]:
        """The batch without the images that cannot be read."""
        decoded: dict[int, NDArray[np.uint8]] = {}
        lost: list[int] = []
        for index, future in futures.items():
            try:
                decoded[index] = future.result()
            except DataError as error:
                self._unreadable(self._paths[index], error)
                lost.append(index)
        if lost:
            indices = indices[~np.isin(indices, lost)]
        if self._keeps:
            for index, pixels in decoded.items():
                self._pixels[index] = pixels
                self._decoded[index] = True
            return indices, torch.from_numpy(self._pixels[indices])
        batch = np.empty((len(indices), *self._size, 3), np.uint8)
        for row, index in enumerate(indices.tolist()):
            batch[row] = decoded[index]
        return indices, torch.from_numpy(batch)


def _free_memory() -> int:
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
