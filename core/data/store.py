"""Resized images, decoded once on a thread pool and kept as uint8 on a shelf; batches are slices of it.

Pillow lets go of the GIL while it decodes, so threads are enough: there is no worker process to fork.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Ahead:
    """A batch that is wanted soon: its images that are not on the shelf yet, or, where all are, the batch to be."""

    indices: NDArray[np.int64]
    missing: dict[int, Future[Pixels | None]]
    taken: Future[torch.Tensor] | None


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
        self._pinned = shelves.pinned
        self._shelf = shelves.shelf(paths, size)
        self._here = np.zeros(len(paths), bool)  # on the shelf, and known to be whole

    def __len__(self) -> int:
        return len(self._paths)

    def batches(self, order: Iterable[NDArray[np.int64]]) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
        """The batches of an order of indices, a few ahead of the one in use: decoded, or taken from the shelf.

        Yields:
            The indices (B,) and the images: (B, height, width, 3) uint8 on the CPU, their own memory; pinned, where the
            shelves say so. B may be 0, where all images of a batch are left out.

        Raises:
            DataError: an image cannot be read, and `unreadable` raises it; it is named.
        """
        ahead: deque[_Ahead] = deque()
        rest = iter(order)
        on_the_way: dict[int, Future[Pixels | None]] = {}
        try:
            while True:
                while len(ahead) < BATCHES_AHEAD and (indices := next(rest, None)) is not None:
                    missing = [int(index) for index in dict.fromkeys(indices.tolist()) if not self._here[index]]
                    for index in missing:
                        if index not in on_the_way:
                            on_the_way[index] = self._pool.submit(self._fetch, index)
                    # A thread of the pool must not wait for others of it: what is to be decoded is gathered here.
                    taken = None if missing else self._pool.submit(self._take, indices)
                    ahead.append(_Ahead(indices, {index: on_the_way[index] for index in missing}, taken))
                if not ahead:
                    return
                batch = ahead.popleft()
                yield (batch.indices, batch.taken.result()) if batch.taken else self._gather(batch)
                for index in batch.missing:
                    on_the_way.pop(index, None)
        finally:
            for future in on_the_way.values():
                future.cancel()
            wait([batch.taken for batch in ahead if batch.taken and not batch.taken.cancel()])  # they read the shelf

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

    def _take(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Images that are on the shelf."""
        batch = self._new(len(indices))
        if self._shelf is not None:
            self._shelf.take(indices, batch.numpy())
        return batch

    def _new(self, images: int) -> torch.Tensor:
        return torch.empty((images, *self._size, 3), dtype=torch.uint8, pin_memory=self._pinned)

    def _gather(self, ahead: _Ahead) -> tuple[NDArray[np.int64], torch.Tensor]:
        """The batch without the images that cannot be read."""
        indices = ahead.indices
        loose: dict[int, Pixels] = {}
        lost: list[int] = []
        for index, future in ahead.missing.items():
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
        if not loose:
            return indices, self._take(indices)
        batch = self._new(len(indices))
        rows = batch.numpy()
        for row, index in enumerate(indices.tolist()):
            if index in loose:
                rows[row] = loose[index]
            elif self._shelf is not None:
                self._shelf.take(indices[row : row + 1], rows[row : row + 1])
        return indices, batch

    def close(self) -> None:
        """Let go of the images."""
        if self._shelf is not None:
            self._shelf.close()
