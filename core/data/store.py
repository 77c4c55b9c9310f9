"""Resized images, decoded once on a thread pool and kept as uint8 on a shelf; batches are slices of it.

Pillow lets go of the GIL while it decodes, so threads are enough: there is no worker process to fork.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.data.images import read_image
from core.data.pixel_cache import Pixels
from core.data.shelf import Shelves
from core.data.unreadable import Unreadable, stop
from core.errors import DataError

BATCHES_AHEAD = 3


def decoding_threads() -> int:
    """Threads for decoding: the cores this process may use, at most 16."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 16)


class ImageStore:
    """Images at one size.

    Args:
        paths: N image files.
        size: height, width in pixels.
        pool: the threads that decode.
        shelves: gives the place to keep them; where there is none, they are decoded anew each time.
        unreadable: told of an image that cannot be read; unless it raises, the image is left out of its batch, and
            tried again when it is wanted next.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        size: tuple[int, int],
        pool: ThreadPoolExecutor,
        shelves: Shelves,
        unreadable: Unreadable = stop,
    ) -> None:
        self._paths = paths
        self._size = size
        self._pool = pool
        self._unreadable = unreadable
        self._exact = shelves.exact
        self._shelf = shelves.shelf(paths, size)
        self._here = np.zeros(len(paths), bool)  # on the shelf, and known to be whole

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
        ahead: deque[tuple[NDArray[np.int64], dict[int, Future[Pixels | None]]]] = deque()
        rest = iter(order)
        on_the_way: dict[int, Future[Pixels | None]] = {}
        try:
            while True:
                while len(ahead) < BATCHES_AHEAD and (indices := next(rest, None)) is not None:
                    missing = [int(index) for index in dict.fromkeys(indices.tolist()) if not self._here[index]]
                    for index in missing:
                        if index not in on_the_way:
                            on_the_way[index] = self._pool.submit(self._fetch, index)
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

    def _fetch(self, index: int) -> Pixels | None:
        """In a thread of the pool: see that an image is on the shelf; its pixels, where it cannot be put there."""
        if self._shelf is not None:
            with suppress(OSError):  # the file is gone: decoding it finds the words
                if self._shelf.load(index):
                    return None
        pixels = read_image(self._paths[index], self._size, exact=self._exact)
        if self._shelf is not None:
            with suppress(OSError):  # the disk is full: it is decoded again when it is wanted next
                self._shelf.put(index, pixels)
                return None
        return pixels

    def _gather(
        self, indices: NDArray[np.int64], futures: dict[int, Future[Pixels | None]]
    ) -> tuple[NDArray[np.int64], torch.Tensor]:
        """The batch without the images that cannot be read."""
        loose: dict[int, Pixels] = {}
        lost: list[int] = []
        for index, future in futures.items():
            try:
                pixels = future.result()
            except DataError as error:
                self._unreadable(self._paths[index], error)
                lost.append(index)
                continue
            if pixels is None:
                self._here[index] = True
            else:
                loose[index] = pixels
        if lost:
            indices = indices[~np.isin(indices, lost)]
        if self._shelf is not None and not loose:
            return indices, torch.from_numpy(self._shelf.take(indices))
        batch = np.empty((len(indices), *self._size, 3), np.uint8)
        for row, index in enumerate(indices.tolist()):
            if index in loose:
                batch[row] = loose[index]
            elif self._shelf is not None:
                batch[row] = self._shelf.take(np.array([index]))[0]
        return indices, torch.from_numpy(batch)

    def close(self) -> None:
        """Let go of the images."""
        if self._shelf is not None:
            self._shelf.close()
